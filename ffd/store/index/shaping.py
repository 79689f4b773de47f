"""Long texts of a chunk, told apart by SQL: their order, the pieces that many have in common, and what lies between.

Texts that programs write are alike: the same names of fields in the same order, around values that differ. So a text is
cut into the pieces of its *shape*, the same for thousands of rows, and what each row has in the *slots* between two
pieces. Put together again they are the text, whatever it is: the shape is guessed from one text, and whichever begins
with its first piece, has each of the others after the one before, and ends with the last, has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ffd.store.index.layout import HELD_BYTES, RANKED_CHARS, Field, Form, Held
from ffd.store.index.texts import AFTER, BEFORE

SHAPES_MAX = 6
SHAPES_TRIED = 12
SHAPE_SHARE = 64
"""A shape is had by at least one row in so many."""
SLOTS_MAX = 12
WORDS_MAX = 1_024
"""A slot with at most so many different texts, each had by four rows or more, says by number which one a row has."""
PART_ROWS = 8_192
"""Rows of a slot whose texts are kept together: what is read at once is bounded."""
TAIL = 8
"""The last bytes of longer texts are kept apart too, seven and the mark behind them: ends are looked for there."""
WHOLE, CUT = SHAPES_MAX, SHAPES_MAX + 1
"""The shape of texts that have none, and what stands for it where a text is not held."""
_LEAF = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|-?[0-9][0-9.eE+-]*|\b(?:true|false|null)\b')
_PACKED = "unhex(group_concat(%s, ''))"


def picked_column(field: Field) -> str:
    """A field as it is picked: of a text that is too long, the beginning."""
    text = field.column.sql
    if field.form is not Form.LONG:
        return text
    long = f"octet_length(coalesce({text}, '')) > {HELD_BYTES}"
    return f"CASE WHEN {long} THEN substr({text}, 1, {RANKED_CHARS}) ELSE {text} END"


def cut_column(held: Held) -> str:
    """Whether the long text of a row is picked without its end."""
    return "0" if held.long is None else f"octet_length(coalesce({held.long.column.sql}, '')) > {HELD_BYTES}"


def pieces_of(text: str) -> list[str]:
    """What is likely to stand in others too: of JSON all but its strings and numbers. At least a beginning."""
    pieces: list[str] = []
    at = 0
    for leaf in _LEAF.finditer(text):
        if leaf[2] is not None:
            continue
        if len(pieces) == SLOTS_MAX:
            # The last slot has all that is left.
            at = len(text)
            break
        start, end = leaf.span(1) if leaf[1] is not None else leaf.span()
        pieces.append(text[at:start])
        at = end
    return [*pieces, text[at:]]


class Shaper:
    """Arranges the picked rows of a collection by the shape of their long texts, then writes what is known of these."""

    def __init__(self, run: Callable[..., Any], held: Held, field: Field) -> None:
        self._run = run
        self._field = field
        self._picked = f"temp.picked_{held.number}"
        self._column = f"c{list(held.fields).index(field.name)}"
        self._shapes: list[tuple[int, list[str]]] = []

    def arrange(self) -> None:
        """Put rows of one shape side by side: the order of a chunk's rows is free until its planes are written."""
        self._run("DELETE FROM temp.texts")
        self._run(
            f"INSERT INTO temp.texts (n, c, cut, shape) "
            f"SELECT n, coalesce({self._column}, ''), cut, CASE WHEN cut THEN {CUT} END FROM {self._picked} ORDER BY n"
        )
        self._learn()
        self._run(f"UPDATE temp.texts SET shape = {WHOLE} WHERE shape IS NULL OR shape < 0")
        if self._value("SELECT min(shape) = max(shape) FROM temp.texts"):
            return
        self._run("DELETE FROM temp.moves")
        self._run("INSERT INTO temp.moves SELECT n, row_number() OVER (ORDER BY shape, n) FROM temp.texts")
        for table in (self._picked, "temp.texts", *(f"temp.split_{shape}" for shape, _ in self._shapes)):
            self._run(f"UPDATE {table} SET n = -(SELECT m.place FROM temp.moves m WHERE m.n = {table[5:]}.n)")
            self._run(f"UPDATE {table} SET n = -n")

    def _learn(self) -> None:
        """Guess shapes from rows that have none yet, and give them to all that have them."""
        count = self._value("SELECT count(*) FROM temp.texts")
        self._shapes = []
        for _ in range(SHAPES_TRIED):
            row = self._run("SELECT n, c FROM temp.texts WHERE shape IS NULL ORDER BY n LIMIT 1").fetchone()
            if row is None or len(self._shapes) == SHAPES_MAX:
                return
            pieces, shape = pieces_of(row[1]), len(self._shapes)
            if len(pieces) > 1 and self._split(shape, pieces) * SHAPE_SHARE >= count:
                self._run(f"UPDATE temp.texts SET shape = {shape} WHERE n IN (SELECT n FROM temp.split_{shape})")
                self._shapes.append((shape, pieces))
            else:
                self._run("UPDATE temp.texts SET shape = -1 WHERE n = ?", (row[0],))

    def _split(self, shape: int, pieces: list[str]) -> int:
        """Cut the texts that have no shape yet; how many have this one."""
        table, slots = f"temp.split_{shape}", [f"v{number}" for number in range(1, len(pieces))]
        self._run(f"DROP TABLE IF EXISTS {table}")
        self._run(f"CREATE TEMP TABLE split_{shape} (n INTEGER PRIMARY KEY, {', '.join(slots)}, rest)")
        first, *others, last = pieces
        self._run(
            f"INSERT INTO {table} (n, rest) SELECT n, substr(c, length(?) + 1) FROM temp.texts "
            f"WHERE shape IS NULL AND substr(c, 1, length(?)) = ?",
            (first, first, first),
        )
        for slot, piece in zip(slots, others, strict=False):
            self._run(f"DELETE FROM {table} WHERE instr(rest, ?) = 0", (piece,))
            self._run(
                f"UPDATE {table} SET {slot} = substr(rest, 1, instr(rest, ?) - 1), "
                f"rest = substr(rest, instr(rest, ?) + length(?))",
                (piece, piece, piece),
            )
        if last:
            self._run(f"DELETE FROM {table} WHERE substr(rest, -length(?)) <> ?", (last, last))
        self._run(f"UPDATE {table} SET {slots[-1]} = substr(rest, 1, length(rest) - length(?)), rest = NULL", (last,))
        found: int = self._value(f"SELECT count(*) FROM {table}")
        return found

    # What is written ---------------------------------------------------------------------------------------------

    def write(self, chunk: int, count: int, absent: int) -> tuple[Form, Any, Any]:
        """Write ranks, shapes and slots. Form, least and greatest value of the plane."""
        text = f"substr(c, 1, {RANKED_CHARS})"
        low, high, longest = self._run(f"SELECT min({text}), max({text}), max(length(c)) FROM temp.texts").get
        if absent == count:
            return Form.SAME, None, None
        if not absent and low == high and longest < RANKED_CHARS:
            return Form.SAME, low, high
        place = self._field.place + chunk
        self._write_ranks(place, text)
        for shape, pieces in self._shapes:
            self._write_shape(place, shape, pieces, f"temp.split_{shape}")
        self._write_shape(place, WHOLE, ["", ""], f"(SELECT n, c AS v1 FROM temp.texts WHERE shape = {WHOLE})")
        return Form.LONG, low, high

    def _write_ranks(self, place: int, text: str) -> None:
        self._run("DELETE FROM temp.ranked")
        self._run(f"INSERT INTO temp.ranked SELECT n, rank() OVER (ORDER BY {text}) - 1 FROM temp.texts")
        fences = self._run(
            f"SELECT r >> 8, min(r), min({text}), max({text}) FROM temp.ranked JOIN temp.texts USING (n) "
            f"GROUP BY 1 ORDER BY 1"
        ).fetchall()
        low, high = (
            self._value(f"SELECT {_PACKED % digits} FROM (SELECT r FROM temp.ranked ORDER BY n)")
            for digits in ("format('%02x', r & 255)", "format('%02x', r >> 8)")
        )
        said = msgspec.json.encode(list(_fences(fences))).decode()
        self._run("INSERT INTO search.ranks (place, fences, low, high) VALUES (?, ?, ?, ?)", (place, said, low, high))

    def _write_shape(self, place: int, shape: int, pieces: list[str], rows: str) -> None:
        first, count = self._run(f"SELECT min(n), count(*) FROM {rows}").get
        if not count:
            return
        self._run(
            "INSERT INTO search.shapes (place, shape, first, count, pieces) VALUES (?, ?, ?, ?, ?)",
            (place, shape, first - 1, count, msgspec.json.encode(pieces).decode()),
        )
        for slot in range(1, len(pieces)):
            at = (place, shape, slot)
            if not self._write_words(at, f"(SELECT n, v{slot} AS v FROM {rows})", count):
                for part, start in enumerate(range(first, first + count, PART_ROWS)):
                    these = f"n >= {start} AND n < {start + PART_ROWS}"
                    self._write_part((*at, part), f"(SELECT v{slot} AS v FROM {rows} WHERE {these} ORDER BY n)")

    def _write_words(self, at: tuple[int, int, int], rows: str, count: int) -> bool:
        most = min(WORDS_MAX, count // 4)
        words = [row[0] for row in self._run(f"SELECT DISTINCT v FROM {rows} LIMIT ?", (most + 1,))]
        if len(words) > most:
            return False
        self._run("DELETE FROM temp.words")
        for code, word in enumerate(words):
            self._run("INSERT INTO temp.words (word, code) VALUES (?, ?)", (word, code))
        codes, more = (
            self._value(
                f"SELECT {_PACKED % digits} FROM (SELECT code FROM {rows} JOIN temp.words ON word = v ORDER BY n)"
            )
            for digits in ("format('%02x', code & 255)", "format('%02x', code >> 8)")
        )
        body = b"".join([BEFORE + word.encode() + AFTER for word in words])
        self._run(
            "INSERT INTO search.slots (place, shape, slot, part, count, body, codes, more) "
            "VALUES (?, ?, ?, 0, ?, ?, ?, ?)",
            (*at, count, body, codes, more if len(words) > 256 else None),
        )
        return True

    def _write_part(self, at: tuple[int, int, int, int], rows: str) -> None:
        count, body, shortest, longest = self._run(
            f"SELECT count(*), {_PACKED % _MARKED}, min(octet_length(v)), max(octet_length(v)) FROM {rows}"
        ).get
        width, present, tails = shortest if shortest == longest else None, _bytes_in(body), None
        if len(body) > 3 * TAIL * count:
            ends = f"substr('{'FF' * TAIL}' || hex(v) || 'FE', -{2 * TAIL})"
            tails = self._value(f"SELECT {_PACKED % ends} FROM {rows}")
        digits = width is not None and width > 0 and width % 2 == 0 and _DIGITS.issuperset(present)
        if digits:
            body = self._value(f"SELECT {_PACKED % 'v'} FROM {rows}")
        self._run(
            "INSERT INTO search.slots (place, shape, slot, part, count, width, digits, bytes, tails, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*at, count, width, digits, present, tails, body),
        )

    def _value(self, statement: str, *values: object) -> Any:
        return self._run(statement, values).get


_DIGITS = frozenset(b"0123456789abcdef" + BEFORE + AFTER)
_MARKED = "'FF' || hex(v) || 'FE'"
SHAPING_TABLES = """
    CREATE TEMP TABLE texts (n INTEGER PRIMARY KEY, c, cut, shape);
    CREATE TEMP TABLE ranked (n INTEGER PRIMARY KEY, r);
    CREATE TEMP TABLE moves (n INTEGER PRIMARY KEY, place INTEGER);
    CREATE TEMP TABLE words (word PRIMARY KEY, code INTEGER) WITHOUT ROWID;
"""


def _fences(buckets: list[tuple[int, int, str, str]]) -> Iterator[tuple[int, int, str]]:
    """Bucket, rows before it, and as much of its least text as makes it greater than all before."""
    before = None
    for bucket, rows, least, greatest in buckets:
        if before is None:
            yield bucket, rows, least
        else:
            pairs = enumerate(zip(before, least, strict=False))
            yield bucket, rows, least[: next((at for at, (one, other) in pairs if one != other), len(before)) + 1]
        before = greatest


def _bytes_in(body: bytes) -> bytes:
    """Which bytes there are, each once: what is found in the first thousands is left out of the rest at once."""
    known, left = b"", body
    while left:
        known = bytes(sorted({*known, *left[:4096]}))
        left = left.translate(None, known)
    return known
