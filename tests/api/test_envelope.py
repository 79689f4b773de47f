"""A body that names a field twice is refused, unless it is in the user's own value."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffd.api.envelope import COMMAS_MAX, LOOKS_MAX, check_names
from ffd.model.errors import Invalid

TWICE = {
    "at the top": '{"data":[],"data":[]}',
    "with space": '{ "data" : [] ,\n "data" : [] }',
    "of other types": '{"header":{},"x":1,"header":null}',
    "deeper": '{"header":{"topics":["a"],"topics":["b"]}}',
    "in a list": '{"data":[{"value":1},{"value":1,"value":2}]}',
    "spelled with an escape": '{"header":{},"he\\u0061der":{}}',
    "of length none": '{"":1,"":2}',
    "beyond ASCII": '{"é":1,"\\u00e9":1}',
    "in a list at the top": '[{"a":1,"a":1}]',
}
ONCE = {
    "a message": '{"header":{"topics":["a","a"],"tag":"t"},"data":[{"value":{"a":1,"a":2}},{"value":[{"b":1,"b":2}]}]}',
    "an escape": '{"\\u00e9":1,"a":"\\u00e9\\"}","b":{"c\\n":1}}',
    "nothing": "",
    "no JSON": "{",
    "an empty object": " { } ",
    "a text": '"a"',
    "great depth": '{"data":[{"value":%s}]}' % ("[" * 5000 + "]" * 5000),
    "half a surrogate pair": '{"data":[{"value":"\\ud800"}]}',
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_field_that_is_there_twice_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="^FFD2036: The body has field '.*' twice in one object: send it once"):
        check_names(text.encode())


@pytest.mark.parametrize("text", ONCE.values(), ids=ONCE)
def test_anything_else_is_left_to_who_reads_it(text: str) -> None:
    check_names(text.encode())


def test_bytes_that_are_no_text_are_left_to_who_reads_them() -> None:
    for raw in (
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a\xff":1,"b":{}}',
        b'{"\\ud800":1}',
        b'{"a":{"\\uZZZZ":1}}',
        b'["\xff"]',
    ):
        check_names(raw)


@given(st.binary(max_size=60))
def test_any_bytes_are_looked_at_without_a_failure(junk: bytes) -> None:
    for raw in (junk, b'{"a":' + junk + b"}", b'{"' + junk + b'":1,"b":2}'):
        with contextlib.suppress(Invalid):
            check_names(raw)


def test_what_is_looked_at_has_a_bound() -> None:
    check_names(f'[{{"a":1,"a":1}},{",".join(["{}"] * LOOKS_MAX)}]'.encode())
    check_names(f'{{"x":[{",".join(["1"] * (COMMAS_MAX + 2))}],"a":1,"a":1}}'.encode())


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES, st.booleans())
def test_what_names_nothing_twice_passes_however_it_is_written(value: object, ascii_only: bool) -> None:
    check_names(json.dumps(value, ensure_ascii=ascii_only, indent=1).encode(errors="replace"))
