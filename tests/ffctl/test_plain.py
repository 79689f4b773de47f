"""Texts that a payload may bring, and what of them reaches a terminal or a file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffctl.plain import Number, compact, decode, harmless, lookup, visible, yaml

HOSTILE = {
    "escape": "\x1b[2J", "NUL": "\x00", "bell": "\x07", "DEL": "\x7f", "C1 CSI": "\x9b31m", "right to left": "\u202e",
    "isolate": "\u2066", "zero width space": "\u200b", "joiner": "\u200d", "byte order mark": "\ufeff",
    "line separator": "\u2028", "soft hyphen": "\xad", "a tag": "\U000e0041", "hangul filler": "\u3164",
    "carriage return": "\r", "backspace": "\x08", "lone surrogate": "\ud800",
}  # fmt: skip


def is_quiet(text: str) -> bool:
    """Nothing in it that moves, hides or reorders: what a terminal may be given."""
    bad = {"\x7f", "\xad", "\u061c", "\ufeff", "\u3164", "\u2028", "\u2029"}
    return not any(
        (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in bad or "\u200b" <= c <= "\u200f"
        or "\u202a" <= c <= "\u202e" or "\u2060" <= c <= "\u206f" or 0xD800 <= ord(c) < 0xE000 or ord(c) >> 12 == 0xE0
        for c in text
    )  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_shown_instead(text: str) -> None:
    assert is_quiet(visible(f"a{text}b")) and len(visible(text)) > len(text)
    quoted = json.dumps(text, ensure_ascii=False)
    assert is_quiet(harmless(quoted)) and json.loads(harmless(quoted)) == text
    assert is_quiet(yaml({"a": text, text: [text]}))


def test_harmless_text_is_left_alone() -> None:
    for text in ("plain", "Grüße, 世界", "naïve café — “quotes”", "a\\nb"):
        assert visible(text) == text and harmless(f'"{text}"') == f'"{text}"'
    assert visible("a\tb\nc") == "a\\tb\\nc"


@given(st.text())
def test_no_text_at_all_disturbs_a_terminal(text: str) -> None:
    assert is_quiet(visible(text)) and "\n" not in visible(text)
    assert json.loads(harmless(json.dumps(text, ensure_ascii=False))) == text


NUMBERS = (
    "1",
    "-0",
    "1.50",
    "12345678901234567890123",
    "0.1000000000000000055511151231257827",
    "1e5",
    "2.5E-7",
    "1E+2",
)


def test_no_digit_is_lost() -> None:
    for text in NUMBERS:
        assert compact(decode(f'{{"a":[{text}]}}')) == f'{{"a":[{text}]}}'


YAML = {
    "numbers": ('{"a":1e5,"b":2.50,"c":2E-7}', "a: 1.0e+5\nb: 2.50\nc: 2.0e-7\n"),
    "words that mean something": ('["no","null","~","1","x-1","","a: b"]',
                                  '- "no"\n- "null"\n- "~"\n- "1"\n- x-1\n- ""\n- "a: b"\n'),
    "empty things": ('{"a":{},"b":[],"c":null}', "a: {}\nb: []\nc: null\n"),
    "nested lists": ("[[1,2],[],[{}]]", "- - 1\n  - 2\n- []\n- - {}\n"),
    "objects in lists": ('[{"a":1,"b":{"c":[2]}}]', "- a: 1\n  b:\n    c:\n      - 2\n"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "text"), YAML.values(), ids=YAML)
def test_yaml_is_laid_out_in_blocks(raw: str, text: str) -> None:
    assert yaml(decode(raw)) == text


def test_a_path_leads_into_an_object() -> None:
    value = decode('{"a":{"b":[{"c":1}]}}')
    assert lookup(value, "a.b.0.c") == Number("1")
    assert lookup(value, "a.b.1.c") is None and lookup(value, "a.x.y") is None and lookup(value, "a.b.c") is None
