"""Chunks made of rows, by SQL alone: no row passes through Python, and the event loop is not held."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import apsw

from ffd.model.ids import format_uuid
from ffd.store.index.layout import (
    CHUNK_BITS,
    CHUNK_ROWS,
    CHUNK_ROWS_MAX,
    CODED_CHARS_MAX,
    CODES_MAX,
    MERGED,
    SCHEMA,
    SEQUENCE,
    TABLES,
    Field,
    Form,
    Held,
    Layout,
)
from ffd.store.index.planes import integers, join_texts
from ffd.store.transaction import roll_back

RECENT_ROWS = 8_192
"""Rows from the newest back of which one that has not settled is waited for; an older one is left as a hole."""
CHANGES_AT_ONCE = 2_000
PRAGMAS = (
    "PRAGMA page_size = 16384",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    "PRAGMA journal_size_limit = 16777216",
)
BUSY_TIMEOUT_MS = 10_000
Plane = tuple[Form, Any, Any, bytes | None, bytes | None, bytes | None]
"""The columns of a plane after its place."""


class Builder:
    """One connection that reads the node's database, and writes the index beside it, attached as `search`."""

    def __init__(self, connection: apsw.Connection, node: Path, layout: Layout) -> None:
        self._connection = connection
        self._node = node
        self._layout = layout
        self._run: Callable[..., Any] = connection.execute
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
            self._run(f"CREATE TEMP TABLE picked_{held.number} (n INTEGER PRIMARY KEY, {columns})")

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
        columns = ", ".join(field.column.sql for field in held.fields.values())
        ripe = f"{collection.sequence} IN (SELECT sequence FROM search.holes WHERE collection = {number})"
        self._run(f"DELETE FROM picked_{number}")
        new = f"{collection.sequence} > ? AND {collection.sequence} <= ?"
        for chosen, values in ((ripe, ()), (new, (through, last))):
            room = CHUNK_ROWS_MAX - self._value(f"SELECT count(*) FROM picked_{number}")
            self._run(
                f"INSERT INTO picked_{number} SELECT NULL, {columns} FROM {collection.source} "
                f"WHERE {chosen} AND ({collection.settled}) ORDER BY {collection.sequence} LIMIT ?",
                (*values, room),
            )
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

    def _write_chunk(self, held: Held) -> None:
        count = self._value(f"SELECT count(*) FROM picked_{held.number}")
        if not count:
            return
        chunk = self._new_chunk(held, count)
        stats = self._run(
            f"SELECT {', '.join(f'count(c{n}), min(c{n}), max(c{n})' for n in range(len(held.fields)))} "
            f"FROM picked_{held.number}"
        ).get
        for n, field in enumerate(held.fields.values()):
            present, low, high = stats[3 * n : 3 * n + 3]
            self._write_plane(field, chunk, self._encode(held, field, n, count, present, low, high))

    def _new_chunk(self, held: Held, count: int) -> int:
        last = self._value("SELECT coalesce(max(chunk), 0) FROM search.chunks WHERE collection = ?", held.number)
        chunk: int = last + 1
        large = count > CHUNK_ROWS_MAX // 2
        self._run(
            "INSERT INTO search.chunks (collection, chunk, count, large) VALUES (?, ?, ?, ?)",
            (held.number, chunk, count, large),
        )
        return chunk

    def _write_plane(self, field: Field, chunk: int, plane: Plane) -> None:
        self._run(
            "INSERT INTO search.planes (place, form, low, high, nulls, body, more) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (field.place + chunk, *plane),
        )

    def _encode(self, held: Held, field: Field, n: int, count: int, present: int, low: Any, high: Any) -> Plane:
        rows = f"(SELECT c{n} AS c FROM picked_{held.number} ORDER BY n)"
        if not present or (present == count and low == high):
            return Form.SAME, low, high, None, None, None
        nulls = None if present == count else self._packed(rows, "CASE WHEN c IS NULL THEN '01' ELSE '00' END")
        if field.form is Form.BYTES and (field.column.raw or self._spelt_well(field, rows)):
            raw = "hex(c)" if field.column.raw else "replace(c, '-', '')"
            body = self._packed(rows, f"CASE WHEN c IS NULL THEN '{'00' * field.width}' ELSE {raw} END")
            return Form.BYTES, _raw(low), _raw(high), nulls, body, None
        if field.form is Form.CODES and self._learn(field, rows):
            return self._codes(field, rows)
        if not field.kind.textual:
            return Form.NUMBERS, low, high, nulls, self._packed(rows, "format('%016x', coalesce(c, 0))"), None
        return Form.TEXTS, None, None, nulls, self._packed(rows, "'FF' || coalesce(hex(c), '') || 'FE'"), None

    def _packed(self, rows: str, digits: str) -> bytes:
        packed: bytes = self._value(f"SELECT unhex(group_concat({digits}, '')) FROM {rows}")
        return packed

    def _spelt_well(self, field: Field, rows: str) -> bool:
        """Is every text of an id or hash spelt as the bytes would be?"""
        dashes = " AND ".join(f"substr(c, {at}, 1) = '-'" for at in (9, 14, 19, 24)) if field.width == 16 else "1"
        size = f"length(unhex(replace(c, '-', ''))) = {field.width} AND length(c) = {36 if field.width == 16 else 64}"
        well = f"(c IS NULL OR (coalesce({size}, 0) AND c = lower(c) AND {dashes}))"
        return bool(self._value(f"SELECT min({well}) FROM {rows}"))

    def _learn(self, field: Field, rows: str) -> bool:
        """Does the dictionary know all values of the rows, or has it learnt those that it did not?"""
        known = self._value("SELECT count(*) FROM search.dictionary WHERE field = ?", field.place)
        fresh = f"""
            SELECT DISTINCT c AS value FROM {rows} WHERE c IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM search.dictionary WHERE field = {field.place} AND value = c)"""
        new, longest = self._run(f"SELECT count(*), coalesce(max(length(value)), 0) FROM ({fresh})").get
        if known + new >= CODES_MAX or longest > CODED_CHARS_MAX:
            return False
        if new:
            self._run(
                f"INSERT INTO search.dictionary "
                f"SELECT {field.place}, value, {known} + row_number() OVER () FROM ({fresh})"
            )
        return True

    def _codes(self, field: Field, rows: str) -> Plane:
        # Materialized: else each code would be looked up once for every use of it.
        most, body, more = self._run(
            f"""
            WITH coded (code) AS MATERIALIZED (
                SELECT coalesce(
                    (SELECT code FROM search.dictionary WHERE field = {field.place} AND value = c), 0) FROM {rows})
            SELECT max(code), unhex(group_concat(format('%02x', code & 255), '')),
                   CASE WHEN max(code) > 255 THEN unhex(group_concat(format('%02x', code >> 8), '')) END
              FROM coded"""
        ).get
        return Form.CODES, None, most, None, body, more

    # Small chunks to a large one ---------------------------------------------------------------------------------

    def _merge_small(self, held: Held) -> None:
        small = self._run(
            "SELECT chunk, count FROM search.chunks WHERE collection = ? AND NOT large ORDER BY chunk", (held.number,)
        ).fetchall()
        if len(small) < MERGED:
            return
        merged = self._new_chunk(held, sum(count for _, count in small))
        self._run("UPDATE search.chunks SET large = 1 WHERE collection = ? AND chunk = ?", (held.number, merged))
        counts = [count for _, count in small]
        for field in held.fields.values():
            planes = [
                self._run(
                    "DELETE FROM search.planes WHERE place = ? RETURNING form, low, high, nulls, body, more",
                    (field.place + chunk,),
                ).get
                for chunk, _ in small
            ]
            self._write_plane(field, merged, self._joined(field, planes, counts))
        for (chunk, _), before in zip(small, accumulate(counts, initial=0), strict=False):
            self._run(
                "UPDATE search.dead SET chunk = ?, position = position + ? WHERE collection = ? AND chunk = ?",
                (merged, before, held.number, chunk),
            )
            self._run("DELETE FROM search.chunks WHERE collection = ? AND chunk = ?", (held.number, chunk))

    def _joined(self, field: Field, planes: list[Any], counts: list[int]) -> Plane:
        forms = {form for form, *_ in planes}
        values = {low for form, low, *_ in planes if form == Form.SAME}
        if forms == {Form.SAME} and len(values) == 1:
            return Form.SAME, planes[0][1], planes[0][2], None, None, None
        coded = field.form is Form.CODES and forms <= {Form.SAME, Form.CODES}
        if coded and all(self._knows(field, value) for value in values if value is not None):
            return self._joined_codes(field, planes, counts)
        if not field.kind.textual:
            return self._joined_numbers(field, planes, counts)
        if field.form is Form.BYTES and Form.TEXTS not in forms:
            return self._joined_bytes(field, planes, counts)
        return self._joined_texts(field, planes, counts)

    def _knows(self, field: Field, value: object) -> bool:
        """Is the value in the dictionary, by now?"""
        if self._code(field, value):
            return True
        known = self._value("SELECT count(*) FROM search.dictionary WHERE field = ?", field.place)
        if known + 1 >= CODES_MAX or len(str(value)) > CODED_CHARS_MAX:
            return False
        row = (field.place, value, known + 1)
        self._run("INSERT INTO search.dictionary (field, value, code) VALUES (?, ?, ?)", row)
        return True

    def _code(self, field: Field, value: object) -> int:
        code: int = self._value(
            "SELECT coalesce((SELECT code FROM search.dictionary WHERE field = ? AND value = ?), 0)", field.place, value
        )
        return code

    def _joined_codes(self, field: Field, planes: list[Any], counts: list[int]) -> Plane:
        low_bytes, high_bytes, most = [], [], 0
        for (form, low, high, _, body, more), count in zip(planes, counts, strict=True):
            code = 0
            if form == Form.SAME:
                code = high = 0 if low is None else self._code(field, low)
                body, more = bytes([code & 255]) * count, bytes([code >> 8]) * count
            low_bytes.append(body)
            high_bytes.append(more or bytes(count))
            most = max(most, high)
        return Form.CODES, None, most, None, b"".join(low_bytes), b"".join(high_bytes) if most > 255 else None

    def _joined_numbers(self, field: Field, planes: list[Any], counts: list[int]) -> Plane:
        numbers = []
        for plane, count in zip(planes, counts, strict=True):
            form, low, high, nulls, body, more = plane
            if form == Form.NUMBERS:
                numbers.append((low, high, nulls or bytes(count), body))
                continue
            values = self._values(field, form, low, body, more, count)
            present = [value for value in values if value is not None] or [None]
            body = b"".join([(value or 0).to_bytes(8, "big", signed=True) for value in values])
            numbers.append((min(present), max(present), bytes([value is None for value in values]), body))
        return _joined_wide(Form.NUMBERS, numbers)

    def _values(self, field: Field, form: int, low: Any, body: Any, more: Any, count: int) -> list[Any]:
        if form == Form.SAME:
            return [low] * count
        known = dict(self._run("SELECT code, value FROM search.dictionary WHERE field = ?", (field.place,)).fetchall())
        return [known.get(each + 256 * high) for each, high in zip(body, more or bytes(count), strict=True)]

    def _joined_bytes(self, field: Field, planes: list[Any], counts: list[int]) -> Plane:
        raws = []
        for (form, low, high, nulls, body, _), count in zip(planes, counts, strict=True):
            if form == Form.SAME:
                raw = _raw(low)
                raws.append((raw, raw, bytes([raw is None]) * count, (raw or bytes(field.width)) * count))
            else:
                raws.append((low, high, nulls or bytes(count), body))
        return _joined_wide(Form.BYTES, raws)

    def _joined_texts(self, field: Field, planes: list[Any], counts: list[int]) -> Plane:
        bodies, nulls = [], []
        for (form, low, _, null, body, more), count in zip(planes, counts, strict=True):
            if form == Form.BYTES:
                width = field.width
                texts = [_spelt(field, body[at : at + width]) for at in range(0, len(body), width)]
                absent = null or bytes(count)
                body = join_texts(b"" if n else text.encode() for text, n in zip(texts, absent, strict=True))
            elif form != Form.TEXTS:
                values = self._values(field, form, _spelt(field, low), body, more, count)
                body = join_texts((value or "").encode() for value in values)
                null = bytes([value is None for value in values])
            bodies.append(body)
            nulls.append(null or bytes(count))
        nowhere = b"".join(nulls)
        return Form.TEXTS, None, None, nowhere if 1 in nowhere else None, b"".join(bodies), None


def _joined_wide(form: Form, planes: list[tuple[Any, Any, bytes, bytes]]) -> Plane:
    """Numbers, ids or hashes: least, greatest, nulls and body of each."""
    absent = b"".join([nulls for _, _, nulls, _ in planes])
    low = min([low for low, *_ in planes if low is not None])
    high = max([high for _, high, *_ in planes if high is not None])
    return form, low, high, absent if 1 in absent else None, b"".join([body for *_, body in planes]), None


def _raw(value: Any) -> Any:
    """The bytes of an id or hash, if it is text."""
    return bytes.fromhex(value.replace("-", "")) if isinstance(value, str) else value


def _spelt(field: Field, value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return format_uuid(value) if field.width == 16 else value.hex()
