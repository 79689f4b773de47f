"""What happens in a campaign, all of it decided by its seed: who sends what to whom, and what goes wrong when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.network.history import Line
from tests.processes.history import Value

NAMES = ("alice", "bob", "carol")
SHARED_TOPICS = ("house", "garden")
JOINER, EVERYBODY = "dave", "four"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "three": NAMES,
    "first": ("alice", "bob"),
    "second": ("bob", "carol"),
    EVERYBODY: (*NAMES, JOINER),
}
SENDERS_EACH = 2
TWO_TOPICS = 0.2
PRIVATE, UNPINNED, BY_HASH = 0.5, 0.2, 0.5
LATE = 10


class Kind(StrEnum):
    """What can go wrong with a member."""

    KILL = "kill"  # SIGKILL, and a start later on
    STOP = "stop"  # SIGTERM, and a start later on
    FREEZE = "freeze"  # it does not move: whoever talks to it waits
    DARK = "dark"  # it is cut off from the shared storage
    HELD = "held"  # somebody holds the ledger: nobody can append
    READER = "reader"  # its reader is killed
    CUT = "cut"  # the wire to another breaks
    SILENT = "silent"  # the wire to another carries nothing


WIRES = (Kind.CUT, Kind.SILENT)
DEADLY = (Kind.KILL, Kind.STOP)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be sent; to all when it has no group, which is named by its hash, if that is known, or members."""

    value: Value
    group: str
    topics: tuple[str, ...]
    pinned: bool = True
    by_hash: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(Line(topic, self.group, self.pinned) for topic in self.topics)

    @property
    def text(self) -> str:
        return f"{self.value[0]}:{self.value[1]}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something goes wrong once so much of the mail is answered, and is well again after so long."""

    at: float
    kind: Kind
    who: str
    other: str
    for_s: float

    def __str__(self) -> str:
        whose = f"{self.who}-{self.other}" if self.kind in WIRES else self.who
        return f"{self.at:.0%} {self.kind} {whose} for {self.for_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign; mail by sender, each of which belongs to the member it is named after.

    `late_mail` is sent once all is well again and the one who joined is known to all.
    """

    seed: int
    mail: Mapping[str, Sequence[Letter]]
    late_mail: Mapping[str, Sequence[Letter]]
    troubles: Sequence[Trouble]

    @property
    def letters(self) -> list[Letter]:
        return [letter for mail in (self.mail, self.late_mail) for sender in mail.values() for letter in sender]

    def __str__(self) -> str:
        return f"seed {self.seed}, {len(self.letters)} messages; " + "; ".join(map(str, self.troubles))


def make_plan(seed: int, *, each: int, troubles: int) -> Plan:
    """The plan of a seed: `each` messages by each sender, and so many troubles."""
    random = Random(seed)
    senders = [(name, f"{name}-{number}") for name in NAMES for number in range(SENDERS_EACH)]
    early = [group for group in GROUPS if group != EVERYBODY]
    mail = {sender: [_letter(random, name, sender, n, early) for n in range(each)] for name, sender in senders}
    late = {f"{name}-late": [_late_letter(f"{name}-late", n) for n in range(LATE)] for name in (*NAMES, JOINER)}
    return Plan(seed, mail, late, _troubles(random, troubles))


def _letter(random: Random, name: str, sender: str, number: int, groups: Sequence[str]) -> Letter:
    topics = tuple(random.sample((*SHARED_TOPICS, name), 2 if random.random() < TWO_TOPICS else 1))
    if random.random() >= PRIVATE:
        return Letter((sender, number), "", topics)
    group = random.choice([each for each in groups if name in GROUPS[each]])
    return Letter((sender, number), group, topics, random.random() >= UNPINNED, random.random() < BY_HASH)


def _late_letter(sender: str, number: int) -> Letter:
    """Every second one is to the group of everybody who is there now."""
    return Letter((sender, number), EVERYBODY if number % 2 else "", SHARED_TOPICS[:1])


def _troubles(random: Random, count: int) -> list[Trouble]:
    """Every kind comes before one comes again; a SIGKILL now and then more."""
    kinds: list[Kind] = []
    while len(kinds) < count:
        kinds += random.sample([*Kind, Kind.KILL, Kind.KILL], len(Kind) + 2)
    moments = sorted(random.uniform(0.03, 0.9) for _ in range(count))
    return [_trouble(random, moment, kind) for moment, kind in zip(moments, kinds, strict=False)]


def _trouble(random: Random, moment: float, kind: Kind) -> Trouble:
    who, other = random.sample(NAMES, 2)
    return Trouble(moment, kind, who, other, random.uniform(0.1, 2.0))
