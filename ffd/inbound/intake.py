"""Ledger intake: read one ledger strictly in order, from a durable cursor, and record its pins.

The pins and the cursor are one transaction, so a crash repeats nothing and skips nothing. Payloads that can be had at
once are stored in the same transaction; for the others a download is ordered, and the pins do not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NoReturn

import trio

from ffd.inbound.arrivals import ReadPayload, pinned_batch
from ffd.inbound.download import Fetcher
from ffd.ports.ledger import Ledger, LedgerEvent
from ffd.ports.retry import Backoff, stubbornly
from ffd.store import Store, Transaction, offsets
from ffd.store.leadership import Leadership
from ffd.store.pins import PinnedBatch
from ffd.world import World

PAGE_EVENTS = 50
EXPRESS_S = 0.05  # how long the pins of a page wait for payloads that are nearly here
FETCHES_AT_ONCE = 10
BACKOFF = Backoff(first_s=0.1, max_s=30.0)

Pinned = tuple[Fetcher, PinnedBatch]


class Intake:
    """Reads one ledger for all namespaces that are on it; `fetchers` by the network's name.

    Of the namespaces that are in one network each has what the ledger says of it, in the same transaction.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        ledger: Ledger,
        fetchers: Mapping[str, Sequence[Fetcher]],
        leadership: Leadership,
    ) -> None:
        self._world = world
        self._store = store
        self._ledger = ledger
        self._fetchers = fetchers
        self._leadership = leadership

    async def run(self) -> NoReturn:
        """Record what the ledger says, until cancelled."""
        what = f"reading ledger {self._ledger.name}"
        cursor = await self._store.read(lambda tx: offsets.cursor(tx, self._ledger.name))
        while True:
            read = partial(self._ledger.events, after=cursor, limit=PAGE_EVENTS)
            page = await stubbornly(what, read, backoff=BACKOFF)
            # A ledger that says things twice says nothing new.
            new = [event for event in page if event.position > cursor]
            if new:
                await self._take(new)
                cursor = new[-1].position
            else:
                await stubbornly(what, partial(self._ledger.wait_beyond, cursor), backoff=BACKOFF)

    async def _take(self, page: Sequence[LedgerEvent]) -> None:
        pinned = self._pinned(page)
        payloads = await self._express(pinned)
        await self._store.write(lambda tx: self._record(tx, pinned, payloads, page[-1].position))

    def _pinned(self, page: Sequence[LedgerEvent]) -> list[Pinned]:
        """The batches pinned for a network that this node is part of, once for each namespace that is in it."""
        found: list[Pinned] = []
        for event in page:
            for fetcher in self._fetchers.get(event.pin.network, ()) if event.pin is not None else ():
                row = pinned_batch(self._world, self._ledger.name, event)
                if row is not None:
                    found.append((fetcher, row))
        return found

    async def _express(self, pinned: Sequence[Pinned]) -> dict[bytes, ReadPayload]:
        """The payloads that can be had at once, by the id of the ledger event's row."""
        payloads: dict[bytes, ReadPayload] = {}
        limit = trio.CapacityLimiter(FETCHES_AT_ONCE)

        async def fetch(fetcher: Fetcher, row: PinnedBatch) -> None:
            async with limit:
                payload = await fetcher.try_fetch(row.batch, row.batch_hash, row.payload_ref)
            if payload is not None:
                payloads[row.id] = payload

        with trio.move_on_after(EXPRESS_S):
            async with trio.open_nursery() as nursery:
                for fetcher, row in pinned:
                    nursery.start_soon(fetch, fetcher, row)
        return payloads

    def _record(
        self, tx: Transaction, pinned: Sequence[Pinned], payloads: Mapping[bytes, ReadPayload], position: str
    ) -> None:
        self._leadership.check(tx)
        by_fetcher: dict[Fetcher, list[PinnedBatch]] = {}
        for fetcher, row in pinned:
            by_fetcher.setdefault(fetcher, []).append(row)
            payload = payloads.get(row.id)
            if payload is not None:
                fetcher.arrivals.record_payload(tx, payload, row.batch, row.batch_hash)
        for fetcher, rows in by_fetcher.items():
            fetcher.arrivals.record_pins(tx, rows)
        offsets.move_cursor(tx, self._ledger.name, to=position)
