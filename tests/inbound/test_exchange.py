"""What comes through a data exchange: batches without a pin, groups, blobs, and who is asked to try again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ffd.model.batch import manifest_json
from ffd.model.data import BlobRef, Data
from ffd.model.errors import Away, Invalid, NotFound
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.namespace import org_did
from ffd.ports.exchange import Route, Transfer
from tests.inbound.letters import Letter, Pen, bring, circle, meet, node_of, pin
from tests.inbound.member import NETWORK, Member, message, open_member, organisation, peer_of, uid
from tests.simulation.surroundings import EPOCH_NS

US = circle("alice", "bob")
CONTENT = b"a picture" * 1000
HASH = sha256(CONTENT)


def unpinned(name: str, *topics: str, group: str | None = US.json, **more: object) -> Letter:
    """A batch without a pin, which brings its group."""
    letter = Pen("alice", "alice").write(name, US, *topics, pins=[[] for _ in topics], txtype="unpinned", **more)
    return replace(letter, group=group)


def picture(name: str) -> Data:
    """The data item of a message, which is a blob."""
    return Data(
        id=format_uuid(uid(f"data of {name}")), hash=HASH, created=EPOCH_NS, blob=BlobRef(HASH.hex(), len(CONTENT)),
    )  # fmt: skip


class Pieces:
    """A blob that is sent, from an offset on; it breaks off after so many bytes."""

    def __init__(self, offset: int = 0, until: int | None = None) -> None:
        self._at = offset
        self._until = until

    async def read(self) -> bytes:
        if self._until is not None and self._at >= self._until:
            raise Away("FFD4405", "the connection broke off")
        piece = CONTENT[self._at : min(self._at + 1000, self._until or len(CONTENT))]
        self._at += len(piece)
        return piece


def route(node: str = "alice") -> Route:
    return Route(NETWORK, peer_of(node_of(node)), "peer of me/my node")


async def test_what_has_no_pin_is_confirmed_as_it_comes_and_told_once(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob")
    first, second = unpinned("first", "t", "u"), unpinned("second", "t", group=None)
    await bring(member, first, second, first, second)
    assert [told.message for told in member.told()] == [message(each) for each in ("first/0", "first/1", "second/0")]
    assert {told.type for told in member.told()} == {"message_confirmed"}
    assert member.rows("SELECT count(*) FROM groups") == [(1,)]
    assert member.rows("SELECT type FROM transactions ORDER BY sequence") == [("unpinned",)] * 2


async def test_what_has_no_pin_needs_a_group_that_its_author_is_in(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob", "carol")
    with pytest.raises(Invalid, match="FFD4229"):
        await bring(member, unpinned("first", "t", group=None))
    with pytest.raises(Invalid, match="FFD4229"):
        await bring(member, unpinned("first", "t", group=circle("bob", "carol").json))
    with pytest.raises(Invalid, match="FF00119"):
        await bring(member, unpinned("first", "t", group=US.json.replace(US.hash.hex(), "ab" * 32)))
    assert member.told() == []


async def test_messages_that_are_to_be_pinned_do_not_come_without_a_pin(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob")
    letter = Pen("alice", "alice").write("first", US, "t")
    listed = [(each.header.id, each.hash.hex(), 1) for each, _ in letter.messages]
    manifest = manifest_json(letter.head.id, "unpinned", letter.head.tx_id, listed, [item.ref for item in letter.data])
    dressed = letter.with_head(tx_type="unpinned", hash=sha256(manifest.encode()))
    with pytest.raises(Invalid, match="FFD4228"):
        await bring(member, replace(dressed, group=US.json))
    assert member.told() == []


async def test_a_message_whose_group_is_not_known_waits_for_it(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob")
    pen = Pen("alice", "alice")
    founding, letter = pen.found("founding", US), pen.write("first", US, "t")
    await pin(member, founding, letter)
    await bring(member, letter)
    await member.settle()
    assert ("group", US.hash.hex()) in member.waiting()
    await bring(member, founding)
    await member.settle()
    assert [told.message for told in member.told()] == [message("founding/0"), message("first/0")]
    assert member.rows("SELECT message FROM groups") == [(uid("founding/0"),)]


async def test_an_author_who_is_in_no_such_group_is_waited_for_and_holds_nobody_up(
    member: Member, autojump_clock: object
) -> None:
    await meet(member, "alice", "bob", "carol")
    founding = Pen("alice", "alice").found("founding", US)
    letters = [Pen("carol", "carol").write("wrong", US, "t"), Pen("bob", "bob").write("first", US, "t")]
    await pin(member, founding, *letters)
    await bring(member, founding, *letters)
    await member.settle()
    assert member.told()[-1].message == message("first/0")
    assert member.waiting() == [("member", org_did("carol"))]


async def test_who_is_not_known_yet_is_asked_to_try_again(member: Member, autojump_clock: object) -> None:
    letter = Pen("carol", "carol").write("first", US, "t")
    with pytest.raises(Away, match="FFD4221"):
        await bring(member, letter)
    await member.appoint(node_of("carol"), organisation("did:firefly:org/parent").did)
    with pytest.raises(Away, match="FFD4223"):
        await bring(member, letter)


async def test_nobody_here_is_somebody_else(member: Member, autojump_clock: object) -> None:
    for namespace, recipient in ((NETWORK, "peer of me/another"), ("elsewhere", "peer of me/my node")):
        with pytest.raises(NotFound, match="FFD4220"):
            await member.receiver.take_message(Route(namespace, "peer/alice", recipient), b"{}")


@pytest.mark.parametrize("text", ["", "{}", '{"batch":null}', '{"batch":{"id":7}}', "[]", '{"batch":"' + "x" * 99])
async def test_what_cannot_be_read_is_refused(text: str, member: Member, autojump_clock: object) -> None:
    with pytest.raises(Invalid):
        await member.take(node_of("alice"), text)
    assert member.rows("SELECT count(*) FROM batches") == [(0,)]


# Blobs ---------------------------------------------------------------------------------------------------------------


async def with_picture(member: Member) -> Letter:
    await meet(member, "alice", "bob")
    pen = Pen("alice", "alice")
    founding, letter = pen.found("founding", US), pen.write("first", US, "t", data=[picture("first")])
    await bring(member, founding, letter)
    await pin(member, founding, letter)
    await member.settle()
    return letter


async def test_a_message_waits_for_its_blob(member: Member, autojump_clock: object) -> None:
    letter = await with_picture(member)
    assert member.waiting() == [("blob", HASH.hex())]
    transfer = Transfer(parse_uuid(letter.data[0].id), HASH, len(CONTENT))
    await member.receiver.take_blob(route(), transfer, Pieces(), offset=0)
    await member.settle()
    assert member.told()[-1].message == message("first/0") and member.waiting() == []


async def test_a_blob_goes_on_where_it_broke_off_and_may_come_before_its_message(
    member: Member, autojump_clock: object
) -> None:
    transfer = Transfer(uid("data of first"), HASH, len(CONTENT))
    assert await member.receiver.blob_offset(route(), transfer) == 0
    with pytest.raises(Away, match="FFD4405"):
        await member.receiver.take_blob(route(), transfer, Pieces(until=4000), offset=0)
    assert await member.receiver.blob_offset(route(), transfer) == 4000
    with pytest.raises(Away):
        await member.receiver.take_blob(route(), transfer, Pieces(5000), offset=5000)
    await member.receiver.take_blob(route(), transfer, Pieces(4000), offset=4000)
    assert await member.receiver.blob_offset(route(), transfer) == len(CONTENT)
    await member.receiver.take_blob(route(), transfer, Pieces(len(CONTENT)), offset=len(CONTENT))
    await with_picture(member)
    assert member.told()[-1].message == message("first/0")


async def test_a_hash_alone_does_not_tell_a_member_what_others_brought(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob", "carol")
    known = Transfer(uid("data of first"), HASH, len(CONTENT))
    await member.receiver.take_blob(route(), known, Pieces(), offset=0)
    guessed = Transfer(uid("guessed"), HASH, len(CONTENT))
    assert await member.receiver.blob_offset(route("carol"), guessed) == 0
    with pytest.raises(Away, match="FFD3108"):
        await member.receiver.take_blob(route("carol"), guessed, Pieces(1000), offset=0)
    await member.receiver.take_blob(route("carol"), guessed, Pieces(), offset=0)
    assert await member.receiver.blob_offset(route("carol"), guessed) == len(CONTENT)


async def test_another_blob_than_that_of_the_data_is_refused(member: Member, autojump_clock: object) -> None:
    await with_picture(member)
    transfer = Transfer(uid("data of first"))

    class Other(Pieces):
        async def read(self) -> bytes:
            return (await super().read())[:10] if self._at < 1000 else b""

    with pytest.raises(Invalid, match="FFD4231"):
        await member.receiver.take_blob(route(), transfer, Other(), offset=0)
    assert member.waiting() == [("blob", HASH.hex())]
    with pytest.raises(Invalid, match="FFD4230"):
        await member.receiver.take_blob(route(), Transfer(uid("x"), HASH, 1 << 60), Pieces(), offset=0)


async def test_what_has_no_pin_is_taken_when_its_blob_is_there(member: Member, autojump_clock: object) -> None:
    await meet(member, "alice", "bob")
    letter = unpinned("first", "t", data=[picture("first")])
    with pytest.raises(Away, match="FFD4226"):
        await bring(member, letter)
    await member.receiver.take_blob(route(), Transfer(uid("data of first"), HASH), Pieces(), offset=0)
    await bring(member, letter)
    assert len(member.told()) == 1


async def test_a_node_that_is_no_member_keeps_nothing_but_the_pin(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    async with open_member(scratch / "member", seed) as member:
        pen = Pen("alice", "alice")
        await pin(member, pen.found("founding", US), *[pen.write(f"letter {n}", US, "t") for n in range(50)])
        await member.settle()
        assert member.rows("SELECT count(*) FROM pins") == [(51,)]
        for table in ("waiting_pins", "nextpins", "groups", "messages", "batches"):
            assert member.rows(f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
