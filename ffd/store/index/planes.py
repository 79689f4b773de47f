"""Work on planes: which rows of a chunk a condition holds for.

Rows are marked in one large integer with a byte for each row, the first row's lowest, that is 1 where the condition
holds: `&`, `|` and `bit_count` then work on thousands of rows at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any

_IDENTITY = bytes(range(256))
_LOWER = bytes(byte + 32 if 0x41 <= byte <= 0x5A else byte for byte in _IDENTITY)
UUID_DASHES = (8, 13, 18, 23)
SPARSE = 50
"""One row in so many, or fewer, are looked for rather than passed by."""
LEAD_TIED_SHARE = 8
"""Rows with the same first byte as the value that is compared are looked at one by one, up to this part of all."""


def all_of(count: int) -> int:
    """The mark of every row."""
    return _all_of(count)


@lru_cache(maxsize=64)
def _all_of(count: int) -> int:
    return int.from_bytes(b"\1" * count, "little")


def marked(flags: Iterable[Any]) -> int:
    """The marks of rows for which something is true."""
    return int.from_bytes(bytes(flags), "little")


def positions(marks: int, count: int) -> list[int]:
    """The rows that are marked, in order."""
    flags = marks.to_bytes(count, "little")
    if marks.bit_count() * SPARSE > count:
        return list(compress(range(count), flags))
    found = []
    at = flags.find(1)
    while at >= 0:
        found.append(at)
        at = flags.find(1, at + 1)
    return found


def chosen(values: Sequence[Any], marks: int, count: int) -> list[Any]:
    """The values of the rows that are marked."""
    if marks.bit_count() * SPARSE > count:
        return list(compress(values, marks.to_bytes(count, "little")))
    return [values[row] for row in positions(marks, count)]


def integers(body: bytes) -> array[int]:
    """The numbers of a plane."""
    numbers = array("q", body)
    numbers.byteswap()
    return numbers


# Codes ----------------------------------------------------------------------------------------------------------------


class CodeSet:
    """A set of codes of a dictionary, made to be looked for in planes."""

    def __init__(self, codes: Iterable[int], size: int) -> None:
        """`size` is one more than the largest code there is."""
        flags = bytearray(-(-size // 256) * 256)
        for code in codes:
            flags[code] = 1
        self.nobody = not any(flags)
        self.everybody = sum(flags) >= size
        self._tables = [bytes(flags[at : at + 256]) for at in range(0, len(flags), 256)]

    def marks(self, body: bytes, more: bytes | None) -> int:
        """The rows whose codes are in the set."""
        if more is None:
            return int.from_bytes(body.translate(self._tables[0]), "little")
        found = 0
        for high, table in enumerate(self._tables):
            if any(table):
                here = int.from_bytes(more.translate(_only(high)), "little")
                if here:
                    found |= here & int.from_bytes(body.translate(table), "little")
        return found

    def __contains__(self, code: int) -> bool:
        high, low = divmod(code, 256)
        return high < len(self._tables) and self._tables[high][low] == 1


@lru_cache(maxsize=256)
def _only(byte: int) -> bytes:
    table = bytearray(256)
    table[byte] = 1
    return bytes(table)


# Numbers --------------------------------------------------------------------------------------------------------------

_COMPARE: dict[str, Callable[[int], Callable[[int], bool]]] = {
    # Of the value that is asked for, with the row's to be given: x > v is v < x.
    "eq": lambda value: value.__eq__,
    "gt": lambda value: value.__lt__,
    "gte": lambda value: value.__le__,
    "lt": lambda value: value.__gt__,
    "lte": lambda value: value.__ge__,
}


def numbers_marked(body: bytes, op: str, value: int) -> int:
    """The rows whose number compares so with `value`; null is not looked at."""
    return marked(map(_COMPARE[op](value), integers(body)))


def zone_says(low: Any, high: Any, op: str, value: Any) -> bool | None:
    """What the least and the greatest value say of all: all of them, none, or nothing."""
    if op == "eq":
        return False if value < low or value > high else None
    least = _compares(low, op, value)
    return least if least == _compares(high, op, value) else None


def _compares(left: Any, op: str, right: Any) -> bool:
    if op == "gt":
        return bool(left > right)
    if op == "gte":
        return bool(left >= right)
    return bool(left < right) if op == "lt" else bool(left <= right)


# Ids and hashes -------------------------------------------------------------------------------------------------------


def bytes_equal(body: bytes, width: int, value: bytes) -> int:
    """The rows that are `value`."""
    flags = bytearray(len(body) // width)
    at = body.find(value)
    while at >= 0:
        if at % width == 0:
            flags[at // width] = 1
            at += width - 1
        at = body.find(value, at + 1)
    return int.from_bytes(flags, "little")


def bytes_compared(body: bytes, width: int, op: str, value: bytes) -> int:
    """The rows that are greater, less, or so and equal; the first byte decides most of them."""
    lead = body[::width]
    upwards = op in ("gt", "gte")
    table = bytes([byte > value[0] if upwards else byte < value[0] for byte in range(256)])
    decided = int.from_bytes(lead.translate(table), "little")
    tied = lead.translate(_only(value[0]))
    count = tied.count(1)
    if count * LEAD_TIED_SHARE > len(lead):
        rows = [body[at : at + width] for at in range(0, len(body), width)]
        return marked([_compares(row, op, value) for row in rows])
    flags = bytearray(len(lead))
    for row in compress(range(len(lead)), tied):
        flags[row] = _compares(body[row * width : row * width + width], op, value)
    return decided | int.from_bytes(flags, "little")


def bytes_starting(body: bytes, width: int, digits: str) -> int:
    """The rows whose digits start so."""
    low, high = prefix_range(width, digits)
    return bytes_compared(body, width, "gte", low) & bytes_compared(body, width, "lte", high)


def prefix_range(width: int, digits: str) -> tuple[bytes, bytes]:
    """The least and the greatest id or hash that starts so."""
    return bytes.fromhex(digits.ljust(2 * width, "0")), bytes.fromhex(digits.ljust(2 * width, "f"))


def bytes_ending(body: bytes, width: int, digits: str) -> int:
    """The rows whose digits end so: byte by byte, from the last."""
    found = all_of(len(body) // width)
    place = width
    while digits and found:
        place -= 1
        pair, digits = digits[-2:], digits[:-2]
        table = bytes([f"{byte:02x}".endswith(pair) for byte in range(256)])
        found &= int.from_bytes(body[place::width].translate(table), "little")
    return found


def bytes_holding(body: bytes, width: int, spots: Sequence[tuple[int, str]]) -> int:
    """The rows in whose digits one of the texts stands at its place."""
    count = len(body) // width
    by_text: dict[str, set[int]] = {}
    for place, text in spots:
        by_text.setdefault(text, set()).add(place)
    digits, size, flags = body.hex(), 2 * width, bytearray(count)
    for text, places in by_text.items():
        at = digits.find(text)
        while at >= 0:
            row, place = divmod(at, size)
            if place in places:
                flags[row] = 1
                at = (row + 1) * size - 1
            at = digits.find(text, at + 1)
    return int.from_bytes(flags, "little")


def spots(width: int, part: str, text: str) -> list[tuple[int, str]]:
    """Where among the digits of an id or hash which digits must stand, for its text to have `text` so.

    `part` is `contains`, `starts_with` or `ends_with`.
    """
    dashes = UUID_DASHES if width == 16 else ()
    shape = "".join("-" if at in dashes else "x" for at in range(2 * width + len(dashes)))
    last = len(shape) - len(text)
    first = last if part == "ends_with" else 0
    until = 0 if part == "starts_with" else last
    asked = "".join("-" if char == "-" else "x" for char in text)
    digits = text.replace("-", "")
    return [
        (at - shape[:at].count("-"), digits)
        for at in range(max(first, 0), until + 1)
        if last >= 0 and shape.startswith(asked, at)
    ]


# Texts ----------------------------------------------------------------------------------------------------------------

BEFORE, AFTER, FOUND = b"\xff", b"\xfe", b"\xfd"
"""What stands before and after each text of a plane, and in a copy where something was found: no UTF-8 has them."""
_ALL_BUT_MARKS = bytes(byte for byte in _IDENTITY if byte not in BEFORE + FOUND)


def join_texts(texts: Iterable[bytes]) -> bytes:
    """A plane of texts."""
    return b"".join([BEFORE + text + AFTER for text in texts])


def split_texts(body: bytes) -> list[bytes]:
    """The texts of a plane."""
    return body[1:-1].split(AFTER + BEFORE)


def texts_marked(body: bytes, count: int, part: str, text: bytes, *, caseless: bool) -> int:
    """The rows whose text is (`eq`), `contains`, `starts_with` or `ends_with` another, which is folded if caseless."""
    if not text and part != "eq":
        return all_of(count)
    if caseless:
        body = body.translate(_LOWER)
    needle = BEFORE * (part in ("eq", "starts_with")) + text + AFTER * (part in ("eq", "ends_with"))
    hits = body.count(needle)
    if hits * SPARSE > count:
        return _many_marked(body, needle)
    flags, row, seen = bytearray(count), -1, 0
    at = body.find(needle) if hits else -1
    while at >= 0:
        row += body.count(BEFORE, seen, at + 1)
        flags[row] = 1
        seen = at + 1
        at = body.find(needle, seen)
    return int.from_bytes(flags, "little")


def _many_marked(body: bytes, needle: bytes) -> int:
    """By passes over the plane that cost the same for every number of hits: all that is left is a byte for each row."""
    hit = BEFORE + FOUND if needle.startswith(BEFORE) else FOUND
    left = body.replace(needle, hit).translate(None, _ALL_BUT_MARKS)
    while FOUND * 2 in left:
        left = left.replace(FOUND * 2, FOUND)
    return int.from_bytes(left.replace(BEFORE + FOUND, b"\1").translate(_ZERO_FOR_BEFORE), "little")


_ZERO_FOR_BEFORE = _IDENTITY[:255] + b"\0"


def texts_compared(body: bytes, op: str, text: bytes) -> int:
    """The rows whose text is greater, less, or so and equal."""
    if op == "gt":
        return marked([each > text for each in split_texts(body)])
    if op == "gte":
        return marked([each >= text for each in split_texts(body)])
    if op == "lt":
        return marked([each < text for each in split_texts(body)])
    return marked([each <= text for each in split_texts(body)])
