"""Query strings to conditions, by the fields a collection allows: FireFly's filter language ([reference 10.3]).

A parameter whose name is a field, in any case, is a condition: `[modifiers][operator]text`. Other parameters are
somebody else's. No SQL here; the store writes it from its own table of columns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast
from urllib.parse import unquote_to_bytes

from ffd.model.errors import Invalid
from ffd.model.query import COLLECTIONS, Condition, Group, Kind, Op, Query, Sort, Value
from ffd.model.times import parse_stored_time

LIMIT_DEFAULT = 25
LIMIT_MAX = 1000
SKIP_MAX = 1000
QUERY_CHARS_MAX = 32_768
TERMS_MAX = 200
"""Conditions in one query: SQLite's expressions may be a thousand deep, and nobody reads a list through more."""
SORTS_MAX = 32

PAGING = frozenset(("skip", "limit", "sort", "ascending", "descending", "count"))
FIREFLYS = frozenset(
    (
        "confirm", "data", "publish", "fetchdata", "fetchreferences", "fetchreference", "fetchstatus", "fetchverifiers",
        "startsequence", "endsequence", "includeinitializing", "changeevents",
    )
)  # fmt: skip
"""Words that clients of FireFly may say to a list, whether or not they mean anything to it."""

Pairs = Sequence[tuple[str, str]]

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSIGNED = re.compile(r"[0-9]+")
_SIGNED = re.compile(r"[+-]?[0-9]{1,40}")
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_MODIFIERS = frozenset("!:?[]")
_NULL_OPS = frozenset(("eq", "neq", "nieq"))
_PLAIN_OPS = _NULL_OPS | {"gt", "gte", "lt", "lte"}
_ORDER_OPS: Mapping[str, Op] = {">": "gt", ">>": "gt", ">=": "gte", "<": "lt", "<<": "lt", "<=": "lte"}
_PART_OPS = {"@": "contains", "^": "starts_with", "$": "ends_with"}


def parse_filter(collection: str, query: str | Pairs) -> Query:
    """What a raw query string (or its decoded pairs, in order) asks of a collection of `COLLECTIONS`.

    Raises `Invalid` with FireFly's code: FF00193, FF00191, FF00192, then FF00143, FF00144, FF00145; and FF00134 or
    FF00135 for a query of more terms or characters than make sense.
    """
    pairs = parse_pairs(query) if isinstance(query, str) else query
    values = _by_name(pairs)
    fields = COLLECTIONS[collection]
    terms = [_terms(name, values[name]) for name in sorted(fields) if name in values]
    _check_count("filter", sum(len(group.terms) for group in terms), TERMS_MAX)
    skip = _page(values, "skip", 0, SKIP_MAX, "FF00191")
    limit = _page(values, "limit", LIMIT_DEFAULT, LIMIT_MAX, "FF00192")
    return Query(
        where=Group("and", tuple(group.conditions(fields[group.field]) for group in terms)),
        sort=_sort(values, fields),
        skip=skip,
        limit=limit,
        count=flag(values.get("count", ())),
    )


def parse_pairs(query: str) -> list[tuple[str, str]]:
    """The decoded pairs of a query string, as Go's parser finds them: one with `;` or a broken `%` is left out.

    A pair whose bytes are not UTF-8 is left out too. Raises `Invalid` FF00135 beyond `QUERY_CHARS_MAX`.
    """
    if len(query) > QUERY_CHARS_MAX:
        raise Invalid("FF00135", f"Field 'query' maximum length is {QUERY_CHARS_MAX} characters: ask for less at once")
    return [pair for part in query.split("&") if part and (pair := _pair(part)) is not None]


def check_names(collection: str, pairs: Pairs) -> None:
    """Refuse (Invalid FF00142) a parameter that is neither a field nor a word of FireFly's.

    FireFly passes it over, and shows everything to whoever has mistyped a field.
    """
    fields = COLLECTIONS[collection]
    for name, _ in pairs:
        if not (name.lower() in fields or name.lower() in PAGING or name.lower() in FIREFLYS):
            raise Invalid(
                "FF00142", f"Unknown filter {name[:80]!r}: the fields of {collection} are {', '.join(fields)}"
            )


def flag(values: Sequence[str]) -> bool:
    """Is a switch of the query on: present and empty, or `true` in any case? The first value counts."""
    return len(values) > 0 and (not values[0] or values[0].lower() == "true")


def _pair(part: str) -> tuple[str, str] | None:
    if ";" in part or _BAD_ESCAPE.search(part):
        return None
    name, _, value = part.partition("=")
    try:
        return _unescape(name), _unescape(value)
    except UnicodeError:
        return None


def _unescape(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name.lower(), []).append(value)
    return values


class _Terms:
    """All values that a query gives for one field, joined by OR, or by AND as soon as one of them says `[`."""

    def __init__(self, field: str, terms: list[tuple[Op, str | None]], every: bool) -> None:
        self.field = field
        self.terms = terms
        self._every = every

    def conditions(self, kind: Kind) -> Condition | Group:
        found = tuple(Condition(op, self.field, _value(self.field, kind, op, text)) for op, text in self.terms)
        return found[0] if len(found) == 1 else Group("and" if self._every else "or", found)


def _terms(field: str, values: list[str]) -> _Terms:
    found, every = [], False
    for value in sorted(values):
        op, text, anded = _term(field, value)
        found.append((op, text))
        every = every or anded
    return _Terms(field, found, every)


def _term(field: str, value: str) -> tuple[Op, str | None, bool]:
    """Comparison, text (None for null), and whether the value asks for AND."""
    modifiers, operator, text = _split(value)
    matched = None if "?" in modifiers and not text else text
    return _op(field, modifiers, operator), matched, modifiers.rfind("[") > modifiers.rfind("]")


def _split(value: str) -> tuple[str, str, str]:
    """Modifiers, operator, text: scanning stops at the first ordinary character, or after an operator that is whole."""
    modifiers = operator = ""
    for at, char in enumerate(value):
        if char in _MODIFIERS:
            modifiers += char
        elif char in "><" and operator in ("", char):
            operator += char
            if len(operator) == 2:
                return modifiers, operator, value[at + 1 :]
        elif char in "=@^$":
            return modifiers, operator + char, value[at + 1 :]
        else:
            return modifiers, operator, value[at:]
    return modifiers, operator, ""


def _op(field: str, modifiers: str, operator: str) -> Op:
    negated, caseless = "!" in modifiers, ":" in modifiers
    if operator in _ORDER_OPS:
        if set(modifiers) & {"!", ":", "?"}:
            raise Invalid("FF00193", f"Operation '{operator}' on '{field}' does not support modifiers: leave out ! : ?")
        return _ORDER_OPS[operator]
    if operator[-1:] in _PART_OPS:
        return cast(Op, f"{'not_' * negated}{'i' * caseless}{_PART_OPS[operator[-1]]}")
    return cast(Op, f"{'n' * negated}{'i' * caseless}eq")


def _value(field: str, kind: Kind, op: Op, text: str | None) -> Value:
    if text is None:
        if op not in _NULL_OPS:
            raise Invalid("FF00144", f"Comparison operator for field '{field}' cannot accept a null value: give a text")
        return None
    if kind.textual:
        return text
    if op not in _PLAIN_OPS:
        raise Invalid(
            "FF00145",
            f"Field '{field}' of type '{kind.value}' does not support partial or case-insensitive string matching:"
            " compare it with = ! > <",
        )
    return _scalar(field, kind, text)


def _scalar(field: str, kind: Kind, text: str) -> Value:
    if kind is Kind.BOOL:
        return text.lower() == "true"
    try:
        return parse_stored_time(text) if kind is Kind.TIME else _int(text)
    except Invalid as cause:
        raise Invalid("FF00143", f"Unable to parse value for filter '{field}': {cause}") from None


def _int(text: str) -> int:
    number = int(text) if _SIGNED.fullmatch(text) else None
    if number is None or not _INT_MIN <= number <= _INT_MAX:
        raise Invalid("FF00105", f"{text[:80]!r} is not a whole number of 64 bits")
    return number


def _page(values: Mapping[str, Sequence[str]], name: str, default: int, most: int, code: str) -> int:
    """A page's number: as Go's, what is not a plain number is 0, and what does not fit is too many."""
    if name not in values:
        return default
    text = values[name][0]
    if not _UNSIGNED.fullmatch(text):
        return 0
    number = int(text) if len(text) <= 40 else most + 1
    if number > most:
        raise Invalid(code, f"The {name} of a query is at most {most}: ask for a smaller page, or narrow the filter")
    return number


def _sort(values: Mapping[str, Sequence[str]], fields: Mapping[str, Kind]) -> tuple[Sort, ...]:
    wanted = [name.strip() for text in values.get("sort", ()) for name in text.split(",")]
    known = [name for name in wanted if name.removeprefix("-") in fields]
    _check_count("sort", len(known), SORTS_MAX)
    forced = _forced(values)
    return tuple(Sort(name.removeprefix("-"), name.startswith("-") if forced is None else forced) for name in known)


def _forced(values: Mapping[str, Sequence[str]]) -> bool | None:
    """The direction that `descending` or `ascending` forces on the whole sort, if any."""
    if flag(values.get("descending", ())):
        return True
    return False if flag(values.get("ascending", ())) else None


def _check_count(what: str, found: int, most: int) -> None:
    if found > most:
        raise Invalid("FF00134", f"Maximum number of {what} items is {most} (supplied={found}): ask in parts")
