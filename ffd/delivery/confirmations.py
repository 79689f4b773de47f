"""Waiting for what becomes of a message: one follower of the events for all who wait in this process.

It goes by the events table alone, so it does not matter which process confirmed.
"""

from __future__ import annotations

from typing import NoReturn

import trio

from ffd.delivery.recent import RecentEvents
from ffd.model.event import MESSAGE_EVENT_TYPES
from ffd.store import Store, events
from ffd.store.bells import wait_rung

PAGE_EVENTS = 500
POLL_S = 1.0


class Confirmations:
    """Tells whoever waits for a message that it was confirmed or rejected."""

    def __init__(self, store: Store, recent: RecentEvents) -> None:
        self._store = store
        self._recent = recent
        self._waiting: dict[bytes, list[_Wait]] = {}
        self._wanted = trio.Event()
        self._position = 0

    async def run(self) -> NoReturn:
        """Follow the events for as long as anyone waits, until cancelled."""
        bell = self._store.bell("events")
        while True:
            if not self._waiting:
                self._wanted = trio.Event()
                await self._wanted.wait()
            ticket = bell.ticket()
            page = await self._recent.page(self._position, PAGE_EVENTS)
            for event in page:
                if event.type in MESSAGE_EVENT_TYPES:
                    self._tell(event.reference, event.type)
                self._position = max(self._position, event.sequence)
            if not page:
                await wait_rung(ticket, at_most_s=POLL_S)

    async def wait_settled(self, namespace: int, message: bytes) -> str:
        """Until the message is confirmed or rejected; the type of its first event."""
        if not self._waiting:
            # Nobody waited, so the follower stands anywhere; what came before is looked up below.
            self._position = self._store.peek(events.last_sequence)
        wait = _Wait()
        self._waiting.setdefault(message, []).append(wait)
        self._wanted.set()
        try:
            for event in self._store.peek(lambda tx: events.of_reference(tx, namespace, message)):
                if event.type in MESSAGE_EVENT_TYPES:
                    return event.type
            await wait.told.wait()
            return wait.type
        finally:
            self._forget(message, wait)

    def _tell(self, message: bytes, type: str) -> None:
        for wait in self._waiting.get(message, ()):
            if not wait.told.is_set():
                wait.type = type
                wait.told.set()

    def _forget(self, message: bytes, wait: _Wait) -> None:
        others = [other for other in self._waiting.get(message, ()) if other is not wait]
        if others:
            self._waiting[message] = others
        else:
            self._waiting.pop(message, None)


class _Wait:
    """One who waits, and what there was to hear."""

    def __init__(self) -> None:
        self.told = trio.Event()
        self.type = ""
