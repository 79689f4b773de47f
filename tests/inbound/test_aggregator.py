"""What the aggregator makes of pins and payloads that come late, twice, or wrong."""

from pathlib import Path

import pytest

from ffd.inbound.aggregator import DISPATCH_PER_PAGE_MAX, REWINDS_PER_PAGE
from ffd.model.context import broadcast_context
from ffd.model.ids import format_uuid
from ffd.model.namespace import org_did
from ffd.store import Transaction, pins
from tests.inbound.member import Member, Parcel, Told, key_of, message, open_member, pack, parcel, sealed, uid


def confirmed(*names: str, topic: str = "a") -> list[Told]:
    """The events of these messages, `batch/number` each."""
    return [Told("message_confirmed", message(name), topic) for name in names]


def cause(what: str, parcel: Parcel) -> tuple[str, str]:
    """What a pin waits for, when it is the batch."""
    return what, format_uuid(parcel.id)


def turn(topic: str) -> tuple[str, str]:
    """What a pin waits for, when it is its turn on a topic."""
    return "order", broadcast_context(topic).hex()


# Rejections -------------------------------------------------------------------------------------------------------


async def test_a_message_that_another_one_signed_is_rejected_with_the_reason(
    member: Member, autojump_clock: object
) -> None:
    forged = parcel("forged", "ab")
    await member.see(forged, signer=key_of("bob"))
    await member.receive(forged)
    await member.settle()
    id = message("forged/0")
    assert member.told() == [Told("message_rejected", id, "a"), Told("message_rejected", id, "b")]
    assert member.reasons() == {
        id: f"FF10452: Invalid message '{id}'. Key '{key_of('alice')}' does not match the signer of the pin: "
        f"{key_of('bob')}"
    }


async def test_a_message_in_another_ones_name_is_rejected_with_the_reason(
    member: Member, autojump_clock: object
) -> None:
    forged = pack("forged", [sealed("forged/0", "a", author="alice", key=key_of("bob"))])
    await member.see(forged)
    await member.receive(forged)
    await member.settle()
    id = message("forged/0")
    assert member.told() == [Told("message_rejected", id, "a")]
    assert member.reasons() == {
        id: f"FF10453: Invalid message '{id}'. Author '{org_did('alice')}' does not match identity registered to "
        f"{key_of('bob')}: {org_did('bob')} ({format_uuid(uid(org_did('bob')))})"
    }


async def test_a_rejection_waits_for_its_turn(member: Member, autojump_clock: object) -> None:
    late, forged, after = parcel("late", "a"), parcel("forged", "a"), parcel("after", "a")
    await member.see(late)
    await member.see(forged, signer=key_of("bob"))
    await member.see(after)
    await member.receive(forged, after)
    await member.settle()
    assert member.told() == []
    assert member.waiting() == [cause("payload", late), turn("a"), turn("a")]
    await member.receive(late)
    await member.settle()
    assert [(told.type, told.message) for told in member.told()] == [
        ("message_confirmed", message("late/0")),
        ("message_rejected", message("forged/0")),
        ("message_confirmed", message("after/0")),
    ]


async def test_an_unknown_author_is_waited_for_by_name(member: Member, autojump_clock: object) -> None:
    hers, behind, other = parcel("hers", "ab", author="zoe"), parcel("behind", "b"), parcel("other", "c")
    for each in (hers, behind, other):
        await member.see(each)
    await member.receive(hers, behind, other)
    await member.settle()
    assert member.told() == confirmed("other/0", topic="c")
    assert member.waiting() == [("author", key_of("zoe")), ("author", key_of("zoe")), turn("b")]
    await member.meet("zoe")
    await member.settle()
    assert member.told()[1:] == [*confirmed("hers/0"), *confirmed("hers/0", "behind/0", topic="b")]
    assert member.waiting() == []


async def test_a_key_that_becomes_known_wakes_its_own_batches_only(member: Member, autojump_clock: object) -> None:
    for author in ("zoe", "yan"):
        await member.see(parcel(f"by {author}", "a" if author == "zoe" else "b", author=author))
        await member.receive(parcel(f"by {author}", "a" if author == "zoe" else "b", author=author))
    await member.settle()
    await member.meet("zoe")
    assert member.rows("SELECT batch FROM rewinds") == [(uid("by zoe"),)]
    await member.settle()
    assert member.told() == confirmed("by zoe/0")


# Late payloads -----------------------------------------------------------------------------------------------------


async def test_what_comes_wakes_only_what_waited_for_it(member: Member, autojump_clock: object) -> None:
    """Two late batches on two topics, and one behind both."""
    one, two, both, after = parcel("one", "a"), parcel("two", "b"), parcel("both", "ab"), parcel("after", "ab")
    for each in (one, two, both, after):
        await member.see(each)
    await member.receive(both, after)
    await member.settle()
    assert member.waiting() == [cause("payload", one), cause("payload", two), *[turn("a")] * 4]
    await member.receive(two)
    await member.settle()
    assert member.told() == confirmed("two/0", topic="b")
    assert member.waiting() == [cause("payload", one), *[turn("a")] * 4]
    await member.receive(one)
    await member.settle()
    assert member.told()[1:] == [
        *confirmed("one/0"), *confirmed("both/0"), *confirmed("both/0", topic="b"),
        *confirmed("after/0"), *confirmed("after/0", topic="b"),
    ]  # fmt: skip
    assert member.waiting() == []


async def test_a_payload_that_comes_again_changes_nothing(member: Member, autojump_clock: object) -> None:
    late, batch = parcel("late", "a"), parcel("batch", "a", "b")
    await member.see(late)
    await member.see(batch)
    for _ in range(3):
        await member.receive(batch)
        await member.settle()
    assert member.told() == confirmed("batch/1", topic="b")
    await member.receive(late)
    await member.receive(late)
    await member.settle()
    assert member.told()[1:] == confirmed("late/0", "batch/0")


async def test_a_backlog_behind_one_late_batch_goes_in_pages(member: Member, autojump_clock: object) -> None:
    late = parcel("late", "a")
    backlog = [parcel(f"backlog {n}", *["a"] * 100) for n in range(25)]
    await member.see(late)
    for each in backlog:
        await member.see(each)
        await member.receive(each)
    await member.settle()
    assert member.told() == []
    await member.receive(late)
    pages = await member.settle()
    assert sum(pages) == 2501 and max(pages) <= DISPATCH_PER_PAGE_MAX
    assert [told.message for told in member.told()] == [
        message("late/0"), *[message(f"backlog {n}/{m}") for n in range(25) for m in range(100)]
    ]  # fmt: skip


async def test_a_crash_between_two_pages_of_a_backlog_loses_nothing(member: Member, autojump_clock: object) -> None:
    """What is left for the next page is in a row, not in memory."""
    late, backlog = parcel("late", "a"), [parcel(f"backlog {n}", *["a"] * 100) for n in range(12)]
    for each in (late, *backlog):
        await member.see(each)
    await member.receive(*backlog)
    await member.settle()
    await member.receive(late)
    assert await member.store.write(member.aggregator.aggregate_page)
    assert len(member.told()) == DISPATCH_PER_PAGE_MAX
    assert len(member.rows("SELECT batch FROM rewinds")) == 1
    await member.settle()
    assert len(member.told()) == 1201


async def test_many_wishes_to_look_again_are_all_heard(member: Member, autojump_clock: object) -> None:
    """The same few batches are named again and again, and one more at the end."""
    waiting = [parcel(f"waiting {n}", "a", author="zoe") for n in range(3)]
    last = parcel("last", "b")
    for each in (*waiting, last):
        await member.see(each)
    await member.receive(*waiting)
    await member.settle()

    def wish(tx: Transaction) -> None:
        for number in range(3 * REWINDS_PER_PAGE):
            pins.rewind(tx, member.namespace.number, waiting[number % 3].id)

    await member.store.write(wish)
    await member.receive(last)
    await member.settle()
    assert member.rows("SELECT * FROM rewinds") == []
    assert member.told() == confirmed("last/0", topic="b")


# Pins that are not as they should be -------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before its payload", "after its payload", "after its event"])
async def test_a_batch_pinned_twice_is_told_once(member: Member, autojump_clock: object, when: str) -> None:
    batch, behind = parcel("batch", "a", "ab"), parcel("behind", "a")
    await member.see(batch)
    if when != "before its payload":
        await member.receive(batch)
    if when == "after its event":
        await member.settle()
    await member.see(batch)
    await member.see(batch, signer=key_of("bob"))
    await member.see(behind)
    await member.receive(batch, behind)
    await member.settle()
    assert sorted(member.told()) == sorted(
        [*confirmed("batch/0", "batch/1", "behind/0"), *confirmed("batch/1", topic="b")]
    )
    assert member.waiting() == []


@pytest.mark.parametrize("here", [True, False])
async def test_a_pin_with_another_hash_holds_its_topic_up(member: Member, autojump_clock: object, here: bool) -> None:
    """Nobody can say what was pinned, so nothing may pass it."""
    batch, behind = parcel("batch", "a"), parcel("behind", "a")
    if here:
        await member.receive(batch)
    await member.see(batch, batch_hash=bytes(32))
    await member.see(behind)
    await member.receive(behind)
    assert not await member.bring(batch.id, bytes(32), batch.payload)
    await member.settle()
    assert member.told() == []
    assert member.waiting() == [cause("mismatch" if here else "payload", batch), turn("a")]


@pytest.mark.parametrize("late", [True, False])
async def test_pins_beyond_the_manifest_hold_their_topic_up_on_every_member_alike(
    member: Member, autojump_clock: object, late: bool
) -> None:
    batch, behind = parcel("batch", "a"), parcel("behind", "b")
    if not late:
        await member.receive(batch)
    await member.see(batch, contexts=(broadcast_context("a"), broadcast_context("b")))
    await member.see(behind)
    await member.receive(behind)
    await member.settle()
    await member.receive(batch)
    await member.settle()
    assert member.told() == confirmed("batch/0")
    assert member.waiting() == [cause("content", batch), turn("b")]


async def test_a_batch_whose_content_does_not_verify_holds_its_topics_up(
    member: Member, autojump_clock: object
) -> None:
    good, behind = parcel("batch", "a"), parcel("behind", "a")
    altered = Parcel(good.id, good.hash, good.content.replace(b'"tea"', b'"ale"'), good.contexts, good.key)
    assert altered.payload.refusal is not None
    await member.see(altered)
    await member.see(behind)
    await member.receive(altered, behind)
    await member.settle()
    assert member.told() == []
    assert member.waiting() == [cause("content", good), turn("a")]


@pytest.mark.parametrize("held_by", ["nothing", "a late payload", "an unknown author"])
@pytest.mark.parametrize("page_pins", [1, 500])
async def test_a_message_that_travels_in_two_batches_is_told_once(
    autojump_clock: object, seed: int, scratch: Path, held_by: str, page_pins: int
) -> None:
    author = "zoe" if held_by == "an unknown author" else "alice"
    tea = sealed("tea", "ab", author=author)
    first = pack("first", [tea, sealed("more", "a", author=author)])
    second = pack("second", [sealed("else", "b", author=author), tea])
    late = parcel("late", "ab")
    async with open_member(scratch / "member", seed, page_pins=page_pins) as member:
        await member.meet("alice")
        if held_by == "a late payload":
            await member.see(late)
        for each in (first, second):
            await member.see(each)
            await member.receive(each)
        await member.settle()
        if held_by == "a late payload":
            await member.receive(late)
        for each in (first, second):  # as a repeated download does
            await member.receive(each)
        if held_by == "an unknown author":
            await member.meet("zoe")
        await member.settle()
        told = [each for each in member.told() if each.message not in (message("late/0"),)]
        assert told == [
            *confirmed("tea"), *confirmed("tea", topic="b"), *confirmed("more"), *confirmed("else", topic="b")
        ]  # fmt: skip
        assert member.waiting() == []
