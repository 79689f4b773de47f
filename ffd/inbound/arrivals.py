"""What arrives from outside: a ledger event, a payload. Checked, then stored; one transaction each.

A payload is taken for what the ledger says it is: its manifest must have the pinned hash, and every part of it must
verify (FireFly reference 6.3), on every member alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ffd.model.batch import Batch, ContentDropped, ReceivedMessage, parse_batch, verify_batch
from ffd.model.data import Data
from ffd.model.errors import Invalid
from ffd.model.event import BLOCKCHAIN_EVENT_RECEIVED, TOPIC_BATCH_PIN
from ffd.model.ids import format_uuid, parse_uuid, sha256, stand_in_id
from ffd.model.message import BATCH_PIN, BROADCAST, CONTRACT_INVOKE_PIN
from ffd.model.namespace import Namespace
from ffd.ports.ledger import CONTRACT_INVOKE_PIN_ACTION, LedgerEvent
from ffd.store import Transaction, batches, blobs, events, messages, offsets, operations, pins
from ffd.store.batches import BatchRow
from ffd.store.events import NewEvent
from ffd.store.messages import NewMessage
from ffd.store.operations import INITIALIZED, SUCCEEDED, OperationRow
from ffd.store.pins import PinnedBatch
from ffd.world import World

_PIN = re.compile(r"[0-9a-f]{64}(?::[0-9]{1,20})?")
PAYLOAD_SLACK_BYTES = 1024
"""What a payload may have beyond the batch limit: FireFly's rule for downloads (reference 1.2)."""


@dataclass(frozen=True, slots=True)
class ReadPayload:
    """A payload that was fetched: its bytes, or why these bytes can never be taken."""

    content: bytes
    batch: Batch | None
    refusal: Invalid | None


def read_payload(content: bytes, network_name: str, bytes_max: int) -> ReadPayload:
    """Parse and verify a payload. CPU only; the larger the payload, the more it belongs into a thread."""
    try:
        batch = parse_batch(content, bytes_max)
        verify_batch(batch, network_name)
    except ContentDropped as refusal:
        return ReadPayload(content, batch, refusal)
    except Invalid as refusal:
        return ReadPayload(content, None, refusal)
    return ReadPayload(content, batch, None)


def pinned_batch(world: World, ledger: str, event: LedgerEvent) -> PinnedBatch | None:
    """The row for a ledger event; None when it holds no pin that can be read."""
    pin = event.pin
    if pin is None:
        return None
    return PinnedBatch(
        world.new_id(), ledger, event.position, event.transaction, event.timestamp, event.signer, pin.action, pin.tx,
        pin.batch, pin.batch_hash, pin.payload_ref, pin.contexts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What was stored of a batch: its row, and the messages that were new by the id they are kept under.

    These have sequences from `first` on.
    """

    row: BatchRow
    messages: Mapping[bytes, ReceivedMessage]
    first: int


def tx_type(action: str) -> str:
    """The transaction type behind a ledger action."""
    return CONTRACT_INVOKE_PIN if action == CONTRACT_INVOKE_PIN_ACTION else BATCH_PIN


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Stores what arrives for one namespace; `storage` is the name of its shared storage."""

    world: World
    namespace: Namespace
    storage: str

    def record_pins(self, tx: Transaction, pinned: Sequence[PinnedBatch]) -> None:
        """Store ledger events with their pins, tell of them, and order the payloads that are not here yet."""
        now, number = self.world.now(), self.namespace.number
        new = pins.record(tx, number, pinned, now)
        for event in new:
            kind = tx_type(event.action)
            operations.ensure_transaction(tx, number, event.tx, kind, now, blockchain_id=event.blockchain_id)
        told = [
            NewEvent(
                self.world.new_id(), number, BLOCKCHAIN_EVENT_RECEIVED, event.id, None, event.tx, TOPIC_BATCH_PIN, now
            )
            for event in new
        ]
        events.append(tx, told)
        for event in new:
            self._order_download(tx, event, now)
        tx.ring("pins")

    def _order_download(self, tx: Transaction, event: PinnedBatch, now: int) -> None:
        if not event.payload_ref:
            return
        found = batches.find_pinned(tx, self.namespace.number, event.batch, event.batch_hash)
        if found is None or found.hash != event.batch_hash or found.confirmed is None:
            input = {"payloadRef": event.payload_ref}
            operations.insert(tx, self._order(event.tx, operations.DOWNLOAD_BATCH, input, now))
            tx.ring("downloads")

    def _order(self, transaction: bytes, type: str, input: Mapping[str, str], now: int) -> OperationRow:
        """An operation that brings something from shared storage."""
        return OperationRow(
            self.world.new_id(), self.namespace.number, transaction, type, INITIALIZED, self.storage,
            msgspec.json.encode(input).decode(), None, None, now, now, None,
        )  # fmt: skip

    def record_payload(self, tx: Transaction, payload: ReadPayload, batch: bytes, batch_hash: bytes) -> bool:
        """Store a payload that was fetched for a pinned batch. Returns whether it is the one that was pinned.

        A batch that this node sealed is not stored again: that its very bytes came back says that all can read it.
        """
        own = batches.find_pinned(tx, self.namespace.number, batch, batch_hash)
        if own is not None and own.sealed and own.hash == batch_hash:
            if own.payload_hash != sha256(payload.content):
                return False
            batches.mark_confirmed(tx, own.sequence, self.world.now())
        elif payload.batch is None or not _is_pinned(payload.batch, batch, batch_hash):
            return False
        elif own is None or own.hash != batch_hash:
            self.store_batch(tx, payload.batch, content=payload.refusal is None)
        pins.rewind(tx, self.namespace.number, batch)
        return True

    def store_batch(self, tx: Transaction, batch: Batch, *, content: bool = True) -> StoredBatch:
        """A received batch: the row always, what it carries only when all of it verifies.

        Masked pins of it that the aggregator has passed were nobody's, as far as it knew: they wait from now on.
        """
        head, now, number = batch.head, self.world.now(), self.namespace.number
        id = parse_uuid(head.id)
        if batches.find(tx, number, id) is not None:
            id = stand_in_id(id, head.hash)
        row = BatchRow(
            sequence=batches.next_sequence(tx), id=id, namespace=number,
            type=head.type, node=parse_uuid(head.node) if head.node else None,
            group_hash=bytes.fromhex(head.group) if head.group else None, author=head.author, key=head.key,
            created=head.created, hash=head.hash, manifest=batch.manifest_json, tx=parse_uuid(head.tx_id),
            tx_type=head.tx_type, sealed=0, payload_hash=sha256(batch.raw), payload_ref=None, sent=None, confirmed=now,
        )  # fmt: skip
        batches.insert(tx, row)
        stored = self._store_content(tx, batch, row) if content else StoredBatch(row, {}, 0)
        passed = offsets.read(tx, offsets.AGGREGATOR, self.namespace.name) or 0
        pins.wait_masked(tx, number, parse_uuid(head.id), head.hash, passed, now)
        return stored

    def _store_content(self, tx: Transaction, batch: Batch, row: BatchRow) -> StoredBatch:
        items, known = self._items_of(tx, batch)
        new: dict[bytes, ReceivedMessage] = {}
        for received in batch.messages:
            # A batch may name a message twice, or not at all: neither may fail the transaction of everybody's pins.
            id = self._id_for(tx, received, new) if received.header.id else None
            if id is not None:
                new[id] = received
        first = messages.append(
            tx, self.namespace.number, [_new_message(id, each, items) for id, each in new.items()],
            state=messages.PENDING, known=known, batch=row.sequence,
        ) if new else 0  # fmt: skip
        if batch.head.type == BROADCAST:
            self._order_blobs(tx, row.tx, items.values())
        return StoredBatch(row, new, first)

    def _items_of(self, tx: Transaction, batch: Batch) -> tuple[dict[str, Data], dict[str, int]]:
        """The data items by the id that messages name, as they are kept; the sequences of those that are here."""
        items: dict[str, Data] = {}
        known: dict[str, int] = {}
        for item in batch.data:
            found = messages.find_data(tx, self.namespace.number, parse_uuid(item.id))
            kept = item
            if found is not None and found[1].hash != item.hash:
                kept = msgspec.structs.replace(item, id=format_uuid(stand_in_id(parse_uuid(item.id), item.hash)))
                found = messages.find_data(tx, self.namespace.number, parse_uuid(kept.id))
            items[item.id] = kept
            if found is not None:
                known[kept.id] = found[0]
        return items, known

    def _id_for(self, tx: Transaction, received: ReceivedMessage, new: Mapping[bytes, ReceivedMessage]) -> bytes | None:
        """Under which id a message is kept; None when it is here."""
        id = parse_uuid(received.header.id)
        for each in (id, stand_in_id(id, received.hash)):
            here = new[each].hash if each in new else messages.exists(tx, self.namespace.number, each)
            if here is None or here == received.hash:
                return each if here is None else None
        return None

    def _order_blobs(self, tx: Transaction, transaction: bytes, items: Iterable[Data]) -> None:
        """Order the blobs of a batch that are not here, each once."""
        wanted = {item.blob.hash: (item.id, item.blob.public) for item in items if item.blob and item.blob.hash}
        for hash, (id, reference) in wanted.items():
            if blobs.find(tx, self.namespace.number, bytes.fromhex(hash)) is not None:
                continue
            input = {"dataId": id, "payloadRef": reference}
            operations.insert(tx, self._order(transaction, operations.DOWNLOAD_BLOB, input, self.world.now()))
            tx.ring("downloads")

    def settle_download(
        self, tx: Transaction, operation: bytes, taken: bool, batch: bytes, refusal: str | None
    ) -> None:
        """Record that a download came to its end: with the batch, or with something that can never be it."""
        output = msgspec.json.encode({"batch": format_uuid(batch) if taken else None}).decode()
        operations.settle(tx, operation, SUCCEEDED, self.world.now(), output=output, error=refusal)


def _new_message(id: bytes, received: ReceivedMessage, items: Mapping[str, Data]) -> NewMessage:
    return NewMessage(
        id, received.header_json, received.hash, received.refs_json, 0, [items[ref.id] for ref in received.refs],
        pins=_pins_text(received.pins),
    )  # fmt: skip


def _pins_text(pins: Sequence[str]) -> str | None:
    """What a private message says its pins are, to show it; what they are the ledger says."""
    return ",".join(pins) if pins and all(_PIN.fullmatch(pin) for pin in pins) else None


def _is_pinned(batch: Batch, id: bytes, hash: bytes) -> bool:
    return batch.head.id == format_uuid(id) and batch.head.hash == hash
