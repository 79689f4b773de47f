"""One collection of the index as a query reads it: its chunks, and which of their rows a condition holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from ffd.model.ids import format_uuid
from ffd.model.query import Condition, Group, Kind
from ffd.store.index.digits import (
    behind_lead,
    bytes_compared,
    bytes_equal,
    bytes_holding,
    common_lead,
    prefix_range,
    spots,
)
from ffd.store.index.layout import CHUNK_BITS, NAMESPACE, SEQUENCE, Field, Form, Held
from ffd.store.index.longs import LongTexts
from ffd.store.index.matching import ORDERS, folded, parts_of, raw_id, test_of
from ffd.store.index.planes import (
    SPARSE,
    CodeSet,
    all_of,
    chosen,
    entries_at,
    integers,
    marked,
    numbers_marked,
    runs,
    spread_chosen,
    spread_marks,
    spread_values,
    zone_says,
)
from ffd.store.index.ranks import Ranks
from ffd.store.index.texts import split_texts, texts_compared, texts_marked
from ffd.store.namespaces import EVERYWHERE
from ffd.store.transaction import Transaction

_HEX = frozenset("0123456789abcdef")
_COSTS = {Form.SAME: 0, Form.CODES: 0, Form.NUMBERS: 1, Form.BYTES: 2, Form.TEXTS: 3, Form.LONG: 4}
MANY = 10
"""One row in so many, or more, are read with all that a spread plane has."""
Marker = Callable[["Zone", int], int]
"""Marks the rows of a chunk, given its zone of a field; what it says of rows outside of some others does not matter."""
Marks = Callable[[int, int], int]
"""The same for a chunk."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What is known of a plane without its bytes: `absent` rows have no value, and the body has so many `entries`."""

    chunk: int
    count: int
    form: Form
    low: Any
    high: Any
    absent: int
    entries: int
    spread: bool

    @property
    def lead(self) -> bytes:
        """The bytes that all of a plane's ids or hashes begin with, and its entries go without."""
        lead: bytes = self.low[: common_lead(self.low, self.high)]
        return lead


class Reader:
    """Reads the planes of one collection within one transaction; `namespace` is the one that is asked of."""

    def __init__(self, tx: Transaction, held: Held, namespace: int, changes: int) -> None:
        self.held = held
        self._tx = tx
        self._zones: dict[str, dict[int, Zone]] = {}
        self._dictionaries: dict[str, dict[int, Any]] = {}
        self._last = (-1, b"")
        rows = tx.execute("SELECT chunk, count FROM search.chunks WHERE collection = ?", (held.number,))
        self.counts: dict[int, int] = dict(list(rows))
        self._dead = self._find_dead()
        self._changed = self._find_changed(changes)
        everywhere = held.collection.spans and namespace == EVERYWHERE
        self._here = self._marker(Condition("gte" if everywhere else "eq", NAMESPACE, namespace))

    def _find_dead(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for chunk, position in self._tx.execute(
            "SELECT chunk, position FROM search.dead WHERE collection = ?", (self.held.number,)
        ):
            found.setdefault(chunk, []).append(position)
        return found

    def _find_changed(self, changes: int) -> frozenset[int]:
        rows = self._tx.execute(
            "SELECT sequence FROM search_changes WHERE change > ? AND collection = ?",
            (changes, self.held.collection.name),
        )
        return frozenset(row[0] for row in rows)

    # Planes ------------------------------------------------------------------------------------------------------

    def zones(self, name: str) -> dict[int, Zone]:
        """The zones of a field, by chunk."""
        found = self._zones.get(name)
        if found is None:
            place = self.held.fields[name].place
            rows = self._tx.execute(
                "SELECT place, form, low, high, absent, entries, spread IS NOT NULL FROM search.planes "
                "WHERE place BETWEEN ? AND ?",
                (place, place | (1 << CHUNK_BITS) - 1),
            )
            found = self._zones[name] = {}
            for at, form, *rest in rows:
                chunk = at - place
                found[chunk] = Zone(chunk, self.counts[chunk], Form(form), *rest)
        return found

    def body(self, field: Field, chunk: int) -> bytes:
        """The bytes of a plane that has some; those of the last one are kept."""
        place = field.place + chunk
        if place != self._last[0]:
            self._last = place, self._tx.long_value("search", "planes", "body", place)
        return self._last[1]

    def codes(self, field: Field, chunk: int) -> tuple[bytes, bytes | None]:
        """The low and the high bytes of the codes of a plane."""
        row = self._tx.one("SELECT body, more FROM search.planes WHERE place = ?", (field.place + chunk,))
        return (b"", None) if row is None else (row[0], row[1])

    def null_marks(self, field: Field, zone: Zone) -> int:
        """The rows without a value."""
        if zone.form is Form.SAME:
            return all_of(zone.count) if zone.low is None else 0
        if zone.form is Form.CODES:
            return self._code_marks(field, zone, CodeSet([0], zone.high + 1))
        if not zone.absent:
            return 0
        nulls = self._tx.value("SELECT nulls FROM search.planes WHERE place = ?", (field.place + zone.chunk,))
        return int.from_bytes(nulls, "little")

    def dictionary(self, field: Field) -> dict[int, Any]:
        """The values of a field by their codes; 0 is null."""
        found = self._dictionaries.get(field.name)
        if found is None:
            rows = self._tx.execute("SELECT code, value FROM search.dictionary WHERE field = ?", (field.place,))
            found = self._dictionaries[field.name] = {0: None, **dict(list(rows))}
        return found

    def values(self, field: Field, zone: Zone) -> Sequence[Any]:
        """All values of a plane: texts as bytes, numbers, or the bytes of ids and hashes.

        Null is None, zeros, or empty.
        """
        if zone.form is Form.SAME:
            return list(repeat(zone.low, zone.count))
        if zone.form is Form.CODES:
            known, (low, high) = self.dictionary(field), self.codes(field, zone.chunk)
            return [known.get(one + 256 * other) for one, other in zip(low, high or bytes(zone.count), strict=True)]
        values, fill = _entries(field, zone, self.body(field, zone.chunk))
        return spread_values(self._spread(field, zone), values, fill, zone.count) if zone.spread else values

    def values_at(self, field: Field, zone: Zone, marks: int, rows: Sequence[int]) -> list[Any]:
        """The values of the marked `rows` of a plane, as `values` has them: few are not looked for among all."""
        if zone.form is Form.SAME:
            return [zone.low] * len(rows)
        if zone.form is Form.CODES:
            known, (low, high) = self.dictionary(field), self.codes(field, zone.chunk)
            return [known.get(low[row] + 256 * high[row] if high else low[row]) for row in rows]
        body = self.body(field, zone.chunk)
        if len(rows) * (MANY if zone.spread else SPARSE) > zone.count:
            return self._many_at(field, zone, marks, body)
        entries: Sequence[int | None] = entries_at(self._spread(field, zone), rows) if zone.spread else rows
        if zone.form is Form.BYTES:
            lead, null = zone.lead, bytes(field.width)
            width = field.width - len(lead)
            return [null if at is None else lead + body[at * width : at * width + width] for at in entries]
        values, fill = _entries(field, zone, body)
        return [fill if at is None else values[at] for at in entries]

    def runs(self, field: Field, zone: Zone) -> Iterator[tuple[int, int, int]]:
        """The entries of a spread plane of numbers: a value, from which row on up to which one."""
        return zip(integers(self.body(field, zone.chunk)), *runs(self._spread(field, zone)), strict=True)

    def _many_at(self, field: Field, zone: Zone, marks: int, body: bytes) -> list[Any]:
        if zone.spread:
            found = spread_chosen(self._spread(field, zone), _entries(field, zone, body)[0], marks, zone.count)
            if found is not None and len(found) == marks.bit_count():
                return found
        return chosen(self.values(field, zone), marks, zone.count)

    def texts_at(self, field: Field, zone: Zone, marks: int, rows: Sequence[int]) -> list[bytes]:
        """The values of the marked `rows` of a plane as the bytes of their text; null is empty."""
        values = self.values_at(field, zone, marks, rows)
        if zone.form is Form.TEXTS:
            return values
        return [b"" if each is None else str(self._shown(each)).encode() for each in values]

    def ranks(self, field: Field, zone: Zone) -> Ranks:
        """The order of a chunk's long texts."""
        return Ranks(self._tx, field.place + zone.chunk, zone.count, zone.low if zone.form is Form.SAME else None)

    def numbers_at(self, field: Field, chunk: int, marks: int, rows: Sequence[int]) -> list[int | None]:
        """The numbers of the marked `rows` of a chunk; null is None."""
        zone = self.zones(field.name)[chunk]
        values = self.values_at(field, zone, marks, rows)
        if not zone.absent:
            return values
        nulls = self.null_marks(field, zone).to_bytes(zone.count, "little")
        return [None if nulls[row] else value for row, value in zip(rows, values, strict=True)]

    def sequences(self, chunk: int) -> Sequence[int]:
        """The sequences of a chunk's rows."""
        return self.values(self.held.fields[SEQUENCE], self.zones(SEQUENCE)[chunk])

    def _spread(self, field: Field, zone: Zone) -> bytes:
        spread: bytes = self._tx.value("SELECT spread FROM search.planes WHERE place = ?", (field.place + zone.chunk,))
        return spread

    def _rows(self, field: Field, zone: Zone, entries: int) -> int:
        """The marks of rows by those of a plane's entries."""
        if not zone.spread or not entries:
            return entries
        if entries == all_of(zone.entries):
            return all_of(zone.count) & ~self.null_marks(field, zone)
        return spread_marks(self._spread(field, zone), entries, zone.count)

    # Conditions --------------------------------------------------------------------------------------------------

    def matching(self, where: Condition | Group) -> Callable[[int], int]:
        """A function from a chunk to the marks of those of its rows that count, and for which `where` holds.

        It remembers them.
        """
        holds = self._node(where)
        known: dict[int, int] = {}

        def marks(chunk: int) -> int:
            found = known.get(chunk)
            if found is None:
                found = self._counting(chunk)
                if found:
                    found &= holds(chunk, found)
                known[chunk] = found
            return found

        return marks

    def _counting(self, chunk: int) -> int:
        marks = all_of(self.counts[chunk]) & self._here(self.zones(NAMESPACE)[chunk], 0)
        if chunk in self._dead:
            flags = bytearray(self.counts[chunk])
            for position in self._dead[chunk]:
                flags[position] = 1
            marks &= ~int.from_bytes(flags, "little")
        if self._changed:
            zone = self.zones(SEQUENCE)[chunk]
            if any(zone.low <= sequence <= zone.high for sequence in self._changed):
                marks &= ~marked(map(self._changed.__contains__, self.sequences(chunk)))
        return marks

    def _node(self, node: Condition | Group) -> Marks:
        if isinstance(node, Condition):
            marker, zones = self._marker(node), self.zones(node.field)
            return lambda chunk, within: marker(zones[chunk], within)
        children = [self._node(child) for child in sorted(node.conditions, key=self._cost)]
        return self._every(children) if node.op == "and" else self._any(children)

    def _cost(self, node: Condition | Group) -> int:
        if isinstance(node, Condition):
            return _COSTS[self.held.fields[node.field].form]
        return 1 + max([self._cost(child) for child in node.conditions], default=0)

    def _every(self, children: list[Marks]) -> Marks:
        def marks(chunk: int, within: int) -> int:
            found = within
            for child in children:
                found &= child(chunk, found)
                if not found:
                    break
            return found

        return marks

    def _any(self, children: list[Marks]) -> Marks:
        def marks(chunk: int, within: int) -> int:
            found, left = 0, within
            for child in children:
                found |= left & child(chunk, left)
                left = within & ~found
                if not left:
                    break
            return found

        return marks

    def _marker(self, condition: Condition) -> Marker:
        field = self.held.fields[condition.field]
        if field.form is Form.LONG:
            return self._long_marker(field, condition)
        test = test_of(condition, field.kind)
        codes = self._codes_for(field, test)
        wide = self._wide_marker(field, condition)

        def mark(zone: Zone, within: int) -> int:
            if zone.form is Form.SAME:
                return all_of(zone.count) if test(self._shown(zone.low)) else 0
            if zone.form is Form.CODES:
                return self._code_marks(field, zone, codes())
            if zone.form is Form.TEXTS:
                return self._text_marks(field, zone, condition, test)
            return wide(zone)

        return mark

    def _long_marker(self, field: Field, condition: Condition) -> Marker:
        texts = LongTexts(self._tx, self.held, field, condition)

        def mark(zone: Zone, within: int) -> int:
            if zone.form is Form.SAME:
                return all_of(zone.count) if texts.same(zone.low) else 0
            return texts.marks(zone.chunk, zone.count, zone.high, self.sequences, within)

        return mark

    def _shown(self, value: Any) -> Any:
        if not isinstance(value, bytes):
            return value
        return format_uuid(value) if len(value) == 16 else value.hex()

    def _codes_for(self, field: Field, test: Callable[[Any], bool]) -> Callable[[], CodeSet]:
        made: list[CodeSet] = []

        def codes() -> CodeSet:
            if not made:
                known = self.dictionary(field)
                made.append(CodeSet([code for code, value in known.items() if test(value)], len(known)))
            return made[0]

        return codes

    def code_marks(self, field: Field, zone: Zone, codes: CodeSet) -> int:
        """The rows of a plane of codes, or of one value, that are in a set of codes."""
        if zone.form is Form.SAME:
            code = next((code for code, value in self.dictionary(field).items() if value == zone.low), -1)
            return all_of(zone.count) if code >= 0 and code in codes else 0
        return self._code_marks(field, zone, codes)

    def _code_marks(self, field: Field, zone: Zone, codes: CodeSet) -> int:
        if codes.nobody:
            return 0
        if codes.everybody:
            return all_of(zone.count)
        return codes.marks(*self.codes(field, zone.chunk))

    def _text_marks(self, field: Field, zone: Zone, condition: Condition, test: Callable[[Any], bool]) -> int:
        body = self.body(field, zone.chunk)
        if field.kind in (Kind.UUID, Kind.HASH):
            # Spelt in a way that no id or hash has: nobody minds that these take their time.
            found = self._rows(field, zone, marked([test(text.decode()) for text in split_texts(body)]))
            nulls = self.null_marks(field, zone)
            return found & ~nulls | (nulls if test(None) else 0)
        found = self._rows(field, zone, _texts_found(body, zone.entries, condition))
        return found | self.null_marks(field, zone) if zone.spread and zone.absent and test(None) else found

    def _wide_marker(self, field: Field, condition: Condition) -> Callable[[Zone], int]:
        """For numbers, ids and hashes."""
        op, value = condition.op, condition.value
        if op in ("eq", "ieq", "neq", "nieq"):
            return self._equality_marker(field, op[0] == "n", value)
        if field.kind not in (Kind.UUID, Kind.HASH):
            return self._range_marker(field, op, value)
        if op in ORDERS:
            raw = raw_id(field.kind, str(value))
            return self._slow_marker(field, condition) if raw is None else self._range_marker(field, op, raw)
        return self._digits_marker(field, condition)

    def _present(self, field: Field, zone: Zone, marks: int) -> int:
        return marks & ~self.null_marks(field, zone) if marks and zone.absent else marks

    def _equality_marker(self, field: Field, negated: bool, value: Any) -> Callable[[Zone], int]:
        if field.kind in (Kind.UUID, Kind.HASH) and value is not None:
            value = raw_id(field.kind, str(value))
            if value is None:
                return lambda zone: self._present(field, zone, all_of(zone.count) if negated else 0)

        def mark(zone: Zone) -> int:
            if value is None:
                return self._present(field, zone, all_of(zone.count)) if negated else self.null_marks(field, zone)
            found = 0
            if zone_says(zone.low, zone.high, "eq", value) is not False:
                body = self.body(field, zone.chunk)
                if zone.form is Form.NUMBERS:
                    found = numbers_marked(body, "eq", value)
                else:
                    lead = len(zone.lead)
                    found = bytes_equal(body, field.width - lead, value[lead:])
                found = self._rows(field, zone, found)
            return self._present(field, zone, all_of(zone.count) & ~found if negated else found)

        return mark

    def _range_marker(self, field: Field, op: str, value: Any) -> Callable[[Zone], int]:
        def mark(zone: Zone) -> int:
            said = zone_says(zone.low, zone.high, op, value)
            if said is None:
                body = self.body(field, zone.chunk)
                if zone.form is Form.NUMBERS:
                    found = numbers_marked(body, op, value)
                else:
                    # Between the least and the greatest, and so of their lead too.
                    lead = len(zone.lead)
                    found = bytes_compared(body, field.width - lead, op, value[lead:])
                found = self._rows(field, zone, found)
            else:
                found = all_of(zone.count) if said else 0
            return self._present(field, zone, found)

        return mark

    def _digits_marker(self, field: Field, condition: Condition) -> Callable[[Zone], int]:
        part, negated, caseless = parts_of(condition.op)
        text = folded(str(condition.value)) if caseless else str(condition.value)
        places = [(place, digits) for place, digits in spots(field.width, part, text) if _HEX.issuperset(digits)]

        def mark(zone: Zone) -> int:
            found = self._digits_marks(field, zone, part, places)
            return self._present(field, zone, all_of(zone.count) & ~found if negated else found)

        return mark

    def _digits_marks(self, field: Field, zone: Zone, part: str, places: list[tuple[int, str]]) -> int:
        if not places:
            return 0
        digits = places[0][1]
        if not digits:
            return all_of(zone.count)
        if part == "starts_with":
            low, high = prefix_range(field.width, digits)
            if zone.high < low or zone.low > high:
                return 0
        lead = zone.lead
        left = behind_lead(lead, places)
        if left is None:
            return all_of(zone.count)
        if not left:
            return 0
        body = self.body(field, zone.chunk)
        return self._rows(field, zone, bytes_holding(body, field.width - len(lead), left))

    def _slow_marker(self, field: Field, condition: Condition) -> Callable[[Zone], int]:
        test = test_of(condition, field.kind)

        def mark(zone: Zone) -> int:
            return self._present(field, zone, marked(test(self._shown(each)) for each in self.values(field, zone)))

        return mark


def _entries(field: Field, zone: Zone, body: bytes) -> tuple[Sequence[Any], Any]:
    """The entries of a plane, and what stands for null."""
    if zone.form is Form.TEXTS:
        return split_texts(body), b""
    if zone.form is Form.NUMBERS:
        return integers(body), 0
    lead = zone.lead
    width = field.width - len(lead)
    return [lead + body[at : at + width] for at in range(0, len(body), width)], bytes(field.width)


def _texts_found(body: bytes, count: int, condition: Condition) -> int:
    op, text = condition.op, str(condition.value or "")
    if op in ORDERS:
        return texts_compared(body, op, text.encode())
    if op in ("eq", "neq", "ieq", "nieq"):
        part, negated, caseless = "eq", op[0] == "n", "ieq" in op
    else:
        part, negated, caseless = parts_of(op)
    asked = (folded(text) if caseless else text).encode()
    found = texts_marked(body, count, part, asked, caseless=caseless)
    return all_of(count) & ~found if negated else found
