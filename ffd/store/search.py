"""Searches: a `Query` over the allowed fields of a collection as bound SQL.

How a comparison is said in SQL stands in `ffd.store.conditions`, and what a field is in a row in
`ffd.store.collections`: these two are all that another database has to say otherwise.

Nothing and an empty text are the same for text fields, as in FireFly, which stores the empty one: `tag=!x` finds
messages without a tag. Ids, hashes, times and numbers that are absent are null, and only `?` finds or excludes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from ffd.model.errors import Invalid
from ffd.model.query import Condition, Group, Query, Sort, default_sort
from ffd.store.collection import Collection
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
from ffd.store.conditions import Where
from ffd.store.index import Answer, Layout, consult
from ffd.store.namespaces import EVERYWHERE
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
    """The rows of a namespace, or of all, that a query asks for.

    A page without limit that is too large raises Invalid FF00192.
    """
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
    where = Where(collection)
    condition = where.conditions(query.where)
    # A sign before the column keeps an index that begins with it from being read whole, to be sorted then.
    scope = f"{'+' * (steps[0].field == 'sequence')}{_within(collection, namespace)}"
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
    where = Where(collection)
    condition = where.conditions(query.where)
    matching = f"{_within(collection, namespace)}{_also(collection.only)}{_also(condition)}"
    order, sequence = _order(collection, steps), collection.sequence
    wanted = query.skip + (query.limit or ROWS_MAX + 1)
    # Joined so, the database begins with these few rows, and does not walk all of them in the order that is asked for.
    source = (
        f"(SELECT sequence AS known FROM {collection.source.split()[0]} WHERE sequence > ? "
        f"UNION SELECT sequence FROM ({answer.loose}) WHERE sequence <= ?) unknown "
        f"CROSS JOIN {collection.source} WHERE {sequence} = unknown.known AND {matching}"
    )
    values = (answer.through, *answer.values, answer.through, namespace, *where.values)
    fields = ", ".join(_sort_sql(collection, step.field) for step in steps)
    few = list(tx.execute(f"SELECT {sequence}, {fields} FROM {source} ORDER BY {order} LIMIT ?", (*values, wanted)))
    total = answer.total or 0
    if query.count:
        total += len(few) if len(few) < wanted else tx.value(f"SELECT count(*) FROM {source}", values)
    rows = answer.rows
    sequences = [*rows.sequences, *(row[0] for row in few)]
    page = slice(query.skip, wanted)
    if rows.keys is not None:
        keyed = list(zip([*rows.keys, *(row[1:] for row in few)], sequences, strict=True))
        ordered = [sequence for _, sequence in _in_order(steps, keyed)[page]]
    else:
        # In two steps: what is sorted is narrow, and what is shown only the page.
        held = f"{collection.source} WHERE {sequence} IN (SELECT value FROM json_each(?)) ORDER BY {order}"
        ordered = [row[0] for row in tx.execute(f"SELECT {sequence} FROM {held}", (_json_list(sequences),))][page]
    shown = tx.execute(
        f"SELECT {collection.select} FROM (SELECT key AS place, value AS shown FROM json_each(?)) page "
        f"CROSS JOIN {collection.source} WHERE {sequence} = page.shown ORDER BY page.place",
        (_json_list(ordered),),
    )
    return Found(_read(collection, shown, query.limit or ROWS_MAX), total if query.count else None)


Key: TypeAlias = "tuple[int | None, ...]"


def _in_order(steps: tuple[Sort, ...], keyed: list[tuple[Key, int]]) -> list[tuple[Key, int]]:
    """Rows by numbers, in an order; null is less than all of them, as SQLite has it."""
    if len({step.descending for step in steps}) == 1 and not any(None in key for key, _ in keyed):
        return sorted(keyed, reverse=steps[0].descending)

    def place(row: tuple[Key, int]) -> list[tuple[int, int]]:
        return [
            (0 if step.nulls_first or not step.descending else 2, 0)
            if value is None
            else (1, -value if step.descending else value)
            for step, value in zip(steps, row[0], strict=True)
        ]

    return sorted(keyed, key=place)


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
        f"WHERE {_within(collection, namespace)}{_also(collection.only)} AND {collection.columns[by].sql} = ?",
        (namespace, id),
    )
    return None if row is None else collection.read(row)


def _within(collection: Collection[Any], namespace: int) -> str:
    """Which rows are looked at, of one namespace or of all: the value is the namespace's number."""
    # No number is below that of all of them.
    return f"{collection.namespace} {'>=' if collection.spans and namespace == EVERYWHERE else '='} ?"


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
