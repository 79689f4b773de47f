"""A question to the index: which rows a query may show, and how many it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from ffd.model.query import Query, Sort
from ffd.store.index.layout import Layout
from ffd.store.index.ordering import Rows, all_rows, first_rows
from ffd.store.index.reader import Reader
from ffd.store.transaction import Transaction

SORTED_ROWS = 2_000
"""So many rows the database sorts by itself."""
BROKEN = (
    apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.CantOpenError, apsw.SQLError, apsw.SchemaChangeError,
    apsw.BusyError, apsw.ReadOnlyError,
)  # fmt: skip
"""What a file says that is no index, or not whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the index says to a query.

    `rows` are those that it finds, in no order: at least the first ones, up to the end of the page that is asked for.
    `total` is how many it finds; None when nobody asked. Rows beyond `through`, and those that `loose` (SQL, with
    `values`) finds, it knows nothing of.
    """

    rows: Rows
    total: int | None
    through: int
    loose: str
    values: tuple[object, ...]


def consult(
    tx: Transaction, layout: Layout, name: str, namespace: int, query: Query, order: Sequence[Sort], wanted: int
) -> Answer | None:
    """Ask for the first `wanted` rows of an order; None when there is no index, or it cannot help with this."""
    held = layout.held.get(name)
    if held is None:
        return None
    try:
        changes = _sound(tx, layout)
        if changes is None:
            return None
        reader = Reader(tx, held, namespace, changes)
        return _answer(tx, reader, changes, *_find(reader, query, order, wanted))
    except BROKEN:
        return None


def _sound(tx: Transaction, layout: Layout) -> int | None:
    """How far the index has followed the changes; None when it is not an index of this database as it is now."""
    if tx.value("SELECT 1 FROM pragma_database_list WHERE name = 'search'") is None:
        return None
    # The index first: the database is then looked at as it was when the index was made, or later.
    row = tx.one("SELECT layout, database, round, changes FROM search.meta")
    if row is None or row[0] != layout.digest:
        return None
    known: dict[str, int] = dict(list(tx.execute("SELECT name, current FROM offsets WHERE type = 'search'")))
    sound = known.get("database") == row[1] and known.get("round", 0) >= row[2] and known.get("trimmed", 0) <= row[3]
    changes: int = row[3]
    return changes if sound else None


def _find(reader: Reader, query: Query, order: Sequence[Sort], wanted: int) -> tuple[Rows, int | None]:
    """Rows and total."""
    marks = reader.matching(query.where)
    total = sum(marks(chunk).bit_count() for chunk in reader.counts) if query.count else None
    if total is not None and total <= SORTED_ROWS:
        return all_rows(reader, marks, order), total
    return first_rows(reader, marks, order, wanted), total


def _answer(tx: Transaction, reader: Reader, changes: int, rows: Rows, total: int | None) -> Answer:
    number = reader.held.number
    through = tx.value("SELECT through FROM search.followed WHERE collection = ?", (number,))
    loose = (
        "SELECT sequence FROM search.holes WHERE collection = ? "
        "UNION SELECT sequence FROM search_changes WHERE change > ? AND collection = ?"
    )
    return Answer(rows, total, through, loose, (number, changes, reader.held.collection.name))
