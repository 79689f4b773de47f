"""A batch that cannot leave is given up: nobody waits for it for ever, and what follows it goes on."""

import pytest
import trio

from ffd.store import batches, pins
from tests.simulation.disk import Loss
from tests.stories.test_private import hears, said
from tests.world import Cast, Node

WAITED_S = 40.0
"""Longer than the pause between two tries."""


def last_batch(node: Node) -> int:
    return int(node.rows("SELECT max(sequence) FROM batches")[0][0])


async def give_up(node: Node, sequence: int) -> bool:
    """Ask for it, and wait; whether it was given up."""
    await node.store.write(lambda tx: batches.ask_cancel(tx, sequence, node.desk.world.now()))
    await trio.sleep(WAITED_S)
    return node.store.peek(lambda tx: batches.is_cancelled(tx, sequence))


def states(node: Node) -> dict[str, str]:
    """How each message stands, by its value; a message without one by its tag."""
    rows = node.rows(
        """
        SELECT coalesce(d.value, m.header ->> '$.tag'), s.state
          FROM messages m JOIN message_states s ON s.message = m.sequence
          LEFT JOIN message_data l ON l.message = m.sequence LEFT JOIN data d ON d.sequence = l.data
         WHERE m.header ->> '$.type' <> 'groupinit'"""
    )
    return dict(rows)


async def test_a_broadcast_that_is_given_up_is_cancelled_and_the_next_one_goes(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.storage_faults.away = True
    await alice.broadcast("wrong")
    await trio.sleep(5)
    await alice.broadcast("right")
    assert await give_up(alice, last_batch(alice))
    alice.storage_faults.away = False
    assert await bob.heard(1) == await alice.heard(1) == ["right"]
    assert states(alice) == {'"wrong"': "cancelled", '"right"': "confirmed"}
    failed = alice.rows("SELECT type, error FROM operations WHERE status = 'Failed' ORDER BY sequence")
    assert [type for type, _ in failed] == ["sharedstorage_upload_batch", "blockchain_pin_batch"]
    assert all(error.startswith("FFD2508") for _, error in failed)
    assert alice.rows("SELECT count(*) FROM messages WHERE header ->> '$.tag' = 'ff_gap_fill'") == [(0,)]


@pytest.mark.parametrize("end", ["goes on", "ends meanwhile"])
async def test_the_gap_that_a_private_batch_leaves_is_filled_on_every_member(
    world: Cast, autojump_clock: object, end: str
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await alice.whisper("hello", to=["bob"])
    await hears(bob, 1)
    alice.ledger_faults.away = True
    await alice.whisper("wrong", "wrong again", to=["bob"])
    await trio.sleep(5)
    wrong = last_batch(alice)
    await alice.whisper("right", to=["bob"])
    if end == "ends meanwhile":
        await alice.store.write(lambda tx: batches.ask_cancel(tx, wrong, 1))
        await alice.crash(lose_unsynced=True, loss=Loss.DROP)
        await alice.start()
        await trio.sleep(WAITED_S)
        assert alice.store.peek(lambda tx: batches.is_cancelled(tx, wrong))
    else:
        assert await give_up(alice, wrong)
    alice.ledger_faults.away = False
    expected = ["hello", "right"]
    for node in (alice, bob):
        await node.apps["app"].wait_heard(lambda node=node: "right" in said(node), "right")  # type: ignore[misc]
        assert [each for each in said(node) if each in (*expected, "wrong", "wrong again")] == expected
        assert {value: state for value, state in states(node).items() if "wrong" in value} == {
            '"wrong"': "cancelled", '"wrong again"': "cancelled",
        }  # fmt: skip
    assert bob.blocked() == alice.blocked() == []
    place = alice.rows("SELECT place FROM batches WHERE place IS NOT NULL")
    assert place == [(wrong,)], "it went where the other one would have"


async def test_what_founds_a_group_goes_out_though_its_batch_is_given_up(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.ledger_faults.away = True
    await alice.whisper("wrong", to=["bob"])
    await trio.sleep(5)
    assert await give_up(alice, last_batch(alice))
    await alice.whisper("right", to=["bob"])
    alice.ledger_faults.away = False
    assert await hears(bob, 1) == ["right"]
    assert bob.rows("SELECT count(*) FROM groups") == [(1,)]
    assert bob.blocked() == []


async def test_a_batch_that_reached_the_ledger_is_not_given_up(world: Cast, autojump_clock: object) -> None:
    """Its answer was lost, so that its sender tries it still."""
    alice, bob = await world.nodes("alice", "bob")
    alice.ledger_faults.lose_answers = 1_000_000
    await alice.whisper("hello", to=["bob"])
    await hears(bob, 1)
    sequence = last_batch(alice)
    id = alice.store.peek(lambda tx: batches.at(tx, sequence)).id
    assert alice.store.peek(lambda tx: pins.is_pinned(tx, alice.namespace.number, id))
    assert not await give_up(alice, sequence)
    alice.ledger_faults.lose_answers = 0
    await trio.sleep(WAITED_S)
    assert alice.store.peek(lambda tx: batches.at(tx, sequence)).sent is not None
    assert await hears(alice, 1) == ["hello"]


async def test_what_a_node_that_is_off_was_owed_of_it_is_forgotten(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await bob.stop()
    alice.ledger_faults.away = True
    await alice.whisper("wrong", to=["bob"])
    await trio.sleep(30)
    assert await give_up(alice, last_batch(alice))
    alice.ledger_faults.away = False
    await alice.whisper("right", to=["bob"])
    await bob.start()
    assert await hears(bob, 1) == ["right"]
    assert states(bob).keys() == {"ff_gap_fill", '"right"'}, "it never heard of what was given up"


@pytest.mark.parametrize("private", [False, True])
async def test_what_was_given_up_and_was_on_the_ledger_all_the_same_is_confirmed_everywhere(
    world: Cast, autojump_clock: object, *, private: bool
) -> None:
    """The answer of the ledger was lost, and nothing is read from it: nobody here can know."""
    alice, bob = await world.nodes("alice", "bob")
    if private:
        await alice.whisper("hello", to=["bob"])
        await hears(bob, 1)
    alice.ledger_faults.lose_answers = 1
    alice.ledger_faults.delay_s = 1.0
    send = alice.whisper("late", to=["bob"]) if private else alice.broadcast("late")
    await send
    await trio.sleep(1.5)
    alice.ledger_faults.away = True
    sequence = last_batch(alice)
    assert await give_up(alice, sequence), "nothing here said that it was too late"
    alice.ledger_faults.away = False
    alice.ledger_faults.delay_s = 0.0
    expected = ["hello", "late"] if private else ["late"]
    assert await hears(bob, len(expected)) == await hears(alice, len(expected)) == expected
    await trio.sleep(WAITED_S)
    assert states(alice)['"late"'] == states(bob)['"late"'] == "confirmed"
