"""A value keeps its sender's text, but for what Go's compacting changes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given as any_of
from hypothesis import strategies as some

from ffd.model import canonical
from ffd.model.canonical import canonical_json, clean_text, decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.ids import sha256
from tests.model.vectors import cases

texts = some.text(some.characters(codec="utf-8"), max_size=20)
values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
json_like = some.text(some.sampled_from('{}[]:,"\\ \n\tu0d8e+-.1truefalsn<&é\u2028\x00'), max_size=24)


class Item(msgspec.Struct):
    value: msgspec.Raw
    name: str = ""


ITEM = msgspec.json.Decoder(Item)


def by_tokens(text: str) -> str:
    return "".join([word for word, _ in canonical._tokens(text)])


def value_of(raw: bytes) -> str:
    item, value_text = decode_envelope(raw, ITEM)
    return value_text(item.value)


@cases("json_value")
def test_a_value_becomes_the_canonical_text_or_is_refused(given: dict[str, str], expected: dict[str, Any]) -> None:
    for raw in (given["text"], given["text"].encode()):
        if not expected["valid"]:
            with pytest.raises(Invalid):
                canonical_json(raw)
        else:
            assert canonical_json(raw) == expected["canonical"]
            assert sha256(canonical_json(raw).encode()).hex() == expected["sha256"]


@cases("json_value")
def test_an_envelope_hands_out_the_same_text(given: dict[str, str], expected: dict[str, Any]) -> None:
    raw = f'{{"name": "n", "value": {given["text"]} }}'.encode()
    if not expected["valid"]:
        with pytest.raises(Invalid):
            value_of(raw)
    elif given["text"] != "[" * 10_000 + "]" * 10_000:  # the envelope itself is a level
        assert value_of(raw) == expected["canonical"]


@pytest.mark.parametrize(
    "raw",
    [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'{"\xc0\xaf":1}', b'"\xf4\x90\x80\x80"', "\ud800", '"\udfff"'],
)
def test_what_is_not_utf8_is_refused(raw: bytes | str) -> None:
    with pytest.raises(Invalid, match="FFD2102"):
        canonical_json(raw)
    if isinstance(raw, bytes):
        with pytest.raises(Invalid, match="FFD2102"):
            decode_envelope(b'{"value":' + raw + b"}", ITEM)


def test_text_that_cannot_be_utf8_is_no_envelope() -> None:
    with pytest.raises(Invalid, match="FFD2102"):
        decode_envelope('{"value":"\ud800"}', ITEM)


def test_a_value_that_is_nested_too_deep_is_told_so() -> None:
    with pytest.raises(Invalid, match="FFD2103"):
        canonical_json("[" * 1_000_000)


def test_a_bad_value_beside_half_an_emoji_is_still_refused() -> None:
    for text in ('["\\ud83d",]', '{"\\ud83d"}', '"\\ud83d" 1', '["\\ud83d"', '"\\ud83"'):
        with pytest.raises(Invalid, match="FFD2101"):
            canonical_json(text)


@any_of(values, some.sampled_from([None, 1, "\t"]), some.booleans())
def test_canonical_text_means_the_same_and_stays_the_same(value: Any, indent: int | str | None, ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    once = canonical_json(text)
    assert json.loads(once) == value
    assert canonical_json(once) == canonical_json(once.encode()) == once
    assert not set(once) & set("<>&\u2028\u2029")


@any_of(values)
def test_tokens_and_msgspec_agree_on_what_is_json(value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    assert by_tokens(text) == msgspec.json.format(text, indent=-1)


@any_of(json_like)
def test_tokens_and_msgspec_agree_on_what_is_not(text: str) -> None:
    try:
        compact = msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        if "surrogate" in str(error) or "truncated" in str(error):
            return  # where they are meant to differ
        with pytest.raises(Invalid):
            by_tokens(text)
    else:
        assert by_tokens(text) == compact


@any_of(texts)
def test_a_string_is_written_as_a_canonical_value(text: str) -> None:
    assert json.loads(json_string(text)) == text
    assert canonical_json(json_string(text)) == json_string(text)


def test_a_string_is_escaped_as_go_escapes() -> None:
    assert json_string('a"\\/<>&\b\f\n\r\t\x00\x1f\x7f é\u2028😀') == (
        '"a\\"\\\\/\\u003c\\u003e\\u0026\\b\\f\\n\\r\\t\\u0000\\u001f\x7f é\\u2028😀"'
    )
    assert json_string("half \ud83d") == '"half \ufffd"'
    assert clean_text("\ud83d\ude00") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "value",
    [
        '["\\ud83d", "\\ud83d\\ude00", "<\\ude00>", "\\\\ud800"]',
        '{"<#0>": "<d83d>", "\\udc00": "<#1>"}',
        "[" * 3000 + '"\\ud800 <"' + "]" * 3000,
        f'[{"[" * 50}{"]" * 50}, "<#0>", {{"a": {"[" * 2000}1, "x", {{}} {"]" * 2000}}}]',
    ],
)
def test_an_envelope_keeps_what_msgspec_refuses(value: str) -> None:
    item, value_text = decode_envelope(f'{{"value": {value}, "name": "\\u003cok\\u003e"}}'.encode(), ITEM)
    assert value_text(item.value) == canonical_json(value)
    assert item.name == "<ok>"


@pytest.mark.parametrize(
    "raw, code",
    [
        (b'{"value":1', "FFD2101"),
        (b'{"value":1}}', "FFD2101"),
        (b"", "FFD2101"),
        (b'{"name":"x"}', "FFD2104"),
        (b'{"value":1,"name":2}', "FFD2104"),
        (b'{"value":"\\ud800","name":2}', "FFD2104"),
        (b'{"value":"\\ud800","name":}', "FFD2101"),
        (b'{"value":' + b"[" * 100_000, "FFD2103"),
    ],
)
def test_a_bad_envelope_is_told_apart(raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_envelope(raw, ITEM)
    assert refused.value.code == code
