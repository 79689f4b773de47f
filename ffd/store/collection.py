"""What can be listed: where the rows of a collection are, and what its fields are in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ffd.store.transaction import Row

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Column:
    """A field in SQL: `sql` gives its value; `text` the same as the API shows it, for comparing parts of it.

    `raw` says that `sql` gives bytes, the id or hash itself.
    """

    sql: str
    text: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Collection(Generic[R]):
    """A collection that can be searched: `name` is that of its fields, `read` makes a value of a row of `select`.

    `sequence` is the order of rows that are equal in the one asked for; `only` a condition that always holds.

    `settled` says in SQL that a row never changes any more, but for what `search_changes` tells: such rows can be put
    into the search index, and a collection without it is not. `keyed` are fields of which a value belongs to few rows,
    which the database finds by itself, and `long` those whose values may be long texts: the index holds them in
    another way. `spans` says that all namespaces of the node at once have the rows of each; otherwise they have some of
    their own.
    """

    name: str
    select: str
    source: str
    namespace: str
    sequence: str
    columns: Mapping[str, Column]
    read: Callable[[Row], R]
    only: str = ""
    settled: str = ""
    keyed: frozenset[str] = frozenset({"id"})
    long: frozenset[str] = frozenset()
    spans: bool = False
