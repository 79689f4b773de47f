"""Blobs of received messages: brought from shared storage, hashed while they pass, and kept only if they are the ones.

The data of a message pins its blob's hash; where the blob lies, and how large it is, is only its author's word.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec
import trio

from ffd.inbound import rewind
from ffd.inbound.arrivals import Arrivals
from ffd.inbound.turns import Turns
from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.ids import parse_uuid
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Store, Transaction, blobs, data, operations
from ffd.store.blobfiles import BlobFiles, Incoming
from ffd.store.leadership import Leadership
from ffd.store.operations import DOWNLOAD_BLOB, SUCCEEDED, OperationRow

FETCHES_AT_ONCE = 4


class Wanted(msgspec.Struct):
    """What an operation says that it is to bring."""

    dataId: str
    payloadRef: str


class BlobDownloads:
    """Brings the blobs that the messages of one namespace wait for, for as long as it leads."""

    def __init__(
        self, store: Store, arrivals: Arrivals, storage: SharedStorage, files: BlobFiles, leadership: Leadership
    ) -> None:
        self._store = store
        self._arrivals = arrivals
        self._number = arrivals.namespace.number
        self._storage = storage
        self._files = files
        self._leadership = leadership
        self._coming: dict[bytes, trio.Event] = {}
        self._slots = trio.CapacityLimiter(FETCHES_AT_ONCE)

    async def run(self) -> NoReturn:
        """Try every open download, a few at a time, until cancelled."""
        await Turns(self._arrivals.world, self._store, self._number, DOWNLOAD_BLOB, self._attempt).run()

    async def _attempt(self, row: OperationRow) -> FfdError | None:
        wanted = msgspec.json.decode(row.input or "{}", type=Wanted)
        hash = self._store.peek(lambda tx: data.blob_of(tx, self._number, parse_uuid(wanted.dataId)))
        if hash is None:
            await self._store.write(lambda tx: self._settle(tx, row, None, 0))
            return None
        while hash in self._coming:  # for another message
            await self._coming[hash].wait()
        self._coming[hash] = trio.Event()
        try:
            async with self._slots:
                await self._bring(row, wanted.payloadRef, hash)
        except (NotFound, Away, Full, Invalid) as error:
            return error
        finally:
            self._coming.pop(hash).set()
        return None

    async def _bring(self, row: OperationRow, reference: str, hash: bytes) -> None:
        here = self._store.peek(lambda tx: blobs.find(tx, self._number, hash))
        if here is not None:
            await self._store.write(lambda tx: self._settle(tx, row, hash, here.size))
            return
        async with self._files.receive() as incoming:
            await self._storage.get_stream(reference, incoming, bytes_max=self._files.limits.blob_bytes_max)
            found = await incoming.finish()
            if found != hash:
                raise Invalid(
                    "FFD4202",
                    f"what {reference[:80]!r} leads to has the SHA-256 {found.hex()}, and blob {hash.hex()} was "
                    f"pinned: its author must put that there",
                )
            async with incoming.placed(hash):
                await self._store.write(lambda tx: self._record(tx, row, incoming, hash))

    def _record(self, tx: Transaction, row: OperationRow, incoming: Incoming, hash: bytes) -> None:
        """The blob is here, and whoever waits for it is looked at again: all in one transaction."""
        incoming.record(tx, self._number, hash, self._arrivals.world.now())
        rewind.blob_here(tx, self._number, hash)
        self._settle(tx, row, hash, incoming.size)

    def _settle(self, tx: Transaction, row: OperationRow, hash: bytes | None, size: int) -> None:
        """Record that a download came to its end: with the blob, or without when nobody needs it any more."""
        self._leadership.check(tx)
        local = "" if hash is None else f"{self._arrivals.namespace.network_name}/{hash.hex()}"
        output = {"hash": None if hash is None else hash.hex(), "size": size, "dxPayloadRef": local}
        now = self._arrivals.world.now()
        operations.settle(tx, row.id, SUCCEEDED, now, output=msgspec.json.encode(output).decode())
