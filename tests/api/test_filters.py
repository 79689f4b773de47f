"""FireFly's filter language: every vector, and any text at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffd.api.filters import QUERY_CHARS_MAX, TERMS_MAX, parse_filter, parse_pairs
from ffd.model.errors import Invalid
from ffd.model.query import COLLECTIONS, Condition, Group, Query, default_sort

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["families"]["filter"]["vectors"]


def as_json(node: Condition | Group) -> dict[str, Any]:
    if isinstance(node, Condition):
        return {"op": node.op, "field": node.field, "value": node.value}
    return {"op": node.op, "conditions": [as_json(child) for child in node.conditions]}


def answer(collection: str, query: str) -> dict[str, Any]:
    """What the vectors expect, from what ffd makes of the query."""
    try:
        found = parse_filter(collection, query)
    except Invalid as refusal:
        return {"valid": False, "code": refusal.code}
    return {
        "valid": True,
        "where": as_json(found.where),
        "skip": found.skip,
        "limit": found.limit,
        "sort": [f"{'-' * step.descending}{step.field}" for step in found.sort],
        "count": found.count,
    }


def test_there_are_as_many_vectors_as_the_reference_has() -> None:
    assert len(VECTORS) == 165


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_query_means_what_it_means_to_firefly(vector: dict[str, Any]) -> None:
    assert answer(**vector["input"]) == vector["expected"]


def test_truths_and_numbers_are_not_mixed_up() -> None:
    """Python's `True == 1` would hide it from the vectors."""
    where = parse_filter("pins", "masked=true&index=1").where
    assert [type(c.value) for c in where.conditions if isinstance(c, Condition)] == [int, bool]


PAGE_BEFORE_VALUES = {
    "a bad operator before a bad page": ("sequence=:>5&limit=5000", "FF00193"),
    "a bad page before a bad value": ("sequence=x&limit=5000", "FF00192"),
    "a bad value at last": ("sequence=x&limit=50", "FF00143"),
    "a time beyond 64 bits": ("created=2500-01-01T00:00:00Z", "FF00143"),
    "a number in other digits": ("sequence=٣", "FF00143"),
    "a huge number": ("sequence=" + "9" * 5000, "FF00143"),
    "case folded on null": ("tag=?:", "FF00144"),
    "too many terms": ("&".join(["tag=x"] * (TERMS_MAX + 1)), "FF00134"),
    "too many sorts": ("sort=" + ",".join(["tag"] * 33), "FF00134"),
    "too long": ("tag=" + "x" * QUERY_CHARS_MAX, "FF00135"),
}


@pytest.mark.parametrize("query, code", PAGE_BEFORE_VALUES.values(), ids=PAGE_BEFORE_VALUES)
def test_what_is_wrong_first_is_said(query: str, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_filter("messages", query)
    assert refusal.value.code == code


def test_a_page_of_many_zeros_and_a_page_of_many_nines() -> None:
    assert parse_filter("messages", "limit=" + "0" * 30 + "7").limit == 7
    with pytest.raises(Invalid, match="FF00192"):
        parse_filter("messages", "limit=" + "9" * 5000)


def test_the_last_bracket_of_a_value_counts() -> None:
    assert [parse_filter("messages", f"tag={one}&tag=z").where.conditions[0].op for one in ("[]a", "][a")] == [
        "or",
        "and",
    ]


def test_the_limit_of_terms_is_exact() -> None:
    where = parse_filter("messages", "&".join(f"tag=x{n}" for n in range(TERMS_MAX))).where
    assert isinstance(where.conditions[0], Group) and len(where.conditions[0].conditions) == TERMS_MAX


def test_pairs_may_come_decoded() -> None:
    assert parse_filter("events", [("topic", "a&b"), ("limit", "3")]) == parse_filter("events", "topic=a%26b&limit=3")


def test_bytes_that_are_not_text_are_nobodys_pair() -> None:
    assert parse_pairs("a=%ff&b=%C3%A9&%80=c&\ud800=d&e") == [("b", "é"), ("e", "")]


def test_the_default_sort_is_of_fields_or_of_the_sequence() -> None:
    for name, fields in COLLECTIONS.items():
        assert all(step.field in fields or step.field == "sequence" for step in default_sort(name))


FIELDS = sorted({field for fields in COLLECTIONS.values() for field in fields})
PAGING = ["limit", "skip", "sort", "count", "ascending", "descending"]
SIGNS = ["&", "=", "=", "=", ">", "<", "!", ":", "?", "[", "]", "@", "^", "$", ";", "%", "%00", "%ff", "+", ",", "-"]
TEXTS = ["5", "1e9", "true", "2024-03-01T12:00:00Z", "é", "\x00"]
WORDS = st.sampled_from([*FIELDS, *PAGING, *SIGNS, *TEXTS])
CODES = {f"FF00{n}" for n in (134, 135, 143, 144, 145, 191, 192, 193)}


def found_or_refused(collection: str, query: str) -> Query | str:
    try:
        return parse_filter(collection, query)
    except Invalid as refusal:
        return refusal.code


@given(
    collection=st.sampled_from(sorted(COLLECTIONS)),
    query=st.one_of(st.text(), st.lists(WORDS, max_size=60).map("".join)),
)
def test_any_text_is_a_query_or_a_refusal(collection: str, query: str) -> None:
    found = found_or_refused(collection, query)
    if isinstance(found, str):
        assert found in CODES
        return
    assert 0 <= found.limit <= 1000 and 0 <= found.skip <= 1000
    for node in found.where.conditions:
        for condition in node.conditions if isinstance(node, Group) else (node,):
            assert isinstance(condition, Condition) and condition.field in COLLECTIONS[collection]
            assert not isinstance(condition.value, int) or -(2**63) <= condition.value < 2**63
