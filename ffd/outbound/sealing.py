"""Seal a batch: fix its content, its manifest and its hash, and store it with the operations that will bring it out.

A sealed batch never changes: after a crash its payload is built again from the same rows, to the same bytes, and its
operations are found again, so that nothing leaves this node twice under two names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from ffd.model.batch import BatchHead, batch_json, manifest_text
from ffd.model.context import broadcast_context
from ffd.model.data import Data, data_json
from ffd.model.errors import NotFound
from ffd.model.event import TRANSACTION_SUBMITTED
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.manifest import manifest_messages
from ffd.model.message import BROADCAST, id_of, message_json
from ffd.model.namespace import Namespace
from ffd.outbound.accept import batch_offset_name
from ffd.outbound.assembler import Assembly, BatchLimits, Passenger, assemble, boarding, within_bytes
from ffd.store import Transaction, batches, events, messages, offsets, operations
from ffd.store.batches import BatchRow
from ffd.store.events import NewEvent
from ffd.store.messages import ReadyMessage
from ffd.store.operations import INITIALIZED, SUCCEEDED, OperationRow
from ffd.world import World

OFFSET_LAG_MAX = 1000
"""How far the offset may lie behind messages that need no batch (those received) before it is moved all the same."""


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch ready to leave: the payload for shared storage, the contexts for the ledger, the operations to settle.

    `messages` and `items` are how many it carries. `uploads` are the blobs to publish first, and while there are any,
    or their row has no payload hash, there is no payload: it names where they are.
    """

    row: BatchRow
    payload: bytes
    contexts: Sequence[bytes]
    upload: bytes
    pin: bytes
    messages: int
    items: int
    uploads: Sequence[BlobUpload] = ()


@dataclass(frozen=True, slots=True)
class BlobUpload:
    """A blob to publish: the operation that does it, and the id of its data item."""

    operation: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals the broadcasts of one namespace; `storage` and `ledger` are the names of the plugins that will act."""

    world: World
    namespace: Namespace
    limits: BatchLimits
    storage: str
    ledger: str

    def seal_page(self, tx: Transaction) -> list[SealedBatch]:
        """Put the next ready messages into batches and move the offset past them, all in one transaction."""
        number, name = self.namespace.number, batch_offset_name(self.namespace.name)
        offset = offsets.read(tx, offsets.BATCH, name) or 0
        ready = messages.ready_after(tx, number, offset, limit=self.limits.messages_max)
        page = within_bytes(ready, self.limits)
        whole = len(page) == len(ready) < self.limits.messages_max
        newest = messages.last_sequence(tx) if whole else page[-1].sequence
        if page or newest - offset > OFFSET_LAG_MAX:
            offsets.move(tx, offsets.BATCH, name, to=newest)
        if not page:
            return []
        data = messages.data_of_all(tx, [message.sequence for message in page])
        riders = boarding(page)
        return [self._seal(tx, assembly, data) for assembly in assemble(riders, self.limits)]

    def waiting(self, tx: Transaction) -> int:
        """How many messages wait for a batch, at most: those received from others count until the offset passes."""
        offset = offsets.read(tx, offsets.BATCH, batch_offset_name(self.namespace.name)) or 0
        return messages.last_sequence(tx) - offset

    def load(self, tx: Transaction, row: BatchRow) -> SealedBatch:
        """A sealed batch again, from its rows: the same bytes."""
        ids = [message.raw_id for message in manifest_messages(row.manifest)]
        riders = boarding(messages.sealed_in(tx, row.sequence, ids, row.namespace))
        data = messages.data_of_all(tx, [rider.message.sequence for rider in riders])
        all_made = operations.of_tx(tx, row.tx)
        made = {operation.type: operation.id for operation in reversed(all_made)}
        uploads = [] if row.payload_hash else _open_uploads(all_made)
        payload = b"" if uploads else self._payload(row, riders, data)
        return SealedBatch(
            row, payload, _contexts(riders), made[operations.UPLOAD_BATCH], made[operations.PIN_BATCH],
            len(riders), count_items(riders, data), uploads,
        )  # fmt: skip

    def reload(self, tx: Transaction, row: BatchRow) -> SealedBatch:
        """As `load`, for a batch that has left. Raises NotFound when data of it were deleted since."""
        batch = self.load(tx, row)
        if sha256(batch.payload) != row.payload_hash:
            raise NotFound(
                "FFD2505", f"batch {format_uuid(row.id)} cannot be built again: data that it carried were deleted here"
            )
        return batch

    def fix_payload(self, tx: Transaction, row: BatchRow) -> SealedBatch:
        """The batch with its payload, which can never change from now on: all its blobs are published."""
        batch = self.load(tx, row)
        hash = sha256(batch.payload)
        batches.fix_payload(tx, row.sequence, hash)
        return replace(batch, row=msgspec.structs.replace(row, payload_hash=hash))

    def _seal(self, tx: Transaction, assembly: Assembly, data: dict[int, list[Data]]) -> SealedBatch:
        riders, now = assembly.passengers, self.world.now()
        row, payload = self._row(tx, riders, now), b""
        unpublished = _unpublished(riders, data)
        if not unpublished:
            payload = self._payload(row, riders, data)
            row = msgspec.structs.replace(row, payload_hash=sha256(payload))
        batches.insert(tx, row)
        messages.put_in_batch(tx, [rider.message.sequence for rider in riders], row.sequence)
        begin_transaction(tx, self.world, row, now)
        contexts = _contexts(riders)
        uploads = [self._add_upload(tx, row, id, now) for id in unpublished]
        upload, pin = self._add_operations(tx, row, contexts, now)
        return SealedBatch(row, payload, contexts, upload, pin, len(riders), count_items(riders, data), uploads)

    def _add_upload(self, tx: Transaction, row: BatchRow, id: str, now: int) -> BlobUpload:
        upload = new_operation(self.world, row, operations.UPLOAD_BLOB, self.storage, {"dataId": id}, now)
        operations.insert(tx, upload)
        return BlobUpload(upload.id, parse_uuid(id))

    def _row(self, tx: Transaction, riders: list[Passenger], now: int) -> BatchRow:
        id, transaction, first = self.world.new_id(), self.world.new_id(), riders[0].header
        manifest = manifest_of(id, first.txtype, transaction, riders)
        return BatchRow(
            sequence=batches.next_sequence(tx), id=id, namespace=self.namespace.number, type=BROADCAST,
            node=self.namespace.node_id, group_hash=None, author=first.author, key=first.key, created=now,
            hash=sha256(manifest.encode()), manifest=manifest, tx=transaction, tx_type=first.txtype, sealed=1,
            payload_hash=None, payload_ref=None, sent=None, confirmed=None,
        )  # fmt: skip

    def _payload(self, row: BatchRow, riders: Sequence[Passenger], data: dict[int, list[Data]]) -> bytes:
        return batch_json(
            batch_head(row, self.namespace.network_name),
            [_message_text(rider.message) for rider in riders],
            [data_json(item, form="broadcast") for rider in riders for item in data.get(rider.message.sequence, ())],
        )

    def _add_operations(
        self, tx: Transaction, row: BatchRow, contexts: Sequence[bytes], now: int
    ) -> tuple[bytes, bytes]:
        """Make the operations of a batch: put its payload on shared storage, then pin it."""
        upload = new_operation(self.world, row, operations.UPLOAD_BATCH, self.storage, {"id": format_uuid(row.id)}, now)
        pin = pin_operation(self.world, row, self.ledger, contexts, now)
        operations.insert(tx, upload)
        operations.insert(tx, pin)
        return upload.id, pin.id


def begin_transaction(tx: Transaction, world: World, row: BatchRow, now: int) -> None:
    """Make the transaction under which a batch leaves, and tell of it."""
    operations.ensure_transaction(tx, row.namespace, row.tx, row.tx_type, now)
    told = NewEvent(world.new_id(), row.namespace, TRANSACTION_SUBMITTED, row.tx, None, row.tx, row.tx_type, now)
    events.append(tx, [told])


def new_operation(
    world: World, row: BatchRow, type: str, plugin: str, input: Mapping[str, object], now: int
) -> OperationRow:
    """An operation that is about to be tried for a batch."""
    return OperationRow(
        world.new_id(), row.namespace, row.tx, type, INITIALIZED, plugin, msgspec.json.encode(input).decode(),
        None, None, now, now, None,
    )  # fmt: skip


def pin_operation(world: World, row: BatchRow, ledger: str, contexts: Sequence[bytes], now: int) -> OperationRow:
    """The operation that pins a batch."""
    input = {"batch": format_uuid(row.id), "contexts": [context.hex() for context in contexts]}
    return new_operation(world, row, operations.PIN_BATCH, ledger, input, now)


def manifest_of(id: bytes, tx_type: str, transaction: bytes, riders: Sequence[Passenger]) -> str:
    """The manifest of a batch with these messages."""
    return manifest_text(
        format_uuid(id), tx_type, format_uuid(transaction),
        [(id_of(r.message.header), r.message.hash.hex(), len(r.header.topics)) for r in riders],
        f"[{','.join([r.message.data[1:-1] for r in riders if r.message.data != '[]'])}]",
    )  # fmt: skip


def batch_head(row: BatchRow, network_name: str) -> BatchHead:
    """What travels of a batch beside its payload."""
    return BatchHead(
        format_uuid(row.id), row.type, network_name, format_uuid(row.node) if row.node else None,
        row.group_hash.hex() if row.group_hash else None, row.created, row.author, row.key, row.hash, row.tx_type,
        format_uuid(row.tx),
    )  # fmt: skip


def count_items(riders: Sequence[Passenger], data: Mapping[int, Sequence[Data]]) -> int:
    """How many data items a batch carries."""
    return sum([len(data.get(rider.sequence, ())) for rider in riders])


def _unpublished(riders: Sequence[Passenger], data: dict[int, list[Data]]) -> list[str]:
    """The ids of the data items whose blobs have no reference in shared storage, each once."""
    found = [
        item.id
        for rider in riders
        for item in data.get(rider.message.sequence, ())
        if item.blob is not None and item.blob.hash and not item.blob.public
    ]
    return list(dict.fromkeys(found)) if found else found


def _open_uploads(made: Sequence[OperationRow]) -> list[BlobUpload]:
    return [
        BlobUpload(each.id, parse_uuid(msgspec.json.decode(each.input or "{}")["dataId"]))
        for each in made
        if each.type == operations.UPLOAD_BLOB and each.status != SUCCEEDED
    ]


def _message_text(message: ReadyMessage) -> str:
    return message_json(message.header, message.hash, message.data)


def _contexts(riders: Sequence[Passenger]) -> list[bytes]:
    """For each message, for each of its topics: neither sorted nor made unique (FireFly reference 2.8)."""
    return [broadcast_context(topic) for rider in riders for topic in rider.header.topics]
