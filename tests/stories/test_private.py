"""Private messages between members: who hears them, in which order, and what becomes of them when somebody is off."""

import json
from dataclasses import replace

import pytest
import trio

from ffd.model.errors import Invalid
from ffd.model.ids import sha256
from ffd.outbound.lanes import owe_again
from ffd.plugins.exchange import memory as memory_exchange
from ffd.ports.exchange import Route, Transfer
from ffd.ports.sharedstorage import Source
from ffd.store import Transaction, data, operations
from tests.simulation.disk import Loss
from tests.world import MESSAGE_CONFIRMED, Cast, Node

TALK = [f"word {number}" for number in range(5)]
TEA = b"tea" * 5000


def said(node: Node) -> list[object]:
    """The values of the messages that a node's app has heard, in its order; not what founds a group, or fills a gap."""
    values = [event.values[0] for event in node.apps["app"].heard(MESSAGE_CONFIRMED) if event.values]
    return [value for value in values if not (isinstance(value, dict) and "members" in value)]


async def hears(node: Node, count: int) -> list[object]:
    """The first so many of them."""
    await node.apps["app"].wait_heard(lambda: len(said(node)) >= count, f"{count} private messages")
    return said(node)[:count]


async def test_the_members_hear_it_in_one_order_and_nobody_else_hears_anything(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob, carl, dora = await world.nodes("alice", "bob", "carl", "dora")
    await alice.whisper(*TALK, to=["bob", "carl"])
    await bob.whisper(*TALK, to=["alice", "carl"])
    orders = [await hears(node, 10) for node in (alice, bob, carl)]
    assert orders[0] == orders[1] == orders[2]
    assert dora.rows("SELECT count(*) FROM messages") == [(0,)]
    assert world.shelf.content == {}
    assert dora.rows("SELECT DISTINCT payload_ref FROM blockchainevents") == [("",)]


async def test_what_is_sent_in_order_is_heard_in_order_however_often_the_sender_ends(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    for number in range(6):
        await alice.whisper(number, to=["bob"])
        if number % 2:
            await alice.crash(lose_unsynced=True, loss=Loss.DROP)
            await alice.start()
    assert await hears(bob, 6) == await hears(alice, 6) == list(range(6))
    pins = alice.rows("SELECT pins FROM messages WHERE header ->> '$.type' = 'private' ORDER BY sequence")
    assert [int(text.partition(":")[2]) for (text,) in pins] == list(range(6)), "no nonce is used twice, or left out"


STEPS = {
    "sealed, and nobody has it": ("exchange_faults", "away"),
    "sent, and not pinned": ("ledger_faults", "away"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_private_batch_is_pinned_once_wherever_the_node_ends(
    world: Cast, autojump_clock: object, step: str
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    faults, fault = STEPS[step]
    setattr(getattr(alice, faults), fault, True)
    alice.ledger_faults.away = True
    await alice.whisper(*TALK, to=["bob"])
    await trio.sleep(60)
    assert alice.rows("SELECT count(*) FROM batches WHERE sent IS NULL") == [(1,)]
    names = alice.rows("SELECT id FROM operations ORDER BY sequence")
    await alice.crash(lose_unsynced=True, loss=Loss.DROP)
    alice.exchange_faults.away = alice.ledger_faults.away = False
    await alice.start()
    assert await hears(bob, 5) == await hears(alice, 5) == TALK
    assert len(world.chain.entries) == 1
    await trio.sleep(60)
    assert alice.rows("SELECT id FROM operations ORDER BY sequence") == names
    assert alice.rows("SELECT DISTINCT status, error FROM operations") == [("Succeeded", None)]
    assert alice.rows("SELECT * FROM owed") == []


async def test_a_member_that_is_off_holds_up_nobody_else_and_gets_all_of_it_later(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob, carl = await world.nodes("alice", "bob", "carl")
    await carl.stop()
    for number in range(10):
        await alice.whisper(number, to=["bob", "carl"])
        began = trio.current_time()
        await hears(bob, number + 1)
        assert trio.current_time() - began < 5
    found = {
        node: (status, error)
        for node, status, error in alice.rows(
            "SELECT o.input ->> '$.node', o.status, o.error FROM operations o WHERE o.type = 'dataexchange_send_batch'"
            " ORDER BY o.sequence DESC"
        )
    }
    assert sorted(status for status, _ in found.values()) == ["Initialized", "Succeeded"]
    assert any(error and error.startswith("FFD4405") for _, error in found.values()), "the operation says what is wrong"
    await carl.start()
    assert await hears(carl, 10) == await hears(alice, 10) == list(range(10))
    await trio.sleep(60)
    assert alice.rows("SELECT DISTINCT status, error FROM operations") == [("Succeeded", None)]


async def test_what_is_owed_survives_the_sender(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await bob.stop()
    await alice.whisper(*TALK, to=["bob"])
    await hears_pinned(alice)
    await alice.crash(lose_unsynced=True, loss=Loss.DROP)
    await bob.start()
    await alice.start()
    assert await hears(bob, 5) == TALK


async def hears_pinned(node: Node) -> None:
    """Until the node's own app has heard what it sent: its pin does not wait for those who are off."""
    await hears(node, 5)


async def test_an_unpinned_message_goes_past_the_ledger_in_the_order_it_was_sent(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.ledger_faults.away = bob.ledger_faults.away = True
    for number in range(5):
        await alice.whisper(number, to=["bob"], txtype="unpinned")
    assert world.chain.entries == []
    assert await hears(bob, 5) == await hears(alice, 5) == list(range(5))


async def test_an_unpinned_message_waits_for_a_member_that_is_off(world: Cast, autojump_clock: object) -> None:
    alice, bob, carl = await world.nodes("alice", "bob", "carl")
    await bob.stop()
    await alice.whisper(*TALK, to=["bob", "carl"], txtype="none")
    assert await hears(carl, 5) == await hears(alice, 5) == TALK, "confirmed as soon as everybody was tried"
    await bob.start()
    assert await hears(bob, 5) == TALK


async def test_a_private_blob_reaches_the_members_and_no_storage(world: Cast, autojump_clock: object) -> None:
    alice, bob, carl = await world.nodes("alice", "bob", "carl")
    alice.exchange_faults.break_after = 4000
    id = await alice.upload(TEA, {"filename": "tea.txt"})
    await alice.whisper("look", to=["bob"], blob=id)
    assert await hears(bob, 1) == ["look"]
    assert await bob.blob(sha256(TEA)) == TEA
    assert world.shelf.content == {} and carl.blob_files() == []
    (blob,) = bob.rows("SELECT blob FROM data WHERE blob IS NOT NULL")[0]
    assert json.loads(blob)["name"] == "tea.txt"


async def test_data_of_what_is_owed_cannot_be_deleted(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await bob.stop()
    id = await alice.upload(TEA)
    await alice.whisper("look", to=["bob"], blob=id)
    await hears(alice, 1)

    number = alice.namespace.number
    raw = bytes.fromhex(id.replace("-", ""))

    def user() -> bytes | None:
        return alice.store.peek(lambda tx: data.unsettled_user(tx, data.sequence_of(tx, number, raw) or 0))

    assert user() is not None
    await bob.start()
    assert await hears(bob, 1) == ["look"]
    await trio.sleep(60)
    assert user() is None


async def test_groups_and_broadcasts_of_one_author_do_not_hold_each_other_up(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob, carl = await world.nodes("alice", "bob", "carl")
    alice.storage_faults.away = True
    await alice.broadcast("to all")
    await alice.whisper("to bob", to=["bob"])
    await alice.whisper("to carl", to=["carl"])
    assert await hears(bob, 1) == ["to bob"] and await hears(carl, 1) == ["to carl"]
    alice.storage_faults.away = False
    assert (await hears(bob, 2))[1] == "to all"


async def test_a_group_is_founded_once_and_can_be_named_by_its_hash(world: Cast, autojump_clock: object) -> None:
    alice, bob, carl = await world.nodes("alice", "bob", "carl")
    await alice.whisper("first", to=["bob", "carl"])
    await alice.whisper("second", to=["carl", "bob", "alice"])
    await hears(bob, 2)
    ((hash, members, founded),) = bob.rows("SELECT hex(hash), members, message FROM groups")
    assert len(json.loads(members)) == 3 and founded is not None
    await bob.whisper("third", group=hash)
    assert await hears(carl, 3) == ["first", "second", "third"]
    for node in (alice, bob, carl):
        assert node.rows("SELECT hex(hash), members, message FROM groups") == [(hash, members, founded)]
        kinds = node.rows("SELECT count(*) FROM messages WHERE header ->> '$.type' = 'groupinit'")
        assert kinds == [(1,)]


class Refusing:
    """Takes nothing, ever."""

    async def take_message(self, route: Route, message: bytes) -> None:
        raise Invalid("FFD4999", "never")

    async def blob_offset(self, route: Route, transfer: Transfer) -> int:
        return 0

    async def take_blob(self, route: Route, transfer: Transfer, source: Source, *, offset: int) -> None:
        raise Invalid("FFD4999", "never")


async def retry(node: Node, id: bytes) -> None:
    """Have an operation done once more, as its route does."""

    def unit(tx: Transaction) -> None:
        old = operations.find(tx, node.namespace.number, id)
        assert old is not None
        new = replace(old, id=node.desk.world.new_id(), status="Initialized", error=None)
        owe_again(tx, new, operations.replace(tx, [id], new, 1))

    await node.store.write(unit)


async def test_what_a_node_refuses_has_failed_and_is_sent_again_when_somebody_asks(
    world: Cast, autojump_clock: object
) -> None:
    """The first batch is refused; those behind it are not held up, and it is brought when that is asked for."""
    alice, bob = await world.nodes("alice", "bob")
    await alice.whisper("hello", to=["bob"])
    await hears(bob, 1)
    mesh = memory_exchange.MESHES[world.shared]
    receiver, peers = mesh.served["bob-bob-node"]
    mesh.served["bob-bob-node"] = Refusing(), peers
    await alice.whisper("wrong", to=["bob"], topic="one")
    await trio.sleep(5)
    mesh.served["bob-bob-node"] = receiver, peers
    await alice.whisper("right", to=["bob"], topic="two")
    assert await hears(bob, 2) == ["hello", "right"]
    ((id, error),) = alice.rows(
        "SELECT id, error FROM operations WHERE type = 'dataexchange_send_batch' AND status = 'Failed'"
    )
    assert error == "FFD4999: never"
    await retry(alice, id)
    assert await hears(bob, 3) == ["hello", "right", "wrong"]
    await trio.sleep(5)
    assert alice.rows("SELECT DISTINCT status FROM operations WHERE retry IS NULL") == [("Succeeded",)]
