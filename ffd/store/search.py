"""Searches: a `Query` over the allowed fields of a collection as bound SQL.

How a comparison is said in SQL stands in one table here, and what a field is in a row in `ffd.store.collections`: these
two are all that another database has to say otherwise. No text of a query ever becomes part of a statement.

Nothing and an empty text are the same for text fields, as in FireFly, which stores the empty one: `tag=!x` finds
messages without a tag. Ids, hashes, times and numbers that are absent are null, and only `?` finds or excludes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.query import COLLECTIONS, Condition, Group, Kind, Query, Sort, default_sort
from ffd.store.collection import Collection, Column
from ffd.store.collections import (
    BATCHES,
    BLOCKCHAINEVENTS,
    DATA,
    EVENTS,
    MESSAGES,
    OPERATIONS,
    PINS,
    TRANSACTIONS,
)
from ffd.store.index import Answer, Layout, consult
from ffd.store.transaction import Row, Transaction

R = TypeVar("R")

ROWS_MAX = 10_000
"""Rows of a page without a limit: beyond it the page is refused, since a list must not fill the memory."""
INDEX = Layout((MESSAGES, DATA, EVENTS, BATCHES, PINS, TRANSACTIONS, OPERATIONS, BLOCKCHAINEVENTS))
"""The collections that grow with the messages; the others are few rows."""


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
    # In two steps: what is sorted is narrow, and what is shown only the page.
    ordered = tx.execute(
        f"SELECT {sequence} FROM {held} ORDER BY {order} LIMIT ? OFFSET ?",
        (_json_list(found), *bound, query.limit or ROWS_MAX + 1, query.skip),
    )
    shown = tx.execute(
        f"SELECT {collection.select} FROM (SELECT key AS place, value AS shown FROM json_each(?)) page "
        f"CROSS JOIN {collection.source} WHERE {sequence} = page.shown ORDER BY page.place",
        (_json_list([row[0] for row in ordered]),),
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
