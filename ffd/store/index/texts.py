"""Planes of texts: all of a chunk's in one row of bytes, between marks."""

from __future__ import annotations

from ffd.store.index.finding import Search
from ffd.store.index.planes import SPARSE, all_of, marked

_IDENTITY = bytes(range(256))
_LOWER = bytes(byte + 32 if 0x41 <= byte <= 0x5A else byte for byte in _IDENTITY)
HITS_TRIED = 32
"""After so many hits it is known how many of the rows have one."""
HITS_OF_ROW = 2
BEFORE, AFTER, FOUND = b"\xff", b"\xfe", b"\xfd"
"""What stands before and after each text of a plane, and in a copy where something was found: no UTF-8 has them."""
_ALL_BUT_MARKS = bytes(byte for byte in _IDENTITY if byte not in BEFORE + FOUND)


def split_texts(body: bytes) -> list[bytes]:
    """The texts of a plane."""
    return body[1:-1].split(AFTER + BEFORE)


def texts_marked(body: bytes, count: int, part: str, text: bytes, *, caseless: bool, width: int | None = None) -> int:
    """The rows whose text is (`eq`), `contains`, `starts_with` or `ends_with` another, which is folded if caseless.

    `width` is that of all texts, if it is one.
    """
    if not text and part != "eq":
        return all_of(count)
    if caseless:
        body = body.translate(_LOWER)
    needle = BEFORE * (part in ("eq", "starts_with")) + text + AFTER * (part in ("eq", "ends_with"))
    flags, row, seen = bytearray(count), -1, 0
    search = Search(body, needle)
    for at in search:
        row = row + body.count(BEFORE, seen, at + 1) if width is None else at // (width + 2)
        flags[row] = 1
        # On to the next row.
        search.jump = seen = body.find(AFTER, at + len(needle) - 1) + 1
        if search.hits >= HITS_TRIED and search.hits * SPARSE > row:
            return _many_marked(body, needle)
    return int.from_bytes(flags, "little")


def _many_marked(body: bytes, needle: bytes) -> int:
    """By passes over the plane that cost the same for most numbers of hits: all that is left is a byte for each row."""
    if body.count(needle) > HITS_OF_ROW * body.count(BEFORE):
        # They have it several times, each of which would need a pass.
        return marked([needle in text + AFTER for text in body.split(AFTER)[:-1]])
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
