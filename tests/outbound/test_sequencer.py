"""A batch on its way out: wherever the node ends, the batch is pinned once, under the names that it was given first."""

from collections.abc import Callable

import pytest
import trio

from tests.simulation.disk import Loss
from tests.simulation.promises import check_accepted_once, check_node
from tests.world import Cast, Node

STEPS: dict[str, Callable[[Node], None]] = {
    "sealed, and not uploaded": lambda node: setattr(node.storage_faults, "away", True),
    "uploaded, and not pinned": lambda node: setattr(node.ledger_faults, "away", True),
    "pinned, and the answer was lost": lambda node: setattr(node.ledger_faults, "lose_answers", 1_000_000),
}


def heal(node: Node) -> None:
    node.storage_faults.away = node.ledger_faults.away = False
    node.ledger_faults.lose_answers = 0


def check_step(node: Node, world: Cast, step: str) -> None:
    """The node stands where the story wants it."""
    assert node.rows("SELECT count(*) FROM batches WHERE sent IS NULL") == [(1,)]
    uploaded, pinned = len(world.shelf.content), len(world.chain.entries)
    assert (uploaded, pinned) == {"seal": (0, 0), "uplo": (1, 0), "pinn": (1, 1)}[step[:4]]


@pytest.mark.parametrize("end", ["stop", "kill", "lose power"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_batch_is_pinned_once_wherever_the_node_ends(
    world: Cast, autojump_clock: object, step: str, end: str
) -> None:
    alice = await world.node("alice")
    STEPS[step](alice)
    await alice.broadcast("one", "two")
    await trio.sleep(10)
    check_step(alice, world, step)
    names = alice.rows("SELECT id, tx, hash FROM batches") + alice.rows("SELECT id FROM operations ORDER BY sequence")
    if end == "stop":
        await alice.stop()
    else:
        await alice.crash(lose_unsynced=end == "lose power", loss=Loss.DROP)
    heal(alice)
    await alice.start()
    await alice.broadcast("three")
    assert await alice.heard(3) == ["one", "two", "three"]
    assert len(world.chain.entries) == len(world.shelf.content) == 2
    found = alice.rows("SELECT id, tx, hash FROM batches ORDER BY sequence")[:1]
    assert found + alice.rows("SELECT id FROM operations ORDER BY sequence")[:2] == names[:3]
    assert alice.rows("SELECT DISTINCT status, error FROM operations") == [("Succeeded", None)]
    check_accepted_once(alice, alice.apps["app"])
    check_node(alice)


@pytest.mark.parametrize("step", STEPS)
async def test_a_fault_outside_is_shown_while_it_lasts_and_forgotten_after(
    world: Cast, autojump_clock: object, step: str
) -> None:
    alice = await world.node("alice")
    STEPS[step](alice)
    await alice.broadcast("one")
    await trio.sleep(10)
    ((status, error),) = alice.rows("SELECT status, error FROM operations WHERE error IS NOT NULL")
    assert status == "Initialized" and error.startswith("FFD4")
    heal(alice)
    assert await alice.heard(1) == ["one"]
    await trio.sleep(60)
    assert alice.rows("SELECT DISTINCT status, error FROM operations") == [("Succeeded", None)]


async def test_what_is_accepted_meanwhile_travels_together(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    alice.ledger_faults.away = True
    await alice.broadcast("first")
    await trio.sleep(5)
    for number in range(20):
        await alice.broadcast(number)
    alice.ledger_faults.away = False
    assert await alice.heard(21) == ["first", *range(20)]
    assert len(world.chain.entries) == 2, "what came while the first batch waited is the second"


async def test_the_pin_comes_after_the_payload(world: Cast, autojump_clock: object) -> None:
    """Whoever sees the pin can read the payload, however slow the storage is."""
    alice, bob = await world.nodes("alice", "bob")
    alice.storage_faults.delay_s = 30.0
    began = trio.current_time()
    await alice.broadcast("one")
    assert await bob.heard(1) == ["one"]
    assert 30 <= trio.current_time() - began < 40
    assert bob.rows("SELECT error FROM operations WHERE error IS NOT NULL") == []
