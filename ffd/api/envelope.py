"""Fields that a JSON body names twice. No I/O.

Two parsers take such a body for two different requests: one believes the first, one the last. Inside of users' values,
which are theirs, names may repeat (FireFly reference 2.1); anywhere else it is refused. Whoever hides a repetition
behind ten thousand others gets what FireFly does: the last one counts.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from ffd.model.errors import Invalid

LOOKS_MAX = 1000
"""Objects and lists that are looked into; an envelope of any sense has fewer."""
COMMAS_MAX = 10_000
"""What has more is not looked into: the look must cost less than the request is worth."""
VALUES = frozenset(("value", "profile"))
"""Fields that hold what belongs to the user."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def check_names(raw: bytes) -> None:
    """Raises Invalid FFD2036 when an object of the envelope has a field twice. What is no JSON is others' affair."""
    try:
        _look(msgspec.json.format(raw, indent=-1))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return


def _look(text: bytes) -> None:
    waiting = [text]
    for _ in range(LOOKS_MAX):
        if not waiting:
            return
        waiting += _inner(waiting.pop())


def _inner(text: bytes) -> list[bytes]:
    """What is in an object or a list, but for values that nobody here reads."""
    if text.count(b",") > COMMAS_MAX:
        return []
    if text[:1] == b"[":
        return [bytes(each) for each in _ITEMS.decode(text)]
    if text[:1] != b"{":
        return []
    fields = {name: bytes(value) for name, value in _FIELDS.decode(text).items()}
    # As long as the text is what it was read to be, nothing was passed over; quotes, colon and comma count 4.
    if len(text) != 1 + sum(len(name.encode()) + len(value) + 4 for name, value in fields.items()) and fields:
        _check_pairs(text)
    return [value for name, value in fields.items() if name not in VALUES]


def _check_pairs(text: bytes) -> None:
    """The same slowly: a name may just have been spelled with escapes."""
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        last[:] = pairs  # the outermost object comes last

    hook: Callable[[list[tuple[str, Any]]], None] = keep
    json.loads(text, object_pairs_hook=hook, parse_int=str, parse_float=str)
    seen: set[str] = set()
    for name, _ in last:
        if name in seen:
            raise Invalid("FFD2036", f"The body has field '{name[:64]}' twice in one object: send it once")
        seen.add(name)
