"""Conditions on long texts: what their ranks or shapes say, and for the rows that these leave open, their table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ffd.model.query import Condition
from ffd.store.conditions import Where
from ffd.store.index.layout import Field, Held
from ffd.store.index.matching import ORDERS, folded, parts_of, test_of
from ffd.store.index.planes import all_of, chosen, positions
from ffd.store.index.ranks import Ranks, Said
from ffd.store.index.shapes import Asked, holding
from ffd.store.transaction import Transaction

LOOKED_AT = 50
"""So few rows of a chunk are looked at in their table: sooner done than to see what the chunk says of all of them."""


class LongTexts:
    """One condition on the long texts of a collection."""

    def __init__(self, tx: Transaction, held: Held, field: Field, condition: Condition) -> None:
        self._tx = tx
        self._held = held
        self._place = field.place
        op, text = condition.op, str(condition.value or "")
        self._negated = op[0] == "n"
        positive: Any = op.removeprefix("not_") if op.startswith("not_") else op.removeprefix("n")
        self._condition = replace(condition, op=positive, value=text)
        self._text = text
        self.same = test_of(condition, field.kind)

    def marks(self, chunk: int, count: int, greatest: str, sequences: Any, within: int) -> int:
        """The rows of a chunk for which it holds, as far as they are within others."""
        few = within.bit_count() <= LOOKED_AT
        said = Said(0, within) if few else self._said(chunk, count, greatest)
        found = said.found
        doubtful = said.doubtful & within & ~found
        if doubtful:
            found |= self._looked_at(sequences(chunk), doubtful, count)
        return all_of(count) & ~found if self._negated else found

    def _said(self, chunk: int, count: int, greatest: str) -> Said:
        op, text, place = self._condition.op, self._text, self._place + chunk
        if op in ORDERS or op == "eq":
            return Ranks(self._tx, place, count).compared(op, text, greatest)
        if not text and op != "ieq":
            return Said(all_of(count), 0)
        if op == "starts_with":
            return Ranks(self._tx, place, count).starting(text, greatest)
        part, _, caseless = ("eq", False, True) if op == "ieq" else parts_of(op)
        asked = Asked(part, folded(text) if caseless else text, caseless)
        return Said(*holding(self._tx, place, count, asked))

    def _looked_at(self, sequences: Any, doubtful: int, count: int) -> int:
        """What the table says of rows."""
        collection = self._held.collection
        where = Where(collection)
        said = where.conditions(self._condition)
        listed = "[" + ",".join(map(str, chosen(sequences, doubtful, count))) + "]"
        rows = self._tx.execute(
            f"SELECT {collection.sequence} FROM {collection.source} "
            f"WHERE {collection.sequence} IN (SELECT value FROM json_each(?)) AND {said}",
            (listed, *where.values),
        )
        holds = {row[0] for row in rows}
        flags = bytearray(count)
        for row in positions(doubtful, count):
            flags[row] = sequences[row] in holds
        return int.from_bytes(flags, "little")
