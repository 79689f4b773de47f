"""What members do wrong to each other in private: every honest one comes to the same end, and says why.

Each story is lived by several members, among whom all comes in another order: the pins first, what is brought first, or
both by turns. A story's outcome is told once, and is that of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from ffd.model.context import broadcast_context
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid
from ffd.model.namespace import org_did
from ffd.store import backlog
from tests.inbound.definitions import fates
from tests.inbound.letters import Letter, Pen, bring, circle, meet, node_of, pin, said_in
from tests.inbound.member import Member, key_of, message, open_member, parcel, uid

US = circle("alice", "bob", "carol")
PEOPLE = ("alice", "bob", "carol", "mallory")


@dataclass
class Story:
    """What is pinned, in the ledger's order, each with what is wrong with its pin; and what is brought to everybody."""

    pinned: list[tuple[Letter, dict[str, Any]]] = field(default_factory=list)
    brought: list[Letter] = field(default_factory=list)

    def say(self, letter: Letter, *, bring: bool = True, **wrong: Any) -> Letter:
        """A batch is pinned, and brought."""
        self.pinned.append((letter, wrong))
        if bring and letter not in self.brought:
            self.brought.append(letter)
        return letter


@dataclass
class Cast:
    """Alice, Bob and Carol, who share a group, and Mallory, who is in it when a story lets her be."""

    alice: Pen = field(default_factory=lambda: Pen("alice", "alice"))
    bob: Pen = field(default_factory=lambda: Pen("bob", "bob"))
    carol: Pen = field(default_factory=lambda: Pen("carol", "carol"))
    story: Story = field(default_factory=Story)

    def __post_init__(self) -> None:
        self.story.say(self.alice.found("founding", US))


@dataclass(frozen=True)
class Outcome:
    """What became of all messages by name; what was told, topic after topic; and what each topic waits for."""

    fates: dict[str, str]
    told: list[str]
    waits: list[tuple[str | None, str]]


def outcome(member: Member) -> Outcome:
    """What a member says in the end, the founding of the group apart."""
    names = {message(name): name for name in _names()}
    by_topic = sorted(member.told(), key=lambda told: told.topic)
    told = [names[each.message] for each in by_topic if each.message in names]
    shown = member.store.peek(lambda tx: backlog.blocked(tx, member.namespace.number, limit=100))
    ended = {names[id]: fate for id, fate in fates(member).items() if id in names}
    return Outcome(ended, told, [(each.topic, each.cause) for each in shown])


def _names() -> list[str]:
    batches = ("first", "second", "third", "wrong", "instead of wrong")
    return [f"{batch}/{number}" for batch in batches for number in (0, 1)]


async def live(story: Story, scratch: Path, seed: int) -> Outcome:
    """The outcome of a story, which has to be the same at each member."""
    found: list[Outcome] = []
    for number in range(5):
        rng = Random(seed + number)
        async with open_member(scratch / f"member {number}", seed, page_pins=rng.choice([1, 500])) as member:
            await meet(member, *PEOPLE)
            pinned, brought = list(story.pinned), rng.sample(story.brought, len(story.brought))
            while pinned or brought:
                by_turns = bool(pinned) and (not brought or rng.random() < 0.5)
                if {0: bool(pinned), 1: not brought}.get(number, by_turns):
                    letter, wrong = pinned.pop(0)
                    await pin(member, letter, **wrong)
                else:
                    await bring(member, brought.pop())
                if rng.random() < 0.5:
                    await member.settle()
            await member.settle()
            found.append(outcome(member))
    assert found == found[:1] * len(found)
    return found[0]


# What the ledger shows wrongly ---------------------------------------------------------------------------------------


async def test_what_another_has_signed_is_rejected_in_its_turn(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    cast.story.say(cast.alice.write("first", US, "t"))
    cast.story.say(cast.alice.write("wrong", US, "t"), signer=key_of("mallory"))
    cast.story.say(cast.alice.write("second", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "wrong/0", "second/0"]
    assert found.fates == {"first/0": "confirmed", "wrong/0": "FF10452", "second/0": "confirmed"}


async def test_a_message_with_somebody_else_s_key_is_rejected(autojump_clock: object, seed: int, scratch: Path) -> None:
    cast = Cast()
    cast.story.say(cast.alice.write("wrong", US, "t", key=key_of("bob")))
    cast.story.say(cast.bob.write("first", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.fates == {"wrong/0": "FF10453", "first/0": "confirmed"} and found.waits == []


async def test_a_nonce_that_is_used_twice_goes_to_the_first_and_holds_nobody_up(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    again = Pen("alice", "alice")
    cast.story.say(cast.alice.write("first", US, "t"))
    cast.story.say(again.write("wrong", US, "t"))
    cast.story.say(cast.bob.write("second", US, "t"))
    cast.story.say(cast.alice.write("third", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "second/0", "third/0"]
    assert found.waits == [("t", "nonce")]


async def test_who_uses_one_nonce_twice_loses_its_other_topics_too_and_holds_nobody_up(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    again = Pen("alice", "alice")
    cast.story.say(cast.alice.write("first", US, "t"))
    cast.story.say(again.write("wrong", US, ["t", "u"]))
    cast.story.say(cast.bob.write("second", US, "u"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "second/0"] and {cause for _, cause in found.waits} == {"nonce"}


async def test_the_next_pin_of_another_member_holds_nobody_up_once_its_message_is_read(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    stolen = Pen("alice", "alice").take("t", US)
    cast.story.say(cast.bob.write("wrong", US, "t", pins=[[stolen]]))
    cast.story.say(cast.alice.write("first", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0"] and found.waits == [("t", "nonce")]


@pytest.mark.parametrize("signer", ["alice", "mallory"])
async def test_a_batch_that_is_pinned_again_is_told_once(
    signer: str, autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    first = cast.story.say(cast.alice.write("first", US, ["t", "u"], ["t"]))
    cast.story.say(first, signer=key_of(signer))
    cast.story.say(cast.alice.write("second", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "first/1", "second/0", "first/0"] and found.waits == []


async def test_who_pins_it_first_with_another_key_has_it_rejected(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    """FireFly's rule: of equal pins the first one counts. Its author sends it again."""
    cast = Cast()
    first = cast.story.say(cast.alice.write("wrong", US, "t"), signer=key_of("mallory"))
    cast.story.say(first)
    cast.story.say(cast.alice.write("second", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.fates == {"wrong/0": "FF10452", "second/0": "confirmed"}


async def test_a_private_batch_that_is_pinned_in_the_open_is_nothing_for_everybody(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    """Whoever guesses a topic could have it rejected otherwise, here and there."""
    cast = Cast()
    first = cast.story.say(cast.alice.write("first", US, "t"))
    opened = {"payload_ref": "somewhere", "contexts": [broadcast_context("t")], "signer": key_of("mallory")}
    cast.story.pinned.insert(1, (first, opened))
    cast.story.pinned.append((first, opened))
    found = await live(cast.story, scratch, seed)
    assert found.fates == {"first/0": "confirmed"} and found.waits == [(None, "content")]


@pytest.mark.parametrize("wrong", [{"batch_hash": bytes(32)}, {"contexts": [uid("noise") * 2]}])
async def test_pins_that_are_noise_concern_nobody(
    wrong: dict[str, Any], autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    noise = Pen("bob", "bob").write("wrong", US, "v")
    cast.story.say(noise, bring=False, **{"contexts": [uid("noise") * 2]} | wrong)
    cast.story.say(cast.alice.write("first", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0"] and found.waits == []


# What is not brought, or not as it should be --------------------------------------------------------------------------


async def test_a_payload_that_never_comes_holds_up_its_topics_and_no_other(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    cast.story.say(cast.alice.write("first", US, "t"))
    cast.story.say(cast.bob.write("wrong", US, ["t", "u"]), bring=False)
    cast.story.say(cast.alice.write("second", US, "t"))
    cast.story.say(cast.carol.write("third", US, "v"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "third/0"] and found.waits == [("t", "payload")]


async def test_a_gap_fill_lets_all_go_on_and_the_message_is_cancelled(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    cast = Cast()
    wrong = cast.alice.write("wrong", US, ["t", "u"])
    cast.story.brought.append(wrong)
    cast.story.say(cast.alice.fill(wrong, US))
    cast.story.say(cast.alice.write("first", US, "t"))
    found = await live(cast.story, scratch, seed)
    assert found.told == ["instead of wrong/0", "first/0", "instead of wrong/0"]


async def test_only_the_author_s_own_message_is_cancelled(autojump_clock: object, seed: int, scratch: Path) -> None:
    """And what was cancelled is confirmed all the same when the ledger shows it."""
    cast = Cast()
    first = cast.alice.write("first", US, "t")
    cast.story.brought.append(first)
    fill = {"cid": format_uuid(uid("first/0")), "tag": "ff_gap_fill", "data": []}
    cast.story.say(cast.bob.write("second", US, "u", **fill))
    cast.story.say(cast.alice.write("third", US, "u", **fill))
    cast.story.say(first)
    found = await live(cast.story, scratch, seed)
    assert found.told == ["first/0", "second/0", "third/0"] and set(found.fates.values()) == {"confirmed"}


WRONG_BATCHES = {
    "a payload whose hash is wrong": ("FFD2106", lambda each: each.with_head(hash=bytes(32))),
    "another author beside the payload": ("FFD2107", lambda each: each.with_head(author=org_did("bob"))),
    "another group beside the payload": ("FFD4227", lambda each: each.with_head(group=circle("alice").hash.hex())),
    "no group": ("FFD4225", lambda each: each.with_head(group=None)),
    "a batch of another kind": ("FFD4225", lambda each: each.with_head(type="broadcast")),
    "another node": ("FFD4222", lambda each: each.with_head(node=node_of("bob"))),
    "another namespace": ("FFD2105", lambda each: each.with_head(namespace="elsewhere")),
    "a value that was altered": ("FF10201", lambda each: _altered(each)),
}  # fmt: skip


def _altered(letter: Letter) -> Letter:
    return replace(letter, data=tuple(msgspec.structs.replace(item, value='"ale"') for item in letter.data))


@pytest.mark.parametrize("code, altered", WRONG_BATCHES.values(), ids=WRONG_BATCHES.keys())
async def test_what_is_altered_is_refused_and_taken_when_it_comes_as_it_was_pinned(
    code: str, altered: Any, autojump_clock: object, seed: int, scratch: Path
) -> None:
    letter = Pen("alice", "alice").write("first", US, "t")
    async with open_member(scratch / "member", seed) as member:
        await meet(member, *PEOPLE)
        await bring(member, founding := Pen("alice", "alice").found("founding", US))
        await pin(member, founding, letter)
        with pytest.raises(Invalid, match=code):
            await bring(member, altered(letter))
        await bring(member, second := Pen("bob", "bob").write("second", US, "t"))
        await pin(member, second)
        await member.settle()
        (waits,) = member.store.peek(lambda tx: backlog.blocked(tx, member.namespace.number, limit=10))
        assert (waits.topic, waits.cause) == ("t", "payload") and code in (waits.error or "")
        await bring(member, letter)
        await member.settle()
        assert outcome(member) == Outcome(
            {"first/0": "confirmed", "second/0": "confirmed"}, ["first/0", "second/0"], []
        )


async def test_a_node_speaks_for_nobody_but_its_owner(autojump_clock: object, seed: int, scratch: Path) -> None:
    forged = Pen("alice", "mallory").write("wrong", US, "t", key=key_of("nobody"))
    async with open_member(scratch / "member", seed) as member:
        await meet(member, *PEOPLE)
        with pytest.raises(Invalid, match="FFD4224"):
            await bring(member, forged)


@pytest.mark.parametrize(
    "more", [{"type": "definition", "tag": "ff_define_datatype"}, {"type": "broadcast"}, {"group": "ab" * 32}]
)
async def test_what_is_not_for_a_group_is_not_brought_by_its_members(
    more: dict[str, Any], autojump_clock: object, seed: int, scratch: Path
) -> None:
    """A definition would be known to some and not to others."""
    async with open_member(scratch / "member", seed) as member:
        await meet(member, *PEOPLE)
        with pytest.raises(Invalid, match="FFD4227"):
            await bring(member, Pen("alice", "alice").write("wrong", US, "t", **more))


# Different things to different members --------------------------------------------------------------------------------


def two_versions() -> tuple[Letter, Letter]:
    """Two batches that call themselves the same, with a message each that does so too."""
    letter = Pen("alice", "alice").write("first", US, "t")
    other = Pen("alice", "alice").write("first", US, "t", data=[said_in("first/0", '"ale"')])
    return letter, other


@pytest.mark.parametrize("both_pinned", [False, True])
async def test_who_tells_one_this_and_the_other_that_has_told_what_was_pinned(
    both_pinned: bool, autojump_clock: object, seed: int, scratch: Path
) -> None:
    right, other = two_versions()
    answer = Pen("bob", "bob").write("second", US, "t")
    values: list[Any] = []
    for number, told in enumerate([(right,), (other,), (right, other), (other, right)]):
        async with open_member(scratch / f"member {number}", seed) as member:
            await meet(member, *PEOPLE)
            founding = Pen("alice", "alice").found("founding", US)
            await bring(member, founding, *told, answer)
            await pin(member, founding, right, *([other] if both_pinned else []), answer)
            await member.settle()
            if right not in told:
                assert outcome(member).waits[0] == ("t", "mismatch")
                await bring(member, right)
                await member.settle()
            values.append(
                member.rows(
                    """
                    SELECT e.type, d.value FROM events e JOIN messages m ON m.id = e.reference
                      JOIN message_data l ON l.message = m.sequence JOIN data d ON d.sequence = l.data
                     WHERE e.topic = 't' ORDER BY e.sequence"""
                )
            )
    assert values == [[("message_confirmed", '"tea"')] * 2] * 4


async def test_who_uses_another_one_s_ids_first_keeps_nothing_out(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    """A batch with the id of another, and a message with the id of another, come and are pinned before these."""
    right, _ = two_versions()
    squat = Pen("bob", "bob").write("first", US, "u", data=[said_in("first/0", '"mine"')])
    story = Story()
    story.say(Pen("alice", "alice").found("founding", US))
    story.say(squat)
    story.say(right)
    orders = []
    for number, letters in enumerate([(right, squat), (squat, right)]):
        async with open_member(scratch / f"member {number}", seed) as member:
            await meet(member, *PEOPLE)
            for letter, _ in story.pinned:
                await pin(member, letter)
            await bring(member, story.brought[0], *letters)
            await member.settle()
            orders.append(
                member.rows(
                    """
                    SELECT e.topic, e.type, m.hash FROM events e JOIN messages m ON m.id = e.reference
                     WHERE e.topic IN ('t', 'u') ORDER BY e.topic"""
                )
            )
    assert orders[0] == orders[1] and len(orders[0]) == 2


async def test_two_broadcasts_that_call_themselves_the_same_are_both_told(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    mine, yours = parcel("first", "a"), parcel("first", "b", author="bob")
    found: list[Sequence[Any]] = []
    for number, parcels in enumerate([(mine, yours), (yours, mine)]):
        async with open_member(scratch / f"member {number}", seed) as member:
            await meet(member, "alice", "bob")
            for each in (mine, yours):
                await member.see(each)
            await member.receive(*parcels)
            await member.settle()
            found.append(sorted((told.type, told.topic) for told in member.told()))
    assert found == [[("message_confirmed", "a"), ("message_confirmed", "b")]] * 2
