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
GROUPS: Mapping[str, tuple[str, ...]] = {"all": NAMES, "first": ("alice", "bob"), "second": ("bob", "carol")}
SENDERS_EACH = 2
TWO_TOPICS = 0.2
PRIVATE, UNPINNED = 0.5, 0.2


class Kind(StrEnum):
    """What can go wrong with a member."""

    KILL = "kill"  # SIGKILL, and a start later on
    STOP = "stop"  # SIGTERM, and a start later on
    FREEZE = "freeze"  # it does not move: whoever talks to it waits
    DARK = "dark"  # it is cut off from the shared storage
    HELD = "held"  # somebody holds the ledger: nobody can append
    READER = "reader"  # its reader is killed


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be sent; to all when it has no group."""

    value: Value
    group: str
    topics: tuple[str, ...]
    pinned: bool

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
    for_s: float

    def __str__(self) -> str:
        return f"{self.at:.0%} {self.kind} {self.who} for {self.for_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole campaign; `mail` by sender, each of which belongs to the member it is named after."""

    seed: int
    mail: Mapping[str, Sequence[Letter]]
    troubles: Sequence[Trouble]

    @property
    def letters(self) -> list[Letter]:
        return [letter for sender in self.mail.values() for letter in sender]

    def __str__(self) -> str:
        return f"seed {self.seed}, {len(self.letters)} messages; " + "; ".join(map(str, self.troubles))


def make_plan(seed: int, *, each: int, troubles: int, private: bool) -> Plan:
    """The plan of a seed: `each` messages by each sender, so many troubles, private messages too or only broadcasts."""
    random = Random(seed)
    mail = {
        f"{name}-{number}": [_letter(random, name, f"{name}-{number}", n, private) for n in range(each)]
        for name in NAMES
        for number in range(SENDERS_EACH)
    }
    return Plan(seed, mail, _troubles(random, troubles))


def _letter(random: Random, name: str, sender: str, number: int, private: bool) -> Letter:
    topics = random.sample((*SHARED_TOPICS, name), 2 if random.random() < TWO_TOPICS else 1)
    group, pinned = "", True
    if private and random.random() < PRIVATE:
        group = random.choice([each for each, members in GROUPS.items() if name in members])
        pinned = random.random() >= UNPINNED
    return Letter((sender, number), group, tuple(topics), pinned)


def _troubles(random: Random, count: int) -> list[Trouble]:
    """Every kind comes before one comes again; a SIGKILL now and then more."""
    kinds: list[Kind] = []
    while len(kinds) < count:
        kinds += random.sample([*Kind, Kind.KILL, Kind.KILL], len(Kind) + 2)
    moments = sorted(random.uniform(0.03, 0.9) for _ in range(count))
    return [
        Trouble(moment, kind, random.choice(NAMES), random.uniform(0.1, 2.0))
        for moment, kind in zip(moments, kinds, strict=False)
    ]
