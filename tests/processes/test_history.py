"""The checker itself: what it must call bad, by its name, and what it must let pass."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.processes.history import (
    Fault,
    History,
    Outcome,
    Reader,
    Row,
    Rule,
    Sent,
    Value,
    faults,
    unheard,
)

WINDOW = 3


def row(sequence: int, value: Value) -> Row:
    return Row(sequence, f"event-{sequence}", f"message-{value[0]}{value[1]}", "t", value)


def sent(value: Value, outcome: Outcome = Outcome.ACCEPTED) -> Sent:
    return Sent(value, outcome, f"message-{value[0]}{value[1]}" if outcome is Outcome.ACCEPTED else "")


def good(count: int = 6) -> History:
    """Two senders take turns; a third was cut off, and its message came; a reader heard all in two lives."""
    values = [("ab"[n % 2], n // 2) for n in range(count)]
    table = [row(place + 1, value) for place, value in enumerate([*values, ("c", 0)])]
    lives = [table[:4], table[2:]]
    attempts = [*map(sent, values), sent(("c", 0), Outcome.UNKNOWN), sent(("c", 1), Outcome.REFUSED)]
    return History(attempts, table, [each.sequence for each in table], [Reader("worker", lives, WINDOW)])


def told(history: History, *lives: list[Row], window: int = WINDOW) -> History:
    return replace(history, readers=[Reader("worker", list(lives), window)])


def retold(history: History, table: list[Row]) -> History:
    """Another table, which the reader has heard whole."""
    return told(replace(history, table=table, sequences=[each.sequence for each in table]), table)


def renumbered(history: History, values: list[Value]) -> History:
    return retold(history, [row(place + 1, value) for place, value in enumerate(values)])


def without_last(history: History) -> History:
    return retold(replace(history, sent=[*history.sent, sent(("d", 0))]), list(history.table))


def with_row(history: History, extra: Row) -> History:
    return retold(history, [*history.table, extra])


BAD: dict[str, tuple[Rule, Callable[[History], History]]] = {
    "an accepted message has no event": (Rule.LOST, without_last),
    "an accepted message that was also cut off has no event": (
        Rule.LOST, lambda h: without_last(replace(h, sent=[*h.sent, sent(("d", 0), Outcome.UNKNOWN)])),
    ),
    "a message that nobody sent": (Rule.INVENTED, lambda h: with_row(h, row(8, ("z", 0)))),
    "a message that was refused": (Rule.RESURRECTED, lambda h: with_row(h, row(8, ("c", 1)))),
    "one idempotency key, two ids told": (
        Rule.TWO_MESSAGES, lambda h: replace(h, sent=[*h.sent, Sent(("a", 0), Outcome.ACCEPTED, "other")]),
    ),
    "a message under another id than was told": (
        Rule.TWO_MESSAGES, lambda h: retold(h, [replace(h.table[0], message="other"), *h.table[1:]]),
    ),
    "one id for two values": (
        Rule.TWO_VALUES,
        lambda h: with_row(
            replace(h, sent=[*h.sent, sent(("d", 0), Outcome.UNKNOWN)]),
            replace(row(8, ("d", 0)), message="message-a0", topic="u"),
        ),
    ),
    "a message told twice": (Rule.TWO_EVENTS, lambda h: with_row(h, row(8, ("c", 0)))),
    "an event id used twice": (
        Rule.TWO_EVENTS, lambda h: retold(h, [*h.table[:6], replace(h.table[6], event="event-1")]),
    ),
    "a number that is missing": (Rule.GAP, lambda h: replace(h, sequences=[1, 2, 3, 5, 6, 7, 8])),
    "a number that is there twice": (Rule.GAP, lambda h: replace(h, sequences=[1, 2, 3, 3, 4, 5, 6])),
    "a table that does not begin at 1": (Rule.GAP, lambda h: replace(h, sequences=[2, 3, 4, 5, 6, 7, 8])),
    "a sender's messages changed places": (
        Rule.SENDER_ORDER,
        lambda h: renumbered(h, [("a", 0), ("b", 0), ("a", 2), ("b", 1), ("a", 1), ("b", 2), ("c", 0)]),
    ),
    "a sender's first message comes last": (
        Rule.SENDER_ORDER,
        lambda h: renumbered(h, [("a", 1), ("b", 0), ("a", 2), ("b", 1), ("b", 2), ("a", 0), ("c", 0)]),
    ),
    "a reader heard another message under a number": (
        Rule.TWO_STORIES, lambda h: told(h, [*h.table[:2], replace(h.table[2], message="other"), *h.table[3:]]),
    ),
    "an event came again under another id": (
        Rule.TWO_STORIES, lambda h: told(h, list(h.table[:4]), [replace(h.table[3], event="new"), *h.table[4:]]),
    ),
    "a reader heard what the table has not": (
        Rule.TWO_STORIES, lambda h: told(h, [*h.table, row(9, ("z", 0))]),
    ),
    "a connection repeated an event": (Rule.NOT_RISING, lambda h: told(h, [*h.table[:3], h.table[2], *h.table[3:]])),
    "a connection turned round": (Rule.NOT_RISING, lambda h: told(h, [*h.table[:3], h.table[0], *h.table[3:]])),
    "a connection left one out": (Rule.SKIPPED, lambda h: told(h, [*h.table[:3], *h.table[4:]])),
    "a reader did not begin with the first": (Rule.SKIPPED, lambda h: told(h, list(h.table[1:]))),
    "a new connection began too far": (Rule.SKIPPED, lambda h: told(h, list(h.table[:3]), list(h.table[4:]))),
    "a life without a word hides nothing": (
        Rule.SKIPPED, lambda h: told(h, list(h.table[:3]), [], list(h.table[4:])),
    ),
    "a new connection repeats more than its window": (
        Rule.REWOUND, lambda h: told(h, list(h.table[:5]), list(h.table[1:])),
    ),
    "a third connection repeats what only the first one heard": (
        Rule.REWOUND, lambda h: told(h, list(h.table[:3]), list(h.table[3:]), list(h.table[3:])),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "spoil"), BAD.values(), ids=BAD)
def test_a_bad_history_is_named(rule: Rule, spoil: Callable[[History], History]) -> None:
    found = faults(spoil(good()))
    assert {fault.rule for fault in found} == {rule}, found


def test_every_rule_can_be_broken_by_itself() -> None:
    assert {rule for rule, _ in BAD.values()} == set(Rule)


def test_a_mixture_is_named_whole() -> None:
    spoilt = BAD["a number that is missing"][1](BAD["a connection left one out"][1](without_last(good())))
    assert {fault.rule for fault in faults(spoilt)} == {Rule.LOST, Rule.GAP, Rule.SKIPPED}


def test_a_fault_is_one_line_that_says_where() -> None:
    assert [str(fault) for fault in faults(without_last(good()))] == ["lost: ('d', 0) was accepted"]
    assert str(Fault(Rule.GAP, "there")) == "gap: there"


def test_what_is_still_to_be_heard_is_no_fault_but_is_known() -> None:
    history = good()
    half = told(history, list(history.table[:3]))
    assert faults(half) == []
    assert unheard(half.readers[0], half.table) == list(history.table[3:])
    assert unheard(history.readers[0], history.table) == []


GOOD_HISTORIES = 1000


def test_good_histories_pass() -> None:
    for seed in range(GOOD_HISTORIES):
        assert faults(some_history(Random(seed))) == [], f"seed {seed}"


def some_history(random: Random) -> History:
    """Senders that are cut off and send again, other events between theirs, readers that are killed."""
    queues = {name: list(range(random.randrange(12))) for name in "abcd"[: random.randint(1, 4)]}
    attempts: list[Sent] = []
    table: list[Row] = []
    sequence = 0
    while any(queues.values()):
        sequence += 1
        if random.random() < 0.2:
            continue  # an event of another type has this number
        name = random.choice([name for name, queue in queues.items() if queue])
        value = (name, queues[name].pop(0))
        if random.random() < 0.1:
            attempts.append(sent(value, Outcome.REFUSED))
            sequence -= 1
            continue
        attempts += [sent(value, Outcome.UNKNOWN)] * random.randrange(3)
        attempts.append(sent(value, random.choice((Outcome.ACCEPTED, Outcome.UNKNOWN))))
        table.append(row(sequence, value))
    readers = [some_reader(random, table, f"reader {number}") for number in range(random.randrange(3))]
    return History(attempts, random.sample(table, len(table)), range(1, sequence + 1), readers)


def some_reader(random: Random, table: list[Row], name: str) -> Reader:
    window = random.randint(1, 5)
    lives: list[list[Row]] = []
    reached = 0
    while random.random() < 0.8:
        start = max(0, reached - random.randint(0, window))
        end = random.randint(start, len(table))
        lives.append(table[start:end])
        reached = max(reached, end)
    return Reader(name, lives, window)
