"""Downloads: the payloads that were not there when their pin was, tried until they come.

Each download is an operation row, so a restart goes on with it, and its latest error says what it waits for.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NoReturn

import msgspec
import trio

from ffd.inbound.arrivals import PAYLOAD_SLACK_BYTES, Arrivals, ReadPayload, read_payload
from ffd.inbound.turns import Turns
from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.ids import format_uuid
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Store, Transaction, batches, pins
from ffd.store.batches import BatchRow
from ffd.store.leadership import Leadership
from ffd.store.operations import DOWNLOAD_BATCH, OperationRow

log = logging.getLogger(__name__)

FETCHES_AT_ONCE = 10
OWN_BYTES_MAX = (64 << 20) + PAYLOAD_SLACK_BYTES  # what a batch of this node may have at the most, however configured

Republish = Callable[[bytes], Awaitable[None]]
"""Put the payload of a batch that this node sealed back on shared storage."""


class Fetcher:
    """Gets payloads for one namespace."""

    def __init__(self, store: Store, arrivals: Arrivals, storage: SharedStorage, payload_bytes_max: int) -> None:
        self.arrivals = arrivals
        self._store = store
        self._storage = storage
        self._bytes_max = payload_bytes_max + PAYLOAD_SLACK_BYTES

    async def fetch(self, batch: bytes, batch_hash: bytes, reference: str) -> ReadPayload:
        """The payload behind a pin. Raises NotFound, Away, Full, and Invalid when it was altered."""
        if self.is_own(batch, batch_hash):
            # Its hash says all: it was verified before it was sealed, when the limit may have been another one.
            return ReadPayload(await self._storage.get(reference, bytes_max=OWN_BYTES_MAX), None, None)
        content = await self._storage.get(reference, bytes_max=self._bytes_max)
        return read_payload(content, self.arrivals.namespace.network_name, self._bytes_max)

    async def try_fetch(self, batch: bytes, batch_hash: bytes, reference: str) -> ReadPayload | None:
        """The payload if it is there, whole, and not here already; a download finds out otherwise why it is not."""
        if not reference or self._is_here(batch, batch_hash):
            return None
        try:
            return await self.fetch(batch, batch_hash, reference)
        except FfdError:
            return None

    def is_own(self, batch: bytes, batch_hash: bytes) -> bool:
        """Did this node seal the batch?"""
        found = self._find(batch, batch_hash)
        return found is not None and bool(found.sealed) and found.hash == batch_hash

    def _is_here(self, batch: bytes, batch_hash: bytes) -> bool:
        """Was it read before? Ledgers say things twice, and are read again for a namespace that joins late."""
        found = self._find(batch, batch_hash)
        return found is not None and found.confirmed is not None and found.hash == batch_hash

    def _find(self, batch: bytes, batch_hash: bytes) -> BatchRow | None:
        number = self.arrivals.namespace.number
        return self._store.peek(lambda tx: batches.find_pinned(tx, number, batch, batch_hash))


class Downloads:
    """Works on the open downloads of one namespace, for as long as it leads."""

    def __init__(self, store: Store, fetcher: Fetcher, leadership: Leadership, republish: Republish) -> None:
        self._store = store
        self._fetcher = fetcher
        self._leadership = leadership
        self._republish = republish
        self._slots = trio.CapacityLimiter(FETCHES_AT_ONCE)

    async def run(self) -> NoReturn:
        """Try every open download, a few at a time, until cancelled."""
        arrivals = self._fetcher.arrivals
        await Turns(arrivals.world, self._store, arrivals.namespace.number, DOWNLOAD_BATCH, self._attempt).run()

    async def _attempt(self, row: OperationRow) -> FfdError | None:
        """Try once. Between its tries a download keeps no slot."""
        reference: str = msgspec.json.decode(row.input or "{}").get("payloadRef", "")
        number = self._fetcher.arrivals.namespace.number
        named = self._store.peek(lambda tx: pins.pinned_by(tx, number, row.tx, reference))
        batch, batch_hash = next((each for each in named if self._fetcher.is_own(*each)), named[0])
        payload = await self._try(batch, batch_hash, reference)
        if isinstance(payload, FfdError):
            await self._mend(batch, batch_hash, payload)
            return payload
        await self._store.write(partial(self._record, row=row, payload=payload, named=named))
        return None

    async def _try(self, batch: bytes, batch_hash: bytes, reference: str) -> ReadPayload | FfdError:
        async with self._slots:
            try:
                return await self._fetcher.fetch(batch, batch_hash, reference)
            except (NotFound, Away, Full, Invalid) as error:
                return error

    async def _mend(self, batch: bytes, batch_hash: bytes, error: FfdError) -> None:
        """What this node sealed it can put back; others wait for whoever can."""
        if isinstance(error, NotFound | Invalid) and self._fetcher.is_own(batch, batch_hash):
            log.warning("batch %s was sealed here: its payload is stored again", format_uuid(batch))
            try:
                await self._republish(batch)
            except (Away, Full) as failure:
                log.warning("batch %s could not be stored again: %s", format_uuid(batch), failure)

    def _record(
        self, tx: Transaction, row: OperationRow, payload: ReadPayload, named: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self._leadership.check(tx)
        arrivals = self._fetcher.arrivals
        taken = [batch for batch, hash in named if arrivals.record_payload(tx, payload, batch, hash)]
        refusal = None if payload.refusal is None else str(payload.refusal)
        if not taken and refusal is None:
            refusal = "FFD4201: what the reference leads to is not the batch that was pinned: its author must explain"
        arrivals.settle_download(tx, row.id, bool(taken), (taken or [named[0][0]])[0], refusal)
