"""What every data exchange promises, whatever its kind: what comes to whom, from whom, in which order."""

from __future__ import annotations

import pytest
import trio

from ffd.model.errors import Away, Full, Invalid, NotFound
from ffd.model.ids import sha256
from ffd.ports.exchange import PeerProfile, Route, Transfer
from tests.plugins.exchanges import NETWORK, PIECE_BYTES, Blob, Exchanges, wrapper

CONTENT = bytes(range(256)) * 3000


async def test_a_message_comes_as_it_was_sent_from_who_sent_it(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    await alice.send(bob, "tea")
    assert bob.mailbox.messages == [(Route(NETWORK, alice.profile.id, bob.profile.id), wrapper("tea"))]


async def test_messages_come_in_the_order_of_the_calls(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    texts = [f"message {number}" for number in range(30)]
    for text in texts:
        await alice.send(bob, text)
    assert bob.got() == [wrapper(text) for text in texts]


async def test_everybody_sends_to_everybody_at_once(exchanges: Exchanges) -> None:
    cast = [await exchanges.node(name) for name in ("alice", "bob", "carol")]
    async with trio.open_nursery() as nursery:
        for sender in cast:
            for recipient in cast:
                if sender is not recipient:
                    nursery.start_soon(sender.send, recipient, f"{sender.name} to {recipient.name}")
    for recipient in cast:
        others = [each.name for each in cast if each is not recipient]
        assert sorted(recipient.got()) == [wrapper(f"{name} to {recipient.name}") for name in others]


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, len(CONTENT)])
async def test_a_blob_comes_whole_with_what_its_sender_says_of_it(exchanges: Exchanges, size: int) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    content = CONTENT[:size]
    await alice.send_blob(bob, Blob(content))
    await alice.send(bob, "after it")
    assert bob.mailbox.blobs == [(alice.route(bob), Transfer(b"d" * 16, sha256(content), size), content)]


async def test_a_blob_that_broke_off_goes_on_where_it_was(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    with pytest.raises(Away, match="the disk went away"):
        await alice.send_blob(bob, Blob(CONTENT, fails_at=4 * PIECE_BYTES))
    await bob.mailbox.wait(lambda: bool(bob.mailbox.kept))
    await alice.send_blob(bob, Blob(CONTENT))
    assert [content for *_, content in bob.mailbox.blobs] == [CONTENT]
    assert bob.mailbox.offsets == [0, 4 * PIECE_BYTES]


async def test_a_blob_of_which_the_recipient_has_more_than_there_is_is_tried_again(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    bob.mailbox.kept[alice.route(bob), b"d" * 16] = CONTENT
    with pytest.raises(Away):
        await alice.send_blob(bob, Blob(CONTENT[:-1]))


async def test_who_does_not_listen_is_tried_again_and_gets_all_when_it_does(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob", listens=False)
    with pytest.raises(Away, match=bob.profile.id):
        await alice.send(bob, "tea")
    await bob.listen()
    await alice.send(bob, "tea")
    await bob.deafen()
    with pytest.raises(Away):
        await alice.send(bob, "milk")
    await bob.listen()
    await alice.send(bob, "milk")
    assert bob.got() == [wrapper("tea"), wrapper("milk")]


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (Away("FFD9999", "the disk is busy"), Away),
        (Full("FFD9999", "the disk is busy"), Full),
        (NotFound("FFD9999", "the disk is busy"), Away),
        (Invalid("FFD9999", "the disk is busy"), Invalid),
    ],
)
async def test_what_the_recipient_says_against_it_is_told_to_the_sender(
    exchanges: Exchanges, refusal: Away | Full | Invalid | NotFound, raised: type[Exception]
) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    bob.mailbox.refusal = lambda: refusal
    with pytest.raises(raised, match="the disk is busy"):
        await alice.send(bob, "tea")
    with pytest.raises(raised):
        await alice.send_blob(bob, Blob(CONTENT))
    bob.mailbox.refusal = None
    await alice.send(bob, "tea")
    await alice.send_blob(bob, Blob(CONTENT))
    assert (bob.got(), len(bob.mailbox.blobs)) == ([wrapper("tea")], 1)


async def test_a_node_that_is_not_registered_is_neither_reached_nor_heard(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    mallory = await exchanges.node("mallory", known=False)
    with pytest.raises(Away, match="no registered node is"):
        await alice.send(mallory, "tea")
    for node in (alice, bob):
        mallory.register.learn(node.profile)
    with pytest.raises(Away):
        await mallory.send(bob, "tea")
    with pytest.raises(Away):
        await mallory.send_blob(bob, Blob(CONTENT))
    assert (bob.mailbox.messages, bob.mailbox.blobs) == ([], [])
    bob.register.learn(mallory.profile)
    await mallory.send(bob, "now you know me")
    assert len(bob.got()) == 1


async def test_nobody_speaks_for_another(exchanges: Exchanges) -> None:
    alice, bob, mallory = [await exchanges.node(name) for name in ("alice", "bob", "mallory")]
    with pytest.raises(Away):
        await mallory.exchange.send_message(Route(NETWORK, alice.profile.id, bob.profile.id), wrapper("tea"))
    assert bob.mailbox.messages == []


async def test_who_is_registered_in_one_namespace_is_a_stranger_in_another(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob")
    for node in (alice, bob):
        node.register.learn(bob.profile, "trade")
    with pytest.raises(Away):
        await alice.send(bob, "tea", "trade")
    assert bob.mailbox.messages == []
    bob.register.learn(alice.profile, "trade")
    await alice.send(bob, "tea", "trade")
    assert bob.mailbox.messages == [(alice.route(bob, "trade"), wrapper("tea", "trade"))]


async def test_a_profile_that_leads_nowhere_is_no_more_than_a_node_that_does_not_answer(exchanges: Exchanges) -> None:
    alice, bob = await exchanges.node("alice"), await exchanges.node("bob", listens=False)
    for endpoint in ("", "https://", "nonsense", "https://127.0.0.1:1", "https://[::1", "https://127.0.0.1:x/ \n"):
        alice.register.learn(PeerProfile(bob.profile.id, endpoint, "-----BEGIN CERTIFICATE-----\n"))
        with pytest.raises(Away):
            await alice.send(bob, "tea")


async def test_the_profile_stays_the_same_over_restarts(exchanges: Exchanges) -> None:
    alice = await exchanges.node("alice")
    again = await exchanges.node("alice", known=False, listens=False)
    assert (again.profile.id, again.profile.certificates) == (alice.profile.id, alice.profile.certificates)
    assert alice.profile.id == "alice-alice/alice"


async def test_an_option_that_it_does_not_have_is_refused(exchanges: Exchanges) -> None:
    with pytest.raises(Invalid, match="has no option speed"):
        await exchanges.node("alice", speed="high")
