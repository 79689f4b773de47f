"""Definitions take their turns in the ledger's order, and change what the node knows (FireFly reference 7.7)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ffd.model.identity import CUSTOM, NODE, IdentityBase
from tests.inbound.definitions import (
    ALICE,
    BOB,
    CHILD,
    MACHINE,
    Story,
    all_told,
    base,
    claim,
    claim_node,
    datatype,
    fates,
    hear,
    know_alice,
    say,
    tell,
    update,
    verify,
)
from tests.inbound.member import Member, key_of, open_member


@pytest.fixture
async def member(autojump_clock: object, seed: int, scratch: Path) -> AsyncGenerator[Member, None]:
    """A member that knows nobody."""
    async with open_member(scratch / "member", seed) as member:
        yield member


WIDGET = {"type": "object", "required": ["name"]}
CONFIRMED, REJECTED = "message_confirmed", "message_rejected"


async def test_a_datatype_is_told_of_before_its_message(member: Member) -> None:
    await know_alice(member)
    widget = datatype("widget", WIDGET)
    await hear(member, widget)
    *_, defined, confirmed = all_told(member)
    assert defined[0] == "datatype_confirmed" and confirmed == (CONFIRMED, widget.id)
    topics = member.rows("SELECT topic FROM events WHERE type = 'datatype_confirmed'")
    assert topics == [("ff_definition",)]


async def test_values_follow_the_datatypes_that_they_name(member: Member) -> None:
    await know_alice(member)
    stories = [
        datatype("widget", WIDGET),
        say("good", {"name": "tea"}, by="alice", datatype="widget/1"),
        say("bad", {"nom": "the"}, by="alice", datatype="widget/1"),
        say("unknown version", {"name": "tea"}, by="alice", datatype="widget/2"),
        say("no version", {"name": "tea"}, by="alice", datatype="widget/"),
        say("free", {"nom": "the"}, by="alice"),
    ]
    await hear(member, *stories)
    codes = ["confirmed", "confirmed", "FF10198", "FF10195", "FF10195", "confirmed"]
    assert [fates(member)[story.id] for story in stories] == codes
    assert "'name' is a required property" in member.reasons()[stories[2].id].replace('"', "'")


async def test_a_message_knows_only_what_was_pinned_before_it(member: Member) -> None:
    await know_alice(member)
    early = say("early", {"name": "tea"}, by="alice", datatype="widget/1")
    widget = datatype("widget", WIDGET)
    await member.see(early.parcel)
    await member.see(widget.parcel)
    await member.receive(widget.parcel)
    await member.settle()
    await member.receive(early.parcel)
    await member.settle()
    assert fates(member)[early.id] == "FF10195"


async def test_a_message_waits_for_a_definition_that_may_be_on_its_way_and_holds_up_its_own_contexts_alone(
    member: Member,
) -> None:
    await know_alice(member)
    widget, other = datatype("widget", WIDGET), say("other", 1, by="alice", topic="elsewhere")
    follower = say("follower", {"name": "tea"}, by="alice", datatype="widget/1")
    behind = say("behind", 2, by="alice")
    for story in (widget, follower, behind, other):
        await member.see(story.parcel)
    await member.receive(follower.parcel, behind.parcel, other.parcel)
    await member.settle()
    assert [cause for cause, _ in member.waiting()] == ["payload", "definition", "order"]
    assert fates(member)[other.id] == "confirmed"
    await member.receive(widget.parcel)
    await member.settle()
    assert member.waiting() == [] and [told[1] for told in all_told(member)][-2:] == [follower.id, behind.id]


async def test_an_identity_is_claimed_and_then_heard(member: Member) -> None:
    early, late = say("early", 1, by="bob"), say("late", 2, by="bob")
    claimed = claim(BOB, description="who he is", profile='{"n":1}')
    await hear(member, early, claimed, late)
    assert [type for type, _ in all_told(member)] == ["identity_confirmed", CONFIRMED, CONFIRMED, CONFIRMED]
    assert [reference for _, reference in all_told(member)] == [BOB.id, claimed.id, early.id, late.id]
    (row,) = member.rows("SELECT did, description, profile, claim IS NOT NULL FROM identities WHERE name = 'bob'")
    assert row == (BOB.did, "who he is", '{"n":1}', 1)


async def test_a_child_is_there_when_claim_and_verification_are(member: Member) -> None:
    await know_alice(member)
    claimed = claim(CHILD)
    await hear(member, claimed)
    assert fates(member)[claimed.id] == "confirmed"
    assert member.rows("SELECT 1 FROM identities WHERE name = 'child'") == []
    await hear(member, verify(claimed, CHILD, ALICE))
    told = all_told(member)
    assert ("identity_confirmed", CHILD.id) in told and told[-1][0] == CONFIRMED
    assert member.rows("SELECT count(*) FROM claims") == [(0,)]


async def test_a_verification_may_come_before_the_claim(member: Member) -> None:
    await know_alice(member)
    claimed = claim(CHILD)
    await hear(member, verify(claimed, CHILD, ALICE), claimed)
    assert ("identity_confirmed", CHILD.id) in all_told(member)
    (row,) = member.rows("SELECT verification IS NOT NULL FROM identities WHERE name = 'child'")
    assert row == (1,)


async def test_a_claim_waits_for_its_parent_and_holds_up_nobody_else(member: Member) -> None:
    claimed, node = claim(CHILD), claim_node(MACHINE, ALICE)
    verified = verify(claimed, CHILD, ALICE)
    await hear(member, node, verified, claimed, claim(BOB), say("other", 1, by="bob"))
    assert {cause for cause, _ in member.waiting()} == {"identity", "author", "order"}
    assert fates(member)[say("other", 1, by="bob").id] == "confirmed"
    await know_alice(member)
    assert member.waiting() == []
    assert {reference for type, reference in all_told(member) if type == "identity_confirmed"} == {
        ALICE.id, BOB.id, CHILD.id, MACHINE.id,
    }  # fmt: skip


async def test_an_update_replaces_the_profile(member: Member) -> None:
    await know_alice(member)
    await hear(member, claim_node(MACHINE, ALICE, profile='{"id":"peer"}'))
    by_alice = {"author": ALICE.did, "key": key_of("alice")}
    await hear(member, update(MACHINE, description="new", profile='{"id":"peer","x":1}', **by_alice))
    (row,) = member.rows("SELECT description, profile, \"update\" IS NOT NULL FROM identities WHERE name = 'machine'")
    assert row == ("new", '{"id":"peer","x":1}', 1)
    assert ("identity_updated", MACHINE.id) in all_told(member)
    assert member.rows("SELECT type, value FROM verifiers ORDER BY type")[0] == ("dx_peer_id", "peer")


GRANDCHILD = base("grandchild", CUSTOM, CHILD)
STRANGE = base("strange", CUSTOM, MACHINE)
SAME_ID = base("same", id=ALICE.id)
TAKEN = base("alice", id="00000000-0000-4000-8000-000000000000")
BY_ALICE: dict[str, Any] = {"author": ALICE.did, "key": key_of("alice")}
BY_BOB: dict[str, Any] = {"author": BOB.did, "key": key_of("bob")}
Plot = Callable[[], Sequence[Story]]


def one(name: str, value: str, tag: str) -> Plot:
    return lambda: [tell(name, value, topic="anything", tag=tag, **BY_ALICE)]


def dated(**other: Any) -> Plot:
    return lambda: [datatype("widget", WIDGET, label="the one", **other)]


# What is heard after alice, bob and alice's machine; what becomes of the last of it
REJECTIONS: dict[str, tuple[Plot, str]] = {
    "an unknown tag": (one("x", "{}", "ff_define_tea"), "FF10400"),
    "a definition that is none": (one("x", "[]", "ff_define_datatype"), "FF10400"),
    "a field of another type": (one("x", '{"identity":1}', "ff_identity_claim"), "FF10400"),
    "a name twice": (one("x", '{"id":"x","id":"y"}', "ff_define_datatype"), "FF10400"),
    "nested too deep": (one("x", '{"a":' * 200 + "1" + "}" * 200, "ff_define_datatype"), "FF10400"),
    "half of an emoji": (one("x", '{"name":"\\ud800"}', "ff_define_datatype"), "FF10403"),
    "a value that is just json": (
        lambda: [tell("x", "{}", topic="t", tag="ff_define_datatype", validator="json", **BY_ALICE)], "FF10400",
    ),
    "a datatype with a bad name": (lambda: [datatype("wid get", WIDGET)], "FF10403"),
    "a datatype with another's hash": (dated(hash="00" * 32), "FF10403"),
    "a datatype without an id": (dated(id=""), "FF10403"),
    "a datatype for none": (dated(validator="none"), "FF10403"),
    "a datatype without a schema": (lambda: [datatype("widget", "null")], "FF10403"),
    "a datatype on a topic of its choice": (dated(topic="mine"), "FF10403"),
    "a datatype with a bad schema": (lambda: [datatype("widget", {"type": "tea"})], "FF10406"),
    "a datatype that looks elsewhere": (lambda: [datatype("widget", {"$ref": "http://example.com"})], "FF10406"),
    "a datatype that runs in circles": (lambda: [datatype("widget", {"$ref": "#"})], "FF10406"),
    "a huge datatype": (lambda: [datatype("widget", {"description": "x" * 100_000})], "FF10406"),
    "a datatype once more": (
        lambda: [datatype("widget", WIDGET), datatype("widget", {}, by="bob")], "FF10407",
    ),
    "a claim without an author": (lambda: [claim(base("x"), author="")], "FF10401"),
    "a claim in another's name": (lambda: [claim(base("x"), author="did:firefly:org/y")], "FF10402"),
    "a claim of another's DID": (lambda: [claim(TAKEN, label="theft", key=key_of("thief"))], "FF10407"),
    "a claim with another's id": (lambda: [claim(SAME_ID)], "FF10407"),
    "a claim of what is known, with another key": (lambda: [claim(ALICE, label="again", key=key_of("x"))], "FF10407"),
    "a claim with a known key": (lambda: [claim(base("x"), key=key_of("bob"))], "FF10453"),
    "a claim with a DID of another type": (
        lambda: [claim(IdentityBase(CHILD.id, ALICE.did, CUSTOM, ALICE.id, "x"), label="x")], "FF10403",
    ),
    "a claim by an unheard of type": (
        lambda: [claim(IdentityBase(CHILD.id, "did:firefly:x", "thing", "", "x"))], "FF10403",
    ),
    "a custom claim without a parent": (lambda: [claim(base("x", CUSTOM))], "FF10403"),
    "a claim on a topic of its choice": (lambda: [claim(base("x"), topic="mine")], "FF10403"),
    "a claim below a node": (lambda: [claim(STRANGE)], "FF10403"),
    "a description without end": (lambda: [claim(base("x"), description="x" * 5000)], "FF10403"),
    "a node claimed by another organisation": (
        lambda: [claim_node(base("x", NODE, ALICE), BOB)], "FF10402",
    ),
    "a node claimed in its owner's name with a stranger's key": (
        lambda: [claim_node(base("x", NODE, ALICE), ALICE, key=key_of("stranger"))], "FF10402",
    ),
    "a verification by another": (lambda: [verify(claim(CHILD), CHILD, BOB)], "FF10409"),
    "a verification of another message": (
        lambda: [claim(CHILD), verify(claim(CHILD, description="x"), CHILD, ALICE)], "FF10410",
    ),
    "a verification without a parent": (lambda: [verify(claim(base("x")), base("x"), ALICE)], "FF10403"),
    "a verification of what was claimed of another parent": (
        lambda: [claim(CHILD), verify(claim(CHILD), base("child", CUSTOM, BOB, id=CHILD.id), BOB)], "FF10403",
    ),
    "an update of nobody": (lambda: [update(base("x"), **BY_ALICE)], "FF10408"),
    "an update by another": (lambda: [update(ALICE, **BY_BOB)], "FF10409"),
    "an update of a node by itself": (lambda: [update(MACHINE, **BY_BOB)], "FF10409"),
    "an update on a topic of its choice": (lambda: [update(ALICE, topic="mine")], "FF10403"),
}  # fmt: skip


@pytest.mark.parametrize("plot, code", REJECTIONS.values(), ids=REJECTIONS.keys())
async def test_what_is_wrong_is_rejected_with_its_code_and_life_goes_on(member: Member, plot: Plot, code: str) -> None:
    await hear(member, claim(ALICE), claim(BOB), claim_node(MACHINE, ALICE))
    stories = plot()
    await hear(member, *stories)
    assert fates(member)[stories[-1].id] == code
    after = say("after", 1, by="alice")
    await hear(member, after)
    assert fates(member)[after.id] == "confirmed" and member.waiting() == []


async def test_a_grandchild_needs_its_parent_not_its_grandparent(member: Member) -> None:
    await know_alice(member)
    claimed, grand = claim(CHILD), claim(GRANDCHILD)
    await hear(member, claimed, verify(claimed, CHILD, ALICE), grand)
    wrong, right = verify(grand, GRANDCHILD, ALICE), verify(grand, GRANDCHILD, CHILD)
    await hear(member, wrong, right)
    assert (fates(member)[wrong.id], fates(member)[right.id]) == ("FF10409", "confirmed")
    assert ("identity_confirmed", GRANDCHILD.id) in all_told(member)


async def test_a_key_is_the_first_claimant_s_on_the_ledger_whatever_comes_first(member: Member) -> None:
    first, second = claim(base("first"), key=key_of("k")), claim(base("second"), key=key_of("k"))
    await member.see(first.parcel)
    await member.see(second.parcel)
    await member.receive(second.parcel)
    await member.settle()
    assert ("claim", key_of("k")) in member.waiting()
    await member.receive(first.parcel)
    await member.settle()
    assert fates(member) == {first.id: "confirmed", second.id: "FF10453"}


async def test_an_author_s_own_message_before_its_claim_does_not_hold_up_the_claim(member: Member) -> None:
    early, claimed = say("early", 1, by="bob"), claim(BOB)
    await member.see(early.parcel)
    await member.see(claimed.parcel)
    await member.receive(claimed.parcel)
    await member.settle()
    assert fates(member) == {}
    await member.receive(early.parcel)
    await member.settle()
    assert set(fates(member).values()) == {"confirmed"} and member.waiting() == []


async def test_what_is_claimed_once_more_is_confirmed_and_told_of_once(member: Member) -> None:
    await know_alice(member)
    again = claim(ALICE, label="again")
    await hear(member, again)
    assert fates(member)[again.id] == "confirmed"
    assert [type for type, _ in all_told(member)].count("identity_confirmed") == 1


async def test_the_network_s_word_takes_the_place_of_the_node_s_own(member: Member) -> None:
    await member.know(key_of("own"), ALICE.did)
    await hear(member, claim(TAKEN), claim(base("x", id=BOB.id), key=key_of("x")))
    rows = member.rows(
        "SELECT i.id, v.value FROM identities i JOIN verifiers v ON v.identity = i.id WHERE i.did = ?", ALICE.did
    )
    assert rows == [(bytes.fromhex(TAKEN.id.replace("-", "")), key_of("alice"))]


async def test_ids_of_the_node_s_own_give_way(member: Member) -> None:
    await member.know(key_of("own"), ALICE.did)
    (row,) = member.rows("SELECT id FROM identities")
    await hear(member, claim(base("x", id=row[0].hex())))
    assert set(fates(member).values()) == {"confirmed"}
    assert len(member.rows("SELECT DISTINCT id FROM identities")) == 2
