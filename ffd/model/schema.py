"""JSON Schema: does a value follow a schema that somebody else wrote?

Schemas come from members whom nobody has to trust, and are applied where all messages pass. So what a check may cost is
known before it runs, from the schema alone: how often a value at each depth may be looked at. Whatever would cost too
much is refused, by every member alike, since no clock has a part in it. Patterns run on an engine with linear time;
nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

import msgspec

from ffd.model.canonical import levels_of, without_lone_surrogates
from ffd.model.errors import Invalid

if TYPE_CHECKING:  # a node that checks no datatype does without it
    import jsonschema_rs

SCHEMA_BYTES_MAX = 64 * 1024
SCHEMA_DEPTH_MAX = 100
SUBSCHEMAS_MAX = 2_000
PATTERNS_MAX = 64
PATTERN_BYTES_MAX = 1 << 20
"""Of a compiled pattern, and of all patterns of one schema."""
PATTERN_CACHE_BYTES = 256 * 1024
PATTERN_COSTS = ((4 << 10, 10), (16 << 10, 20), (64 << 10, 100), (256 << 10, 200), (1 << 20, 400))
"""Up to so many bytes a compiled pattern may cost so many looks a character: linear time grows with the pattern too."""
VALUE_DEPTH_MAX = 128
COST_MAX = 10_000_000
"""Looks at a value, or at a word of a schema, that one check may take: some tenths of a second."""
EXPONENT_MAX = 1_000
DIVIDED_EXPONENT_MAX = 32
"""Of numbers that a schema divides: the work grows with the digits between the two."""
NUMBER_LENGTH_MAX = 1_000
DIVISION_COST = 100
SCHEMAS_KEPT = 16
PROBLEM_LENGTH_MAX = 200

Node: TypeAlias = "dict[str, Any] | bool"
_EVERYTHING: Node = {}
"""Stands for looking at a value and all below it, as it takes to compare it with others."""

_HERE_LISTS = ("allOf", "anyOf", "oneOf")
_HERE = ("not", "if", "then", "else")
_HERE_BY_NAME = ("dependentSchemas", "dependencies")
_BELOW = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems", "unevaluatedItems",
    "contains", "contentSchema",
)  # fmt: skip
_REFS = ("$ref", "$dynamicRef", "$recursiveRef")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")


@lru_cache(maxsize=SCHEMAS_KEPT)
def schema_of(text: str) -> Schema:
    """The schema in a canonical JSON text, ready to check values. Raises Invalid FF10196."""
    if len(text) > SCHEMA_BYTES_MAX:
        raise _bad(f"it has {len(text)} characters, and {SCHEMA_BYTES_MAX} are allowed")
    if len(levels_of(text)) > SCHEMA_DEPTH_MAX:
        raise _bad(f"it is nested deeper than {SCHEMA_DEPTH_MAX} levels")
    root = _decode(text, _DIVIDED if '"multipleOf"' in text else _EXACT)
    if not isinstance(root, dict | bool):
        raise _bad("it must be an object, or true or false")
    costs = _Costs(root)  # before it is compiled, which costs too
    return Schema(_compile(root), costs.by_level(), costs.of_character(), '"multipleOf"' in text)


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema. `costs` says for each depth of a value how many looks each part of it there may take.

    Values deeper than that are refused, unless the last cost is 0: then nothing below is looked at. `character` is what
    patterns may take for each character; `divides` that it may divide numbers.
    """

    validator: jsonschema_rs.Validator
    costs: tuple[int, ...]
    character: int
    divides: bool

    def problem(self, text: str) -> str:
        """What is wrong with a value (canonical JSON), and where; nothing when it follows the schema."""
        if refusal := self._too_costly(text):
            return refusal
        try:
            self.validator.validate(_decode(text, _DIVIDED if self.divides else _EXACT))
        except Invalid as error:
            return error.text
        except ValueError as error:
            return _problem(error)
        return ""

    def _too_costly(self, text: str) -> str:
        if len(text) * self.character > COST_MAX:
            return f"it has {len(text)} characters, which takes too long to check"
        # Never less than there are: commas and brackets in strings count too.
        brackets = text.count("[") + text.count("{")
        values = 1 + text.count(",") + brackets
        shallow = brackets < (len(self.costs) if self.costs[-1] else VALUE_DEPTH_MAX)
        if shallow and values * max(self.costs) <= COST_MAX:
            return ""
        levels = levels_of(text)
        if len(levels) > VALUE_DEPTH_MAX or (len(levels) > len(self.costs) and self.costs[-1]):
            return f"it is nested {len(levels)} levels deep, which takes too long to check"
        cost = sum(count * each for count, each in zip(levels, self.costs, strict=False))
        return f"it has {sum(levels)} values, which takes too long to check" if cost > COST_MAX else ""


def _problem(error: ValueError) -> str:
    """The validator's word, with a JSON pointer (RFC 6901) to where it found it."""
    path = getattr(error, "instance_path", ())
    where = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
    what = str(getattr(error, "message", error))
    if len(what) > PROBLEM_LENGTH_MAX:
        what = f"{what[: PROBLEM_LENGTH_MAX // 2]}…{what[-PROBLEM_LENGTH_MAX // 2 :]}"
    return f"at '{where}': {what}"


def _compile(root: Node, pattern_bytes: int = PATTERN_BYTES_MAX) -> jsonschema_rs.Validator:
    import jsonschema_rs

    limits = jsonschema_rs.RegexOptions(size_limit=pattern_bytes, dfa_size_limit=PATTERN_CACHE_BYTES)
    try:
        return jsonschema_rs.validator_for(root, retriever=_fetch_nothing, pattern_options=limits)
    except ValueError as error:
        raise _bad(_problem(error).replace("at '':", "").strip()) from None


def _pattern_cost(pattern: object) -> tuple[int, int]:
    """The most bytes that a pattern takes when it is compiled, and the looks that it may take a character."""
    for size, cost in PATTERN_COSTS[:-1]:
        try:
            _compile({"pattern": pattern}, size)
        except Invalid:
            continue
        return size, cost
    return PATTERN_COSTS[-1]


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"{uri[:80]} lies elsewhere, and nothing is fetched")


def _bad(problem: str) -> Invalid:
    return Invalid("FF10196", f"Invalid JSON schema: {problem}")


# Values as they are checked -------------------------------------------------------------------------------------------


def _decode(text: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """A canonical JSON text as Python values, its numbers exact."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise Invalid("FFD2105", "a number in it is too long to be checked") from None
    except msgspec.DecodeError:
        return decoder.decode(without_lone_surrogates(text))


def _number(text: str, exponent_max: int) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or len(text) > NUMBER_LENGTH_MAX or abs(number.adjusted()) > exponent_max:
        raise Invalid("FFD2105", f"the number {text[:40]} in it is too long to be checked")
    return number


_EXACT = msgspec.json.Decoder(float_hook=partial(_number, exponent_max=EXPONENT_MAX))
_DIVIDED = msgspec.json.Decoder(float_hook=partial(_number, exponent_max=DIVIDED_EXPONENT_MAX))


# What a check may cost ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Subschema:
    """What one schema does: `own` looks at a value; others on the same value; and others on the values below it.

    Of a group of those below at most one is applied to each value. `patterns` is what its patterns take a character.
    """

    own: int
    patterns: int
    here: list[int]
    below: list[list[int]]
    twice: bool
    """Does it find out what the others have looked at by looking again?"""


class _Costs:
    """Counts, for each depth of a value, the most that a part of it may be looked at."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._base = _text(root, "$id") or _text(root, "id")
        self._anchors: dict[str, Node] | None = None
        self._subschemas: dict[int, _Subschema] = {}
        self._patterns = self._pattern_bytes = 0
        self._subschemas[id(_EVERYTHING)] = _Subschema(2, 0, [], [[id(_EVERYTHING)]], False)
        self._walk()

    def by_level(self) -> tuple[int, ...]:
        """The costs at each depth; they end with 0, with the depth that costs too much, or where no value goes."""
        order = self._inner_first()
        found: list[int] = []
        above: dict[int, int] = {}
        own = {each: schema.own for each, schema in self._subschemas.items()}
        while len(found) < VALUE_DEPTH_MAX:
            above = self._level(order, above, {} if found else own)
            cost = above[id(self._root)]
            if cost > COST_MAX:
                break
            found.append(cost)
            if not cost:
                break
        if not found:
            raise _bad("it takes too long to check any value")
        return tuple(found)

    def of_character(self) -> int:
        """What all patterns together may take for one character of a value, wherever it stands."""
        order, most = self._inner_first(), 0
        above: dict[int, int] = {}
        own = {each: schema.patterns for each, schema in self._subschemas.items() if schema.patterns}
        for level in range(VALUE_DEPTH_MAX if own else 0):
            above = self._level(order, above, {} if level else own)
            most = max(most, above[id(self._root)])
        return most

    def _level(self, order: list[int], above: Mapping[int, int], own: Mapping[int, int]) -> dict[int, int]:
        costs: dict[int, int] = {}
        for each in order:
            schema = self._subschemas[each]
            cost = sum(costs[other] for other in schema.here) * (2 if schema.twice else 1)
            cost += own.get(each, 0)
            if above:
                cost += sum(max(above[other] for other in group) for group in schema.below)
            costs[each] = min(cost, COST_MAX + 1)
        return costs

    def _inner_first(self) -> list[int]:
        """The subschemas, each behind those that it applies to the same value. Raises Invalid for a circle."""
        order: list[int] = []
        done: dict[int, bool] = {}
        for first in self._subschemas:
            stack = [(first, iter(self._subschemas[first].here))] if first not in done else []
            done.setdefault(first, False)
            while stack:
                each, rest = stack[-1]
                other = next(rest, None)
                if other is None:
                    done[each] = True
                    order.append(each)
                    stack.pop()
                elif other not in done:
                    done[other] = False
                    stack.append((other, iter(self._subschemas[other].here)))
                elif not done[other]:
                    raise _bad("it refers to itself without end")
        return order

    def _walk(self) -> None:
        todo = [self._root]
        while todo:
            node = todo.pop()
            if id(node) in self._subschemas:
                continue
            if len(self._subschemas) == SUBSCHEMAS_MAX:
                raise _bad(f"it has more than {SUBSCHEMAS_MAX} parts")
            here, below = list(self._here(node)), list(self._below(node))
            self._subschemas[id(node)] = _Subschema(
                _own(node), self._of_patterns(node), [id(each) for each in here],
                [[id(each) for each in group] for group in below],
                isinstance(node, dict) and any(word in node for word in _UNEVALUATED),
            )  # fmt: skip
            todo += here
            for group in below:
                todo += group

    def _here(self, node: Node) -> Iterator[Node]:
        """The schemas that one applies to the same value."""
        if not isinstance(node, dict):
            return
        if node is not self._root and isinstance(node.get("$id"), str) and not node["$id"].startswith("#"):
            raise _bad(f"its part {node['$id'][:80]!r} has an $id of its own: give one to the whole only")
        for word in _HERE_LISTS:
            yield from _schemas(node.get(word))
        for word in _HERE:
            yield from _schemas([node.get(word)])
        for word in _HERE_BY_NAME:
            yield from _schemas(_values(node.get(word)))
        for word in _REFS:
            if isinstance(node.get(word), str):
                yield self._resolve(node[word])

    def _below(self, node: Node) -> Iterator[list[Node]]:
        """The schemas that one applies to the values below, in groups of which one is applied to each."""
        if not isinstance(node, dict):
            return
        groups = [list(_schemas(_values(node.get("properties"))))]
        groups += [[each] for each in _schemas(_values(node.get("patternProperties")))]
        groups += [list(_schemas(node.get(word))) for word in ("items", "prefixItems")]
        groups += [list(_schemas([node.get(word)])) for word in _BELOW]
        if node.get("uniqueItems") is True:
            groups.append([_EVERYTHING])
        yield from (group for group in groups if group)

    def _of_patterns(self, node: Node) -> int:
        if not isinstance(node, dict):
            return 0
        named = node.get("patternProperties")
        patterns = [*(named if isinstance(named, dict) else ()), *([node["pattern"]] if "pattern" in node else ())]
        self._patterns += len(patterns)
        if self._patterns > PATTERNS_MAX:
            raise _bad(f"it has more than {PATTERNS_MAX} patterns")
        found = [_pattern_cost(each) for each in patterns]
        self._pattern_bytes += sum(size for size, _ in found)
        if self._pattern_bytes > PATTERN_BYTES_MAX:
            raise _bad(f"its patterns need more than {PATTERN_BYTES_MAX} bytes: count characters by maxLength")
        return sum(cost for _, cost in found)

    def _resolve(self, ref: str) -> Node:
        """The schema that a reference means. Raises Invalid for what lies elsewhere, or is not there."""
        base, _, fragment = ref.partition("#")
        if base and base != self._base.partition("#")[0]:
            raise _bad(f"its reference {ref[:80]!r} leads elsewhere, and nothing is fetched")
        found = self._pointed(unquote(fragment)) if fragment[:1] in ("", "/") else self._anchored().get(fragment)
        if not isinstance(found, dict | bool):
            raise _bad(f"its reference {ref[:80]!r} leads to no schema")
        return found

    def _pointed(self, pointer: str) -> Any:
        found: Any = self._root
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(name)] if name.isdecimal() and len(name) < 6 and int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found

    def _anchored(self) -> dict[str, Node]:
        """The schemas that have a name, wherever they are."""
        if self._anchors is None:
            self._anchors = {}
            todo: list[Any] = [self._root]
            while todo:
                each = todo.pop()
                todo += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
                if isinstance(each, dict):
                    names = [_text(each, word) for word in ("$anchor", "$dynamicAnchor")]
                    names += [_text(each, word)[1:] for word in ("$id", "id") if _text(each, word).startswith("#")]
                    self._anchors |= {name: each for name in names if name}
        return self._anchors


def _own(node: Node) -> int:
    """The looks that a schema itself takes: one for each word, and for each thing that it lists."""
    if not isinstance(node, dict):
        return 1
    listed = sum(_size(value) if word in ("enum", "const") else _length(value) for word, value in node.items())
    return 1 + listed + (DIVISION_COST if "multipleOf" in node else 0)


def _length(value: Any) -> int:
    return len(value) + 1 if isinstance(value, dict | list) else 1


def _size(value: Any) -> int:
    """How many values there are in a value. Its depth is bounded."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _schemas(found: Any) -> Iterator[Node]:
    if isinstance(found, list):
        yield from (each for each in found if isinstance(each, dict | bool))


def _values(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else []


def _text(node: Any, word: str) -> str:
    found = node.get(word) if isinstance(node, dict) else None
    return found if isinstance(found, str) else ""
