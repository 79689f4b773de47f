"""Lone surrogates are folded away at the speed of C; the scanner, which knows every rule, is the oracle for that."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ffd.model import canonical
from ffd.model.canonical import canonical_json, decode_envelope
from ffd.model.errors import Invalid

PIECES = [
    *'{}[],:"\\<>&é\u2028ux1 \n\x00', '"a"', "true", "-0.5e3", "\\\\", '\\"', "\\u", "\\ud800", "\\udc00",
    "\\uD83D\\uDE00", "\\ud83d", "d8", "<d800>", '"<#0>"',
]  # fmt: skip
STRINGS = st.lists(st.sampled_from(PIECES[6:]), max_size=8).map(lambda pieces: f'["\\udbff{"".join(pieces)}"]')
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: f"[{''.join(pieces)}")


class Envelope(msgspec.Struct):
    """Something with a value in it."""

    value: msgspec.Raw


def by_scanner(text: str) -> str | None:
    try:
        return canonical._escape_html("".join([word for word, _ in canonical._tokens(text)]))
    except Invalid:
        return None


def by_folding(text: str) -> str | None:
    try:
        return canonical_json(text)
    except Invalid:
        return None


@settings(max_examples=400)
@given(st.one_of(STRINGS, TEXTS))
def test_what_is_folded_reads_as_what_is_scanned(text: str) -> None:
    assert by_folding(text) == by_scanner(text)


@settings(max_examples=200)
@given(STRINGS)
def test_a_value_in_an_envelope_has_the_same_text(text: str) -> None:
    expected = by_scanner(text)
    try:
        envelope, value_text = decode_envelope(f'{{"value":{text}}}', msgspec.json.Decoder(Envelope))
    except Invalid:
        assert expected is None
    else:
        assert value_text(envelope.value) == expected
