"""What becomes of messages when nodes, apps, ledgers and storages do what they do in life."""

from dataclasses import replace
from typing import Any

import pytest
import trio

from ffd.model.errors import Conflict, Full
from ffd.plugins.sharedstorage.memory import MemoryShelf
from tests.simulation.disk import Loss
from tests.simulation.promises import check_accepted_once, check_heard_all, check_node, check_same_order
from tests.world import MESSAGE_REJECTED, Cast, Heard, Node, draft, inspect


async def test_a_restart_goes_on_where_it_left(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("before", "just before")
    await alice.stop()
    await alice.start()
    await alice.broadcast("after")
    assert await alice.heard(3) == ["before", "just before", "after"]
    check_node(alice)
    check_heard_all(alice, alice.apps["app"])


@pytest.mark.parametrize("lose_unsynced", [True, False])
async def test_what_was_accepted_survives_a_crash(world: Cast, autojump_clock: object, lose_unsynced: bool) -> None:
    alice, bob = await world.nodes("alice", "bob")
    for number in range(5):
        await alice.broadcast(f"message {number}")
        await alice.crash(lose_unsynced=lose_unsynced, loss=Loss.DROP)
        await alice.start()
    assert await bob.heard(5) == [f"message {number}" for number in range(5)]
    await alice.heard(5)
    check_accepted_once(alice, alice.apps["app"])
    for node in (alice, bob):
        check_node(node)


async def test_late_data_holds_up_its_own_topic_and_no_other(world: Cast, autojump_clock: object) -> None:
    alice, bob, carol = await world.nodes("alice", "bob", "carol")
    bob.storage_faults.hide_all = True
    (late,) = await alice.broadcast("the letter", topic="mail")
    await alice.heard(1)
    bob.storage_faults.hide_all = False
    bob.storage_faults.hidden.update(world.shelf.content)
    await carol.broadcast("an answer to it", topic="mail")
    await carol.broadcast("the weather", topic="sky")
    assert await bob.heard(1) == ["the weather"]

    (waiting,) = await bob.wait_blocked(1)
    assert waiting.cause == "payload" and waiting.pins == 2
    assert alice.rows("SELECT count(*) FROM batches WHERE id = ?", waiting.batch) == [(1,)], "it names the batch"
    assert waiting.subject.replace("-", "") == waiting.batch.hex()

    bob.storage_faults.hidden.clear()
    await bob.settled([late])
    for node in (alice, bob, carol):
        await node.heard(3)
    check_same_order([alice, carol])
    mail = [[e.values[0] for e in n.apps["app"].heard() if e.topic == "mail"] for n in (alice, bob, carol)]
    assert mail == [["the letter", "an answer to it"]] * 3
    assert bob.blocked() == []


async def test_many_late_payloads_do_not_hold_up_one_that_comes(world: Cast, autojump_clock: object) -> None:
    """Downloads that wait must not use up the places of those that could be done."""
    alice, bob = await world.nodes("alice", "bob")
    bob.storage_faults.hide_all = True
    for number in range(40):
        await alice.broadcast(number, topic=f"lost-{number}")
        await alice.heard(number + 1)
    lost = set(world.shelf.content)
    (comes,) = await alice.broadcast("I come late", topic="late")
    await alice.settled([comes])
    await trio.sleep(10)
    bob.storage_faults.hide_all = False
    bob.storage_faults.hidden.update(lost)
    with trio.fail_after(200):
        await bob.settled([comes])
    assert len(bob.blocked()) == 40


async def test_a_payload_is_still_taken_when_it_comes_very_late(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    bob.storage_faults.hide_all = True
    (late,) = await alice.broadcast("the letter")
    await trio.sleep(1_000)
    bob.storage_faults.hide_all = False
    await bob.settled([late])


def alter(shelf: MemoryShelf) -> None:
    """Somebody changes every payload on the shelf."""
    for reference, content in shelf.content.items():
        shelf.content[reference] = content[:-1] + b" "


async def test_an_altered_payload_is_found_out_by_others_and_put_back_by_its_author(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.storage_faults.hide_all = bob.storage_faults.hide_all = True
    (letter,) = await alice.broadcast("the letter", topic="mail")
    await bob.wait_blocked(1)
    alice.storage_faults.away = True
    bob.storage_faults.hide_all = alice.storage_faults.hide_all = False
    alter(world.shelf)
    await trio.sleep(100)
    await bob.broadcast("the weather", topic="sky")
    assert await bob.heard(1) == ["the weather"]
    assert [(each.topic, each.cause) for each in bob.blocked()] == [(None, "payload")]
    error = "SELECT error FROM operations WHERE type = 'sharedstorage_download_batch' AND error IS NOT NULL"
    assert "was altered" in bob.rows(error)[0][0]

    alice.storage_faults.away = False
    assert (await bob.settled([letter]))[letter].values == ("the letter",)
    await alice.settled([letter])


async def test_a_slow_app_holds_up_nobody_else(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    slow = alice.app("slow", slow_s=60.0, readAhead=2)
    began = trio.current_time()
    await alice.broadcast(*range(10))
    assert await alice.heard(10) == list(range(10))
    assert trio.current_time() - began < 5
    assert len(slow.heard()) <= slow.window
    assert await alice.heard(10, "slow") == list(range(10))
    assert trio.current_time() - began > 500


async def test_an_app_that_never_answers_gets_its_window_and_no_more(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    mute = alice.app("mute", readAhead=4)
    mute.acks = False
    await alice.broadcast(*range(20))
    await alice.heard(20)
    assert len(mute.heard()) == 5
    await alice.kill()
    await alice.start()
    await trio.sleep(60)
    assert len(mute.heard()) == 5 and mute.log[-1] == mute.log[0], "the same five, with the same ids"


@pytest.mark.parametrize("options", [{"readAhead": 0}, {"readAhead": 20}, {"batch": True, "readAhead": 5}])
async def test_what_is_refused_comes_again_with_all_that_follows(
    world: Cast, autojump_clock: object, options: dict[str, Any]
) -> None:
    alice = await world.node("alice")
    moody = alice.app("moody", **options)
    refusals: dict[str, int] = {}

    def refuses(event: Heard) -> bool:
        refusals[event.id] = refusals.get(event.id, 0) + 1
        return event.sequence % 3 == 0 and refusals[event.id] <= 2

    moody.refuses = refuses
    for number in range(12):
        await alice.broadcast(number)
    assert await alice.heard(12, "moody") == list(range(12))
    await trio.sleep(300)
    assert moody.acknowledged == set(range(1, 1 + len(alice.rows("SELECT sequence FROM events"))))
    check_node_but_for_redelivery(alice)


def check_node_but_for_redelivery(node: Node) -> None:
    """As `check_node`, for apps that had more again because they asked for it."""
    apps, node.apps = node.apps, {}
    check_node(node)
    node.apps = apps


async def test_a_ledger_that_is_away_is_waited_for(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.ledger_faults.away = True
    ids = await alice.broadcast("one", "two")
    await trio.sleep(200)
    assert bob.apps["app"].heard() == []
    alice.ledger_faults.away = False
    assert await bob.heard(2) == ["one", "two"]
    await alice.settled(ids)
    assert len(world.chain.entries) == 1, "both travelled in one batch"


async def test_a_ledger_that_loses_answers_and_repeats_itself_changes_nothing(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    for node in (alice, bob):
        node.ledger_faults.lose_answers = 3
        node.ledger_faults.repeat = 5
    for number in range(10):
        await alice.broadcast(number)
        await trio.sleep(1)
    assert await bob.heard(10) == await alice.heard(10) == list(range(10))
    for node in (alice, bob):
        check_node(node)
    assert len(bob.rows("SELECT * FROM blockchainevents")) == len(world.chain.entries)


async def test_a_storage_that_is_away_is_waited_for(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.storage_faults.away = True
    await alice.broadcast("one")
    await trio.sleep(600)
    assert world.chain.entries == [], "no pin without its payload"
    alice.storage_faults.away = False
    assert await bob.heard(1) == ["one"]


async def test_an_author_keeps_its_order_through_many_senders_at_once(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")

    async def sender(name: int) -> None:
        for number in range(25):
            await alice.send([draft([name, number], topics=[f"topic-{name % 3}", "all"])])

    async with trio.open_nursery() as nursery:
        for name in range(8):
            nursery.start_soon(sender, name)
    await alice.settled(list(alice.accepted))
    for node in (alice, bob):
        await node.heard(2 * len(alice.accepted))
    everything = [event for event in bob.apps["app"].heard() if event.topic == "all"]
    assert [event.reference for event in everything] == sorted(alice.accepted), "ids are given in order"
    for name in range(8):
        said = [event.values[0] for event in everything]
        assert [each for each in said if each[0] == name] == [[name, number] for number in range(25)]  # type: ignore[index]
    check_same_order([alice, bob])


async def test_what_nobody_may_sign_is_rejected_by_everybody_alike(world: Cast, autojump_clock: object) -> None:
    """Mallory's database says that she is Eve; the others know better."""
    alice, bob, mallory = await world.nodes("alice", "bob", "mallory")
    await mallory.stop()
    forged = "UPDATE identities SET did = 'did:firefly:org/eve', name = 'eve' WHERE did = 'did:firefly:org/mallory'"
    database = inspect(mallory.disk.root / "ffd.db")
    database.execute(forged)
    database.close()
    mallory.config = replace(mallory.config, org=replace(mallory.config.org, name="eve"))
    assert await mallory.start()
    ids = await mallory.send([draft("trust me", topics=["mail"], author="did:firefly:org/eve")])
    (real,) = await alice.broadcast("do not", topic="mail")
    for node in (alice, bob):
        found = await node.settled([*ids, real])
        assert found[ids[0]].type == MESSAGE_REJECTED
        assert found[ids[0]].reason.startswith("FF10453")
        check_node(node)
    check_same_order([alice, bob])


async def test_a_stranger_is_waited_for_and_then_heard_in_its_turn(world: Cast, autojump_clock: object) -> None:
    world.strangers.add("zoe")
    alice, zoe = await world.nodes("alice", "zoe")
    (first,) = await zoe.broadcast("hello", topic="mail")
    (waiting,) = await alice.wait_blocked(1)
    assert waiting.cause == "author" and waiting.subject == zoe.namespace.key and waiting.topic == "mail"
    (second,) = await alice.broadcast("who is there?", topic="mail")
    (other,) = await alice.broadcast("lovely weather", topic="sky")
    assert await alice.heard(1) == ["lovely weather"]

    world.introduce_strangers()
    await zoe.stop()
    await zoe.start()
    await alice.settled([first, second, other])
    assert await alice.heard(3) == ["lovely weather", "hello", "who is there?"]


async def test_an_idempotency_key_is_good_for_one_message_across_crashes(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    (first,) = await alice.broadcast("pay 10", key="invoice 7")
    for lose_unsynced in (True, False):
        await alice.crash(lose_unsynced=lose_unsynced, loss=Loss.DROP)
        await alice.start()
        with pytest.raises(Conflict, match=f"FF10430.*{first}"):
            await alice.broadcast("pay 10", key="invoice 7")
    await alice.settled([first])
    assert len(alice.apps["app"].heard("message_confirmed")) == 1


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("before")
    await alice.heard(1)
    alice.disk.full = True
    with pytest.raises(Full, match="FFD3002"):
        await alice.broadcast("too much")
    await trio.sleep(60)
    assert alice.running
    alice.disk.full = False
    await alice.broadcast("after")
    assert await alice.heard(2) == ["before", "after"]
    check_node(alice)


async def test_a_nearly_full_disk_takes_nothing_new_and_finishes_what_it_took(
    world: Cast, autojump_clock: object
) -> None:
    alice = await world.node("alice")
    ids = await alice.broadcast("before")
    await trio.sleep(1)
    alice.disk.free_bytes = alice.config.limits.disk_reserve_bytes - 1
    with pytest.raises(Full, match="FFD3002"):
        await alice.broadcast("too much")
    await alice.settled(ids)


async def test_a_disk_that_does_not_sync_ends_the_node(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("before")
    await alice.heard(1)
    alice.disk.sync_fails = True
    with pytest.raises(Exception, match="FFD3005"):
        await alice.broadcast("lost or not")
    with trio.fail_after(60):
        await alice.wait_ended()
    assert "FFD3005" in repr(alice.failure)
    alice.disk.sync_fails = False
    alice.disk.lose_power()
    alice.disk.come_back(Loss.DROP)
    await alice.start()
    await alice.broadcast("after")
    await trio.sleep(10)
    check_node(alice)
