"""A subscription's definition from the command line: exact values become anchored expressions."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from ffctl.failure import usage
from ffctl.live import EVENT_TYPES, FILTER_KEYS
from ffctl.options import known
from ffctl.plain import lookup, text_of

MESSAGE_EVENTS = ("message_confirmed", "message_rejected")

_PLACES = {
    "events": "type",
    "topic": "topic",
    "message.tag": "message.header.tag",
    "message.author": "message.header.author",
    "message.group": "message.header.group",
    "transaction.type": "transaction.type",
    "blockchainevent.name": "blockchainEvent.name",
    "blockchainevent.listener": "blockchainEvent.listener",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for: exact values as given, and expressions of `--filter` by their key."""

    topics: tuple[str, ...]
    types: tuple[str, ...]
    tag: str | None
    author: str | None
    regexes: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.topics or self.types or self.tag is not None or self.author is not None or self.regexes)

    def messages_unless(self, everything: bool) -> "Wanted":
        """Only events of messages, unless all events or some types are asked for."""
        if everything or self.types or any(key == "events" for key, _ in self.regexes):
            return self
        return replace(self, types=MESSAGE_EVENTS)

    def filter(self) -> dict[str, Any]:
        """The subscription's `filter`."""
        found: dict[str, Any] = {}
        for key, expression in self._expressions():
            *rooms, name = key.split(".")
            room = found
            for step in rooms:
                room = room.setdefault(step, {})
            if name in room:
                raise usage(f"two filters for {key}", f"join them in one expression: --filter '{key}=a|b'")
            room[name] = expression
        return found

    def matches(self, event: Any) -> bool:
        """Whether an event (with its message inside) is asked for: near enough to RE2 to find where to begin."""
        return all(
            re.search(expression, text_of(lookup(event, _PLACES[key]))) for key, expression in self._expressions()
        )

    def _expressions(self) -> list[tuple[str, str]]:
        exact = [
            ("topic", self.topics),
            ("events", self.types),
            ("message.tag", () if self.tag is None else (self.tag,)),
            ("message.author", () if self.author is None else (self.author,)),
        ]
        return [(key, _anchored(values)) for key, values in exact if values] + list(self.regexes)


def wanted(
    topics: list[str] | None, types: list[str] | None, tag: str | None, author: str | None, regexes: list[str] | None
) -> Wanted:
    """The options' values, checked."""
    types = known("--type", types, EVENT_TYPES)
    return Wanted(tuple(topics or ()), tuple(types or ()), tag, author, tuple(map(_split, regexes or ())))


def _split(text: str) -> tuple[str, str]:
    key, equals, expression = text.partition("=")
    if not equals or key not in FILTER_KEYS:
        raise usage(f"--filter {text!r} is not KEY=REGEX", f"KEY is one of {', '.join(FILTER_KEYS)}")
    return key, expression


def _anchored(values: tuple[str, ...]) -> str:
    return "^(?:" + "|".join(re.escape(value) for value in values) + ")$"


def options(*, first: str | None, readahead: int, batch: bool = True, with_data: bool = True) -> dict[str, Any]:
    """The subscription's `options` for a fast reader that sees the data."""
    found: dict[str, Any] = {"batch": batch, "readAhead": readahead, "withData": with_data}
    if first is not None:
        found["firstEvent"] = place(first)
    return found


def place(text: str) -> str:
    """`oldest`, `newest` or a sequence number of at least -1."""
    if text in ("oldest", "newest") or (re.fullmatch(r"-?[0-9]{1,18}", text) and int(text) >= -1):
        return text
    raise usage(f"--from {text!r} is no place in the log", "write oldest, newest or a sequence number")


def definition(name: str, filter: dict[str, Any], options: dict[str, Any]) -> bytes:
    """The body that creates a durable subscription."""
    body = {"name": name, "transport": "websockets", "filter": filter, "options": options}
    return json.dumps(body, ensure_ascii=False).encode()
