"""The one way from a JSON value to its canonical text: Go's `json.Compact` with HTML escaping.

Only whitespace outside of strings goes, and five characters inside of strings are escaped; spelling of numbers, order
and repetition of keys, and existing escapes stay (FireFly reference 2.1). So this works on the text, never on a parsed
value. msgspec's C does nearly all of it; what it refuses and Go accepts (lone surrogate escapes, nesting beyond
Python's recursion limit) is scanned here.
"""

import re
from json.encoder import encode_basestring

import msgspec

from ffd.model.errors import Invalid

DEPTH_MAX = 10_000
"""Levels of arrays and objects in a value; Go's decoder refuses the next one."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
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
        compact = _scan(text)
    except RecursionError:
        compact = _scan(text)
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise Invalid("FFD2102", f"The value is not valid UTF-8: {error.reason} at {error.start}") from None
    return _escape_html(compact)


def json_string(text: str) -> str:
    """`text` as Go's `encoding/json` writes a string, quotes included; a lone surrogate becomes U+FFFD."""
    if not text.isascii() and _SURROGATE.search(text):
        text = _SURROGATE.sub("\ufffd", text)
    return _escape_html(encode_basestring(text))


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


def _scan(text: str) -> str:
    """Check and compact by tokens, in our own stack: about a microsecond a token, for the few texts that need it."""
    parts: list[str] = []
    stack: list[str] = []
    want, at = "value", 0
    while want != "end":
        token = _TOKEN.match(text, at)
        if token is None:
            break
        want = _step(want, token, stack)
        parts.append(token[token.lastgroup or 0])
        at = token.end()
    if want != "end" or text[at:].strip(" \t\n\r"):
        raise Invalid("FFD2101", f"The value is not valid JSON: unexpected text at character {at}")
    return "".join(parts)


def _step(want: str, token: re.Match[str], stack: list[str]) -> str:
    """What may follow `token`: value, first (or `]`), key, member (or `}`), colon, next (`,` or a close), end."""
    kind, text = token.lastgroup, token[token.lastgroup or 0]
    if kind == "open" and want in ("value", "first"):
        if len(stack) == DEPTH_MAX:
            raise Invalid("FFD2103", f"The value is nested deeper than {DEPTH_MAX} levels: flatten it")
        stack.append("]" if text == "[" else "}")
        return "first" if text == "[" else "member"
    if kind == "close" and stack and text == stack[-1] and want in ("next", "first" if text == "]" else "member"):
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
    raise Invalid("FFD2101", f"The value is not valid JSON: unexpected {text[:20]!r} at character {token.start()}")
