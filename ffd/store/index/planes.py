"""Work on planes: which rows of a chunk a condition holds for.

Rows are marked in one large integer with a byte for each row, the first row's lowest, that is 1 where the condition
holds: `&`, `|` and `bit_count` then work on thousands of rows at once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import Any

SPARSE = 50
"""One row in so many, or fewer, are looked for rather than passed by."""


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


# Spreads --------------------------------------------------------------------------------------------------------------


def runs(spread: bytes) -> tuple[array[int], array[int]]:
    """From which row on up to which one each entry goes."""
    numbers = array("I", spread)
    numbers.byteswap()
    half = len(numbers) // 2
    return numbers[:half], numbers[half:]


def spread_marks(spread: bytes, marks: int, count: int) -> int:
    """The rows of the entries that are marked; `count` is that of the rows."""
    if not marks:
        return 0
    firsts, ends = runs(spread)
    flags = bytearray(count)
    for first, end in zip(chosen(firsts, marks, len(firsts)), chosen(ends, marks, len(ends)), strict=True):
        if end - first == 1:
            flags[first] = 1
        else:
            flags[first:end] = b"\1" * (end - first)
    return int.from_bytes(flags, "little")


def entries_at(spread: bytes, rows: Sequence[int]) -> list[int | None]:
    """The entry of each of these rows; None for one in no run."""
    firsts, ends = runs(spread)
    found = [bisect_right(firsts, row) - 1 for row in rows]
    return [entry if entry >= 0 and row < ends[entry] else None for row, entry in zip(rows, found, strict=True)]


def spread_chosen(spread: bytes, values: Sequence[Any], marks: int, count: int) -> list[Any] | None:
    """The values of the marked rows, all of which have one; None where a run is longer than a row."""
    firsts, ends = runs(spread)
    if sum(ends) - sum(firsts) != len(firsts) or len(firsts) < 2:
        return None
    return list(compress(values, itemgetter(*firsts)(marks.to_bytes(count, "little"))))


def spread_values(spread: bytes, values: Sequence[Any], fill: Any, count: int) -> list[Any]:
    """For each row the value of its entry, or what is filled in."""
    rows = [fill] * count
    for first, end, value in zip(*runs(spread), values, strict=True):
        rows[first:end] = [value] * (end - first)
    return rows


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
                here = int.from_bytes(more.translate(only(high)), "little")
                if here:
                    found |= here & int.from_bytes(body.translate(table), "little")
        return found

    def __contains__(self, code: int) -> bool:
        high, low = divmod(code, 256)
        return high < len(self._tables) and self._tables[high][low] == 1


@lru_cache(maxsize=256)
def only(byte: int) -> bytes:
    """A table that tells one byte from all others."""
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
    least = compares(low, op, value)
    return least if least == compares(high, op, value) else None


def compares(left: Any, op: str, right: Any) -> bool:
    """Is one so to another?"""
    if op == "gt":
        return bool(left > right)
    if op == "gte":
        return bool(left >= right)
    return bool(left < right) if op == "lt" else bool(left <= right)
