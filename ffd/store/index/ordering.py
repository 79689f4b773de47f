"""The first rows of an order, of those that a condition holds for, without sorting them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, repeat
from operator import itemgetter
from typing import Any

from ffd.model.query import Sort
from ffd.store.index.digits import common_lead
from ffd.store.index.layout import SEQUENCE, Field, Form
from ffd.store.index.planes import CodeSet, positions
from ffd.store.index.ranks import first_of_all
from ffd.store.index.reader import Reader, Zone

SPARE_ROWS = 300
"""So many more rows than were asked for may be handed on, for the database to sort: cheaper than to look again."""

BYTES_JUDGED = 3
"""So many bytes of ids, hashes and numbers are looked at to tell which rows come first."""

Marks = Callable[[int], int]


@dataclass(slots=True)
class Taken:
    """Rows that were found, by chunk."""

    marks: dict[int, int]

    def add(self, chunk: int, marks: int) -> None:
        self.marks[chunk] = self.marks.get(chunk, 0) | marks


@dataclass(slots=True)
class Rows:
    """The sequences of rows, and what each has in the fields of an order, if these are numbers or times."""

    sequences: list[int]
    keys: list[tuple[int | None, ...]] | None


def first_rows(reader: Reader, marks: Marks, order: Sequence[Sort], wanted: int) -> Rows:
    """At least the first `wanted` marked rows of an order, in no order; all, if there are fewer.

    The order ends with the sequence, so that no two rows are equal in it.
    """
    taken = Taken({})
    _take(reader, marks, list(reader.counts), order, wanted, taken)
    return _rows_of(reader, taken.marks, order)


def all_rows(reader: Reader, marks: Marks, order: Sequence[Sort]) -> Rows:
    """All marked rows."""
    return _rows_of(reader, {chunk: marks(chunk) for chunk in reader.counts}, order)


def _rows_of(reader: Reader, marks: dict[int, int], order: Sequence[Sort]) -> Rows:
    fields = [reader.held.fields[step.field] for step in order]
    known = all(field.form is Form.NUMBERS for field in fields)
    found = Rows([], [] if known else None)
    for chunk, here in marks.items():
        if not here:
            continue
        places = positions(here, reader.counts[chunk])
        found.sequences += reader.values_at(reader.held.fields[SEQUENCE], reader.zones(SEQUENCE)[chunk], here, places)
        if found.keys is not None:
            found.keys += zip(*[reader.numbers_at(field, chunk, here, places) for field in fields], strict=True)
    return found


def _take(
    reader: Reader, marks: Marks, chunks: Iterable[int], order: Sequence[Sort], wanted: int, taken: Taken
) -> None:
    """Mark in `taken` at least the first `wanted` rows of an order."""
    step, field = order[0], reader.held.fields[order[0].field]
    zones = [reader.zones(step.field)[chunk] for chunk in chunks]
    nulls_lead = step.nulls_first or not step.descending
    forms = {zone.form for zone in zones}
    if field.form is Form.CODES and forms <= {Form.SAME, Form.CODES}:
        return _by_codes(reader, marks, zones, order, wanted, taken)
    groups = [_by_all if forms & {Form.TEXTS, Form.CODES} else _by_values]
    if field.form is Form.LONG:
        groups = [_by_ranks]
    groups.insert(0 if nulls_lead else 1, _nulls)
    for group in groups:
        if wanted > 0:
            wanted -= group(reader, marks, zones, order, wanted, taken)


def _nulls(
    reader: Reader, marks: Marks, zones: Sequence[Zone], order: Sequence[Sort], wanted: int, taken: Taken
) -> int:
    field = reader.held.fields[order[0].field]
    absent = [zone for zone in zones if zone.absent]
    if not absent:
        return 0
    found = {zone.chunk: marks(zone.chunk) & reader.null_marks(field, zone) for zone in absent}
    return _take_group(reader, found, order, wanted, taken)


def _take_group(reader: Reader, found: dict[int, int], order: Sequence[Sort], wanted: int, taken: Taken) -> int:
    """Take rows that are equal in the first step of the order: all, or the first ones by the other steps."""
    count = sum(here.bit_count() for here in found.values())
    if count <= wanted + SPARE_ROWS or len(order) == 1:
        for chunk, here in found.items():
            taken.add(chunk, here)
    else:
        some = [chunk for chunk, here in found.items() if here]
        _take(reader, found.__getitem__, some, order[1:], wanted, taken)
    return count


# By codes -------------------------------------------------------------------------------------------------------------


def _by_codes(
    reader: Reader, marks: Marks, zones: Sequence[Zone], order: Sequence[Sort], wanted: int, taken: Taken
) -> None:
    """Value by value of the dictionary, in their order: some at once, fewer when these are too many."""
    step, field = order[0], reader.held.fields[order[0].field]
    known = reader.dictionary(field)
    # A value that all rows of a chunk have may be unknown to the dictionary.
    extra = {zone.low for zone in zones if zone.form is Form.SAME} - set(known.values())
    values = sorted({*known.values(), *extra} - {None}, key=_rank, reverse=step.descending)
    values.insert(0 if step.nulls_first or not step.descending else len(values), None)
    codes = {value: code for code, value in known.items()}
    at, some = 0, 1
    while wanted > 0 and at < len(values):
        group = values[at : at + some]
        found = _having(reader, marks, zones, field, group, codes, len(known))
        count = sum(here.bit_count() for here in found.values())
        if count <= wanted + SPARE_ROWS:
            for chunk, here in found.items():
                taken.add(chunk, here)
            wanted -= count
            at += len(group)
            some *= 4
        elif len(group) == 1:
            wanted -= _take_group(reader, found, order, wanted, taken)
            at += 1
        else:
            some = len(group) // 4 or 1


def _rank(value: Any) -> tuple[int, Any]:
    """SQLite's order of values: numbers before texts."""
    return (1, value) if isinstance(value, str) else (0, value)


def _having(
    reader: Reader, marks: Marks, zones: Sequence[Zone], field: Field, values: Sequence[Any],
    codes: dict[Any, int], size: int,
) -> dict[int, int]:  # fmt: skip
    asked = CodeSet([codes[value] for value in values if value in codes], size)
    same = set(values)
    found = {}
    for zone in zones:
        here = marks(zone.chunk)
        if zone.form is Form.SAME:
            here = here if zone.low in same else 0
        elif here:
            here &= reader.code_marks(field, zone, asked)
        if here:
            found[zone.chunk] = here
    return found


# By values ------------------------------------------------------------------------------------------------------------


def _by_values(
    reader: Reader, marks: Marks, zones: Sequence[Zone], order: Sequence[Sort], wanted: int, taken: Taken
) -> int:
    """Chunk by chunk, those first that may have the first values, until none may have better ones than were found."""
    step, field = order[0], reader.held.fields[order[0].field]
    down = step.descending
    found = _Best(wanted, down)
    present = [zone for zone in zones if zone.low is not None]
    for zone in sorted(present, key=lambda zone: _edge(zone, field, down), reverse=down):
        if found.refuses(_edge(zone, field, down)):
            break
        here = marks(zone.chunk)
        if here:
            if zone.absent:
                here &= ~reader.null_marks(field, zone)
            found.add(zone.chunk, *_narrowed(reader, field, zone, here, found))
    return _take_best(reader, found, order, wanted, taken)


def _by_all(
    reader: Reader, marks: Marks, zones: Sequence[Zone], order: Sequence[Sort], wanted: int, taken: Taken
) -> int:
    """All chunks: texts and codes have no zones."""
    field = reader.held.fields[order[0].field]
    found = _Best(wanted, order[0].descending)
    for zone in zones:
        here = marks(zone.chunk)
        if here:
            here &= ~reader.null_marks(field, zone)
            rows = positions(here, zone.count)
            values = (reader.texts_at if field.kind.textual else reader.values_at)(field, zone, here, rows)
            found.add(zone.chunk, values, rows)
    return _take_best(reader, found, order, wanted, taken)


def _by_ranks(
    reader: Reader, marks: Marks, zones: Sequence[Zone], order: Sequence[Sort], wanted: int, taken: Taken
) -> int:
    """Long texts, chunk by chunk: rows that are equal as far as they are ranked are all taken."""
    field, down = reader.held.fields[order[0].field], order[0].descending
    chunks = [(zone, marks(zone.chunk) & ~reader.null_marks(field, zone)) for zone in zones if zone.absent < zone.count]
    ranked = [(reader.ranks(field, zone), here) for zone, here in chunks if here]
    found = first_of_all(ranked, wanted, down=down)
    for (zone, _), here in zip([each for each in chunks if each[1]], found, strict=True):
        taken.add(zone.chunk, here)
    return sum(here.bit_count() for _, here in chunks)


def _edge(zone: Zone, field: Field, down: bool) -> Any:
    """The best value that a chunk may have."""
    value = zone.high if down else zone.low
    return bytes.fromhex(value.replace("-", "")) if isinstance(value, str) else value


def _narrowed(reader: Reader, field: Field, zone: Zone, here: int, found: _Best) -> tuple[list[Any], list[int]]:
    """The values and places of a chunk's rows, less those that are known to come too late."""
    if zone.form is Form.SAME:
        rows = positions(here, zone.count)
        return [_edge(zone, field, found.down)] * len(rows), rows
    if here.bit_count() > found.wanted:
        if zone.form is Form.NUMBERS and zone.spread:
            here = _first_by_runs(reader, field, zone, here, found)
        elif zone.form in (Form.BYTES, Form.NUMBERS) and not zone.spread:
            here = _first_by_bytes(reader, field, zone, here, found)
    rows = positions(here, zone.count)
    return reader.values_at(field, zone, here, rows), rows


def _first_by_runs(reader: Reader, field: Field, zone: Zone, here: int, found: _Best) -> int:
    """Of the marked rows of a plane of runs at least the first that are wanted, and all that equal the last of them."""
    flags, kept = here.to_bytes(zone.count, "little"), bytearray(zone.count)
    taken, last = 0, None
    for value, first, end in sorted(reader.runs(field, zone), key=itemgetter(0), reverse=found.down):
        if (taken >= found.wanted and value != last) or found.refuses(value):
            break
        count = flags.count(1, first, end)
        if count:
            taken, last = taken + count, value
            kept[first:end] = flags[first:end]
    return int.from_bytes(kept, "little")


def _as_bytes(value: Any) -> bytes | None:
    """Ids, hashes and numbers that are not negative: bytes have the same order."""
    if isinstance(value, int):
        return value.to_bytes(8, "big") if value >= 0 else None
    return value if value is None or isinstance(value, bytes) else bytes.fromhex(value.replace("-", ""))


def _first_by_bytes(reader: Reader, field: Field, zone: Zone, here: int, found: _Best) -> int:
    """Of the marked rows at least the first that are wanted, judged byte by byte until few too many are left.

    Of those that are beyond the limit, if it is known, as few as these bytes tell.
    """
    low, high, last_value = (_as_bytes(value) for value in (zone.low, zone.high, found.limit))
    if not low or not high:
        return here
    lead, body = common_lead(low, high), reader.body(field, zone.chunk)
    # An id or a hash is stored without what all of the plane begin with.
    column, width = (0, len(low) - lead) if zone.form is Form.BYTES else (lead, len(low))
    limit = last_value[lead:] if last_value and last_value.startswith(low[:lead]) else b""
    taken, wanted = 0, found.wanted
    for at in range(column, min(column + BYTES_JUDGED, width)):
        if here.bit_count() <= wanted + SPARE_ROWS:
            break
        values = body[at::width]
        last = _step(limit[0], found.down) if limit else _last_wanted(values, here, wanted, found.down)
        before = _up_to(values, here, last - 1, found.down) if last else 0
        taken |= before
        wanted = max(wanted - before.bit_count(), 1)
        here = _up_to(values, here, last, found.down) & ~before
        limit = limit[1:]
    return taken | here


def _last_wanted(values: bytes, here: int, wanted: int, down: bool) -> int:
    """The step up to which there are as many rows as are wanted; steps count from the first byte of the order."""
    low, high = 0, 255
    while low < high:
        middle = (low + high) // 2
        if _up_to(values, here, middle, down).bit_count() >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def _step(byte: int, down: bool) -> int:
    return 255 - byte if down else byte


def _up_to(values: bytes, here: int, step: int, down: bool) -> int:
    return here & int.from_bytes(values.translate(_steps_to(step, down)), "little")


@lru_cache(maxsize=512)
def _steps_to(step: int, down: bool) -> bytes:
    return bytes([_step(byte, down) <= step for byte in range(256)])


class _Best:
    """The best `wanted` rows so far by one value, and those that equal the last of them."""

    def __init__(self, wanted: int, down: bool) -> None:
        self.wanted = wanted
        self.down = down
        self.limit: Any = None
        """The value of the last wanted row, once there are enough."""
        self.rows: list[tuple[Any, int, int]] = []
        """Value, chunk, position."""

    def refuses(self, edge: Any) -> bool:
        """Are all values from `edge` on worse than what is here?"""
        return self.limit is not None and bool(edge < self.limit if self.down else edge > self.limit)

    def add(self, chunk: int, values: Sequence[Any], places: Sequence[int]) -> None:
        """Look at rows of a chunk, by their values and places."""
        limit = self.limit
        if limit is None and len(values) > self.wanted:
            limit = sorted(values, reverse=self.down)[self.wanted - 1]
        if limit is not None:
            kept = list(map(limit.__le__ if self.down else limit.__ge__, values))
            values, places = list(compress(values, kept)), list(compress(places, kept))
        self.rows += zip(values, repeat(chunk), places)
        if len(self.rows) > self.wanted:
            self.rows.sort(key=itemgetter(0), reverse=self.down)
            limit = self.limit = self.rows[self.wanted - 1][0]
            end = self.wanted
            while end < len(self.rows) and self.rows[end][0] == limit:
                end += 1
            del self.rows[end:]


def _take_best(reader: Reader, found: _Best, order: Sequence[Sort], wanted: int, taken: Taken) -> int:
    better = [row for row in found.rows if row[0] != found.limit]
    tied = [row for row in found.rows if row[0] == found.limit]
    for chunk, here in _marks_of(reader, better).items():
        taken.add(chunk, here)
    if tied:
        _take_group(reader, _marks_of(reader, tied), order, wanted - len(better), taken)
    return len(found.rows)


def _marks_of(reader: Reader, rows: Sequence[tuple[Any, int, int]]) -> dict[int, int]:
    flags: dict[int, bytearray] = {}
    for _, chunk, row in rows:
        if chunk not in flags:
            flags[chunk] = bytearray(reader.counts[chunk])
        flags[chunk][row] = 1
    return {chunk: int.from_bytes(each, "little") for chunk, each in flags.items()}
