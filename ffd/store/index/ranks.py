"""The order of a chunk's long texts: which rows are less or greater than a text, or begin with it, and which lead."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from ffd.store.index.layout import RANKED_CHARS
from ffd.store.index.planes import all_of, positions
from ffd.store.transaction import Transaction

GREATEST = chr(0x10FFFF) * (RANKED_CHARS + 1)
"""Greater than whatever is ranked."""
FULL_SHARE = 16
"""Up to one row in so many may be missing of a chunk for it to be taken as full."""
FEW_TIMES = 3
"""Rows are chosen more narrowly when there are so many times as many as are wanted."""


class Fence(NamedTuple):
    """Some 256 rows that follow each other: so many come before them, all less than `text`, and they are not."""

    bucket: int
    before: int
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Rows for which something is true, and rows that have to be looked at."""

    found: int
    doubtful: int


class Ranks:
    """The ranks of a chunk's rows; texts are compared by as many characters as are ranked."""

    def __init__(self, tx: Transaction, place: int, count: int, same: str | None = None) -> None:
        """`same` is the text of all rows, if they have one."""
        self.count = count
        self._tx = tx
        self._place = place
        if same is None:
            said = tx.value("SELECT fences FROM search.ranks WHERE place = ?", (place,))
            self.fences = msgspec.json.decode(said, type=list[Fence])
        else:
            self.fences = [Fence(0, 0, same)]
        self._texts = [fence.text for fence in self.fences]
        self._high: bytes | None = None

    def compared(self, op: str, text: str, greatest: str) -> Said:
        """`eq`, or an order. What is so by its beginning, and what that leaves open; none is beyond `greatest`."""
        at = self._at(text) if text[:RANKED_CHARS] <= greatest else len(self.fences)
        doubtful = self.between(at, at + 1)
        if op == "eq":
            return Said(0, doubtful)
        return Said(self.between(0, at) if op in ("lt", "lte") else self.between(at + 1, len(self.fences)), doubtful)

    def starting(self, text: str, greatest: str) -> Said:
        """What begins so; none is beyond `greatest`."""
        lead = text[:RANKED_CHARS]
        first = last = self._at(text)
        while last + 1 < len(self._texts) and self._texts[last + 1].startswith(lead):
            last += 1
        if len(text) > RANKED_CHARS:
            return Said(0, self.between(first, last + 1))
        if last == len(self.fences) - 1 and greatest.startswith(text):
            last += 1
        inside = first if first >= 0 and self._texts[first].startswith(text) else first + 1
        return Said(self.between(inside, last), self.between(first, inside) | self.between(last, last + 1))

    def _at(self, text: str) -> int:
        """The bucket in which a text would be; -1 before the first."""
        return bisect_right(self._texts, text[:RANKED_CHARS]) - 1

    def between(self, first: int, end: int) -> int:
        """The rows of buckets from one on up to another."""
        first = max(first, 0)
        if first >= end:
            return 0
        if first == 0 and end == len(self.fences):
            return all_of(self.count)
        if self._high is None:
            self._high = self._tx.value("SELECT high FROM search.ranks WHERE place = ?", (self._place,))
        table = bytearray(256)
        for fence in self.fences[first:end]:
            table[fence.bucket] = 1
        return int.from_bytes(self._high.translate(bytes(table)), "little")

    def first(self, here: int, wanted: int, *, down: bool) -> int:
        """Of the marked rows at least the first that are wanted, and what equals the last of these."""
        buckets = self._buckets_for(here, wanted, down=down)
        sure = here & self._end(buckets - 1, down=down)
        return sure | self._some(here & self._end(buckets, down=down) & ~sure, wanted - sure.bit_count(), down=down)

    def _buckets_for(self, here: int, wanted: int, *, down: bool) -> int:
        """From one end so many buckets have the rows that are wanted; one at least."""
        missing = self.count - here.bit_count()
        if missing * FULL_SHARE <= self.count:
            # Nearly all are marked: how many there are in all tells enough.
            rows = [self.count - fence.before for fence in reversed(self.fences)] if down else self._up
            return min(bisect_left(rows, wanted + missing) + 1, len(rows))
        low, high = 1, len(self.fences)
        while low < high:
            middle = (low + high) // 2
            if (here & self._end(middle, down=down)).bit_count() >= wanted:
                high = middle
            else:
                low = middle + 1
        return low

    @property
    def _up(self) -> list[int]:
        return [*(fence.before for fence in self.fences[1:]), self.count]

    def _end(self, buckets: int, *, down: bool) -> int:
        """So many buckets from one end."""
        size = len(self.fences)
        return self.between(size - buckets, size) if down else self.between(0, min(buckets, size))

    def _some(self, here: int, wanted: int, *, down: bool) -> int:
        """The first rows of one bucket."""
        if wanted <= 0:
            return 0
        rows = positions(here, self.count)
        if len(rows) <= wanted:
            return here
        low: bytes | None = self._tx.value("SELECT low FROM search.ranks WHERE place = ?", (self._place,))
        if low is None:
            return here
        # In one bucket, the low byte is the order.
        last = sorted([low[row] for row in rows], reverse=down)[wanted - 1]
        flags = bytearray(self.count)
        for row in rows:
            flags[row] = low[row] >= last if down else low[row] <= last
        return int.from_bytes(flags, "little")

    def bounds(self, here: int, wanted: int, *, down: bool) -> Iterator[tuple[str, int]]:
        """Bucket by bucket up to the wanted rows: a text, and how many more marked rows are on this side of it.

        Going up, rows are less than the text; going down, no less.
        """
        full = here.bit_count() == self.count
        ends = [0, *self._up]
        above = [*self._texts[1:], GREATEST]
        seen = 0
        for at in reversed(range(len(self.fences))) if down else range(len(self.fences)):
            more = ends[at + 1] - ends[at] if full else (here & self.between(at, at + 1)).bit_count()
            yield (self._texts[at] if down else above[at]), more
            seen += more
            if seen >= wanted:
                return

    def within(self, bound: str, *, down: bool) -> int:
        """The rows that may be beyond a bound, and some more of their buckets."""
        size = len(self._texts)
        if down:
            return self.between(bisect_right(self._texts, bound) - 1, size)
        return self.between(0, bisect_left(self._texts, bound))


def first_of_all(chunks: Sequence[tuple[Ranks, int]], wanted: int, *, down: bool) -> list[int]:
    """Of the marked rows of chunks at least the first that are wanted, chunk by chunk."""
    found = [here and ranks.first(here, wanted, down=down) for ranks, here in chunks]
    if sum(here.bit_count() for here in found) <= FEW_TIMES * wanted:
        return found
    bounds = [bound for ranks, here in chunks if here for bound in ranks.bounds(here, wanted, down=down)]
    seen, limit = 0, None
    for bound, more in sorted(bounds, reverse=down):
        seen += more
        if seen >= wanted:
            limit = bound
            break
    if limit is None:
        return found
    return [here and here & ranks.within(limit, down=down) for here, (ranks, _) in zip(found, chunks, strict=True)]
