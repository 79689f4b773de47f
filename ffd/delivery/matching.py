"""Does an event belong to a subscription? FireFly's filters: regular expressions in Go's dialect, unanchored.

They run in RE2, which answers in linear time whatever a user writes; Python's own engine must never see them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import re2

from ffd.delivery.enrich import EncodedEvent
from ffd.model.errors import Invalid
from ffd.model.subscription import SubscriptionFilter

PATTERN_MAX = 1024
PATTERN_MEMORY_BYTES = 1 << 20

Matcher = Callable[[EncodedEvent], bool]


class _Pattern(Protocol):
    def search(self, text: str) -> object | None: ...


def compile_filter(filter: SubscriptionFilter) -> Matcher:
    """The filter as one function of an event. Raises Invalid FF10171 when an expression is none."""
    tests: list[Matcher] = []
    for field, text, value in (
        ("events", filter.events, _type),
        ("topic", filter.topic, _topic),
        ("message.tag", filter.tag, _tag),
        ("message.group", filter.group, _group),
        ("message.author", filter.author, _author),
        ("transaction.type", filter.transaction_type, _tx_type),
        ("blockchainevent.name", filter.blockchain_name, _blockchain_name),
        ("blockchainevent.listener", filter.blockchain_listener, _nothing),
    ):
        if text:
            tests.append(_test(compile_pattern(field, text), value))
    if not tests:
        return _everything
    return tests[0] if len(tests) == 1 else lambda event: all(test(event) for test in tests)


def compile_pattern(field: str, text: str) -> _Pattern:
    """One expression. Raises Invalid FF10171."""
    if len(text) > PATTERN_MAX:
        raise Invalid(
            "FF10171", f"Regular expression of filter '{field}' has {len(text)} characters: {PATTERN_MAX} at most"
        )
    options = re2.Options()
    options.log_errors = False  # else RE2 writes what a stranger sent to our stderr
    options.max_mem = PATTERN_MEMORY_BYTES
    try:
        pattern: _Pattern = re2.compile(text, options)
    except re2.error as error:
        cause = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise Invalid("FF10171", f"Unable to compile regular expression of filter '{field}': {cause[:200]}") from None
    return pattern


def _test(pattern: _Pattern, value: Callable[[EncodedEvent], str]) -> Matcher:
    # Most streams repeat few values; the memory is bounded by starting anew.
    known: dict[str, bool] = {}

    def test(event: EncodedEvent) -> bool:
        text = value(event)
        found = known.get(text)
        if found is None:
            if len(known) >= 256:
                known.clear()
            found = known[text] = pattern.search(text) is not None
        return found

    return test


def _everything(event: EncodedEvent) -> bool:
    return True


def _type(event: EncodedEvent) -> str:
    return event.type


def _topic(event: EncodedEvent) -> str:
    return event.topic


def _tag(event: EncodedEvent) -> str:
    return event.header.tag


def _group(event: EncodedEvent) -> str:
    return event.header.group


def _author(event: EncodedEvent) -> str:
    return event.header.author


def _tx_type(event: EncodedEvent) -> str:
    return event.tx_type


def _blockchain_name(event: EncodedEvent) -> str:
    return event.blockchain_name


def _nothing(event: EncodedEvent) -> str:
    # A BatchPin belongs to no contract listener; FireFly matches the empty text then.
    return ""
