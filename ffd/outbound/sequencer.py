"""The outbound sequencer: ready messages, in the order they were accepted, into batches, to storage, onto the ledger.

One leader for each namespace. It seals what is ready as soon as the batch before is on the ledger: idle, a message
leaves at once; under load the next batch grows while the last one travels. Every step is an operation row, so a crash
at any point resumes the same batch under the same names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
import trio

from ffd.model.errors import Away, Full, NotFound
from ffd.model.message import CONTRACT_INVOKE_PIN
from ffd.model.namespace import Namespace
from ffd.outbound.flushes import FlushRecord
from ffd.outbound.publish import Publisher
from ffd.outbound.sealing import BlobUpload, SealedBatch, Sealer
from ffd.ports.ledger import BATCH_PIN_ACTION, CONTRACT_INVOKE_PIN_ACTION, BatchPin, Ledger
from ffd.ports.retry import Backoff, stubbornly
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Store, Transaction, batches, operations
from ffd.store.bells import wait_rung
from ffd.store.leadership import Leadership
from ffd.store.operations import INITIALIZED, SUCCEEDED
from ffd.world import World

T = TypeVar("T")

POLL_S = 1.0  # the fallback for messages that another process accepted
BACKOFF = Backoff(first_s=0.25, max_s=30.0)  # FireFly's batch.retry
UNSENT_PAGE = 50
LINGER_FROM = 4
LINGER_S = 0.01


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch that is on the ledger, which the database does not know yet."""

    batch: SealedBatch
    reference: str
    transaction: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction did: batches recorded as sent, batches sealed."""

    recorded: Sequence[SentBatch]
    sealed: Sequence[SealedBatch]


NOTHING = Step((), ())


class Sequencer:
    """Sends what one namespace seals, for as long as it leads."""

    def __init__(
        self,
        world: World,
        store: Store,
        sealer: Sealer,
        ledger: Ledger,
        storage: SharedStorage,
        publisher: Publisher,
        leadership: Leadership,
        flushes: FlushRecord,
    ) -> None:
        self._world = world
        self._store = store
        self._sealer = sealer
        self._namespace = sealer.namespace
        self._ledger = ledger
        self._storage = storage
        self._publisher = publisher
        self._leadership = leadership
        self._flushes = flushes
        self._idle = False
        self._sent: list[SentBatch] = []
        self._sealed: list[SealedBatch] = []

    async def run(self) -> NoReturn:
        """Bring out what was sealed before, then whatever becomes ready, until cancelled."""
        await self._resume()
        with (
            self._store.following("messages", self._seal_if_idle, self._note),
            self._store.following("pins", self._record_if_idle, self._note),
        ):
            while True:
                for batch in await self._next():
                    sent = await self._send(batch)
                    self._sent.append(sent)
                if LINGER_FROM <= self._store.peek(self._sealer.waiting) < self._sealer.limits.messages_max // 2:
                    # More came while this batch travelled: the pipe is busy. A batch costs what some hundred messages
                    # cost, so a moment in which the next one grows is won back. Whoever sends and waits never sees it.
                    await trio.sleep(LINGER_S)

    async def _next(self) -> list[SealedBatch]:
        """The next batches, sealed as soon as there are messages."""
        bell, late = self._store.bell("messages"), False
        while True:
            ticket = bell.ticket()
            if self._store.peek(self._sealer.waiting) > 0 or (late and self._sent):
                self._note(await self._store.write(self._go_on))
            if self._sealed:
                sealed = self._sealed[:]
                self._sealed.clear()
                return sealed
            self._idle = True
            try:
                late = not await wait_rung(ticket, at_most_s=POLL_S)
            finally:
                self._idle = False

    def _seal_if_idle(self, tx: Transaction) -> Step:
        """While there is nothing else to do, go on in the very transaction that makes messages ready."""
        return self._go_on(tx) if self._idle and not self._sealed else NOTHING

    def _record_if_idle(self, tx: Transaction) -> Step:
        """A batch is recorded as sent with its pins: it is no more urgent than that."""
        return self._seal_if_idle(tx) if self._sent else NOTHING

    def _go_on(self, tx: Transaction) -> Step:
        """One transaction from the end of some batches to the beginning of the next."""
        self._leadership.check(tx)
        for each in self._sent:
            self._record_sent(tx, each)
        return Step(tuple(self._sent), self._sealer.seal_page(tx))

    def _note(self, step: Step) -> None:
        # Steps are noted in the order of their transactions: one that was taken for us is told at its commit.
        del self._sent[: len(step.recorded)]
        self._sealed += step.sealed

    async def _resume(self) -> None:
        number = self._namespace.number
        while rows := await self._store.read(lambda tx: batches.unsent(tx, number, limit=UNSENT_PAGE)):
            for row in rows:
                sent = await self._send(await self._store.read(partial(self._sealer.load, row=row)))
                await self._store.write(partial(self._record_sent, sent=sent))

    async def _send(self, batch: SealedBatch) -> SentBatch:
        """Blobs first, then the payload, then the pin: whoever sees one can read what it leads to."""
        self._flushes.begin(batch.row.id, self._world.now())
        if batch.row.payload_hash is None:
            batch = await self._publish(batch)
        reference = await self._try(batch.upload, "upload", lambda: self._storage.put(batch.payload))
        pin = batch_pin(self._namespace, batch, reference)
        transaction = await self._try(
            batch.pin, "pin", lambda: self._ledger.submit(pin, request=batch.pin.hex(), key=batch.row.key)
        )
        self._flushes.end(messages=batch.messages, items=batch.items, payload_bytes=len(batch.payload))
        return SentBatch(batch, reference, transaction)

    async def _publish(self, batch: SealedBatch) -> SealedBatch:
        """Publish the blobs of a batch, and fix its payload, which says where they are."""
        for blob in batch.uploads:
            upload = partial(self._publisher.upload_blob, blob.data)
            reference = await self._try(blob.operation, "blob", upload)
            await self._store.write(partial(self._record_blob, blob=blob, reference=reference))
        return await self._store.write(partial(self._fix_payload, batch=batch))

    def _record_blob(self, tx: Transaction, blob: BlobUpload, reference: str) -> None:
        self._leadership.check(tx)
        self._publisher.record(tx, blob.operation, operations.UPLOAD_BLOB, blob.data, reference)

    def _fix_payload(self, tx: Transaction, batch: SealedBatch) -> SealedBatch:
        self._leadership.check(tx)
        return self._sealer.fix_payload(tx, batch.row)

    async def _try(self, operation: bytes, what: str, call: Callable[[], Awaitable[T]]) -> T:
        async def note(error: Exception) -> None:
            def settle(tx: Transaction) -> None:
                self._leadership.check(tx)
                operations.settle(tx, operation, INITIALIZED, self._world.now(), error=str(error))

            await self._store.write(settle)

        async def attempt() -> T:
            try:
                return await call()
            except (Away, Full) as error:
                self._flushes.fail(str(error), self._world.now())
                raise

        return await stubbornly(f"{what} of a batch of {self._namespace.name}", attempt, backoff=BACKOFF, failed=note)

    def _record_sent(self, tx: Transaction, sent: SentBatch) -> None:
        self._leadership.check(tx)
        batch, now = sent.batch, self._world.now()
        batches.mark_sent(tx, batch.row.sequence, sent.reference, now)
        output = msgspec.json.encode({"payloadRef": sent.reference}).decode()
        operations.settle(tx, batch.upload, SUCCEEDED, now, output=output)
        receipt = msgspec.json.encode({"transactionHash": sent.transaction}).decode()
        operations.settle(tx, batch.pin, SUCCEEDED, now, output=receipt)
        operations.ensure_transaction(
            tx, batch.row.namespace, batch.row.tx, batch.row.tx_type, now, blockchain_id=sent.transaction
        )


def batch_pin(namespace: Namespace, batch: SealedBatch, reference: str) -> BatchPin:
    """What the ledger is asked to record of a batch whose payload lies behind `reference`."""
    row = batch.row
    return BatchPin(namespace.network_name, _action(row.tx_type), row.tx, row.id, row.hash, reference, batch.contexts)


def _action(tx_type: str) -> str:
    return CONTRACT_INVOKE_PIN_ACTION if tx_type == CONTRACT_INVOKE_PIN else BATCH_PIN_ACTION


async def republish(store: Store, sealer: Sealer, storage: SharedStorage, batch: bytes) -> None:
    """Put the payload of a batch that was sealed here back on shared storage. Raises NotFound, Away, Full."""
    number = sealer.namespace.number
    row = store.peek(lambda tx: batches.find(tx, number, batch))
    if row is None or not row.sealed:
        raise NotFound("FFD2503", f"batch {batch.hex()} was not sealed here: its author must store it again")
    sealed = await store.read(lambda tx: sealer.reload(tx, row))
    await storage.put(sealed.payload)
