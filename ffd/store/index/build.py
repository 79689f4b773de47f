"""Which rows go to which chunk, round by round: what has settled, and what became of it since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import apsw
import msgspec

from ffd.store.index.encode import Encoder
from ffd.store.index.layout import (
    CHUNK_BITS,
    CHUNK_ROWS,
    CHUNK_ROWS_MAX,
    LONG_TABLES,
    MERGED,
    SCHEMA,
    SEQUENCE,
    TABLES,
    Form,
    Held,
    Layout,
)
from ffd.store.index.planes import integers
from ffd.store.index.shaping import cut_column, picked_column
from ffd.store.transaction import roll_back

RECENT_ROWS = 8_192
"""Rows from the newest back of which one that has not settled is waited for; an older one is left as a hole."""
CHANGES_AT_ONCE = 2_000
PRAGMAS = (
    "PRAGMA page_size = 65536",  # the planes are long: read a third faster than from pages of 16 KiB
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    "PRAGMA journal_size_limit = 16777216",
)
BUSY_TIMEOUT_MS = 10_000


class Builder:
    """One connection that reads the node's database, and writes the index beside it, attached as `search`."""

    def __init__(self, connection: apsw.Connection, node: Path, layout: Layout) -> None:
        self._connection = connection
        self._node = node
        self._layout = layout
        self._run: Callable[..., Any] = connection.execute
        self._encoder = Encoder(connection)
        self.round = 0
        self.changes = 0
        """How far the changes are followed, with the round that is under way."""
        self.followed = 0
        """How far they were with the last round that was committed."""
        self.through: dict[str, int] = {}
        """How far each collection was followed, less the holes behind it: what is missing, counted from the end."""

    def open(self, index: Path, database: int, announced: int) -> None:
        """Take the file over, or begin it anew when it is not of this database, or of a later state than it is in."""
        self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._run("PRAGMA temp_store = MEMORY")
        self._run("ATTACH ? AS search", (str(index),))
        for pragma in PRAGMAS:
            self._run(pragma.replace("PRAGMA ", "PRAGMA search.").replace("search.temp_store", "temp_store"))
        self._run("BEGIN")
        try:
            if not self._is_ours(database, announced):
                self._begin_anew(database, announced)
            self._look()
            self._run("COMMIT")
        finally:
            roll_back(self._connection)
        for held in self._layout.held.values():
            columns = ", ".join(f"c{number}" for number in range(len(held.fields)))
            self._run(f"CREATE TEMP TABLE picked_{held.number} (n INTEGER PRIMARY KEY, {columns}, cut)")
        self._encoder.open()

    def _is_ours(self, database: int, announced: int) -> bool:
        tables = {row[0] for row in self._run("SELECT name FROM search.sqlite_schema WHERE type = 'table'")}
        if not tables.issuperset(TABLES):
            return False
        row = self._run("SELECT layout, database, round FROM search.meta").fetchone()
        return row is not None and row[:2] == (self._layout.digest, database) and row[2] <= announced

    def _begin_anew(self, database: int, announced: int) -> None:
        for (name,) in self._run("SELECT name FROM search.sqlite_schema WHERE type = 'table'").fetchall():
            self._run(f'DROP TABLE search."{name}"')
        self._run(SCHEMA)
        changes = self._run("SELECT coalesce(max(change), 0) FROM search_changes").get
        meta = (self._layout.digest, database, announced, changes)
        self._run("INSERT INTO search.meta (layout, database, round, changes) VALUES (?, ?, ?, ?)", meta)
        rows = [(held.number, 0) for held in self._layout.held.values()]
        self._connection.executemany("INSERT INTO search.followed (collection, through) VALUES (?, ?)", rows)

    def _look(self) -> None:
        """Remember what the file says."""
        self.round, self.changes = self._run("SELECT round, changes FROM search.meta").get
        self.followed = self.changes
        for name, held in self._layout.held.items():
            self.through[name] = self._value("SELECT through FROM search.followed WHERE collection = ?", held.number)
            self.through[name] -= self._value("SELECT count(*) FROM search.holes WHERE collection = ?", held.number)

    # A round -----------------------------------------------------------------------------------------------------

    def begin_round(self) -> bool:
        """Put what can be put into one more chunk, without committing it; say whether there was anything."""
        # Not IMMEDIATE, which would take the node's write lock too.
        self._run("BEGIN")
        self._run("UPDATE search.meta SET round = round")
        worked = self._follow_changes()
        for held in self._layout.held.values():
            if self._add_chunk(held):
                self._merge_small(held)
                worked = True
                break
        if not worked:
            roll_back(self._connection)
            return False
        self.round += 1
        self._run("UPDATE search.meta SET round = ?, changes = ?", (self.round, self.changes))
        return True

    def commit_round(self) -> None:
        """Keep the round. What it was made of must be older than what the node's database says of it."""
        self._run("COMMIT")
        self._look()

    def _value(self, statement: str, *values: object) -> Any:
        return self._run(statement, values).get

    def _follow_changes(self) -> bool:
        """Rows of chunks that have changed since count no more, and are looked for in their tables."""
        rows = self._run(
            "SELECT change, collection, sequence FROM search_changes WHERE change > ? ORDER BY change LIMIT ?",
            (self.changes, CHANGES_AT_ONCE),
        ).fetchall()
        if not rows:
            return False
        for name, held in self._layout.held.items():
            changed = {sequence for _, collection, sequence in rows if collection == name}
            if changed:
                self._bury(held, changed)
        self.changes = rows[-1][0]
        return True

    def _bury(self, held: Held, changed: set[int]) -> None:
        place = held.fields[SEQUENCE].place
        planes = self._run(
            "SELECT place, low, high FROM search.planes WHERE place BETWEEN ? AND ?",
            (place, place | (1 << CHUNK_BITS) - 1),
        ).fetchall()
        for at, low, high in planes:
            if not any(low <= sequence <= high for sequence in changed):
                continue
            found = [(n, each) for n, each in enumerate(self._sequences(at)) if each in changed]
            self._connection.executemany(
                "INSERT OR IGNORE INTO search.dead (collection, chunk, position) VALUES (?, ?, ?)",
                [(held.number, at - place, n) for n, _ in found],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO search.holes (collection, sequence) VALUES (?, ?)",
                [(held.number, each) for _, each in found],
            )

    def _sequences(self, place: int) -> list[int]:
        form, low, body = self._run("SELECT form, low, body FROM search.planes WHERE place = ?", (place,)).get
        return [low] if form == Form.SAME else list(integers(body))

    # A chunk -----------------------------------------------------------------------------------------------------

    def _add_chunk(self, held: Held) -> bool:
        last = self._last_to_take(held)
        if last is None:
            return False
        collection, number = held.collection, held.number
        through = self._value("SELECT through FROM search.followed WHERE collection = ?", number)
        ripe = f"{collection.sequence} IN (SELECT sequence FROM search.holes WHERE collection = {number})"
        self._run(f"DELETE FROM picked_{number}")
        new = f"{collection.sequence} > ? AND {collection.sequence} <= ?"
        for chosen, values in ((ripe, ()), (new, (through, last))):
            room = CHUNK_ROWS_MAX - self._value(f"SELECT count(*) FROM picked_{number}")
            self._pick(held, f"{chosen} AND ({collection.settled})", (*values, room))
        self._run(
            f"DELETE FROM search.holes WHERE collection = ? AND (sequence IN (SELECT {self._column(held)} "
            f"FROM picked_{number}) OR sequence NOT IN (SELECT sequence FROM {held.table}))",
            (number,),
        )
        self._run(
            f"INSERT INTO search.holes SELECT {number}, {collection.sequence} FROM {collection.source} "
            f"WHERE {collection.sequence} > ? AND {collection.sequence} <= ? AND NOT ({collection.settled})",
            (through, last),
        )
        self._run("UPDATE search.followed SET through = ? WHERE collection = ?", (last, number))
        self._write_chunk(held)
        return True

    def _pick(self, held: Held, chosen: str, values: Sequence[object]) -> None:
        """Put rows beside those that were picked, by their sequence."""
        columns = ", ".join(picked_column(field) for field in held.fields.values())
        collection = held.collection
        self._run(
            f"INSERT INTO picked_{held.number} SELECT NULL, {columns}, {cut_column(held)} FROM {collection.source} "
            f"WHERE {chosen} ORDER BY {collection.sequence} LIMIT ?",
            values,
        )

    def _column(self, held: Held) -> str:
        return f"c{list(held.fields).index(SEQUENCE)}"

    def _last_to_take(self, held: Held) -> int | None:
        """The newest sequence that the next chunk goes to; None while too few rows have settled."""
        collection, number = held.collection, held.number
        sequence, source = collection.sequence, collection.source
        through = self._value("SELECT through FROM search.followed WHERE collection = ?", number)
        top = self._value(f"SELECT coalesce(max(sequence), 0) FROM {held.table}")
        ripe = 0
        if self._value("SELECT EXISTS (SELECT 1 FROM search.holes WHERE collection = ?)", number):
            ripe = self._value(
                f"SELECT count(*) FROM {source} WHERE {sequence} IN "
                f"(SELECT sequence FROM search.holes WHERE collection = ?) AND ({collection.settled})",
                number,
            )
        if top - through + ripe < CHUNK_ROWS:
            return None
        room = max(0, CHUNK_ROWS_MAX - ripe)
        size = room if top - through >= CHUNK_ROWS_MAX else CHUNK_ROWS
        last, count = self._run(
            f"SELECT coalesce(max(n), ?), count(*) FROM "
            f"(SELECT sequence AS n FROM {held.table} WHERE sequence > ? ORDER BY sequence LIMIT ?)",
            (through, through, size),
        ).get
        waiting = self._run(
            f"SELECT {sequence} FROM {source} WHERE {sequence} > ? AND {sequence} <= ? AND NOT ({collection.settled}) "
            f"ORDER BY {sequence} LIMIT 1",
            (max(through, top - RECENT_ROWS), last),
        ).fetchone()
        if waiting is not None:
            count -= last - waiting[0] + 1
            last = waiting[0] - 1
        return last if count + ripe >= CHUNK_ROWS else None

    def _write_chunk(self, held: Held, *, large: bool = False) -> None:
        count = self._value(f"SELECT count(*) FROM picked_{held.number}")
        if not count:
            return
        last = self._value("SELECT coalesce(max(chunk), 0) FROM search.chunks WHERE collection = ?", held.number)
        self._run(
            "INSERT INTO search.chunks (collection, chunk, count, large) VALUES (?, ?, ?, ?)",
            (held.number, last + 1, count, large or count > CHUNK_ROWS_MAX // 2),
        )
        self._encoder.write(held, last + 1, count)

    # Small chunks to a large one ---------------------------------------------------------------------------------

    def _merge_small(self, held: Held) -> None:
        """Read the rows of small chunks once more, for a large one: that costs less than to join what they became."""
        small = self._run(
            "SELECT chunk, count FROM search.chunks WHERE collection = ? AND NOT large ORDER BY chunk", (held.number,)
        ).fetchall()
        if len(small) < MERGED:
            return
        sums = accumulate(count for _, count in small)
        chunks = [chunk for (chunk, _), rows in zip(small, sums, strict=True) if rows <= CHUNK_ROWS_MAX]
        sequences = [each for chunk in chunks for each in self._counting(held, chunk)]
        self._run(f"DELETE FROM picked_{held.number}")
        listed = f"{held.collection.sequence} IN (SELECT value FROM json_each(?))"
        self._pick(held, listed, (msgspec.json.encode(sequences).decode(), CHUNK_ROWS_MAX))
        for chunk in chunks:
            self._forget(held, chunk)
        self._write_chunk(held, large=True)

    def _counting(self, held: Held, chunk: int) -> list[int]:
        """The sequences of the rows of a chunk that still count."""
        dead = {
            position
            for (position,) in self._run(
                "SELECT position FROM search.dead WHERE collection = ? AND chunk = ?", (held.number, chunk)
            )
        }
        sequences = self._sequences(held.fields[SEQUENCE].place + chunk)
        return [each for position, each in enumerate(sequences) if position not in dead]

    def _forget(self, held: Held, chunk: int) -> None:
        for field in held.fields.values():
            for table in ("planes", *LONG_TABLES) if field.form is Form.LONG else ("planes",):
                self._run(f"DELETE FROM search.{table} WHERE place = ?", (field.place + chunk,))
        self._run("DELETE FROM search.dead WHERE collection = ? AND chunk = ?", (held.number, chunk))
        self._run("DELETE FROM search.chunks WHERE collection = ? AND chunk = ?", (held.number, chunk))
