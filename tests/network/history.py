"""Was it as promised on every member of a network? Decides over what clients of all of them saw, and the ledger.

What one node owes its own clients `tests.processes.history` decides, for each member by itself; here is what only all
of them together can show. Every value that is sent is unique and knows its place, so each rule is a pass over lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from tests.processes import history as one
from tests.processes.history import Outcome, Value, unheard


class Rule(StrEnum):
    """What members can break together, beside what each can by itself (`tests.processes.history.Rule`)."""

    SPLIT = "split"  # two members have two messages of a line in two orders
    PARTIAL = "partial"  # one of those whom it is for has a message, another has not
    LEAKED = "leaked"  # a member has what is not for it
    DIFFERENT = "different"  # a message is not the same on all members, or not what was sent
    UNPINNED = "unpinned"  # a message is confirmed that the ledger has no pin of
    LEDGER_ORDER = "ledger order"  # a line has not the order of its pins
    NOT_HEARD = "not heard"  # a member's reader was never given what its node has


@dataclass(frozen=True, slots=True)
class Line:
    """What has one order: a topic, in a group when it has one. Without pins each member has its own."""

    topic: str
    group: str = ""
    pinned: bool = True

    def __str__(self) -> str:
        return f"{self.topic}@{self.group or 'all'}{'' if self.pinned else ' without pins'}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What one attempt to send came to; `lines` has one for each topic, `id` is there when it was told."""

    value: Value
    author: str
    lines: tuple[Line, ...]
    outcome: Outcome
    id: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A confirmed message of one line, as a member tells of it; `content` is all that must be equal everywhere."""

    sequence: int
    event: str
    message: str
    line: Line
    value: Value
    batch: str
    content: str


@dataclass(frozen=True, slots=True)
class Member:
    """One member: what its node tells of all at the end, and what its reader heard on the way.

    `sequences` are the numbers of all events of the node, `lives` the reader's connections, `window` what each may
    repeat.
    """

    name: str
    table: Sequence[Told]
    sequences: Sequence[int]
    lives: Sequence[Sequence[Told]]
    window: int


@dataclass(frozen=True, slots=True)
class NetworkHistory:
    """All that is known. `groups` names the members of each group, `ledger` the place of each batch that is pinned."""

    sent: Sequence[Sent]
    members: Sequence[Member]
    groups: Mapping[str, frozenset[str]]
    ledger: Mapping[str, int] = field(default_factory=dict)

    def is_for(self, line: Line, member: str) -> bool:
        return not line.group or member in self.groups[line.group]


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that was broken, and where."""

    rule: Rule | one.Rule
    where: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}"


def faults(history: NetworkHistory) -> list[Fault]:
    """Everything that is not as promised; an empty list when all is."""
    return [
        *(fault for member in history.members for fault in _alone(history, member)),
        *(fault for member in history.members for fault in _ledger(history, member)),
        *_leaked(history),
        *_different(history),
        *_partial(history),
        *_split(history),
    ]


def _alone(history: NetworkHistory, member: Member) -> Iterator[Fault]:
    """What a member breaks by itself: its topics are lines, and what is not for it may be sent or not."""
    sent = [
        one.Sent(each.value, each.outcome if history.is_for(each.lines[0], member.name) else Outcome.UNKNOWN, each.id)
        for each in history.sent
    ]
    reader = one.Reader("its reader", [[_row(told) for told in life] for life in member.lives], member.window)
    table = [_row(told) for told in member.table]
    for fault in one.faults(one.History(sent, table, member.sequences, [reader])):
        yield Fault(fault.rule, f"on {member.name}: {fault.where}")
    if missing := unheard(reader, table):
        yield Fault(Rule.NOT_HEARD, f"on {member.name}: {len(missing)} events, first {missing[0]}")


def _row(told: Told) -> one.Row:
    return one.Row(told.sequence, told.event, told.message, str(told.line), told.value)


def _ledger(history: NetworkHistory, member: Member) -> Iterator[Fault]:
    """Each line of a member follows the ledger."""
    reached: dict[Line, Told] = {}
    for told in _in_order(member.table):
        if not told.line.pinned:
            continue
        if told.batch not in history.ledger:
            yield Fault(Rule.UNPINNED, f"on {member.name}: {told.value}, of batch {told.batch}")
            continue
        before = reached.setdefault(told.line, told)
        if history.ledger[before.batch] > history.ledger[told.batch]:
            places = f"{history.ledger[told.batch]} after {history.ledger[before.batch]}"
            yield Fault(
                Rule.LEDGER_ORDER, f"on {member.name}, {told.line}: {told.value} after {before.value}: {places}"
            )
        reached[told.line] = told


def _leaked(history: NetworkHistory) -> Iterator[Fault]:
    for member in history.members:
        for told in member.table:
            if not history.is_for(told.line, member.name):
                yield Fault(Rule.LEAKED, f"{member.name} has {told.value} of {told.line}")


def _different(history: NetworkHistory) -> Iterator[Fault]:
    """A message has one content, author and batch everywhere, and the lines that it was sent to."""
    contents: Mapping[str, set[tuple[str, str]]] = defaultdict(set)
    for member in history.members:
        for told in member.table:
            contents[told.message].add((told.batch, told.content))
    yield from (Fault(Rule.DIFFERENT, f"{id} is {sorted(found)}") for id, found in contents.items() if len(found) > 1)
    lines = {sent.value: set(sent.lines) for sent in history.sent}
    for member in history.members:
        for value, found in _lines_of(member).items():
            if found != lines.get(value, found):
                where = ", ".join(sorted(map(str, found)))
                yield Fault(Rule.DIFFERENT, f"{member.name} has {value} on {where}: that is not where it was sent")


def _lines_of(member: Member) -> Mapping[Value, set[Line]]:
    found: Mapping[Value, set[Line]] = defaultdict(set)
    for told in member.table:
        found[told.value].add(told.line)
    return found


def _partial(history: NetworkHistory) -> Iterator[Fault]:
    """What one of those has whom it is for, all of them have."""
    has = {member.name: {(told.value, told.line) for told in member.table} for member in history.members}
    for value, line in sorted(set().union(*has.values()), key=str):
        owed = [name for name in has if history.is_for(line, name)]
        lacking = [name for name in owed if (value, line) not in has[name]]
        if lacking and len(lacking) < len(owed):
            yield Fault(Rule.PARTIAL, f"{value} of {line} is not on {', '.join(lacking)}")


def _split(history: NetworkHistory) -> Iterator[Fault]:
    """All members have a line in one order: any two have what both have of it in the same one."""
    orders = {member.name: _orders(member) for member in history.members}
    for line in sorted(set().union(*orders.values()), key=str):
        longest = max(orders, key=lambda name: len(orders[name].get(line, ())))
        for name in orders:
            if found := _first_split(orders[longest].get(line, {}), orders[name].get(line, {})):
                before, after = found
                yield Fault(Rule.SPLIT, f"{line}: {name} has {before} before {after}, and {longest} after it")


def _orders(member: Member) -> Mapping[Line, Mapping[Value, int]]:
    """The place of each value in each pinned line of a member."""
    found: Mapping[Line, dict[Value, int]] = defaultdict(dict)
    for told in _in_order(member.table):
        if told.line.pinned:
            found[told.line].setdefault(told.value, len(found[told.line]))
    return found


def _first_split(wanted: Mapping[Value, int], found: Mapping[Value, int]) -> tuple[Value, Value] | None:
    """The first two values that follow each other here, and the other way round there."""
    common = [value for value in sorted(found, key=lambda value: found[value]) if value in wanted]
    return next(((a, b) for a, b in pairwise(common) if wanted[a] > wanted[b]), None)


def _in_order(table: Iterable[Told]) -> list[Told]:
    return sorted(table, key=lambda told: told.sequence)
