r"""JSON as it came, for people: decoded without losing a digit, shortened to one line, or laid out as YAML.

Text from a message may hold anything, so two escapes live here. `harmless` makes JSON or YAML text that no terminal
obeys, and that means the same; `visible` does it for text that is not quoted (`\x1b` for an escape character).
"""

import json
import re
from functools import partial
from typing import Any

# C0 but tab and newline, DEL, C1, the bidirectional controls, zero-width and other invisible format characters, lone
# surrogates, line and paragraph separator, interlinear annotation, tags.
_HOSTILE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_BREAKS = {10: "\\n", 9: "\\t", 13: "\\r"}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"))
_EXPONENT = re.compile(r"[eE]([+-]?)")


class Number(str):
    """A number's own text: no digit is lost on the way through."""

    __slots__ = ()


decode = partial(json.loads, parse_float=Number, parse_int=Number)
"""JSON text or bytes to Python values, numbers kept as their text (`Number`)."""


def harmless(text: str) -> str:
    r"""JSON (or YAML in double quotes) that means the same and holds no character a terminal would obey."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON has no raw control character below 0x20
    return _HOSTILE.sub(_json_escape, text)


def visible(text: str) -> str:
    r"""Text on one line for a terminal: `\n`, `\t`, `\x1b` and `\u202e` are shown, not obeyed."""
    if text.isascii() and text.isprintable():
        return text
    return _HOSTILE.sub(_text_escape, text.translate(_LINE_BREAKS))


def compact(value: Any) -> str:
    """One line of JSON of a decoded value, its numbers as they came."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def text_of(value: Any) -> str:
    """A value as a person would write it: a string without quotes, nothing for null, else one line of JSON."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else compact(value)


def lookup(value: Any, path: str) -> Any:
    """What is at `header.tag` or `data.0.value`; None where there is nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
        else:
            return None
    return value


def yaml(value: Any, indent: str = "") -> str:
    """A decoded value as YAML in blocks; each line ends with a newline. Reads back the same as YAML 1.1 and 1.2."""
    if isinstance(value, dict) and value:
        return "".join(f"{indent}{_scalar(key)}:{_under(item, indent)}" for key, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{indent}-{_beside(item, indent)}" for item in value)
    return f"{indent}{_scalar(value)}\n"


def _under(value: Any, indent: str) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + yaml(value, indent + "  ")
    return f" {_scalar(value)}\n"


def _beside(value: Any, indent: str) -> str:
    """A list's item: its first line stands beside the dash."""
    if isinstance(value, dict | list) and value:
        return " " + yaml(value, indent + "  ").removeprefix(indent + "  ")
    return f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, Number):
        return _yaml_number(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return _HOSTILE.sub(_yaml_escape, json.dumps(value, ensure_ascii=False))


def _yaml_number(text: str) -> str:
    """YAML 1.1 wants a dot and a signed exponent where JSON needs neither."""
    mantissa, *rest = _EXPONENT.split(text)
    if not rest:
        return text
    sign, digits = rest
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{sign or '+'}{digits}"


def _json_escape(found: re.Match[str]) -> str:
    point = ord(found[0])
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"


def _yaml_escape(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _text_escape(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
