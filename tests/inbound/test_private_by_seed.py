"""Whatever comes first, all members have the ledger's order: random private ledgers, random arrivals.

Some of what is pinned is wrong, some is kept from some members. Who has all of it decides alike in everything; who
lacks something has the beginning of every context, and says what it waits for; who is no member has nothing but pins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ffd.model.context import broadcast_context, private_context
from ffd.model.group import Member as GroupMember
from ffd.model.namespace import org_did
from ffd.store import backlog
from tests.inbound.definitions import base, claim, fates
from tests.inbound.letters import Circle, Letter, Pen, bring, circle, meet, node_of, pin
from tests.inbound.member import Member, Parcel, key_of, open_member, parcel, uid

ROUNDS = 12
MEMBERS = 3
PEOPLE = ("alice", "bob", "carol", "carol:second", "dave")
TOPICS = ("t", "u", "v")
# Who waits for a batch that is not here says so; which of the others are shown depends on what came first, and so does
# which of its contexts a message names.
WAITING = """
    SELECT batch, hash, replace(cause, 'gap', 'order'), author FROM waiting_pins
     WHERE cause NOT IN ('payload', 'mismatch')"""
Happening = Callable[[Member], Awaitable[None]]


@dataclass
class Ledger:
    """A network's life: what the ledger says, in its order, and what comes beside it, at any time."""

    rng: Random
    pinned: list[Happening] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def say(self, letter: Letter, **other: Any) -> None:
        """A private batch is pinned."""
        self.pinned.append(lambda member: pin(member, letter, **other))
        if letter not in self.letters:
            self.letters.append(letter)

    def tell(self, parcel: Parcel, **other: Any) -> None:
        """A batch for all is pinned."""
        self.pinned.append(lambda member: member.see(parcel, **other))
        if parcel not in self.parcels:
            self.parcels.append(parcel)


def some_ledger(rng: Random) -> Ledger:
    """Groups are founded, their members and others speak, some of them wrongly, and not always in their order."""
    ledger = Ledger(rng)
    circles = [circle("alice", "bob"), circle("alice", "bob", "carol"), circle("bob", "carol", "carol:second", "dave")]
    pens = {name: Pen(name.partition(":")[0], name.partition(":")[2] or name.partition(":")[0]) for name in PEOPLE}
    written = [pens["alice"].found("founding 0", circles[0]), pens["bob"].found("founding 1", circles[1])]
    written += [pens["dave"].found("founding 2", circles[2]), pens["alice"].found("founding once more", circles[0])]
    for number in range(40):
        to = rng.choice(circles)
        pen = rng.choice([pen for pen in pens.values() if _is_in(pen, to)])
        topics = [rng.sample(TOPICS, rng.choice([1, 1, 2])) for _ in range(rng.choice([1, 1, 2]))]
        key = key_of(rng.choice(["nobody", "later"])) if rng.random() < 0.1 else key_of(pen.author)
        written.append(pen.write(f"letter {number}", to, *topics, key=key))
    for letter in _shuffled_a_little(rng, written):
        _pin_somehow(rng, ledger, letter, pens)
    _claim_late(rng, ledger)
    return ledger


def _is_in(pen: Pen, to: Circle) -> bool:
    return GroupMember(org_did(pen.author), node_of(pen.node)) in to.members


def _shuffled_a_little(rng: Random, letters: Sequence[Letter]) -> list[Letter]:
    """Mostly in the order in which they were written."""
    places = sorted(range(len(letters)), key=lambda number: number + rng.choice([0, 0, 0, 3]) * rng.random())
    return [letters[place] for place in places]


def _pin_somehow(rng: Random, ledger: Ledger, letter: Letter, pens: dict[str, Pen]) -> None:
    """Pin a batch, and whatever else somebody thought of."""
    wrongs: list[Callable[[], None]] = [
        lambda: ledger.say(letter, signer=key_of("eve")),
        lambda: ledger.say(letter, contexts=letter.pins[::-1]),
        lambda: ledger.say(letter, contexts=(*letter.pins[:-1], uid("noise") * 2)),
        lambda: ledger.say(letter, batch_hash=bytes(32)),
        lambda: ledger.say(letter, payload_ref="somewhere"),
        lambda: ledger.say(letter, contexts=[broadcast_context("t")] * len(letter.pins), payload_ref="here"),
        lambda: ledger.say(_forged(rng, letter, pens)),
        lambda: ledger.say(_again(rng, letter, pens)),
    ]
    if rng.random() < 0.12:
        rng.choice(wrongs)()
    ledger.say(letter)
    if rng.random() < 0.2:
        rng.choice(wrongs)()
    if rng.random() < 0.3:
        beside = parcel(f"beside {letter.name}", rng.choice(TOPICS), author=rng.choice(["alice", "bob"]))
        ledger.tell(beside)
        if rng.random() < 0.2:
            ledger.tell(beside, payload_ref="", contexts=letter.pins[:1])


def _forged(rng: Random, letter: Letter, pens: dict[str, Pen]) -> Letter:
    """Another member's message behind the pins of this one."""
    to = _group_of(letter)
    pen = rng.choice([pen for pen in pens.values() if _is_in(pen, to)])
    (message, pins), *_ = letter.messages
    said = list(zip(letter.pins[: len(pins)], pins, strict=True))
    return pen.write(f"forgery {rng.random()}", to, message.header.topics, pins=[said])


def _again(rng: Random, letter: Letter, pens: dict[str, Pen]) -> Letter:
    """Another message of its author with the same nonces, and perhaps one topic more."""
    pen = next(pen for pen in pens.values() if (pen.author, pen.node) == (letter.author, letter.node))
    (message, pins), *_ = letter.messages
    to, said = _group_of(letter), list(zip(letter.pins[: len(pins)], pins, strict=True))
    topics = [*message.header.topics]
    if rng.random() < 0.4 and "v" not in topics:
        topics, said = [*topics, "v"], [*said, pen.take("v", to)]
    return pen.write(f"once more {rng.random()}", to, topics, pins=[said])


CIRCLES = {each.hash.hex(): each for each in (
    circle("alice", "bob"), circle("alice", "bob", "carol"), circle("bob", "carol", "carol:second", "dave")
)}  # fmt: skip


def _group_of(letter: Letter) -> Circle:
    return CIRCLES[letter.messages[0][0].header.group]


def _claim_late(rng: Random, ledger: Ledger) -> None:
    """Somebody claims the key that private messages were signed with, at some time."""
    story = claim(base("late"), key=key_of("later"))
    place = rng.randrange(len(ledger.pinned))
    ledger.pinned.insert(place, lambda member: member.see(story.parcel))
    ledger.parcels.append(story.parcel)


async def live(member: Member, ledger: Ledger, letters: Sequence[Letter], rng: Random) -> None:
    """Let the ledger say it all in its order, and all else come at any time; some of it twice."""
    pinned: list[Happening] = list(ledger.pinned)
    coming: list[Happening] = [lambda m, letter=letter: bring(m, letter) for letter in letters]  # type: ignore[misc]
    rng.shuffle(coming)
    late: list[Happening] = [lambda m, each=each: m.receive(each) for each in ledger.parcels]  # type: ignore[misc]
    for each in late:
        coming.insert(rng.randrange(len(coming) + 1), each)
    coming += rng.sample(coming, len(coming) // 5)
    eager = rng.random()
    while pinned or coming:
        if pinned and (not coming or rng.random() > eager):
            await pinned.pop(0)(member)
        else:
            await coming.pop(0)(member)
        if rng.random() < 0.3:
            await member.settle()
    await member.settle()


def orders(member: Member) -> dict[str, list[tuple[str, str]]]:
    """For each context what was told, in its order."""
    groups = dict(member.rows("SELECT lower(hex(id)), header ->> '$.group' FROM messages"))
    found: dict[str, list[tuple[str, str]]] = {}
    for event in member.told():
        group = groups[event.message.replace("-", "")]
        context = private_context(event.topic, bytes.fromhex(group)) if group else broadcast_context(event.topic)
        found.setdefault(context.hex(), []).append((event.type, event.message))
    return found


def picture(member: Member) -> dict[str, Any]:
    """All that members must agree in."""
    return {
        "order": orders(member),
        "fates": fates(member),
        "waiting": sorted(member.rows(WAITING), key=str),
        "held": held(member),
        "expected": sorted(member.rows("SELECT context, identity, hash, nonce FROM nextpins")),
        "groups": sorted(member.rows("SELECT hash FROM groups")),
    }


def held(member: Member) -> set[tuple[str | None, bytes, bytes]]:
    """Where some message waits: the topic, the context, and the batch that holds it up."""
    shown = member.store.peek(lambda tx: backlog.blocked(tx, member.namespace.number, limit=1000))
    return {(each.topic, each.context, each.batch) for each in shown if each.topic is not None}


def check_is_beginning(some: dict[str, Any], all: dict[str, Any]) -> None:
    """Who lacks something has the beginning of every context, and decided nothing otherwise."""
    for context, told in some["order"].items():
        assert told == all["order"][context][: len(told)]
    assert some["fates"].items() <= all["fates"].items()


@pytest.mark.parametrize("round", range(ROUNDS))
async def test_members_agree_in_the_order_of_private_messages(
    round: int, autojump_clock: object, seed: int, scratch: Path
) -> None:
    rng = Random(seed + round)
    ledger = some_ledger(rng)
    found: list[dict[str, Any]] = []
    for number in range(2 * MEMBERS + 1):
        has_all, is_member = number < MEMBERS, number < 2 * MEMBERS
        letters = [each for each in ledger.letters if is_member and (has_all or rng.random() < 0.9)]
        async with open_member(scratch / f"member {number}", seed, page_pins=rng.choice([1, 3, 500])) as member:
            await meet(member, *PEOPLE)
            await live(member, ledger, letters, rng)
            found.append(picture(member))
            if not is_member:
                assert member.rows("SELECT count(*) FROM waiting_pins WHERE masked = 1 AND cause = 'payload'") == [(0,)]
    first, *others = found
    for other in others[: MEMBERS - 1]:
        for part, expected in first.items():
            assert other[part] == expected, part
    for other in others[MEMBERS - 1 :]:
        check_is_beginning(other, first)
    assert sum(len(told) for told in first["order"].values()) > 10
