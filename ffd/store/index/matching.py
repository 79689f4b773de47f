"""What a condition asks of one value; the same as the SQL of `ffd.store.search` asks of a column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.query import Condition, Kind, Op

Test = Callable[[Any], bool]

_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
ORDERS = ("gt", "gte", "lt", "lte")


def folded(text: str) -> str:
    """As SQLite's lower(): ASCII letters only."""
    return text.translate(_UPPER)


def parts_of(op: Op) -> tuple[str, bool, bool]:
    """contains, starts_with or ends_with; whether it is negated; whether case is ignored."""
    part = op.removeprefix("not_")
    negated = part != op
    plain = part.removeprefix("i")
    return plain, negated, plain != part


def raw_id(kind: Kind, text: str) -> bytes | None:
    """The bytes of an id or hash, if the text is one."""
    try:
        return parse_uuid(text) if kind is Kind.UUID else parse_hash(text)
    except Invalid:
        return None


def test_of(condition: Condition, kind: Kind) -> Test:
    """A test for values of a field: text, a number, or None; ids and hashes as their text."""
    if kind in (Kind.UUID, Kind.HASH):
        return _id_test(condition, kind)
    return _text_test(condition) if kind.textual else _number_test(condition)


def _number_test(condition: Condition) -> Test:
    op, value = condition.op, condition.value
    if op in ORDERS:
        return _ordered(op, value)
    negated = op[0] == "n"
    if value is None:
        return (lambda each: each is not None) if negated else (lambda each: each is None)
    number = int(value)
    return (lambda each: each is not None and each != number) if negated else (lambda each: bool(each == number))


def _text_test(condition: Condition) -> Test:
    """Nothing is the empty text."""
    op, text = condition.op, str(condition.value or "")
    if op in ORDERS:
        ordered = _ordered(op, text)
        return lambda each: ordered(each or "")
    if op in ("eq", "neq"):
        return (lambda each: (each or "") == text) if op == "eq" else (lambda each: (each or "") != text)
    if op in ("ieq", "nieq"):
        small = folded(text)
        return (lambda e: folded(e or "") == small) if op == "ieq" else (lambda e: folded(e or "") != small)
    holds = _part_test(op, text)
    return lambda each: holds(each or "")


def _id_test(condition: Condition, kind: Kind) -> Test:
    """Null is found by nothing but a comparison with null, or with what is no id."""
    op, value = condition.op, condition.value
    if op in ("eq", "ieq", "neq", "nieq"):
        negated = op[0] == "n"
        raw = None if value is None else raw_id(kind, str(value))
        if raw is None:
            if value is not None and not negated:
                return lambda each: False
            return (lambda each: each is not None) if negated else (lambda each: each is None)
        text = _spelt(kind, raw)
        return (lambda each: each is not None and each != text) if negated else (lambda each: bool(each == text))
    if op in ORDERS:
        raw = raw_id(kind, str(value))
        return _ordered(op, str(value) if raw is None else _spelt(kind, raw))
    holds = _part_test(op, str(value))
    return lambda each: each is not None and holds(each)


def _spelt(kind: Kind, raw: bytes) -> str:
    return format_uuid(raw) if kind is Kind.UUID else raw.hex()


def _ordered(op: Op, value: Any) -> Test:
    if op == "gt":
        return lambda each: each is not None and each > value
    if op == "gte":
        return lambda each: each is not None and each >= value
    if op == "lt":
        return lambda each: each is not None and each < value
    return lambda each: each is not None and each <= value


def _part_test(op: Op, text: str) -> Callable[[str], bool]:
    plain, negated, caseless = parts_of(op)
    small = folded(text) if caseless else text
    tests: dict[str, Callable[[str], bool]] = {
        "contains": lambda each: small in each,
        "starts_with": lambda each: each.startswith(small),
        "ends_with": lambda each: each.endswith(small),
    }
    holds = tests[plain]
    if caseless:
        return (lambda each: not holds(folded(each))) if negated else (lambda each: holds(folded(each)))
    return (lambda each: not holds(each)) if negated else holds
