"""Planes of ids and hashes: bytes of one width, of which parts of their digits may be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ffd.store.index.finding import HITS, Search
from ffd.store.index.planes import all_of, compares, marked, only

UUID_DASHES = (8, 13, 18, 23)
TIED_SHARE = 8
"""Rows whose deciding byte is that of the value compared with are looked at one by one, up to this part of all."""
Spot = tuple[int, str]
"""A place among the digits, and what is to stand there."""


def bytes_equal(body: bytes, width: int, value: bytes) -> int:
    """The rows that are `value`."""
    flags = bytearray(len(body) // width)
    search = Search(body, value)
    for at in search:
        if at % width == 0:
            flags[at // width] = 1
            search.jump = at + width
    return int.from_bytes(flags, "little")


def common_lead(low: bytes, high: bytes) -> int:
    """How many bytes all values between two begin with; the last byte is not one of them."""
    pairs = enumerate(zip(low[:-1], high[:-1], strict=True))
    return next((at for at, (one, other) in pairs if one != other), len(low) - 1)


def bytes_compared(body: bytes, width: int, op: str, value: bytes) -> int:
    """The rows that are greater, less, or so and equal; the first byte decides most of them."""
    lead = body[::width]
    upwards = op in ("gt", "gte")
    table = bytes([byte > value[0] if upwards else byte < value[0] for byte in range(256)])
    decided = int.from_bytes(lead.translate(table), "little")
    tied = lead.translate(only(value[0]))
    if tied.count(1) * TIED_SHARE > len(lead):
        rows = [body[at : at + width] for at in range(0, len(body), width)]
        return marked([compares(row, op, value) for row in rows])
    flags = bytearray(len(lead))
    row = tied.find(1)
    while row >= 0:
        flags[row] = compares(body[row * width : row * width + width], op, value)
        row = tied.find(1, row + 1)
    return decided | int.from_bytes(flags, "little")


def prefix_range(width: int, digits: str) -> tuple[bytes, bytes]:
    """The least and the greatest id or hash that starts so."""
    return bytes.fromhex(digits.ljust(2 * width, "0")), bytes.fromhex(digits.ljust(2 * width, "f"))


def spots(width: int, part: str, text: str) -> list[Spot]:
    """Where among the digits of an id or hash which digits must stand, for its text to have `text` so.

    `part` is `contains`, `starts_with` or `ends_with`. The digits are the same at every place.
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


def behind_lead(lead: bytes, places: Sequence[Spot]) -> list[Spot] | None:
    """What must stand where behind the digits that all rows begin with; None when these have what is asked for."""
    if not lead:
        return list(places)
    known, left = lead.hex(), []
    for place, text in places:
        inside = known[place : place + len(text)]
        if text.startswith(inside):
            if len(inside) == len(text):
                return None
            left.append((max(0, place - len(known)), text[len(inside) :]))
    return left


@dataclass(frozen=True, slots=True)
class _Needle:
    """One text at `places` that all begin with a whole byte, or none: its whole bytes are looked for at `starts`.

    `before` and `after` are the digits beside them, of which others have the rest of a byte.
    """

    places: tuple[Spot, ...]
    whole: bytes
    starts: frozenset[int]
    before: int | None
    after: int | None


def bytes_holding(body: bytes, width: int, places: Sequence[Spot]) -> int:
    """The rows in whose digits one of the texts stands at its place."""
    found = 0
    for needle in _needles(tuple(places)):
        found |= _by_columns(body, width, needle.places) if len(needle.whole) < 2 else _holding(body, width, needle)
    return found


@lru_cache(maxsize=64)
def _needles(places: tuple[Spot, ...]) -> list[_Needle]:
    found = []
    for text, odd in sorted({(text, place % 2) for place, text in places}):
        mine = tuple(spot for spot in places if spot[1] == text and spot[0] % 2 == odd)
        whole = text[odd : odd + (len(text) - odd) // 2 * 2]
        after = text[odd + len(whole) :]
        starts = frozenset([(place + odd) // 2 for place, _ in mine])
        before = int(text[0], 16) if odd else None
        found.append(_Needle(mine, bytes.fromhex(whole), starts, before, int(after, 16) if after else None))
    return found


def _holding(body: bytes, width: int, needle: _Needle) -> int:
    starts, before, after, length = needle.starts, needle.before, needle.after, len(needle.whole)
    flags = bytearray(len(body) // width)
    search = Search(body, needle.whole, after)
    for at in search:
        if search.hits > HITS:
            return _by_columns(body, width, needle.places)
        row, column = divmod(at, width)
        if column not in starts or (before is not None and body[at - 1] & 15 != before):
            continue
        # In the row, or its place would be another.
        if after is not None and body[at + length] >> 4 != after:
            continue
        flags[row] = 1
        search.jump = (row + 1) * width
    return int.from_bytes(flags, "little")


def _by_columns(body: bytes, width: int, places: Sequence[Spot]) -> int:
    """Byte by byte: what it costs does not depend on how many rows there are to find."""
    full, found = all_of(len(body) // width), 0
    columns: dict[int, bytes] = {}
    for place, text in places:
        here, pattern = full, "?" * (place % 2) + text + "?" * ((place + len(text)) % 2)
        for pair in range(0, len(pattern), 2):
            column = (place + pair) // 2
            if column not in columns:
                columns[column] = body[column::width]
            here &= int.from_bytes(columns[column].translate(_having(pattern[pair : pair + 2])), "little")
            if not here:
                break
        found |= here
        if found == full:
            break
    return found


@lru_cache(maxsize=256)
def _having(pair: str) -> bytes:
    """A table that tells the bytes of two digits from all others; `?` is any digit."""
    all_bytes = [f"{byte:02x}" for byte in range(256)]
    return bytes([pair[0] in ("?", byte[0]) and pair[1] in ("?", byte[1]) for byte in all_bytes])
