"""The collections that can be listed: where their rows are, and what each field is in a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from ffd.model.data import Data
from ffd.store import batches, datatypes, deliveries, events, identities, messages, operations, subscriptions
from ffd.store.batches import BatchRow
from ffd.store.blobs import BlobRow
from ffd.store.collection import Collection, Column
from ffd.store.datatypes import DatatypeRow
from ffd.store.events import EventRow
from ffd.store.identities import IdentityRow, VerifierRow
from ffd.store.messages import StoredMessage
from ffd.store.operations import OperationRow
from ffd.store.subscriptions import SubscriptionRow
from ffd.store.transaction import Row


def _plain(sql: str) -> Column:
    return Column(sql, sql)


def _id(sql: str) -> Column:
    """16 bytes, shown as 8-4-4-4-12 digits."""
    digits = f"lower(hex({sql}))"
    ends = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    parts = " || '-' || ".join([f"substr({digits}, {start}, {length})" for start, length in ends])
    return Column(sql, f"CASE WHEN {sql} IS NOT NULL THEN {parts} END", raw=True)


def _hash(sql: str) -> Column:
    """32 bytes, shown as 64 digits."""
    return Column(sql, f"CASE WHEN {sql} IS NOT NULL THEN lower(hex({sql})) END", raw=True)


def _json(text: str, *path: str) -> Column:
    """A text or number in a JSON column."""
    keys = ".".join(path)
    return _plain(f"({text} ->> '$.{keys}')")


def _json_names(text: str, key: str) -> Column:
    """An array of names in a JSON column, joined by commas: names hold neither commas nor quotes."""
    return _plain(f"replace(trim({text} ->> '$.{key}', '[]\"'), '\",\"', ',')")


def _json_time(text: str, key: str) -> Column:
    """A time in a JSON column as nanoseconds. Its text, whose trailing zeros are dropped, does not sort as time."""
    shown = f"({text} ->> '$.{key}')"
    fraction = f"CAST(substr(rtrim(substr({shown}, 21), 'Z') || '000000000', 1, 9) AS INTEGER)"
    return _plain(f"(unixepoch(substr({shown}, 1, 19)) * 1000000000 + {fraction})")


def _columns(*plain: str, table: str, **others: Column) -> dict[str, Column]:
    """Fields that are called as their columns, and others; in a name `__` stands for a dot."""
    named = {name.replace("__", "."): column for name, column in others.items()}
    return {name: _plain(f"{table}.{name}") for name in plain} | named


@dataclass(frozen=True, slots=True)
class ShownPin:
    """A pin as the API shows it: with what its ledger event says, and whether it is dispatched."""

    sequence: int
    masked: bool
    hash: bytes
    batch: bytes
    batch_hash: bytes
    index: int
    dispatched: bool
    signer: str
    created: int


def _shown_pin(
    sequence: int, masked: int, hash: bytes, batch: bytes, batch_hash: bytes, index: int, dispatched: int,
    signer: str, created: int,
) -> ShownPin:  # fmt: skip
    return ShownPin(sequence, bool(masked), hash, batch, batch_hash, index, bool(dispatched), signer, created)


class TransactionRow(NamedTuple):
    """A FireFly transaction; `blockchain_ids` are joined by commas."""

    id: bytes
    type: str
    created: int
    idempotency_key: str | None
    blockchain_ids: str | None


MESSAGES: Collection[StoredMessage] = Collection(
    name="messages",
    select=messages.SHOWN_COLUMNS,
    source=messages.SHOWN_SOURCE,
    namespace="s.namespace",
    sequence="m.sequence",
    columns=_columns(
        "sequence", "pins", table="m", confirmed=_plain("s.confirmed"),
        id=_id("m.id"), cid=_json("m.header", "cid"), batch=_id("b.id"), txid=_id("b.tx"),
        hash=_hash("m.hash"), group=_json("m.header", "group"), datahash=_json("m.header", "datahash"),
        type=_json("m.header", "type"), txtype=_json("m.header", "txtype"), author=_json("m.header", "author"),
        key=_json("m.header", "key"), tag=_json("m.header", "tag"), topics=_json_names("m.header", "topics"),
        created=_json_time("m.header", "created"), state=_plain(messages.SHOWN_STATE),
        rejectreason=_plain("s.reject_reason"), idempotencykey=_plain("m.idempotency_key"),
        txparent__type=_json("m.header", "txparent", "type"), txparent__id=_json("m.header", "txparent", "id"),
    ),
    settled="s.confirmed IS NOT NULL",
    keyed=frozenset({"id", "idempotencykey", "sequence"}),
    read=lambda row: StoredMessage(*row),
)  # fmt: skip


def messages_using(data: int) -> Collection[StoredMessage]:
    """The messages that use the data item of this sequence."""
    using = (
        f"SELECT message FROM data WHERE sequence = {data:d} UNION SELECT message FROM data_uses WHERE data = {data:d}"
    )
    return replace(MESSAGES, only=f"m.sequence IN ({using})")


BLOBS: Collection[BlobRow] = Collection(
    name="blobs",
    select="b.hash, b.size, b.created",
    source="blobs b",
    namespace="b.namespace",
    sequence="b.created",
    columns=_columns("size", "created", table="b", hash=_hash("b.hash")),
    read=lambda row: BlobRow(*row),
)

DATA: Collection[Data] = Collection(
    name="data",
    select=messages.DATA,
    source="data d",
    namespace="d.namespace",
    sequence="d.sequence",
    columns=_columns(
        "validator", "created", "value", "public", table="d",
        id=_id("d.id"), hash=_hash("d.hash"),
        datatype__name=_plain("d.datatype_name"), datatype__version=_plain("d.datatype_version"),
        blob__hash=_json("d.blob", "hash"), blob__name=_json("d.blob", "name"), blob__path=_json("d.blob", "path"),
        blob__public=_json("d.blob", "public"), blob__size=_json("d.blob", "size"),
    ),
    settled="1",
    long=frozenset({"value"}),
    read=messages.read_data,
)  # fmt: skip

EVENTS: Collection[EventRow] = Collection(
    name="events",
    select=events.COLUMNS,
    source="events e",
    namespace="e.namespace",
    sequence="e.sequence",
    columns=_columns(
        "type", "topic", "sequence", "created", table="e",
        id=_id("e.id"), reference=_id("e.reference"), correlator=_id("e.correlator"), tx=_id("e.tx"),
    ),
    settled="1",
    keyed=frozenset({"id", "reference", "sequence"}),
    read=lambda row: EventRow(*row),
    spans=True,
)  # fmt: skip

BATCHES: Collection[BatchRow] = Collection(
    name="batches",
    select=batches.COLUMNS,
    source="batches",
    namespace="namespace",
    sequence="sequence",
    columns=_columns(
        "type", "author", "key", "created", "confirmed", table="batches",
        id=_id("batches.id"), node=_id("batches.node"), group=_hash("batches.group_hash"), hash=_hash("batches.hash"),
        payloadref=_plain("batches.payload_ref"), tx__type=_plain("batches.tx_type"), tx__id=_id("batches.tx"),
    ),
    settled="batches.confirmed IS NOT NULL OR batches.sent IS NOT NULL OR batches.cancelled IS NOT NULL",
    read=lambda row: BatchRow(*row),
)  # fmt: skip

_PASSED = """
    CASE WHEN p.sequence <= (SELECT o.current FROM offsets o WHERE o.type = 'aggregator' AND o.name = n.name)
          AND NOT EXISTS (SELECT 1 FROM waiting_pins w WHERE w.pin = p.sequence) THEN 1 ELSE 0 END"""
# Of a masked pin that the aggregator has passed, the batch may never come here: it is other members' affair.
_DISPATCHED = f"""
    CASE WHEN p.masked = 0 OR EXISTS (
        SELECT 1 FROM batches b WHERE b.id = e.batch AND b.namespace = e.namespace AND b.hash = e.batch_hash
    ) THEN {_PASSED} ELSE 0 END"""

PINS: Collection[ShownPin] = Collection(
    name="pins",
    select=f"p.sequence, p.masked, p.hash, e.batch, e.batch_hash, p.position, {_DISPATCHED}, e.signer, p.created",
    source="""
        pins p JOIN blockchainevents e ON e.sequence = p.blockchainevent JOIN namespaces n ON n.id = p.namespace""",
    namespace="p.namespace",
    sequence="p.sequence",
    columns=_columns(
        "sequence", "masked", "created", table="p",
        hash=_hash("p.hash"), batch=_id("e.batch"), index=_plain("p.position"), dispatched=_plain(f"({_DISPATCHED})"),
    ),
    settled=_PASSED,
    read=lambda row: _shown_pin(*row),
)  # fmt: skip

SUBSCRIPTIONS: Collection[SubscriptionRow] = Collection(
    name="subscriptions",
    select=subscriptions.COLUMNS,
    source="subscriptions s",
    namespace="s.namespace",
    sequence="s.sequence",
    columns=_columns(
        "name", "transport", "options", "created", table="s",
        # Not bare: SQLite would put what it is compared with into the place of the JSON that `events` is read from.
        id=_id("s.id"), filters=_plain("(s.filter || '')"), events=_json("s.filter", "events"),
    ),
    read=lambda row: SubscriptionRow(*row),
)  # fmt: skip

TRANSACTIONS: Collection[TransactionRow] = Collection(
    name="transactions",
    select="t.id, t.type, t.created, t.idempotency_key, t.blockchain_ids",
    source="transactions t",
    namespace="t.namespace",
    sequence="t.sequence",
    columns=_columns(
        "type", "created", table="t",
        id=_id("t.id"), idempotencykey=_plain("t.idempotency_key"), blockchainids=_plain("t.blockchain_ids"),
    ),
    settled="t.blockchain_ids IS NOT NULL",
    read=lambda row: TransactionRow(*row),
)  # fmt: skip

OPERATIONS: Collection[OperationRow] = Collection(
    name="operations",
    select=operations.COLUMNS,
    source="operations",
    namespace="namespace",
    sequence="sequence",
    columns=_columns(
        "type", "status", "error", "plugin", "input", "output", "created", "updated", table="operations",
        id=_id("operations.id"), tx=_id("operations.tx"), retry=_id("operations.retry"),
    ),
    settled="operations.status NOT IN ('Initialized', 'Pending')",
    read=lambda row: OperationRow(*row),
)  # fmt: skip


def _identities(name: str, only: str = "") -> Collection[IdentityRow]:
    return Collection(
        name=name,
        select=identities.COLUMNS,
        source="identities i",
        namespace="i.namespace",
        sequence="i.sequence",
        columns=_columns(
            "did", "type", "name", "description", "profile", "created", "updated", table="i",
            id=_id("i.id"), parent=_id("i.parent"), messages__claim=_id("i.claim"),
            messages__verification=_id("i.verification"), messages__update=_id('i."update"'),
        ),
        read=lambda row: IdentityRow(*row),
        only=only,
    )  # fmt: skip


class ShownGroup(NamedTuple):
    """A group of private messages; `members` is JSON text, `message` the id of the one that founded it."""

    hash: bytes
    name: str
    members: str
    message: bytes | None
    created: int


class NextPinRow(NamedTuple):
    """The pin that is expected next of a member in a masked context."""

    context: bytes
    identity: str
    hash: bytes
    nonce: int


class ShownBlockchainEvent(NamedTuple):
    """A ledger event: its id, and the rest as `deliveries.blockchain_event` gives it."""

    id: bytes
    rest: Row


_NOWHERE = _plain("NULL")
"""A field that FireFly's API knows and its tables do not: nothing has it."""

GROUPS: Collection[ShownGroup] = Collection(
    name="groups",
    select="g.hash, g.name, g.members, g.message, g.created",
    source="groups g",
    namespace="g.namespace",
    sequence="g.sequence",
    columns=_columns(
        "created", table="g", hash=_hash("g.hash"), message=_id("g.message"), description=_NOWHERE, ledger=_NOWHERE
    ),
    read=lambda row: ShownGroup(*row),
)

NEXTPINS: Collection[NextPinRow] = Collection(
    name="nextpins",
    select="p.context, p.identity, p.hash, p.nonce",
    source="nextpins p",
    namespace="p.namespace",
    sequence="p.sequence",
    columns=_columns("identity", "nonce", table="p", context=_hash("p.context"), hash=_hash("p.hash")),
    read=lambda row: NextPinRow(*row),
)

_PINNED_BY = "(CASE WHEN instr(e.action, 'contract_invoke_pin') > 0 THEN 'contract_invoke_pin' ELSE 'batch_pin' END)"

BLOCKCHAINEVENTS: Collection[ShownBlockchainEvent] = Collection(
    name="blockchainevents",
    select=f"e.id, {deliveries.BLOCKCHAIN_EVENT}",
    source="blockchainevents e",
    namespace="e.namespace",
    sequence="e.sequence",
    columns=_columns(
        "source", "name", "timestamp", table="e",
        id=_id("e.id"), protocolid=_plain("e.protocol_id"), listener=_NOWHERE, tx__id=_id("e.tx"),
        tx__type=_plain(_PINNED_BY),
        tx__blockchainid=_plain("e.blockchain_id"),
    ),
    settled="1",
    read=lambda row: ShownBlockchainEvent(row[0], row[1:]),
)  # fmt: skip

IDENTITIES = _identities("identities")
NODES = _identities("nodes", "i.type = 'node'")
ORGANIZATIONS = _identities("organizations", "i.type = 'org'")

VERIFIERS: Collection[VerifierRow] = Collection(
    name="verifiers",
    select="v.hash, v.identity, v.type, v.value, v.created",
    source="verifiers v",
    namespace="v.namespace",
    sequence="v.created",
    columns=_columns("type", "value", "created", table="v", hash=_hash("v.hash"), identity=_id("v.identity")),
    read=lambda row: VerifierRow(*row),
)

DATATYPES: Collection[DatatypeRow] = Collection(
    name="datatypes",
    select=datatypes.COLUMNS,
    source="datatypes t",
    namespace="t.namespace",
    sequence="t.sequence",
    columns=_columns(
        "validator", "name", "version", "created", table="t", id=_id("t.id"), message=_id("t.message"),
    ),
    read=lambda row: DatatypeRow(*row),
)  # fmt: skip
