"""Filters: RE2's answers to Go's expressions, and clear refusals of what is none."""

import pytest

from ffd.delivery.matching import PATTERN_MAX, compile_filter, compile_pattern
from ffd.model.errors import Invalid
from ffd.model.subscription import parse_filter
from tests.world import Cast

MATCHES = {
    "unanchored": ("me", "homework", True),
    "anchored": ("^me$", "homework", False),
    "empty matches an absent topic": ("^$", "", True),
    "case": ("House", "house", False),
    "flags as in Go": ("(?i)House", "house", True),
    "named groups as in Go": ("(?P<room>kitchen|hall)", "the hall", True),
    "Unicode classes": (r"^\p{Greek}+$", "λόγος", True),
    "the text's end and not a line's": ("a$", "a\n", False),
    "a class": ("[[:digit:]]{3}", "ab123", True),
}


@pytest.mark.parametrize("pattern, text, wanted", MATCHES.values(), ids=MATCHES)
def test_an_expression_means_what_it_means_in_go(pattern: str, text: str, wanted: bool) -> None:
    assert (compile_pattern("topic", pattern).search(text) is not None) is wanted


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=lookahead)", r"(a)\1", "[z-a]", "a{1001}", "\\"])
def test_what_go_would_refuse_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="FF10171.*'topic'"):
        compile_pattern("topic", pattern)


def test_an_expression_has_a_size() -> None:
    compile_pattern("topic", "a" * PATTERN_MAX)
    with pytest.raises(Invalid, match="FF10171"):
        compile_pattern("topic", "a" * (PATTERN_MAX + 1))


def test_an_expression_that_would_take_another_engine_forever_is_answered_at_once() -> None:
    assert compile_pattern("topic", "(a+)+$").search("a" * 100_000 + "b") is None


FILTERS = {
    "{}": ["transaction_submitted", "blockchain_event_received", "message_confirmed"],
    '{"events":"message_.*"}': ["message_confirmed"],
    '{"topic":"^mail$"}': ["message_confirmed"],
    '{"topic":"^sky$"}': [],
    '{"message":{"tag":"^letter$"}}': ["message_confirmed"],
    '{"tag":"^letter$"}': ["message_confirmed"],
    '{"message":{"author":"org/alice$"}}': ["message_confirmed"],
    '{"message":{"group":"."}}': [],
    '{"message":{"group":"^$"}}': ["transaction_submitted", "blockchain_event_received", "message_confirmed"],
    '{"transaction":{"type":"batch_pin"}}': ["transaction_submitted"],
    '{"blockchainevent":{"name":"BatchPin"}}': ["blockchain_event_received"],
    '{"events":"message","topic":"sky"}': [],
}


async def test_a_subscription_hears_what_its_filter_says(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("hello", topic="mail", tag="letter")
    await alice.heard(1)
    page = await alice.desk.subscriptions.recent.page(0, 10)
    assert [event.type for event in page] == FILTERS["{}"]
    for text, wanted in FILTERS.items():
        matches = compile_filter(parse_filter(text))
        assert [event.type for event in page if matches(event)] == wanted, text
