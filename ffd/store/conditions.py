"""Conditions as bound SQL: how a comparison is said stands in one table here.

No text of a query ever becomes part of a statement.
"""

from __future__ import annotations

from typing import Any

from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.query import COLLECTIONS, Condition, Group, Kind
from ffd.store.collection import Collection, Column

_ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PARTS = {
    # Not LIKE: SQLite's ignores the case of ASCII letters, PostgreSQL's does not, and both give % and _ a meaning.
    "contains": "instr({text}, {value}) > 0",
    "starts_with": "substr({text}, 1, length({value})) = {value}",
    "ends_with": "substr({text}, length({text}) - length({value}) + 1) = {value}",
}
_ALWAYS, _NEVER = "1 = 1", "1 = 0"


class Where:
    """Conditions as SQL, with the values they bind in the order of their marks."""

    def __init__(self, collection: Collection[Any]) -> None:
        self.values: list[object] = []
        self._columns = collection.columns
        self._kinds = COLLECTIONS[collection.name]

    def conditions(self, node: Condition | Group) -> str:
        if isinstance(node, Condition):
            return self._condition(node)
        if not node.conditions:
            return "" if node.op == "and" else _NEVER
        parts = [self.conditions(child) or _ALWAYS for child in node.conditions]
        return f"({f' {node.op.upper()} '.join(parts)})"

    def _condition(self, condition: Condition) -> str:
        column, kind = self._columns[condition.field], self._kinds[condition.field]
        op = condition.op
        if op in ("eq", "ieq", "neq", "nieq"):
            return self._equality(column, kind, condition.value, negated=op[0] == "n", folded="ieq" in op)
        if op in _ORDERS:
            return self._ordering(column, kind, _ORDERS[op], condition.value)
        part = op.removeprefix("not_")
        template, folded = _PARTS[part.removeprefix("i")], part not in _PARTS
        return self._part(column, kind, template, str(condition.value), op != part, folded)

    def _equality(self, column: Column, kind: Kind, value: object, *, negated: bool, folded: bool) -> str:
        sign = "<>" if negated else "="
        if kind in (Kind.UUID, Kind.HASH):
            return self._same_id(column, kind, value, negated)
        if not kind.textual:
            return self._null(column, negated) if value is None else f"{column.sql} {sign} {self._bind(value)}"
        # Bare where it may be, so that an index on the column can be used.
        text = f"coalesce({column.text}, '')" if negated or not value else column.text
        if folded:
            return f"lower({text}) {sign} lower({self._bind(value or '')})"
        return f"{text} {sign} {self._bind(value or '')}"

    def _same_id(self, column: Column, kind: Kind, value: object, negated: bool) -> str:
        """An id or a hash, in any spelling; a text that is none equals nothing."""
        if value is None:
            return self._null(column, negated)
        raw = _raw_id(kind, str(value))
        if raw is None:
            return self._null(column, True) if negated else _NEVER
        return f"{column.sql} {'<>' if negated else '='} {self._bind(_as_stored(column, kind, raw))}"

    def _ordering(self, column: Column, kind: Kind, sign: str, value: object) -> str:
        if not kind.textual:
            return f"{column.sql} {sign} {self._bind(value)}"
        raw = _raw_id(kind, str(value))
        if raw is not None:
            return f"{column.sql} {sign} {self._bind(_as_stored(column, kind, raw))}"
        return f"{_present(column, kind)} {sign} {self._bind(value)}"

    def _part(self, column: Column, kind: Kind, template: str, value: str, negated: bool, folded: bool) -> str:
        text, mark = _present(column, kind), "?"
        if folded:
            text, mark = f"lower({text})", "lower(?)"
        said = template.format(text=text, value=mark)
        self.values += [value] * said.count("?")
        return f"NOT {said}" if negated else said

    def _null(self, column: Column, negated: bool) -> str:
        return f"{column.sql} IS {'NOT ' * negated}NULL"

    def _bind(self, value: object) -> str:
        self.values.append(int(value) if isinstance(value, bool) else value)
        return "?"


def _present(column: Column, kind: Kind) -> str:
    """A text for comparing: nothing counts as the empty one, but no id is null."""
    return column.text if kind in (Kind.UUID, Kind.HASH) else f"coalesce({column.text}, '')"


def _as_stored(column: Column, kind: Kind, raw: bytes) -> bytes | str:
    if column.raw:
        return raw
    return format_uuid(raw) if kind is Kind.UUID else raw.hex()


def _raw_id(kind: Kind, text: str) -> bytes | None:
    """The bytes of an id or hash, if the text is one."""
    try:
        return parse_uuid(text) if kind is Kind.UUID else parse_hash(text) if kind is Kind.HASH else None
    except Invalid:
        return None
