"""Batches: messages that travel together, and the manifest whose hash is pinned (FireFly reference 1.4, 2.4, 6.1, 6.3).

A batch is written by joining the stored texts of its messages and data, and read by cutting it into such texts: a
value is never parsed and written again.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

import msgspec

from ffd.model.canonical import decode_envelope, json_string
from ffd.model.data import Data, DataRef, WireData, WireRef, data_hash, read_data, read_refs, refs_json
from ffd.model.errors import FfdError, Invalid
from ffd.model.ids import normal_hash, normal_uuid, parse_hash, sha256
from ffd.model.message import (
    BROADCAST,
    SEALABLE_TX_TYPES,
    Header,
    WireHeader,
    check_verified,
    header_json,
    read_header,
)
from ffd.model.times import ZERO_TIME, parse_stored_time, time_json


class BatchDropped(Invalid):
    """Nothing of a received batch can be kept: it is not one, or not the one that its hash names."""


class ContentDropped(Invalid):
    """A received batch is what its hash names, but its content breaks a rule: the batch is kept, its messages are not.

    Its pins then wait for messages that never come, on every member alike.
    """


@dataclass(frozen=True, slots=True)
class BatchHead:
    """What travels beside the payload. Ids are UUID texts, `group` hex, `created` nanoseconds (0: none), `hash` raw."""

    id: str
    type: str
    namespace: str
    node: str | None
    group: str | None
    created: int
    author: str
    key: str
    hash: bytes
    tx_type: str
    tx_id: str


class ReceivedMessage(msgspec.Struct, frozen=True):
    """A message out of a batch, with the two texts that it is stored and verified by; `hash` is empty when absent."""

    header: Header
    header_json: str
    hash: bytes
    refs: tuple[DataRef, ...]
    refs_json: str
    pins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A received batch, read but not verified; `raw` is the document it came in."""

    head: BatchHead
    messages: tuple[ReceivedMessage, ...]
    data: tuple[Data, ...]
    raw: bytes

    @property
    def manifest_json(self) -> str:
        """The manifest, written again from the content."""
        return manifest_json(
            self.head.id,
            self.head.tx_type,
            self.head.tx_id,
            [(m.header.id, m.hash.hex(), len(m.header.topics)) for m in self.messages],
            [data.ref for data in self.data],
        )

    @property
    def payload_hash(self) -> bytes:
        """The hash of the payload, which v0.13 senders pin instead of the manifest's."""
        wire, value_text = decode_envelope(self.raw, _PAYLOAD)
        return sha256(value_text(wire.payload).encode())


def manifest_json(
    batch_id: str, tx_type: str, tx_id: str, messages: Iterable[tuple[str, str, int]], refs: Iterable[DataRef]
) -> str:
    """The manifest, whose SHA-256 is the batch's hash.

    `messages` are (id, hash in hex, number of topics) and `refs` all their data in batch order: what two messages use
    is listed twice.
    """
    return manifest_text(batch_id, tx_type, tx_id, messages, refs_json(refs))


def manifest_text(
    batch_id: str, tx_type: str, tx_id: str, messages: Iterable[tuple[str, str, int]], refs_text: str
) -> str:
    """`manifest_json` for a caller that has the array of the data references as text already."""
    listed = ",".join([f'{{"id":"{id}","hash":"{hash}","topics":{topics}}}' for id, hash, topics in messages])
    tx = _tx_json(tx_type, tx_id)
    return f'{{"version":1,"id":"{batch_id}","tx":{tx},"messages":[{listed}],"data":{refs_text}}}'


def batch_json(head: BatchHead, messages: Iterable[str], data: Iterable[str]) -> bytes:
    """The document that travels: `messages` and `data` are texts in batch form (`message_json`, `data_json`)."""
    node = f',"node":"{head.node}"' if head.node else ""
    group = f',"group":"{head.group}"' if head.group else ""
    author = f',"author":{json_string(head.author)}' if head.author else ""
    key = f',"key":{json_string(head.key)}' if head.key else ""
    return (
        f'{{"id":"{head.id}","type":{json_string(head.type)},"namespace":{json_string(head.namespace)}{node}{group}'
        f',"created":{time_json(head.created or None)}{author}{key},"hash":"{head.hash.hex()}"'
        f',"payload":{payload_json(head.tx_type, head.tx_id, messages, data)}}}'
    ).encode()


def payload_json(tx_type: str, tx_id: str, messages: Iterable[str], data: Iterable[str]) -> str:
    """The `payload` of a batch."""
    return f'{{"tx":{_tx_json(tx_type, tx_id)},"messages":[{",".join(messages)}],"data":[{",".join(data)}]}}'


def wrapper_json(batch: bytes, group: str | None = None) -> str:
    """What the data exchange carries: the batch, behind the group's JSON when the receiver may not know it."""
    lead = "" if group is None else f'"group":{group},'
    return f'{{{lead}"batch":{batch.decode()}}}'


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What came through a data exchange: a batch, and the JSON of its group where the sender thought it needed."""

    batch: Batch
    group: str | None


def parse_wrapper(raw: bytes, max_bytes: int) -> Wrapper:
    """Read a received wrapper; its batch as `parse_batch` does, which raises the same."""
    if len(raw) >= max_bytes:
        raise BatchDropped("FF10377", f"The message is {len(raw)} bytes long: it must be shorter than {max_bytes}")
    try:
        wire, value_text = decode_envelope(raw, _WRAPPER)
        group = None if wire.group == _NULL else value_text(wire.group)
        return Wrapper(parse_batch(value_text(wire.batch).encode(), max_bytes), group)
    except BatchDropped:
        raise
    except FfdError as error:
        raise BatchDropped(error.code, f"The message cannot be read: {error.text}") from None


def parse_batch(raw: bytes, max_bytes: int) -> Batch:
    """Read a received batch into texts and records in normal form, `verify_batch` still to come.

    Raises `BatchDropped`: FF10377 when it is not shorter than `max_bytes`, else whatever makes it unreadable.
    """
    if len(raw) >= max_bytes:
        raise BatchDropped("FF10377", f"The batch is {len(raw)} bytes long: it must be shorter than {max_bytes}")
    try:
        wire, value_text = decode_envelope(raw, _BATCH)
        messages = tuple([_read_message(message) for message in wire.payload.messages or ()])
        data = tuple([read_data(item, value_text(item.value)) for item in wire.payload.data or ()])
        return Batch(_read_head(wire), messages, data, raw)
    except FfdError as error:
        raise BatchDropped(error.code, f"The batch cannot be read: {error.text}") from None


def verify_batch(batch: Batch, network_namespace: str, *, local_blobs: Container[str] = ()) -> None:
    """Apply the rules that every member applies to what it receives (reference 6.3, rows 1 to 6).

    Raises `BatchDropped` while the batch itself is in doubt, then `ContentDropped` with the first rule that is broken.
    `local_blobs` are the hashes (hex) of the blobs that are here already, and need no public reference. That the key
    belongs to the author, and that blobs arrive, is for others to see.
    """
    _check_batch(batch, network_namespace)
    for item in batch.data:
        _check_data(item, batch.head.type, local_blobs)
    for message in batch.messages:
        _check_message(message, batch.head)
    _check_references(batch)


class _WireTx(msgspec.Struct):
    type: str | None = None
    id: str | None = None


class _WireMessage(msgspec.Struct):
    header: WireHeader
    hash: str | None = None
    data: list[WireRef | None] | None = None
    pins: list[str | None] | None = None


class _WirePayload(msgspec.Struct):
    tx: _WireTx | None = None
    messages: list[_WireMessage] | None = None
    data: list[WireData] | None = None


class _WireBatch(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    namespace: str | None = None
    node: str | None = None
    group: str | None = None
    created: str | None = None
    author: str | None = None
    key: str | None = None
    hash: str | None = None
    payload: _WirePayload = msgspec.field(default_factory=_WirePayload)


class _RawPayload(msgspec.Struct):
    payload: msgspec.Raw


_NULL = msgspec.Raw(b"null")


class _WireWrapper(msgspec.Struct):
    batch: msgspec.Raw
    group: msgspec.Raw = _NULL


_WRAPPER = msgspec.json.Decoder(_WireWrapper)
_BATCH = msgspec.json.Decoder(_WireBatch)
_PAYLOAD = msgspec.json.Decoder(_RawPayload)


def _read_head(wire: _WireBatch) -> BatchHead:
    tx = wire.payload.tx or _WireTx()
    created = 0 if wire.created is None else parse_stored_time(wire.created)
    return BatchHead(
        id="" if wire.id is None else normal_uuid(wire.id),
        type=(wire.type or "").lower(),
        namespace=wire.namespace or "",
        node=None if wire.node is None else normal_uuid(wire.node),
        group=None if wire.group is None else normal_hash(wire.group),
        created=0 if created == ZERO_TIME else created,
        author=wire.author or "",
        key=wire.key or "",
        hash=b"" if wire.hash is None else parse_hash(wire.hash),
        tx_type=(tx.type or "").lower(),
        tx_id="" if tx.id is None else normal_uuid(tx.id),
    )


def _read_message(wire: _WireMessage) -> ReceivedMessage:
    header, refs = read_header(wire.header), read_refs(wire.data)
    hash = b"" if wire.hash is None else parse_hash(wire.hash)
    pins = tuple([pin or "" for pin in wire.pins or ()])
    return ReceivedMessage(header, header_json(header), hash, refs, refs_json(refs), pins)


def _check_batch(batch: Batch, network_namespace: str) -> None:
    head = batch.head
    if head.namespace != network_namespace:
        raise _dropped(head, f"it is of the namespace {head.namespace[:80]!r}, not {network_namespace!r}")
    if not head.id or not head.tx_id or not head.hash:
        raise _dropped(head, "id, transaction id and hash are required")
    if not batch.messages:
        raise _dropped(head, "it has no message")
    if head.tx_type not in SEALABLE_TX_TYPES:
        raise _dropped(head, f"its transaction type is {head.tx_type[:80]!r}")
    if sha256(batch.manifest_json.encode()) != head.hash and batch.payload_hash != head.hash:
        raise BatchDropped("FFD2106", f"Invalid batch '{head.id}': its hash is not that of its manifest")


def _check_data(data: Data, batch_type: str, local_blobs: Container[str]) -> None:
    blob = data.blob if data.blob is not None and data.blob.hash else None
    try:
        hash = data_hash(data.value, None if blob is None else parse_hash(blob.hash))
    except Invalid as error:
        raise ContentDropped(error.code, f"Invalid data '{data.id}': {error.text}") from None
    if hash != data.hash:
        raise ContentDropped("FF10201", f"Invalid data '{data.id}': its hash is not that of its value and blob")
    if blob is not None and batch_type == BROADCAST and not blob.public and blob.hash not in local_blobs:
        raise ContentDropped("FFD2109", f"Invalid data '{data.id}': its blob has no reference in shared storage")


def _check_message(message: ReceivedMessage, head: BatchHead) -> None:
    header = message.header
    if header.author != head.author or header.key != head.key:
        raise ContentDropped(
            "FFD2107", f"Invalid message '{header.id}': author and key are not those of its batch '{head.id}'"
        )
    try:
        check_verified(header, message.header_json, message.refs, message.refs_json, message.hash)
    except Invalid as error:
        raise ContentDropped(error.code, error.text) from None


def _check_references(batch: Batch) -> None:
    present: dict[str, str] = {}
    for data in batch.data:
        if present.setdefault(data.id, data.hash.hex()) != data.hash.hex():
            raise ContentDropped("FFD2108", f"Invalid batch '{batch.head.id}': data '{data.id}' comes in two forms")
    used: set[str] = set()
    for message in batch.messages:
        for ref in message.refs:
            if present.get(ref.id) != ref.hash:
                raise ContentDropped(
                    "FFD2108", f"Invalid message '{message.header.id}': data '{ref.id}' is not in its batch"
                )
            used.add(ref.id)
    if unused := present.keys() - used:
        raise ContentDropped("FFD2108", f"Invalid batch '{batch.head.id}': no message uses data '{min(unused)}'")


def _dropped(head: BatchHead, cause: str) -> BatchDropped:
    return BatchDropped("FFD2105", f"Invalid batch '{head.id}': {cause}")


def _tx_json(tx_type: str, tx_id: str) -> str:
    return f'{{"type":{json_string(tx_type)},"id":"{tx_id}"}}'
