"""Was it as promised? Decides over what clients saw, and what the node says at the end, whether anything broke.

Every value that is sent is unique and knows its place (its sender, and the number there), so no search is needed: each
rule is a pass over lists. A rule that is broken is a `Fault` with the rule's name; a history without faults is good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

Value = tuple[str, int]
"""The sender, and the number of the message there: senders count from 0 in the order they send."""


class Outcome(StrEnum):
    """What a sender was told of a message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # the node said that it kept nothing
    UNKNOWN = "unknown"  # no answer, or a connection that was cut


class Rule(StrEnum):
    """What can be broken."""

    LOST = "lost"  # accepted, and never an event
    INVENTED = "invented"  # an event of what nobody sent
    RESURRECTED = "resurrected"  # an event of what was refused
    TWO_MESSAGES = "two messages"  # one value under two ids
    TWO_VALUES = "two values"  # one id with two values
    TWO_EVENTS = "two events"  # one message and topic, told twice in the table
    GAP = "gap"  # the table's sequence has a hole, or a number twice
    SENDER_ORDER = "sender order"  # a sender's later message comes first in the table
    TWO_STORIES = "two stories"  # a reader heard of a sequence another thing than the table holds
    NOT_RISING = "not rising"  # within one connection the sequence went back
    SKIPPED = "skipped"  # a reader went past an event that it never heard
    REWOUND = "rewound"  # a reader heard more again than its window


@dataclass(frozen=True, slots=True)
class Sent:
    """What one attempt to send came to; `id` when it was told."""

    value: Value
    outcome: Outcome
    id: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A confirmed message in the events table, or as a reader heard of it."""

    sequence: int
    event: str
    message: str
    topic: str
    value: Value


@dataclass(frozen=True, slots=True)
class Reader:
    """One durable subscription to all messages; `lives` are its connections, `window` what each may repeat."""

    name: str
    lives: Sequence[Sequence[Row]]
    window: int


@dataclass(frozen=True, slots=True)
class History:
    """All that is known: attempts, readers, the table's sequence numbers of whatever type, and its messages."""

    sent: Sequence[Sent]
    table: Sequence[Row]
    sequences: Sequence[int]
    readers: Sequence[Reader] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that was broken, and where."""

    rule: Rule
    where: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}"


def faults(history: History) -> list[Fault]:
    """Everything that is not as promised; an empty list when all is."""
    return [
        *_sets(history),
        *_identities(history),
        *_gaps(history.sequences),
        *_sender_order(history.table),
        *(fault for reader in history.readers for fault in _reader(reader, history.table)),
    ]


def _sets(history: History) -> Iterator[Fault]:
    outcomes: Mapping[Value, set[Outcome]] = defaultdict(set)
    for sent in history.sent:
        outcomes[sent.value].add(sent.outcome)
    told = {row.value for row in history.table}
    for value, known in outcomes.items():
        if Outcome.ACCEPTED in known and value not in told:
            yield Fault(Rule.LOST, f"{value} was accepted")
        if known == {Outcome.REFUSED} and value in told:
            yield Fault(Rule.RESURRECTED, f"{value} was refused")
    for value in told - set(outcomes):
        yield Fault(Rule.INVENTED, f"{value}")


def _identities(history: History) -> Iterator[Fault]:
    ids: Mapping[Value, set[str]] = defaultdict(set)
    values: Mapping[str, set[Value]] = defaultdict(set)
    pairs = [(sent.value, sent.id) for sent in history.sent if sent.id]
    for value, id in [*pairs, *((row.value, row.message) for row in history.table)]:
        ids[value].add(id)
        values[id].add(value)
    yield from (Fault(Rule.TWO_MESSAGES, f"{v} is {sorted(found)}") for v, found in ids.items() if len(found) > 1)
    yield from (Fault(Rule.TWO_VALUES, f"{id} is {sorted(found)}") for id, found in values.items() if len(found) > 1)
    for what, keys in (("message", [(row.message, row.topic) for row in history.table]),
                       ("event id", [(row.event,) for row in history.table])):  # fmt: skip
        yield from (Fault(Rule.TWO_EVENTS, f"{what} {key}") for key in _doubles(keys))


def _gaps(sequences: Sequence[int]) -> Iterator[Fault]:
    for place, sequence in enumerate(sorted(sequences), start=1):
        if place != sequence:
            yield Fault(Rule.GAP, f"the event at place {place} has sequence {sequence}")
            return


def _sender_order(table: Sequence[Row]) -> Iterator[Fault]:
    last: dict[tuple[str, str], Row] = {}
    for row in sorted(table, key=lambda row: row.sequence):
        sender, number = row.value
        before = last.get((sender, row.topic))
        if before is not None and before.value[1] > number:
            yield Fault(Rule.SENDER_ORDER, f"{row.value} has {row.sequence}, and {before.value} has {before.sequence}")
        if before is None or before.value[1] < number:
            last[sender, row.topic] = row


def _reader(reader: Reader, table: Sequence[Row]) -> Iterator[Fault]:
    """A reader's lives, side by side with the table: each goes on at most a window before where the last one ended."""
    places = {row.sequence: place for place, row in enumerate(sorted(table, key=lambda row: row.sequence))}
    known = {row.sequence: row for row in table}
    reached = 0  # the place of the first event that was not heard yet
    for number, life in enumerate(reader.lives, start=1):
        where = f"{reader.name}, life {number}"
        strange = [row for row in life if known.get(row.sequence) != row]
        if strange:
            yield Fault(Rule.TWO_STORIES, f"{where}: {strange[0]} is {known.get(strange[0].sequence)}")
            continue
        yield from _life(where, [places[row.sequence] for row in life], reached, reader.window)
        reached = max(reached, *(places[row.sequence] + 1 for row in life)) if life else reached


def _life(where: str, heard: Sequence[int], reached: int, window: int) -> Iterator[Fault]:
    if not heard:
        return
    if heard[0] > reached:
        yield Fault(Rule.SKIPPED, f"{where}: begins {heard[0] - reached} events too far")
    if reached - heard[0] > window:
        yield Fault(Rule.REWOUND, f"{where}: {reached - heard[0]} events again, and its window is {window}")
    for before, after in pairwise(heard):
        if after <= before:
            yield Fault(Rule.NOT_RISING, f"{where}: the event at place {after} after that at {before}")
            return
        if after != before + 1:
            yield Fault(Rule.SKIPPED, f"{where}: {after - before - 1} events after place {before}")
            return


def unheard(reader: Reader, table: Sequence[Row]) -> list[Row]:
    """What a reader has not heard yet: nothing, once it was given the time."""
    heard = {row.sequence for life in reader.lives for row in life}
    return [row for row in table if row.sequence not in heard]


def _doubles(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    seen: set[tuple[str, ...]] = set()
    found = []
    for key in keys:
        if key in seen:
            found.append(key)
        seen.add(key)
    return found
