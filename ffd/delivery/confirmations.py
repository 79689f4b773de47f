"""Waiting for what becomes of a thing: one follower of the events for all who wait in this process.

It goes by the events table alone, so it does not matter which process confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import trio

from ffd.delivery.enrich import EncodedEvent
from ffd.delivery.recent import RecentEvents
from ffd.model.event import MESSAGE_CONFIRMED, MESSAGE_EVENT_TYPES
from ffd.model.namespace import Namespace
from ffd.store import Store, Transaction, events
from ffd.store.bells import wait_rung
from ffd.store.events import EventRow

PAGE_EVENTS = 500
POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was waited for: its type, and the raw id of what it speaks of."""

    type: str
    reference: bytes


class Confirmations:
    """Tells whoever waits for a thing what the first event said of it."""

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
                self._tell(event)
                self._position = max(self._position, event.sequence)
            if not page:
                await wait_rung(ticket, at_most_s=POLL_S)

    async def wait_settled(self, namespace: Namespace, message: bytes) -> str:
        """Until the message is confirmed or rejected; the type of its first event."""
        return (await self.wait_spoken_of(namespace, message, MESSAGE_EVENT_TYPES)).type

    async def wait_spoken_of(self, namespace: Namespace, reference: bytes, types: Collection[str]) -> Told:
        """Until an event of one of these types speaks of `reference`; the first such event there ever was."""
        wait = _Wait(namespace.name, frozenset(types), answers=False)
        return await self._wait(wait, reference, lambda tx: events.of_reference(tx, namespace.number, reference))

    async def wait_answered(self, namespace: Namespace, request: bytes, *, since: int) -> bytes:
        """Until a message is confirmed that names `request` as what it answers; the id of the first one.

        `since` is a sequence that events had reached before the request was sent.
        """
        wait = _Wait(namespace.name, frozenset({MESSAGE_CONFIRMED}), answers=True)
        found = await self._wait(
            wait, request, lambda tx: events.of_correlator(tx, namespace.number, request, after=since)
        )
        return found.reference

    async def _wait(self, wait: _Wait, id: bytes, past: _Past) -> Told:
        if not self._waiting:
            # Nobody waited, so the follower stands anywhere; what came before is looked up below.
            self._position = self._store.peek(events.last_sequence)
        self._waiting.setdefault(id, []).append(wait)
        self._wanted.set()
        try:
            for event in self._store.peek(past):
                if event.type in wait.types:
                    return Told(event.type, event.reference)
            while wait.told is None:
                await wait.rung.wait()
            return wait.told
        finally:
            self._forget(id, wait)

    def _tell(self, event: EncodedEvent) -> None:
        for wait in self._meant(event):
            if wait.told is None and event.type in wait.types and event.namespace == wait.namespace:
                wait.told = Told(event.type, event.reference)
                wait.rung.set()

    def _meant(self, event: EncodedEvent) -> Iterator[_Wait]:
        yield from (wait for wait in self._waiting.get(event.reference, ()) if not wait.answers)
        if event.correlator is not None:
            yield from (wait for wait in self._waiting.get(event.correlator, ()) if wait.answers)

    def _forget(self, id: bytes, wait: _Wait) -> None:
        others = [other for other in self._waiting.get(id, ()) if other is not wait]
        if others:
            self._waiting[id] = others
        else:
            self._waiting.pop(id, None)


@dataclass(eq=False, slots=True)
class _Wait:
    """One who waits for events of a namespace; `answers` says that they must answer the thing, not speak of it."""

    namespace: str
    types: frozenset[str]
    answers: bool
    rung: trio.Event = field(default_factory=trio.Event)
    told: Told | None = None


_Past = Callable[[Transaction], list[EventRow]]
