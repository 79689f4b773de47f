"""What a unit of work is given: statements inside one transaction, and bells to ring once it is on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

import apsw

Row = tuple[Any, ...]
Values = Sequence[Any]

ROWS_AT_ONCE = 32


class Transaction:
    """One transaction on one connection. Statements use `?` and are portable between SQLite and PostgreSQL."""

    __slots__ = ("_connection", "rings")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.rings: set[str] = set()

    def execute(self, statement: str, values: Values = ()) -> Iterator[Row]:
        """Run one statement; the rows are read as they are asked for, before the unit returns."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[Values]) -> None:
        """Run one statement for every row of values."""
        self._connection.executemany(statement, rows)

    def insert_many(self, table: str, columns: str, rows: Sequence[Values]) -> None:
        """Insert rows of values for `columns`, many with one statement.

        By powers of two, so that a table needs few prepared statements. A statement for each row would cost a third
        more, and push the others out of the connection's cache, which forgets by uses and not by statements.
        """
        done, left = 0, len(rows)
        while left:
            count = min(ROWS_AT_ONCE, 1 << left.bit_length() - 1)
            values = tuple(chain.from_iterable(rows[done : done + count]))
            self._connection.execute(_insert(table, columns, count), values)
            done, left = done + count, left - count

    def one(self, statement: str, values: Values = ()) -> Row | None:
        """The first row, or none."""
        return next(self._connection.execute(statement, values), None)

    def value(self, statement: str, values: Values = ()) -> Any:
        """The first column of the first row; None when there is no row."""
        row = next(self._connection.execute(statement, values), None)
        return None if row is None else row[0]

    def long_value(self, schema: str, table: str, column: str, rowid: int) -> bytes:
        """The bytes of one value that is not null: a megabyte ten times sooner than with a statement.

        SQLite alone has this (https://www.sqlite.org/c3ref/blob_open.html), and so it is for the index beside it.
        Raises apsw.SQLError when there is no such value.
        """
        with closing(self._connection.blob_open(schema, table, column, rowid, False)) as blob:
            return blob.read()

    def changes(self) -> int:
        """How many rows the last statement changed."""
        return self._connection.changes()

    def ring(self, *bells: str) -> None:
        """Ring these bells when the transaction is on disk; never if it is not."""
        self.rings.update(bells)


@lru_cache(maxsize=256)
def _insert(table: str, columns: str, rows: int) -> str:
    row = f"({', '.join('?' * (columns.count(',') + 1))})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * rows)}"


@contextmanager
def writing(connection: apsw.Connection) -> Iterator[None]:
    """A transaction that may write from its start, for as long as the block runs.

    What fails in it, or at its commit, undoes it.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        roll_back(connection)


def roll_back(connection: apsw.Connection) -> None:
    """Undo what the open transaction did, if there is one.

    SQLite has rolled back by itself after some errors: https://www.sqlite.org/lang_transaction.html
    """
    if not connection.get_autocommit():
        connection.execute("ROLLBACK")
