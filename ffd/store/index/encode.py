"""Planes made of rows that were picked, by SQL: no row passes through Python, and the event loop is not held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from ffd.store.index.digits import common_lead
from ffd.store.index.layout import CODED_CHARS_MAX, CODES_MAX, Field, Form, Held
from ffd.store.index.shaping import SHAPING_TABLES, Shaper

SPREAD_SHARE = 4
"""A plane has an entry for each run of equal values, if these are at most one for so many rows."""
RUNS_TRIED = 256
"""Rows that are looked at before runs are counted in all."""


class Encoder:
    """Writes planes into the index that is attached to a connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._run: Callable[..., Any] = connection.execute

    def open(self) -> None:
        """Make what is needed for it, for as long as the connection lives."""
        self._run("CREATE TEMP TABLE runs (run INTEGER PRIMARY KEY, first INTEGER, c)")
        self._run(SHAPING_TABLES)

    def write(self, held: Held, chunk: int, count: int) -> None:
        """Write all planes of the rows that are in the table `picked` of a collection, `count` of them, from 1 on."""
        stats = self._run(
            f"SELECT {', '.join(f'count(c{n}), min(c{n}), max(c{n})' for n in range(len(held.fields)))} "
            f"FROM picked_{held.number}"
        ).get
        shaper = None if held.long is None else Shaper(self._run, held, held.long)
        if shaper is not None:
            shaper.arrange()
        for n, field in enumerate(held.fields.values()):
            present, low, high = stats[3 * n : 3 * n + 3]
            plane = _Plane(self._run, field, f"picked_{held.number}", f"c{n}", count, present)
            if shaper is not None and field is held.long:
                plane.write_long(chunk, *shaper.write(chunk, count, count - present))
            else:
                plane.write(chunk, low, high)


class _Plane:
    """One plane in the making: `count` rows of a table in the order of `n`, of which `present` have a value."""

    def __init__(
        self, run: Callable[..., Any], field: Field, table: str, column: str, count: int, present: int
    ) -> None:
        self._run = run
        self._field = field
        self._picked = f"(SELECT {column} AS c, n FROM {table})"
        self._count = count
        self._present = present
        self._rows = f"(SELECT c FROM {self._picked} ORDER BY n)"
        self._entries = count

    def write(self, chunk: int, low: Any, high: Any) -> None:
        absent = self._count - self._present
        if not self._present or (not absent and low == high):
            form, body, more = Form.SAME, None, None
        elif self._field.form is Form.CODES and self._learn():
            form, (high, body, more) = Form.CODES, self._codes()
            low = None
        else:
            spread = self._spread()
            form, low, high, body = self._body(low, high)
            nulls = self._nulls() if absent else None
            self._keep(chunk, form, low, high, absent, self._entries, nulls, spread, body, None)
            return
        self._keep(chunk, form, low, high, absent, self._count, None, None, body, more)

    def write_long(self, chunk: int, form: Form, low: Any, high: Any) -> None:
        """Write the plane of a field of long texts."""
        absent = self._count - self._present
        nulls = self._nulls() if absent and form is Form.LONG else None
        self._keep(chunk, form, low, high, absent, 0, nulls, None, None, None)

    def _keep(self, chunk: int, *columns: Any) -> None:
        self._run(
            "INSERT INTO search.planes (place, form, low, high, absent, entries, nulls, spread, body, more) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._field.place + chunk, *columns),
        )

    # Codes -------------------------------------------------------------------------------------------------------

    def _learn(self) -> bool:
        """Does the dictionary know all values of the rows, or has it learnt those that it did not?"""
        field = self._field.place
        known = self._value("SELECT count(*) FROM search.dictionary WHERE field = ?", field)
        # One too many is enough to know: what is unique needs not be told apart in all rows.
        fresh = self._run(
            f"SELECT DISTINCT c FROM {self._picked} WHERE c IS NOT NULL "
            f"AND NOT EXISTS (SELECT 1 FROM search.dictionary WHERE field = ? AND value = c) LIMIT ?",
            (field, CODES_MAX),
        ).fetchall()
        if known + len(fresh) >= CODES_MAX or any(len(str(value)) > CODED_CHARS_MAX for (value,) in fresh):
            return False
        for code, (value,) in enumerate(fresh, known + 1):
            self._run("INSERT INTO search.dictionary (field, value, code) VALUES (?, ?, ?)", (field, value, code))
        return True

    def _codes(self) -> tuple[int, bytes, bytes | None]:
        """The greatest code, the low bytes of all, and the high bytes."""
        rows = f"""
            (SELECT coalesce(code, 0) AS code FROM {self._picked}
               LEFT JOIN search.dictionary ON field = {self._field.place} AND value = c ORDER BY n)"""
        most, body = self._run(f"SELECT max(code), unhex(group_concat(format('%02x', code & 255), '')) FROM {rows}").get
        if most < 256:
            return most, body, None
        return most, body, self._value(f"SELECT unhex(group_concat(format('%02x', code >> 8), '')) FROM {rows}")

    # Entries -----------------------------------------------------------------------------------------------------

    def _spread(self) -> bytes | None:
        """Make entries of runs, or of the few rows that have a value: where they begin and end, 32 bits each."""
        sparse = self._present * SPREAD_SHARE <= self._count
        if not sparse and self._run_count(RUNS_TRIED) * SPREAD_SHARE > min(self._count, RUNS_TRIED):
            return None
        self._run("DELETE FROM temp.runs")
        # A run ends where the next begins, be it one without a value. Joined: a window takes ten times as long.
        begins = "c IS NOT NULL" if sparse else f"c IS NOT (SELECT b.c FROM {self._picked} b WHERE b.n = a.n - 1)"
        self._run(f"INSERT INTO temp.runs (first, c) SELECT n - 1, c FROM {self._picked} a WHERE {begins} ORDER BY n")
        runs: int = self._value("SELECT count(c) FROM temp.runs")
        if runs * SPREAD_SHARE > self._count:
            return None
        self._entries = runs
        self._rows = "(SELECT c FROM temp.runs WHERE c IS NOT NULL ORDER BY run)"
        after = "SELECT b.first FROM temp.runs b WHERE b.run = a.run + 1"
        until = "first + 1" if sparse else f"coalesce(({after}), {self._count})"
        spread, ends = (
            self._value(
                f"SELECT unhex(group_concat(format('%08x', at), '')) "
                f"FROM (SELECT {at} AS at FROM temp.runs a WHERE c IS NOT NULL ORDER BY run)"
            )
            for at in ("first", until)
        )
        return bytes(spread + ends)

    def _run_count(self, rows: int) -> int:
        """Of the first rows."""
        runs: int = self._value(
            f"SELECT count(*) FROM {self._picked} a "
            f"WHERE n <= ? AND (n = 1 OR c IS NOT (SELECT b.c FROM {self._picked} b WHERE b.n = a.n - 1))",
            rows,
        )
        return runs

    def _body(self, low: Any, high: Any) -> tuple[Form, Any, Any, bytes]:
        """Form, least and greatest value, and the entries."""
        field = self._field
        if field.form is Form.BYTES and (field.column.raw or self._is_spelt_well()):
            low, high = _raw(low), _raw(high)
            lead = common_lead(low, high)
            digits = "hex(c)" if field.column.raw else "replace(c, '-', '')"
            nothing = "00" * (field.width - lead)
            body = self._packed(f"CASE WHEN c IS NULL THEN '{nothing}' ELSE substr({digits}, {2 * lead + 1}) END")
            return Form.BYTES, low, high, body
        if not field.kind.textual:
            return Form.NUMBERS, low, high, self._packed("format('%016x', coalesce(c, 0))")
        return Form.TEXTS, None, None, self._packed("'FF' || coalesce(hex(c), '') || 'FE'")

    def _nulls(self) -> bytes:
        """A byte for each row, that is 1 where it has no value."""
        absent = "CASE WHEN c IS NULL THEN '01' ELSE '00' END"
        nulls: bytes = self._value(
            f"SELECT unhex(group_concat({absent}, '')) FROM (SELECT c FROM {self._picked} ORDER BY n)"
        )
        return nulls

    def _packed(self, digits: str) -> bytes:
        packed: bytes = self._value(f"SELECT unhex(group_concat({digits}, '')) FROM {self._rows}")
        return packed

    def _is_spelt_well(self) -> bool:
        """Is every text of an id or hash spelt as the bytes would be?"""
        width = self._field.width
        dashes = " AND ".join(f"substr(c, {at}, 1) = '-'" for at in (9, 14, 19, 24)) if width == 16 else "1"
        size = f"length(unhex(replace(c, '-', ''))) = {width} AND length(c) = {36 if width == 16 else 64}"
        well = f"(c IS NULL OR (coalesce({size}, 0) AND c = lower(c) AND {dashes}))"
        return bool(self._value(f"SELECT min({well}) FROM {self._rows}"))

    def _value(self, statement: str, *values: object) -> Any:
        return self._run(statement, values).get


def _raw(value: Any) -> Any:
    """The bytes of an id or hash, if it is text."""
    return bytes.fromhex(value.replace("-", "")) if isinstance(value, str) else value
