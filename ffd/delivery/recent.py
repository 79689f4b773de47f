"""The newest events, encoded once and shared by every live subscription.

A thousand live tails cost one read. A subscription that lags behind what is kept reads pages of its own and never holds
the tail. What is kept is bounded in bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from math import inf

import trio

from ffd.delivery.enrich import EncodedEvent, read_page
from ffd.store import Store

PAGE_EVENTS = 500
EVENT_OVERHEAD_BYTES = 400
END_S = 0.5  # for so long an end is believed: what another process wrote rings no bell here


class RecentEvents:
    """Pages of encoded events; `with_data` for those that carry their messages' values."""

    def __init__(self, store: Store, *, bytes_max: int, with_data: bool, page_events: int = PAGE_EVENTS) -> None:
        self._store = store
        self._page_events = page_events
        self._bytes_max = bytes_max
        self._with_data = with_data
        self._kept: deque[EncodedEvent] = deque()
        self._bytes = 0
        self._reading = trio.Lock()
        self._end = 0
        self._end_ticket = trio.Event()
        self._end_until = -inf

    async def page(self, after: int, limit: int) -> Sequence[EncodedEvent]:
        """Up to `limit` of the events past `after`, node-wide and in order; none when there are none yet."""
        kept = self._from_kept(after, limit)
        if kept is not None:
            return kept
        if self._is_end(after):
            return ()
        if not self._follows(after):
            return await self._read(after, min(limit, self._page_events))
        async with self._reading:
            # Whoever waited here for another's read finds its events kept.
            kept = self._from_kept(after, limit)
            if kept is not None or not self._follows(after):
                return kept or await self._read(after, min(limit, self._page_events))
            ticket = self._store.bell("events").ticket()
            fresh = await self._read(after, self._page_events)
            self._keep(fresh)
            if not fresh:
                self._end, self._end_ticket, self._end_until = after, ticket, trio.current_time() + END_S
            return fresh[:limit]

    def statistics(self) -> tuple[int, int]:
        """How many events are kept, and their bytes."""
        return len(self._kept), self._bytes

    def _from_kept(self, after: int, limit: int) -> list[EncodedEvent] | None:
        if not self._kept or not self._kept[0].sequence - 1 <= after < self._kept[-1].sequence:
            return None
        start = after + 1 - self._kept[0].sequence
        return list(islice(self._kept, start, start + limit))

    def _is_end(self, after: int) -> bool:
        """Was there nothing past `after` a moment ago, and has nobody rung since? Of a thousand who ask, one reads."""
        return after >= self._end and not self._end_ticket.is_set() and trio.current_time() < self._end_until

    def _follows(self, after: int) -> bool:
        """Is the event past `after` the next one to keep? Whoever is first at the tail begins the keeping."""
        return not self._kept or after >= self._kept[-1].sequence

    async def _read(self, after: int, limit: int) -> list[EncodedEvent]:
        return self._store.peek(lambda tx: read_page(tx, after, limit, with_data=self._with_data))

    def _keep(self, events: Sequence[EncodedEvent]) -> None:
        if not events:
            return
        if self._kept and events[0].sequence != self._kept[-1].sequence + 1:
            self._kept.clear()
            self._bytes = 0
        self._kept.extend(events)
        self._bytes += sum([_size(event) for event in events])
        while self._bytes > self._bytes_max and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popleft())


def _size(event: EncodedEvent) -> int:
    return len(event.text) + EVENT_OVERHEAD_BYTES
