"""Schemas that strangers wrote: what they say of values, and that none of them can hold up a node."""

import json
from random import Random
from typing import Any

import pytest

from ffd.model.errors import Invalid
from ffd.model.schema import COST_MAX, Schema, schema_of


def schema(value: Any) -> Schema:
    return schema_of(json.dumps(value, separators=(",", ":")))


WIDGET = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "sizes": {"items": {"minimum": 1}}},
    "required": ["name"],
}
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
# schema, value as text; what is said of it
CHECKED = {
    "all in order": (WIDGET, '{"name":"tea","sizes":[1,2]}', ""),
    "something missing": (WIDGET, "{}", "at '': \"name\" is a required property"),
    "a wrong part": (WIDGET, '{"name":"tea","sizes":[1,0]}', "at '/sizes/1': 0 is less than the minimum of 1"),
    "a pattern": (WIDGET, '{"name":"T"}', "at '/name': \"T\" does not match \"^[a-z]+$\""),
    "a name with a slash and a tilde": ({"properties": {"a/~b": False}}, '{"a/~b":1}', "at '/a~1~0b': False schema"),
    "the same key twice: the last one counts": (WIDGET, '{"name":1,"name":"tea"}', ""),
    "a decimal is exact": ({"multipleOf": 0.01}, "1.10", ""),
    "a whole number in another spelling": ({"type": "integer"}, "10e-1", ""),
    "a number beyond 64 bits": ({"type": "integer", "maximum": 5}, "1" * 30, "at '': 1111"),
    "half of an emoji": ({"type": "string", "maxLength": 1}, '"\\ud83d"', ""),
    "a tree": (TREE, '{"left":{"right":{}}}', ""),
    "a tree with a rotten leaf": (TREE, '{"left":{"right":1}}', "at '/left/right': 1 is not of type \"object\""),
    "a number too long to check": ({"type": "number"}, "1e99999", "the number 1e99999 in it is too long to be checked"),
    "an integer too long to check": ({"type": "number"}, "1" * 5000, "a number in it is too long"),
    "a number too long to divide": ({"multipleOf": 2}, "1e99", "the number 1e99 in it is too long"),
    "a number that nobody divides": ({"minimum": 2}, "1e99", ""),
    "deep where nobody looks": ({"type": "array"}, "[" * 100 + "]" * 100, ""),
    "deeper than can be read": ({"type": "array"}, "[" * 200 + "]" * 200, "it is nested 201 levels deep"),
    "brackets in a string": (WIDGET, '{"name":"tea","more":"' + "[" * 5000 + '"}', ""),
    "everything": (True, "1", ""),
    "nothing": (False, "1", "at '': False schema does not allow 1"),
}  # fmt: skip


@pytest.mark.parametrize("given, value, problem", CHECKED.values(), ids=CHECKED.keys())
def test_a_value_is_checked(given: Any, value: str, problem: str) -> None:
    found = schema(given).problem(value)
    assert found.startswith(problem) if problem else not found


def test_a_long_problem_is_cut() -> None:
    assert len(schema({"type": "string"}).problem(json.dumps(list(range(10_000))))) < 300


LAUGHS = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)} | {"a60": {"type": "integer"}}
REFUSED = {
    "no schema": (1, "it must be an object"),
    "a list": ([], "it must be an object"),
    "a type that there is not": ({"type": "tea"}, "at '/type': "),
    "a remote reference": ({"$ref": "https://example.com/schema"}, "leads elsewhere"),
    "a file": ({"$ref": "file:///etc/passwd"}, "leads elsewhere"),
    "a reference beside it": ({"$ref": "other.json#/x"}, "leads elsewhere"),
    "another's rules": ({"$schema": "https://example.com/rules"}, "Unknown meta-schema"),
    "a reference to nothing": ({"$ref": "#/$defs/x"}, "leads to no schema"),
    "a reference to itself": ({"$ref": "#"}, "refers to itself without end"),
    "a circle of references": (
        {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        "refers to itself without end",
    ),
    "a place of its own": ({"properties": {"a": {"$id": "https://example.com/x"}}}, "an $id of its own"),
    "a pattern that is none": ({"pattern": "("}, "is not a"),
    "a pattern that looks back": ({"pattern": "(a)\\1"}, "is not a"),
    "a pattern that fills the memory": ({"pattern": "((a{100}){100}){100}"}, "is not a"),
    "too many patterns": ({"allOf": [{"pattern": "a"}] * 65}, "more than 64 patterns"),
    "patterns too large together": ({"allOf": [{"pattern": f"[ab]{{900}}{n}"} for n in range(30)]}, "maxLength"),
    "too many parts": ({"anyOf": [{"type": "null"}] * 2001}, "more than 2000 parts"),
    "laughs": ({"$defs": LAUGHS, "$ref": "#/$defs/a0"}, "takes too long to check any value"),
    "too long": ({"description": "x" * 70_000}, "70018 characters"),
    "too deep": (json.loads('{"not":' * 150 + "true" + "}" * 150), "nested deeper than 100"),
}  # fmt: skip


@pytest.mark.parametrize("given, problem", REFUSED.values(), ids=REFUSED.keys())
def test_a_schema_is_refused(given: Any, problem: str) -> None:
    with pytest.raises(Invalid, match="^FF10196: ") as refused:
        schema(given)
    assert problem in refused.value.text


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


BY_NAME_AND_PATTERN = {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}}
# A schema that multiplies the work, and a value that makes the most of it
COSTLY = {
    "each level three times": ({"properties": {"a": {"anyOf": [{"$ref": "#"}] * 3}}}, nested(100)),
    "named and by pattern": (BY_NAME_AND_PATTERN, nested(100)),
    "looked at twice": ({"properties": {"a": {"allOf": [{"$ref": "#"}], "unevaluatedProperties": False}}}, nested(100)),
    "all compared a hundred times": ({"allOf": [{"uniqueItems": True}] * 100}, json.dumps([*map(str, range(60_000))])),
    "a pattern with many ends": ({"pattern": "[ab]*a[ab]{900}c"}, json.dumps("ab" * 60_000)),
    "many patterns": (
        {"allOf": [{"pattern": f"[ab]*a[ab]{{40}}{n}"} for n in range(40)]}, json.dumps("ab" * 60_000),
    ),
    "a long list for every value": ({"items": {"enum": list(range(9_000))}}, json.dumps([1] * 20_000)),
}  # fmt: skip


@pytest.mark.parametrize("given, value", COSTLY.values(), ids=COSTLY.keys())
def test_what_takes_too_long_is_refused_without_trying(given: Any, value: str) -> None:
    found = schema(given).problem(value)
    assert "takes too long to check" in found


def test_a_catastrophic_pattern_is_matched_in_linear_time() -> None:
    found = schema({"pattern": "^(a+)+$"}).problem(json.dumps("a" * 400_000 + "b"))
    assert "does not match" in found


def test_a_recursive_schema_goes_as_deep_as_it_is_cheap() -> None:
    tree = schema(TREE)
    value = "{}"
    for _ in range(100):
        value = f'{{"left":{value}}}'
    assert tree.problem(value) == "" and max(tree.costs) < 10
    grammar = schema({"anyOf": [{"type": "integer"}, {"properties": {"a": {"$ref": "#"}}}, {"items": {"$ref": "#"}}]})
    assert grammar.problem(nested(6)) == ""


def test_a_usual_schema_takes_the_largest_message() -> None:
    rows = [{"name": "tea", "sizes": [1, 2, 3]}] * 20_000
    text = json.dumps(rows, separators=(",", ":"))
    assert len(text) > 600_000 and schema({"type": "array", "items": WIDGET}).problem(text) == ""


def some_schema(rng: Random, depth: int) -> Any:
    """Anything that may be a schema, with references to and fro."""
    if depth == 0 or rng.random() < 0.2:
        leaves: list[Any] = [True, False, {"type": "integer"}, {"$ref": "#"}, {"$ref": "#/$defs/a"}, {"enum": [1, [2]]}]
        return rng.choice(leaves)
    inner = [some_schema(rng, depth - 1) for _ in range(3)]
    return rng.choice(
        [
            {"properties": dict(zip("abc", inner, strict=True)), "$defs": {"a": inner[0]}},
            {"allOf": inner}, {"anyOf": inner}, {"not": inner[0]}, {"if": inner[0], "then": inner[1]},
            {"items": inner[0], "prefixItems": inner[1:]}, {"patternProperties": {"a": inner[0], "b|c": inner[1]}},
            {"unevaluatedProperties": inner[0], "oneOf": inner[1:]}, {"dependentSchemas": {"a": inner[0]}},
        ]
    )  # fmt: skip


def some_value(rng: Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([1, "x", None, 1.5])
    inner = [some_value(rng, depth - 1) for _ in range(3)]
    return rng.choice([inner, dict(zip("abc", inner, strict=True))])


def test_whatever_the_schema_a_check_comes_to_an_end(seed: int) -> None:
    rng, checked = Random(seed), 0
    for _ in range(400):
        try:
            found = schema({"$defs": {"a": some_schema(rng, 2)}, "allOf": [some_schema(rng, 4)]})
        except Invalid:
            continue
        assert all(0 <= cost <= COST_MAX for cost in found.costs)
        for _ in range(5):
            found.problem(json.dumps(some_value(rng, 6), separators=(",", ":")))
            checked += 1
    assert checked
