"""The one way from a JSON value to its canonical text: Go's `json.Compact` with HTML escaping.

Only whitespace outside of strings goes, and five characters inside of strings are escaped; spelling of numbers, order
and repetition of keys, and existing escapes stay (FireFly reference 2.1). So this works on the text, never on a parsed
value. msgspec's C does nearly all of it. What it refuses and Go accepts (lone surrogate escapes, as JavaScript writes
for half of an emoji, and nesting beyond Python's recursion limit) is scanned here, in values and in their envelopes.
"""

import re
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import TypeVar

import msgspec

from ffd.model.errors import Invalid

DEPTH_MAX = 10_000
"""Levels of arrays and objects in a value; Go's decoder refuses the next one."""

T = TypeVar("T")
ValueText = Callable[[bytes | memoryview], str]
"""From a `msgspec.Raw` of an envelope to the canonical text of that value."""

_FOLD_DEPTH = 32
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_ESCAPE = re.compile(  # pairs and other escapes match as well, so that what is left over is alone, and an escape
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?:\\[^u])+|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"
)
_ESCAPED_HTML = re.compile(r"(?<!\\)(?:\\\\)*\\[<>&\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FOLDED = re.compile(r'"<#([0-9]+)>"|<([0-9a-fA-F]{4})>')
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_NO_MARK = re.compile(r"[^][{},]+")
_TOKEN = re.compile(
    r"[ \t\n\r]*(?:(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)"
    r'|(?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")'
    r"|(?P<scalar>true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?))"
)


def canonical_json(raw: bytes | str) -> str:
    """The canonical text of one JSON value in UTF-8; idempotent.

    Raises `Invalid` FFD2101 when it is not JSON, FFD2102 when it is not UTF-8, FFD2103 beyond `DEPTH_MAX` levels.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        compact = msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        if not _SURROGATE_ESCAPE.search(text):
            raise Invalid("FFD2101", f"The value is not valid JSON: {error}") from None
        compact = _compact(text)
    except RecursionError:
        compact = _compact(text)
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise _not_utf8(error) from None
    return _escape_html(compact)


def _compact(text: str) -> str:
    """What `msgspec.json.format` would give if it took lone surrogates and any depth."""
    try:
        return _FOLDED.sub(lambda match: f"\\u{match[2]}", _fold_surrogates(text))
    except RecursionError:
        return "".join([word for word, _ in _tokens(text)])


def json_string(text: str) -> str:
    """`text` as Go's `encoding/json` writes a string, quotes included; a lone surrogate becomes U+FFFD."""
    return _escape_html(encode_basestring(text if text.isascii() else clean_text(text)))


def levels_of(text: str) -> list[int]:
    """How many values stand at each depth of a canonical JSON text, the outermost first; its length is the depth."""
    counts, depth = [1], 0
    for mark in _NO_MARK.sub("", _STRING.sub("", text)):
        if mark == ",":
            counts[depth] += 1
        elif mark in "[{":
            depth += 1
            if depth == len(counts):
                counts.append(0)
            counts[depth] += 1
        else:
            depth -= 1
    return counts


def without_lone_surrogates(text: str) -> str:
    """A JSON text with an escaped U+FFFD for each escape of half a surrogate pair, as Go reads it."""
    return _LONE_ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], text)


def clean_text(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate, as Go reads them: it can be stored and sent as UTF-8."""
    return _SURROGATE.sub("\ufffd", text)


def decode_envelope(raw: bytes | str, decoder: msgspec.json.Decoder[T]) -> tuple[T, ValueText]:
    """A typed envelope, and the way from its `msgspec.Raw` values to their canonical texts.

    Values may hold what msgspec itself refuses (see above): use this, not `decoder.decode`, wherever users' values
    come in. Raises `Invalid` as `canonical_json`, and FFD2104 when a field has the wrong type.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        return decoder.decode(text), _value_text
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise _not_utf8(error) from None
    except msgspec.ValidationError as error:
        raise Invalid("FFD2104", f"The JSON is not as expected: {error}") from None
    except msgspec.DecodeError as error:
        if not _SURROGATE_ESCAPE.search(text):
            raise Invalid("FFD2101", f"The text is not valid JSON: {error}") from None
    except RecursionError:
        pass
    return _decode_folded(text, decoder)


def _value_text(value: bytes | memoryview) -> str:
    return canonical_json(bytes(value))


def _decode_folded(text: str, decoder: msgspec.json.Decoder[T]) -> tuple[T, ValueText]:
    """Decode with deep subtrees and lone surrogates folded away behind `<`, which canonical text never holds."""
    folds: list[str] = []

    def unfold(match: re.Match[str]) -> str:
        return folds[int(match[1])] if match[1] else f"\\u{match[2]}"

    try:
        try:
            envelope = decoder.decode(_fold_surrogates(text))
        except RecursionError:
            envelope = decoder.decode("".join(_fold(text, folds)))
    except msgspec.ValidationError as error:
        raise Invalid("FFD2104", f"The JSON is not as expected: {error}") from None
    except msgspec.DecodeError as error:
        raise Invalid("FFD2101", f"The text is not valid JSON: {error}") from None
    return envelope, lambda value: _FOLDED.sub(unfold, bytes(value).decode())


def _fold_surrogates(text: str) -> str:
    """The canonical text with lone surrogates folded away, at the speed of C: the scanner needs 3 s for a megabyte.

    Raises Invalid, and RecursionError when it takes the scanner.
    """
    if bad := _ESCAPED_HTML.search(text):  # it would be made valid by what follows
        raise Invalid("FFD2101", f"The text is not valid JSON: unexpected {bad[0][-2:]!r} at character {bad.end() - 2}")
    folded = _LONE_ESCAPE.sub(lambda match: f"<{match[1]}>" if match[1] else match[0], _escape_html(text))
    try:
        return msgspec.json.format(folded, indent=-1)
    except msgspec.DecodeError as error:
        raise Invalid("FFD2101", f"The text is not valid JSON: {error}") from None


def _fold(text: str, folds: list[str]) -> Iterator[str]:
    deep: list[str] = []
    for word, depth in _tokens(text):
        piece = _escape_html(word)
        if deep or (depth == _FOLD_DEPTH and piece in ("[", "{")):
            deep.append(piece)
            if depth == _FOLD_DEPTH and piece in ("]", "}"):
                yield f'"<#{len(folds)}>"'
                folds.append("".join(deep))
                deep = []
        elif piece.startswith('"'):
            yield _LONE_ESCAPE.sub(lambda m: f"<{m[1]}>" if m[1] else m[0], piece)
        else:
            yield piece


def _escape_html(text: str) -> str:
    # These five never occur in JSON outside of a string, so the whole text can be replaced at once.
    if "<" in text:
        text = text.replace("<", "\\u003c")
    if ">" in text:
        text = text.replace(">", "\\u003e")
    if "&" in text:
        text = text.replace("&", "\\u0026")
    if not text.isascii():
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return text


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """The tokens of one JSON value, each with the depth it stands at; about a microsecond each.

    An opening and its closing bracket stand at the depth of their container.
    """
    stack: list[str] = []
    want, at = "value", 0
    while want != "end":
        found = _TOKEN.match(text, at)
        if found is None:
            break
        kind, word = found.lastgroup or "", found[found.lastgroup or 0]
        want = _step(want, kind, word, stack)
        if not want:
            break
        yield word, len(stack) - (kind == "open")
        at = found.end()
    if want != "end" or text[at:].strip(" \t\n\r"):
        raise Invalid("FFD2101", f"The text is not valid JSON: unexpected {text[at : at + 20]!r} at character {at}")


def _step(want: str, kind: str, word: str, stack: list[str]) -> str:
    """What may follow `word`: value, first (or `]`), key, member (or `}`), colon, next (`,` or a close), end.

    Empty when `word` may not stand where `want` is wanted.
    """
    if kind == "open" and want in ("value", "first"):
        if len(stack) == DEPTH_MAX:
            raise Invalid("FFD2103", f"The value is nested deeper than {DEPTH_MAX} levels: flatten it")
        stack.append("]" if word == "[" else "}")
        return "first" if word == "[" else "member"
    if kind == "close" and stack and word == stack[-1] and want in ("next", "first" if word == "]" else "member"):
        stack.pop()
        return "next" if stack else "end"
    if kind == "string" and want in ("key", "member"):
        return "colon"
    if kind == "colon" and want == "colon":
        return "value"
    if kind == "comma" and want == "next":
        return "value" if stack[-1] == "]" else "key"
    if kind in ("string", "scalar") and want in ("value", "first"):
        return "next" if stack else "end"
    return ""


def _not_utf8(error: UnicodeDecodeError | UnicodeEncodeError) -> Invalid:
    return Invalid("FFD2102", f"The text is not valid UTF-8: {error.reason} at {error.start}")
