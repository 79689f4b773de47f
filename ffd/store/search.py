"""Searches: a `Query` over the allowed fields of a collection as bound SQL.

What a field is in a row stands in one table for each collection, and how a comparison is said in `_OPS`; these two are
all that another database has to say otherwise. No text of a query ever becomes part of a statement.

Nothing and an empty text are the same for text fields, as in FireFly, which stores the empty one: `tag=!x` finds
messages without a tag. Ids, hashes, times and numbers that are absent are null, and only `?` finds or excludes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ffd.model.data import Data
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.query import COLLECTIONS, Condition, Group, Kind, Query, Sort, default_sort
from ffd.store import batches, datatypes, deliveries, events, identities, messages, operations, subscriptions
from ffd.store.batches import BatchRow
from ffd.store.blobs import BlobRow
from ffd.store.collection import Collection as Collection
from ffd.store.collection import Column as Column
from ffd.store.datatypes import DatatypeRow
from ffd.store.events import EventRow
from ffd.store.identities import IdentityRow, VerifierRow
from ffd.store.index import Answer, Layout, consult
from ffd.store.messages import StoredMessage
from ffd.store.operations import OperationRow
from ffd.store.subscriptions import SubscriptionRow
from ffd.store.transaction import Row, Transaction

R = TypeVar("R")

ROWS_MAX = 10_000
"""Rows of a page without a limit: beyond it the page is refused, since a list must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A page of rows, read as they are taken, before the unit returns; `total` is how many there are, when asked."""

    rows: Iterator[R]
    total: int | None = None


def search(tx: Transaction, collection: Collection[R], namespace: int, query: Query) -> Found[R]:
    """The rows of a namespace that a query asks for. A page without limit that is too large raises Invalid FF00192."""
    steps = _steps(query.sort or default_sort(collection.name))
    wanted = query.skip + (query.limit or ROWS_MAX + 1)
    answer = None
    if not _found_at_once(collection, query):
        answer = consult(tx, INDEX, collection.name, namespace, query, steps, wanted)
    if answer is None:
        return _walk(tx, collection, namespace, query, steps)
    return _gather(tx, collection, namespace, query, steps, answer)


def _steps(order: tuple[Sort, ...]) -> tuple[Sort, ...]:
    """An order in which rows that are equal by it go by their sequence."""
    return order if order[-1].field == "sequence" else (*order, Sort("sequence", order[-1].descending))


def _found_at_once(collection: Collection[Any], query: Query) -> bool:
    """Does the database find the rows by an index of its own: few by a key, or the first of the default order?"""
    where = query.where
    if collection.only:
        return True
    if not query.sort and not query.count and _is_empty(where):
        return True
    return any(_is_key(collection, each) for each in (where.conditions if where.op == "and" else (where,)))


def _is_empty(node: Condition | Group) -> bool:
    return isinstance(node, Group) and node.op == "and" and all(_is_empty(child) for child in node.conditions)


def _is_key(collection: Collection[Any], node: Condition | Group) -> bool:
    if isinstance(node, Condition):
        return node.op == "eq" and node.field in collection.keyed and bool(node.value)
    some = all if node.op == "or" else any
    return bool(node.conditions) and some(_is_key(collection, child) for child in node.conditions)


def _walk(
    tx: Transaction, collection: Collection[R], namespace: int, query: Query, steps: tuple[Sort, ...]
) -> Found[R]:
    """Let the database look by itself, at all rows if need be."""
    where = _Where(collection)
    condition = where.conditions(query.where)
    # A sign before the column keeps an index that begins with it from being read whole, to be sorted then.
    scope = f"{'+' * (steps[0].field == 'sequence')}{collection.namespace} = ?"
    source = f"{collection.source} WHERE {scope}{_also(collection.only)}{_also(condition)}"
    values = [namespace, *where.values]
    rows = tx.execute(
        f"SELECT {collection.select} FROM {source} ORDER BY {_order(collection, steps)} LIMIT ? OFFSET ?",
        (*values, query.limit or ROWS_MAX + 1, query.skip),
    )
    total = tx.value(f"SELECT count(*) FROM {source}", values) if query.count else None
    return Found(_read(collection, rows, query.limit or ROWS_MAX), total)


def _gather(
    tx: Transaction, collection: Collection[R], namespace: int, query: Query, steps: tuple[Sort, ...], answer: Answer
) -> Found[R]:
    """The page of what the index finds, and of the rows that it knows nothing of."""
    where = _Where(collection)
    condition = where.conditions(query.where)
    matching = f"+{collection.namespace} = ?{_also(collection.only)}{_also(condition)}"
    order, sequence = _order(collection, steps), collection.sequence
    wanted = query.skip + (query.limit or ROWS_MAX + 1)
    found, total = list(answer.sequences), answer.total
    undecided = "" if answer.decided else f" AND {matching}"
    held = f"{collection.source} WHERE {sequence} IN (SELECT value FROM json_each(?)){undecided}"
    bound = () if answer.decided else (namespace, *where.values)
    if query.count and total is None:
        total = tx.value(f"SELECT count(*) FROM {held}", (_json_list(found), *bound))
    counted = ", count(*) OVER ()" * query.count
    for rows, these in (
        (f"{sequence} > ?", (answer.through,)),
        (f"{sequence} <= ? AND {sequence} IN ({answer.loose})", (answer.through, *answer.values)),
    ):
        source = f"{collection.source} WHERE {rows} AND {matching}"
        values = (*these, namespace, *where.values)
        # Counted with the page: these rows are scanned, and once will do.
        page = list(tx.execute(f"SELECT {sequence}{counted} FROM {source} ORDER BY {order} LIMIT ?", (*values, wanted)))
        found += [row[0] for row in page]
        if query.count and page:
            total += page[0][1]
    shown = tx.execute(
        f"SELECT {collection.select} FROM {held} ORDER BY {order} LIMIT ? OFFSET ?",
        (_json_list(found), *bound, query.limit or ROWS_MAX + 1, query.skip),
    )
    return Found(_read(collection, shown, query.limit or ROWS_MAX), total if query.count else None)


def _json_list(sequences: list[int]) -> str:
    return msgspec.json.encode(sequences).decode()


def _read(collection: Collection[R], rows: Iterable[Row], most: int) -> Iterator[R]:
    for number, row in enumerate(rows):
        if number == most:
            raise Invalid("FF00192", f"The limit of a query is at most 1000, and more than {most} rows match: page")
        yield collection.read(row)


def find(tx: Transaction, collection: Collection[R], namespace: int, id: bytes, *, by: str = "id") -> R | None:
    """The one row that has this id, or this value of another field that is one row's alone."""
    row = tx.one(
        f"SELECT {collection.select} FROM {collection.source} "
        f"WHERE {collection.namespace} = ?{_also(collection.only)} AND {collection.columns[by].sql} = ?",
        (namespace, id),
    )
    return None if row is None else collection.read(row)


def narrowed(query: Query, condition: Condition | Group) -> Query:
    """The query, with one more condition that must hold."""
    return Query(Group("and", (condition, query.where)), query.sort, query.skip, query.limit, query.count)


def _also(condition: str) -> str:
    return f" AND {condition}" if condition else ""


def _order(collection: Collection[Any], steps: tuple[Sort, ...]) -> str:
    return ", ".join(
        f"{_sort_sql(collection, step.field)} {'DESC' if step.descending else 'ASC'}{' NULLS FIRST' * step.nulls_first}"
        for step in steps
    )


def _sort_sql(collection: Collection[Any], field: str) -> str:
    return collection.sequence if field == "sequence" else collection.columns[field].sql


# Comparisons ----------------------------------------------------------------------------------------------------------

_ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PARTS = {
    # Not LIKE: SQLite's ignores the case of ASCII letters, PostgreSQL's does not, and both give % and _ a meaning.
    "contains": "instr({text}, {value}) > 0",
    "starts_with": "substr({text}, 1, length({value})) = {value}",
    "ends_with": "substr({text}, length({text}) - length({value}) + 1) = {value}",
}
_ALWAYS, _NEVER = "1 = 1", "1 = 0"


class _Where:
    """Conditions as SQL, with the values they bind in the order of their marks."""

    def __init__(self, collection: Collection[Any]) -> None:
        self.values: list[object] = []
        self._columns = collection.columns
        self._kinds = COLLECTIONS[collection.name]

    def conditions(self, node: Condition | Group) -> str:
        if isinstance(node, Condition):
            return self._condition(node)
        if not node.conditions:
            return "" if node.op == "and" else _NEVER
        parts = [self.conditions(child) or _ALWAYS for child in node.conditions]
        return f"({f' {node.op.upper()} '.join(parts)})"

    def _condition(self, condition: Condition) -> str:
        column, kind = self._columns[condition.field], self._kinds[condition.field]
        op = condition.op
        if op in ("eq", "ieq", "neq", "nieq"):
            return self._equality(column, kind, condition.value, negated=op[0] == "n", folded="ieq" in op)
        if op in _ORDERS:
            return self._ordering(column, kind, _ORDERS[op], condition.value)
        part = op.removeprefix("not_")
        template, folded = _PARTS[part.removeprefix("i")], part not in _PARTS
        return self._part(column, kind, template, str(condition.value), op != part, folded)

    def _equality(self, column: Column, kind: Kind, value: object, *, negated: bool, folded: bool) -> str:
        sign = "<>" if negated else "="
        if kind in (Kind.UUID, Kind.HASH):
            return self._same_id(column, kind, value, negated)
        if not kind.textual:
            return self._null(column, negated) if value is None else f"{column.sql} {sign} {self._bind(value)}"
        # Bare where it may be, so that an index on the column can be used.
        text = f"coalesce({column.text}, '')" if negated or not value else column.text
        if folded:
            return f"lower({text}) {sign} lower({self._bind(value or '')})"
        return f"{text} {sign} {self._bind(value or '')}"

    def _same_id(self, column: Column, kind: Kind, value: object, negated: bool) -> str:
        """An id or a hash, in any spelling; a text that is none equals nothing."""
        if value is None:
            return self._null(column, negated)
        raw = _raw_id(kind, str(value))
        if raw is None:
            return self._null(column, True) if negated else _NEVER
        return f"{column.sql} {'<>' if negated else '='} {self._bind(_as_stored(column, kind, raw))}"

    def _ordering(self, column: Column, kind: Kind, sign: str, value: object) -> str:
        if not kind.textual:
            return f"{column.sql} {sign} {self._bind(value)}"
        raw = _raw_id(kind, str(value))
        if raw is not None:
            return f"{column.sql} {sign} {self._bind(_as_stored(column, kind, raw))}"
        return f"{_present(column, kind)} {sign} {self._bind(value)}"

    def _part(self, column: Column, kind: Kind, template: str, value: str, negated: bool, folded: bool) -> str:
        text, mark = _present(column, kind), "?"
        if folded:
            text, mark = f"lower({text})", "lower(?)"
        said = template.format(text=text, value=mark)
        self.values += [value] * said.count("?")
        return f"NOT {said}" if negated else said

    def _null(self, column: Column, negated: bool) -> str:
        return f"{column.sql} IS {'NOT ' * negated}NULL"

    def _bind(self, value: object) -> str:
        self.values.append(int(value) if isinstance(value, bool) else value)
        return "?"


def _present(column: Column, kind: Kind) -> str:
    """A text for comparing: nothing counts as the empty one, but no id is null."""
    return column.text if kind in (Kind.UUID, Kind.HASH) else f"coalesce({column.text}, '')"


def _as_stored(column: Column, kind: Kind, raw: bytes) -> bytes | str:
    if column.raw:
        return raw
    return format_uuid(raw) if kind is Kind.UUID else raw.hex()


def _raw_id(kind: Kind, text: str) -> bytes | None:
    """The bytes of an id or hash, if the text is one."""
    try:
        return parse_uuid(text) if kind is Kind.UUID else parse_hash(text) if kind is Kind.HASH else None
    except Invalid:
        return None


# Fields ---------------------------------------------------------------------------------------------------------------


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
    unheld=frozenset({"value"}),
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
    settled="batches.confirmed IS NOT NULL OR batches.sent IS NOT NULL",
    read=lambda row: BatchRow(*row),
)  # fmt: skip

_DISPATCHED = """
    CASE WHEN p.sequence <= (SELECT o.current FROM offsets o WHERE o.type = 'aggregator' AND o.name = n.name)
          AND NOT EXISTS (SELECT 1 FROM waiting_pins w WHERE w.pin = p.sequence) THEN 1 ELSE 0 END"""

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
    settled=_DISPATCHED,
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

INDEX = Layout((MESSAGES, DATA, EVENTS, BATCHES, PINS, TRANSACTIONS, OPERATIONS, BLOCKCHAINEVENTS))
"""The collections that grow with the messages; the others are few rows."""
