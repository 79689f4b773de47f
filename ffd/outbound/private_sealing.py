"""Seal a private batch: as a broadcast's, but its pins are masked, and each other member's node is owed it.

The nonces of a batch are used up in the transaction that seals it, and stand in its messages: whatever happens then,
what is sent and what is pinned say the same (FireFly reference 2.7, 4.5, 4.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ffd.model.batch import batch_json, wrapper_json
from ffd.model.context import message_pin, nonce_key, private_pin
from ffd.model.data import Data, data_json
from ffd.model.errors import NotFound
from ffd.model.group import group_json
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.manifest import manifest_messages
from ffd.model.message import PRIVATE, UNPINNED, message_json
from ffd.model.namespace import Namespace
from ffd.outbound.assembler import Assembly, BatchLimits, HeaderView, Passenger, assemble, boarding, within_bytes
from ffd.outbound.sealing import (
    batch_head,
    begin_transaction,
    count_items,
    manifest_of,
    new_operation,
    pin_operation,
)
from ffd.store import Transaction, batches, groups, messages, operations, owed
from ffd.store.batches import BatchRow
from ffd.store.nonces import Nonces
from ffd.world import World

PIN_DIGITS = 64


@dataclass(frozen=True, slots=True)
class SealedPrivate:
    """A private batch ready to leave: its document, its masked pins, and the operation that pins it, if one does.

    `owed` says by node which operation is the last of those that bring it there. `messages` and `items` are how many it
    carries.
    """

    row: BatchRow
    payload: bytes
    contexts: Sequence[bytes]
    pin: bytes | None
    owed: Mapping[bytes, int]
    messages: int
    items: int


@dataclass(frozen=True, slots=True)
class PrivateSealer:
    """Seals the private messages of one kind in one namespace; `exchange` and `ledger` are the plugins' names."""

    world: World
    namespace: Namespace
    limits: BatchLimits
    exchange: str
    ledger: str
    kind: int = messages.MASKED

    def waiting(self, tx: Transaction) -> int:
        """How many private messages wait for a batch, at most."""
        return messages.private_waiting(tx, self.namespace.number, self.kind)

    def seal_page(self, tx: Transaction) -> list[SealedPrivate]:
        """Put the next ready messages into batches, all in one transaction."""
        ready = messages.private_ready(tx, self.namespace.number, self.kind, limit=self.limits.messages_max)
        page = within_bytes(ready, self.limits)
        if not page:
            return []
        data = messages.data_of_all(tx, [message.sequence for message in page])
        nonces = Nonces(tx)
        riders = [_masked(each, nonces) for each in boarding(page)]
        nonces.keep()
        messages.keep_pins(tx, [(each.message.pins or "", each.sequence) for each in riders if each.message.pins])
        return [self._seal(tx, assembly, data) for assembly in assemble(riders, self.limits)]

    def seal_instead(self, tx: Transaction, riders: Sequence[Passenger], other: BatchRow) -> SealedPrivate:
        """Put messages that have their pins into a batch that leaves in the place of another one."""
        data = messages.data_of_all(tx, sorted([rider.sequence for rider in riders]))
        sealed = self._seal(tx, Assembly(list(riders)), data)
        batches.take_place(tx, sealed.row.sequence, other.sequence)
        return sealed

    def load(self, tx: Transaction, row: BatchRow) -> SealedPrivate:
        """A sealed batch again, from its rows: the same bytes. Raises NotFound when data of it were deleted since."""
        ids = [message.raw_id for message in manifest_messages(row.manifest)]
        riders = boarding(messages.sealed_in(tx, row.sequence, ids, row.namespace))
        data = messages.data_of_all(tx, [rider.sequence for rider in riders])
        payload = self._payload(row, riders, data)
        if sha256(payload) != row.payload_hash:
            raise NotFound(
                "FFD2505", f"batch {format_uuid(row.id)} cannot be built again: data that it carried were deleted here"
            )
        pins = [made.id for made in operations.of_tx(tx, row.tx) if made.type == operations.PIN_BATCH]
        return SealedPrivate(
            row, payload, _contexts(riders), pins[0] if pins else None, owed.of_batch(tx, row.sequence),
            len(riders), count_items(riders, data),
        )  # fmt: skip

    def wrapper(self, tx: Transaction, row: BatchRow, payload: bytes, *, with_group: bool) -> bytes:
        """What the exchange carries: the batch, and its group where the receiver may not know it."""
        group = groups.find(tx, row.namespace, row.group_hash or b"") if with_group else None
        text = None
        if group is not None:
            name, members = self.namespace.network_name, group.members
            text = group_json(name, group.name, members, group.hash, group.created)
        return wrapper_json(payload, text).encode()

    def _seal(self, tx: Transaction, assembly: Assembly, data: Mapping[int, Sequence[Data]]) -> SealedPrivate:
        riders, now = assembly.passengers, self.world.now()
        row = self._row(tx, riders, now)
        payload = self._payload(row, riders, data)
        row = msgspec.structs.replace(row, payload_hash=sha256(payload))
        batches.insert(tx, row)
        messages.put_in_batch(tx, [rider.sequence for rider in riders], row.sequence)
        begin_transaction(tx, self.world, row, now)
        contexts = _contexts(riders)
        blobs = _blobs([item for rider in riders for item in data.get(rider.sequence, ())])
        owing = {node: self._owe(tx, row, node, blobs, now) for node in self._others(tx, row)}
        pin = None
        if row.tx_type != UNPINNED:
            operation = pin_operation(self.world, row, self.ledger, contexts, now)
            operations.insert(tx, operation)
            pin = operation.id
        return SealedPrivate(row, payload, contexts, pin, owing, len(riders), count_items(riders, data))

    def _row(self, tx: Transaction, riders: Sequence[Passenger], now: int) -> BatchRow:
        id, transaction, first = self.world.new_id(), self.world.new_id(), riders[0].header
        manifest = manifest_of(id, first.txtype, transaction, riders)
        return BatchRow(
            sequence=batches.next_sequence(tx), id=id, namespace=self.namespace.number, type=PRIVATE,
            node=self.namespace.node_id, group_hash=bytes.fromhex(first.group), author=first.author, key=first.key,
            created=now, hash=sha256(manifest.encode()), manifest=manifest, tx=transaction, tx_type=first.txtype,
            sealed=1, payload_hash=None, payload_ref=None, sent=None, confirmed=None,
        )  # fmt: skip

    def _payload(self, row: BatchRow, riders: Sequence[Passenger], data: Mapping[int, Sequence[Data]]) -> bytes:
        return batch_json(
            batch_head(row, self.namespace.network_name),
            [message_json(r.message.header, r.message.hash, r.message.data, pins=_pins(r)) for r in riders],
            [data_json(item, form="private") for rider in riders for item in data.get(rider.sequence, ())],
        )

    def _others(self, tx: Transaction, row: BatchRow) -> list[bytes]:
        """The nodes of the group but this one, each once, in the members' order."""
        group = groups.find(tx, row.namespace, row.group_hash or b"")
        nodes = () if group is None else group.nodes
        return [node for text in nodes if (node := parse_uuid(text)) != self.namespace.node_id]

    def _owe(self, tx: Transaction, row: BatchRow, node: bytes, blobs: Mapping[str, str], now: int) -> int:
        """Owe a node the blobs of a batch (hashes by the ids of their items), then the batch; the last operation."""
        to = {"node": format_uuid(node)}
        for id, hash in blobs.items():
            self._owe_one(tx, row, node, operations.SEND_BLOB, {**to, "hash": hash, "dataId": id}, id, now)
        input = {**to, "group": (row.group_hash or b"").hex(), "batch": format_uuid(row.id)}
        return self._owe_one(tx, row, node, operations.SEND_BATCH, input, None, now)

    def _owe_one(
        self, tx: Transaction, row: BatchRow, node: bytes, type: str, input: dict[str, str], id: str | None, now: int
    ) -> int:
        sequence = operations.insert(tx, new_operation(self.world, row, type, self.exchange, input, now))
        owed.add(tx, row.namespace, node, sequence, row.sequence, parse_uuid(id) if id else None)
        return sequence


def _masked(rider: Passenger, nonces: Nonces) -> Passenger:
    """The message with a pin for each topic, unless it has them: its nonces are then used up already."""
    header = rider.header
    if rider.message.pins or header.txtype == UNPINNED:
        return rider
    group = bytes.fromhex(header.group)
    pins = [_pin(topic, group, header, nonces) for topic in header.topics]
    return Passenger(msgspec.structs.replace(rider.message, pins=",".join(pins)), header)


def _pin(topic: str, group: bytes, header: HeaderView, nonces: Nonces) -> str:
    nonce = nonces.next(nonce_key(topic, group, header.author))
    return message_pin(private_pin(topic, group, header.author, nonce), nonce)


def _pins(rider: Passenger) -> Sequence[str]:
    return rider.message.pins.split(",") if rider.message.pins else ()


def _contexts(riders: Sequence[Passenger]) -> list[bytes]:
    """For each message, for each of its topics, what the ledger shows (FireFly reference 2.8)."""
    return [bytes.fromhex(pin[:PIN_DIGITS]) for rider in riders for pin in _pins(rider)]


def _blobs(items: Sequence[Data]) -> dict[str, str]:
    """The hash of each item that is a blob, by the item's id."""
    return {item.id: item.blob.hash for item in items if item.blob is not None and item.blob.hash}
