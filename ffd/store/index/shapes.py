"""Conditions on parts of long texts, worked out on the pieces of their shapes and on what lies in the slots between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import msgspec

from ffd.store.index.digits import bytes_holding
from ffd.store.index.finding import HITS, Search
from ffd.store.index.matching import folded
from ffd.store.index.planes import CodeSet, all_of, only, positions
from ffd.store.index.shaping import TAIL
from ffd.store.index.texts import AFTER, texts_marked
from ffd.store.transaction import Transaction

Test = Callable[[int, str, str], int]
"""Marks rows by what they have in a slot: slot, `eq`, `contains`, `starts_with` or `ends_with`, and the text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a text: `eq`, `contains`, `starts_with` or `ends_with`; `text` is folded if `caseless`."""

    part: str
    text: str
    caseless: bool


class Shape:
    """`count` rows of a chunk from `first` on."""

    def __init__(self, tx: Transaction, place: int, shape: int, first: int, count: int, pieces: str) -> None:
        self.first = first
        self.count = count
        self._tx = tx
        self._at = (place, shape)
        self._pieces: list[str] = msgspec.json.decode(pieces, type=list[str])

    def marks(self, asked: Asked) -> int:
        """Its rows of which it is true."""
        pieces = [folded(piece) for piece in self._pieces] if asked.caseless else self._pieces
        known: dict[tuple[int, str, str], int] = {}

        def test(slot: int, part: str, text: str) -> int:
            at = (slot, part, text)
            if at not in known:
                known[at] = self._slot_marks(slot, Asked(part, text, asked.caseless))
            return known[at]

        return _Cut(pieces, all_of(self.count), test).marks(asked.part, asked.text)

    def _slot_marks(self, slot: int, asked: Asked) -> int:
        found = at = 0
        for part in self._parts[slot]:
            found |= part.marks(asked) << 8 * at
            at += part.count
        return found

    @cached_property
    def _parts(self) -> dict[int, list[_Part]]:
        rows = self._tx.execute(
            "SELECT slot, id, count, width, digits, bytes, tails IS NOT NULL FROM search.slots "
            "WHERE place = ? AND shape = ? ORDER BY slot, part",
            self._at,
        )
        parts: dict[int, list[_Part]] = {}
        for slot, *rest in rows:
            parts.setdefault(slot, []).append(_Part(self._tx, *rest))
        return parts


class _Cut:
    """A text in pieces: between the pieces `n - 1` and `n` lies slot `n`. What reaches over ends is found here."""

    def __init__(self, pieces: list[str], full: int, test: Test) -> None:
        self._pieces = pieces
        self._slots = len(pieces) - 1
        self._full = full
        self._test = test

    def marks(self, part: str, text: str) -> int:
        if part == "contains":
            return self._holding(text)
        if part == "eq":
            first = self._pieces[0]
            return self._equal(1, text[len(first) :]) if text.startswith(first) else 0
        if part == "starts_with":
            return self._on_from(0, text)
        last = self._pieces[-1]
        if last.endswith(text):
            return self._full
        return self._up_to(self._slots, text[: len(text) - len(last)]) if text.endswith(last) else 0

    def _on_from(self, piece: int, text: str) -> int:
        """Rows in which `text` stands from the beginning of a piece on."""
        known = self._pieces[piece]
        if known.startswith(text):
            return self._full
        return self._after(piece + 1, text[len(known) :]) if piece < self._slots and text.startswith(known) else 0

    def _may_go_on(self, piece: int, text: str) -> bool:
        known = self._pieces[piece]
        return known.startswith(text) or (piece < self._slots and text.startswith(known))

    def _after(self, slot: int, text: str) -> int:
        """Rows in which `text` stands from the beginning of a slot on."""
        found = self._test(slot, "starts_with", text)
        for at in range(len(text)):
            if self._may_go_on(slot, text[at:]):
                here = self._test(slot, "eq", text[:at])
                found |= here & self._on_from(slot, text[at:]) if here else 0
        return found

    def _up_to(self, slot: int, text: str) -> int:
        """Rows in which `text` stands up to the end of a slot."""
        found = self._test(slot, "ends_with", text)
        before = self._pieces[slot - 1]
        for at in range(1, len(text) + 1):
            head = text[:at]
            if before.endswith(head):
                found |= self._test(slot, "eq", text[at:])
            elif slot > 1 and head.endswith(before):
                here = self._test(slot, "eq", text[at:])
                found |= here & self._up_to(slot - 1, head[: at - len(before)]) if here else 0
        return found

    def _holding(self, text: str) -> int:
        if any(text in piece for piece in self._pieces):
            return self._full
        found = 0
        for slot in range(1, self._slots + 1):
            found |= self._test(slot, "contains", text)
            before = self._pieces[slot - 1]
            for at in range(1, len(text)):
                if before.endswith(text[:at]):
                    found |= self._after(slot, text[at:])
                if self._may_go_on(slot, text[at:]):
                    here = self._test(slot, "ends_with", text[:at])
                    found |= here & self._on_from(slot, text[at:]) if here else 0
        return found

    def _equal(self, slot: int, text: str) -> int:
        """Rows in which `text` is all from the beginning of a slot on."""
        piece = self._pieces[slot]
        if slot == self._slots:
            return self._test(slot, "eq", text[: len(text) - len(piece)]) if text.endswith(piece) else 0
        found, at = 0, text.find(piece)
        while at >= 0:
            here = self._test(slot, "eq", text[:at])
            found |= here & self._equal(slot + 1, text[at + len(piece) :]) if here else 0
            at = text.find(piece, at + 1)
        return found


class _Part:
    """What some rows have in a slot; `count` is that of the rows."""

    def __init__(
        self, tx: Transaction, id: int, count: int, width: int | None, digits: int | None, present: bytes | None,
        tailed: int,
    ) -> None:  # fmt: skip
        self.count = count
        self._tx = tx
        self._id = id
        self._width = width
        self._digits = digits
        self._present = present
        """The bytes that there are, if the texts are not told by number."""
        self._tailed = tailed

    def marks(self, asked: Asked) -> int:
        text = asked.text.encode()
        if self._present is None:
            return self._by_number(asked.part, text, asked.caseless)
        if not self._may_have(text, asked.caseless):
            return 0
        caseless = asked.caseless and any(0x41 <= byte <= 0x5A for byte in self._present)
        if asked.part == "ends_with" and not caseless and 0 < len(text) < TAIL and self._tailed:
            return _ending(self._read("tails"), text)
        if self._digits and self._width:
            return self._by_digits(asked, self._width)
        return texts_marked(self._read("body"), self.count, asked.part, text, caseless=caseless, width=self._width)

    def _by_digits(self, asked: Asked, width: int) -> int:
        last = width - len(asked.text)
        if last < 0 or (asked.part == "eq" and last):
            return 0
        if not asked.text:
            return all_of(self.count)
        first, until = last * (asked.part == "ends_with"), last * (asked.part != "starts_with")
        places = [(place, asked.text) for place in range(first, until + 1)]
        return bytes_holding(self._read("body"), width // 2, places)

    def _may_have(self, text: bytes, caseless: bool) -> bool:
        present = self._present or b""
        return all(byte in present or (caseless and _upper(byte) in present) for byte in text)

    def _by_number(self, part: str, text: bytes, caseless: bool) -> int:
        row = self._tx.one("SELECT body, codes, more FROM search.slots WHERE id = ?", (self._id,))
        body, codes, more = row or (b"", b"", None)
        words = body.count(AFTER)
        found = positions(texts_marked(body, words, part, text, caseless=caseless), words)
        return CodeSet(found, words).marks(codes, more) if found else 0

    def _read(self, column: str) -> bytes:
        return self._tx.long_value("search", "slots", column, self._id)


def _upper(byte: int) -> int:
    return byte - 32 if 0x61 <= byte <= 0x7A else byte


def _ending(tails: bytes, text: bytes) -> int:
    """The rows whose tail ends so."""
    flags = bytearray(len(tails) // TAIL)
    search = Search(tails, text + AFTER)
    for at in search:
        flags[at // TAIL] = 1
        search.jump = (at // TAIL + 1) * TAIL
        if search.hits > HITS:
            return _ending_by_columns(tails, text)
    return int.from_bytes(flags, "little")


def _ending_by_columns(tails: bytes, text: bytes) -> int:
    found = all_of(len(tails) // TAIL)
    for column, byte in zip(range(TAIL - 1 - len(text), TAIL - 1), text, strict=True):
        found &= int.from_bytes(tails[column::TAIL].translate(only(byte)), "little")
    return found


def shapes_at(tx: Transaction, place: int) -> list[Shape]:
    """The shapes of a chunk, in the order of their rows; rows behind the last one are not held."""
    rows = tx.execute("SELECT shape, first, count, pieces FROM search.shapes WHERE place = ? ORDER BY first", (place,))
    return [Shape(tx, place, *row) for row in list(rows)]


def holding(tx: Transaction, place: int, count: int, asked: Asked) -> tuple[int, int]:
    """The rows of a chunk of which it is true, and those of which nothing is known."""
    found, end = 0, 0
    for shape in shapes_at(tx, place):
        found |= shape.marks(asked) << 8 * shape.first
        end = shape.first + shape.count
    return found, all_of(count) & ~all_of(end)
