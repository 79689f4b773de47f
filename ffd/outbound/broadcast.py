"""A broadcast on its way: its blobs and its payload go to shared storage, for everyone to read, then its pin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from ffd.model.errors import NotFound
from ffd.model.message import BROADCAST
from ffd.outbound.cancelling import cancel
from ffd.outbound.publish import Publisher
from ffd.outbound.sealing import BlobUpload, SealedBatch, Sealer
from ffd.outbound.sending import Sending
from ffd.outbound.sequencer import Sent
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Store, Transaction, batches, messages, operations
from ffd.store.batches import BatchRow
from ffd.store.operations import SUCCEEDED


@dataclass(frozen=True, slots=True)
class BroadcastCourier:
    """Brings out the broadcasts and definitions of one namespace."""

    sending: Sending
    sealer: Sealer
    storage: SharedStorage
    publisher: Publisher
    bell: str = messages.BELL

    @property
    def messages_max(self) -> int:
        return self.sealer.limits.messages_max

    def waiting(self, tx: Transaction) -> int:
        return self.sealer.waiting(tx)

    def seal_page(self, tx: Transaction) -> Sequence[SealedBatch]:
        return self.sealer.seal_page(tx)

    def unsent(self, tx: Transaction, limit: int) -> Sequence[BatchRow]:
        return batches.unsent(tx, self.sending.namespace.number, BROADCAST, limit=limit)

    def load(self, tx: Transaction, row: BatchRow) -> SealedBatch:
        return self.sealer.load(tx, row)

    async def send(self, batch: SealedBatch) -> Sent[SealedBatch]:
        """Blobs first, then the payload, then the pin: whoever sees one can read what it leads to."""
        flushes = self.sending.flushes
        flushes.begin(batch.row.id, self.sending.world.now())
        self.sending.check_wanted(batch.row)
        if batch.row.payload_hash is None:
            batch = await self._publish(batch)
        reference = await self.sending.attempt(
            batch.row, batch.upload, "upload", lambda: self.storage.put(batch.payload)
        )
        transaction = await self.sending.pin(batch.pin, batch.row, batch.contexts, reference)
        flushes.end(messages=batch.messages, items=batch.items, payload_bytes=len(batch.payload))
        return Sent(batch, reference, transaction)

    def give_up(self, tx: Transaction, batch: SealedBatch) -> SealedBatch | None:
        return batch if cancel(tx, self.sending.world, batch.row) is None else None

    def record_sent(self, tx: Transaction, sent: Sent[SealedBatch]) -> None:
        batch = sent.batch
        output = msgspec.json.encode({"payloadRef": sent.reference}).decode()
        operations.settle(tx, batch.upload, SUCCEEDED, self.sending.world.now(), output=output)
        self.sending.record_pinned(tx, batch.pin, batch.row, sent.reference, sent.transaction)

    async def _publish(self, batch: SealedBatch) -> SealedBatch:
        """Publish the blobs of a batch, and fix its payload, which says where they are."""
        for blob in batch.uploads:
            upload = partial(self.publisher.upload_blob, blob.data)
            reference = await self.sending.attempt(batch.row, blob.operation, "blob", upload)
            await self.sending.store.write(partial(self._record_blob, blob=blob, reference=reference))
        return await self.sending.store.write(partial(self._fix_payload, batch=batch))

    def _record_blob(self, tx: Transaction, blob: BlobUpload, reference: str) -> None:
        self.sending.leadership.check(tx)
        self.publisher.record(tx, blob.operation, operations.UPLOAD_BLOB, blob.data, reference)

    def _fix_payload(self, tx: Transaction, batch: SealedBatch) -> SealedBatch:
        self.sending.leadership.check(tx)
        return self.sealer.fix_payload(tx, batch.row)


async def republish(store: Store, sealer: Sealer, storage: SharedStorage, batch: bytes) -> None:
    """Put the payload of a batch that was sealed here back on shared storage. Raises NotFound, Away, Full."""
    number = sealer.namespace.number
    row = store.peek(lambda tx: batches.find(tx, number, batch))
    if row is None or not row.sealed or row.type != BROADCAST:
        raise NotFound("FFD2503", f"batch {batch.hex()} was not sealed here: its author must store it again")
    sealed = await store.read(lambda tx: sealer.reload(tx, row))
    await storage.put(sealed.payload)
