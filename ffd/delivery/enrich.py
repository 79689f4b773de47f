"""Events as apps see them: the JSON of an event with what it speaks of, encoded once for everyone who hears it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from ffd.delivery.defined import identity_json, stored_datatype_json
from ffd.model.canonical import canonical_json, json_string
from ffd.model.event import (
    BLOCKCHAIN_EVENT_RECEIVED,
    DATATYPE_CONFIRMED,
    IDENTITY_CONFIRMED,
    IDENTITY_UPDATED,
    TRANSACTION_SUBMITTED,
)
from ffd.model.ids import format_shared_uuid, format_uuid
from ffd.model.message import id_of, message_json
from ffd.model.times import format_time
from ffd.store import Transaction, deliveries
from ffd.store.deliveries import EventWithMessage
from ffd.store.transaction import Row


class HeaderView(msgspec.Struct, frozen=True):
    """Of a header, what filters look at."""

    author: str = ""
    group: str = ""
    tag: str = ""


_VIEW = msgspec.json.Decoder(HeaderView)
_NOTHING = HeaderView()


class EncodedEvent(msgspec.Struct, frozen=True):
    """One event: its JSON without the closing brace, and what filters ask of it."""

    sequence: int
    id: str
    namespace: str
    type: str
    topic: str
    reference: bytes
    text: str
    header_text: str | None = None
    tx_type: str = ""
    blockchain_name: str = ""
    correlator: bytes | None = None

    @property
    def header(self) -> HeaderView:
        """Tag, author and group of its message; empty when it speaks of none."""
        return _NOTHING if self.header_text is None else _VIEW.decode(self.header_text)


def read_page(tx: Transaction, after: int, limit: int, *, with_data: bool) -> list[EncodedEvent]:
    """The events past `after`, encoded; `with_data` puts the values into their messages."""
    return encode(tx, deliveries.after(tx, after, limit=limit), with_data=with_data)


def encode(tx: Transaction, rows: Sequence[EventWithMessage], *, with_data: bool) -> list[EncodedEvent]:
    """Encode events that were read in the same transaction."""
    values: dict[int, list[Row]] = {}
    if with_data:
        values = deliveries.values_of(tx, list({row.message: None for row in rows if row.message is not None}))
    return [_encode(tx, row, values) for row in rows]


def _encode(tx: Transaction, row: EventWithMessage, values: dict[int, list[Row]]) -> EncodedEvent:
    id = format_uuid(row.id)
    text = event_text(row, id)
    if row.message is not None:
        data = values_json(values[row.message]) if row.message in values else row.data or "[]"
        return _encoded(row, id, f'{text},"message":{message_text(row, data)}')
    if row.type == TRANSACTION_SUBMITTED:
        return _with_transaction(tx, row, id, text)
    if row.type == BLOCKCHAIN_EVENT_RECEIVED:
        return _with_blockchain_event(tx, row, id, text)
    if row.type in (DATATYPE_CONFIRMED, IDENTITY_CONFIRMED, IDENTITY_UPDATED):
        return _encoded(row, id, f"{text}{_defined(tx, row)}")
    return _encoded(row, id, text)


def _encoded(row: EventWithMessage, id: str, text: str, tx_type: str = "", blockchain_name: str = "") -> EncodedEvent:
    return EncodedEvent(
        row.sequence, id, row.namespace, row.type, row.topic or "", row.reference, text, row.header, tx_type,
        blockchain_name, row.correlator,
    )  # fmt: skip


def event_text(row: EventWithMessage, id: str) -> str:
    """The JSON of an event without its closing brace, for more to follow (FireFly reference 1.4)."""
    correlator = f',"correlator":"{format_uuid(row.correlator)}"' if row.correlator else ""
    tx = f',"tx":"{format_shared_uuid(row.tx)}"' if row.tx else ""
    reference = format_uuid(row.reference) if row.header is None else id_of(row.header)
    topic = f',"topic":{_known_string(row.topic)}' if row.topic else ""
    return (
        f'{{"id":"{id}","sequence":{row.sequence},"type":"{row.type}","namespace":"{row.namespace}",'
        f'"reference":"{reference}"{correlator}{tx}{topic},"created":"{format_time(row.created)}"'
    )


_known_string = lru_cache(maxsize=1024)(json_string)
"""Of topics, which are short and come again."""


def message_text(row: EventWithMessage, data: str) -> str:
    """The JSON of the event's message; `data` is the array that it shows."""
    return message_json(
        row.header or "{}", row.hash or b"", data,
        local_namespace=row.namespace,
        batch="" if row.batch is None else format_shared_uuid(row.batch),
        txid="" if row.txid is None else format_shared_uuid(row.txid),
        state=row.state or "", confirmed=row.confirmed, reject_reason=row.reject_reason or "",
        pins=row.pins.split(",") if row.pins else (), idempotency_key=row.idempotency_key or "",
    )  # fmt: skip


def values_json(rows: Sequence[Row]) -> str:
    """Data items with their values, as FireFly's `fetchdata` shows them."""
    return f"[{','.join([value_json(*row) for row in rows])}]"


def value_json(id: bytes, hash: bytes, validator: str, name: str | None, version: str | None, value: str | None) -> str:
    """One data item as FireFly's DataRefOrValue."""
    datatype = ""
    if name is not None:
        versioned = f',"version":{json_string(version)}' if version else ""
        datatype = f',"datatype":{{"name":{json_string(name)}{versioned}}}'
    shown = "" if value is None else f',"value":{value}'
    return f'{{"id":"{format_uuid(id)}","hash":"{hash.hex()}","validator":"{validator}"{datatype}{shown}}}'


def _defined(tx: Transaction, row: EventWithMessage) -> str:
    """The field for what a definition made, as it is now; nothing when it is not there any more."""
    if row.type == DATATYPE_CONFIRMED:
        datatype = deliveries.datatype(tx, row.namespace, row.reference)
        return "" if datatype is None else f',"datatype":{stored_datatype_json(datatype, row.namespace)}'
    identity = deliveries.identity(tx, row.namespace, row.reference)
    return "" if identity is None else f',"identity":{identity_json(identity, row.namespace)}'


def _with_transaction(tx: Transaction, row: EventWithMessage, id: str, text: str) -> EncodedEvent:
    found = deliveries.transaction(tx, row.namespace, row.reference)
    if found is None:
        return _encoded(row, id, text)
    type, created, key, ids = found
    shown = transaction_json(row.reference, row.namespace, type, created, key, ids)
    return _encoded(row, id, f'{text},"transaction":{shown}', type)


def transaction_json(id: bytes, namespace: str, type: str, created: int, key: str | None, ids: str | None) -> str:
    """A FireFly transaction."""
    keyed = f',"idempotencyKey":{json_string(key)}' if key else ""
    listed = ",".join(json_string(each) for each in ids.split(",")) if ids else ""
    ledger = f',"blockchainIds":[{listed}]' if listed else ""
    return (
        f'{{"id":"{format_uuid(id)}","namespace":{json_string(namespace)},"type":"{type}",'
        f'"created":"{format_time(created)}"{keyed}{ledger}}}'
    )


def _with_blockchain_event(tx: Transaction, row: EventWithMessage, id: str, text: str) -> EncodedEvent:
    found = deliveries.blockchain_event(tx, row.reference)
    if found is None:
        return _encoded(row, id, text)
    shown = blockchain_event_json(row.reference, row.namespace, found, deliveries.contexts(tx, found[0]))
    return _encoded(row, id, f'{text},"blockchainEvent":{shown}', blockchain_name=found[2])


def blockchain_event_json(id: bytes, namespace: str, found: Row, contexts: Sequence[bytes]) -> str:
    """A ledger event in FireFly's shape; the output's `namespace` is the action, as FireFly's listener names it."""
    _, source, name, protocol_id, blockchain_id, timestamp, signer, action, tx, batch, batch_hash, reference = found
    kind = "contract_invoke_pin" if action.endswith("contract_invoke_pin") else "batch_pin"
    output = {
        "author": signer,
        "batchHash": "0x" + batch_hash.hex(),
        "contexts": ["0x" + context.hex() for context in contexts],
        "namespace": action,
        "payloadRef": reference,
        "timestamp": str(timestamp // 1_000_000_000),
        "uuids": "0x" + (tx + batch).hex(),
    }
    return (
        f'{{"id":"{format_uuid(id)}","source":{json_string(source)},"namespace":{json_string(namespace)},'
        f'"name":"{name}","protocolId":"{protocol_id}","output":{canonical_json(msgspec.json.encode(output))},'
        f'"timestamp":"{format_time(timestamp)}",'
        f'"tx":{{"type":"{kind}","id":"{format_uuid(tx)}","blockchainId":"{blockchain_id}"}}}}'
    )
