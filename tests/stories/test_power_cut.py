"""The power fails at every operation of the disk, one after another: what was accepted is delivered, once, in order.

The node is the embedded one, so that its database, its ledger file, its stored payloads and its key all lie on the
disk that fails. A life begins on a disk, and its power is cut before the first operation of the disk; then before the
second, until the life gets through. Each time the disk comes back with none, some or all of what was not synced, the
node starts again, and everything is checked.
"""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from ffd.model.errors import FfdError
from ffd.store import engine
from tests.simulation.disk import Loss
from tests.simulation.promises import check_accepted_once, check_heard_all, check_node
from tests.world import Node, open_cast

OPERATIONS_MAX = 5_000
SETTLING_S = 1.0
Work = Callable[[Node], Awaitable[object]]


async def talk(node: Node) -> None:
    """Two frames of messages, the second while the first travels, and a third when all is quiet."""
    await node.broadcast("one", "two", topic="first")
    await node.broadcast("three", topic="second")
    await node.heard(3)
    await node.broadcast("four", topic="first")
    await node.heard(4)


async def say_one_thing(node: Node) -> None:
    await node.broadcast("one", topic="first")


async def live_until_cut(node: Node, work: Work, operations: int) -> bool:
    """Start the node, let it work until its power is cut; whether it got through."""
    node.cut_power_after(operations)
    if not await node.start():
        return False
    through = False
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await node.wait_ended()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            await work(node)
            through = node.disk.on
        except FfdError:
            await node.wait_ended()
        nursery.cancel_scope.cancel()
    return through and node.disk.on


async def cut_and_recover(
    seed: int, scratch: Path, before: Path | None, work: Work, operations: int, loss: Loss
) -> bool:
    """One world whose power is cut, on a disk as it was `before`; whether the node got through its work uncut."""
    async with open_cast(seed, scratch) as cast:
        node = cast.make_node("alice", embedded=True)
        if before is not None:
            node.disk.fill(before)
        through = await live_until_cut(node, work, operations)
        if through:
            node.disk.disarm()
            await node.stop()
        else:
            await node.wait_ended()
            node.disk.come_back(loss)
        assert await node.start(), node.failure
        await node.broadcast("the last", topic="first")
        await node.settled(list(node.accepted))
        check_accepted_once(node, node.apps["app"])
        await trio.sleep(SETTLING_S)
        check_node(node)
        check_heard_all(node, node.apps["app"])
    return through


async def cut_everywhere(
    seed: int, scratch: Path, before: Path | None, work: Work, loss: Loss, *, step: int = 1
) -> int:
    """Cut the power before every operation (or one of `step`), until the work gets through; how often that was."""
    for cuts, operations in enumerate(range(seed % step, OPERATIONS_MAX, step)):
        try:
            if await cut_and_recover(seed, scratch, before, work, operations, loss):
                return cuts
        except BaseException as failure:
            failure.add_note(f"the power was cut before operation {operations} with seed {seed}, loss {loss}")
            raise
    raise AssertionError(f"the work takes more than {OPERATIONS_MAX} operations")


@pytest.fixture
async def before(autojump_clock: object, seed: int, scratch: Path) -> Path:
    """The disk of a node that has run before."""
    async with open_cast(seed, scratch) as cast:
        node = await cast.node("alice", embedded=True)
        await trio.sleep(1)
        await node.stop()
        shutil.copytree(node.disk.root, scratch / "before")
    return scratch / "before"


@pytest.mark.parametrize("loss, step", [(Loss.DROP, 1), (Loss.ANY, 3), (Loss.KEEP, 7)])
async def test_a_power_cut_at_any_operation_loses_nothing_that_was_accepted(
    before: Path, autojump_clock: object, seed: int, scratch: Path, loss: Loss, step: int
) -> None:
    assert await cut_everywhere(seed, scratch, before, talk, loss, step=step) * step > 100


async def test_a_power_cut_during_the_very_first_start_leaves_a_disk_to_start_from(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    assert await cut_everywhere(seed, scratch, None, say_one_thing, Loss.ANY, step=3) * 3 > 100


async def test_a_store_that_does_not_sync_its_commits_is_found_out(
    before: Path, autojump_clock: object, seed: int, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary: if this passes unnoticed, the simulated disk has gone blind."""
    pragmas = tuple(pragma.replace("synchronous = FULL", "synchronous = NORMAL") for pragma in engine.WRITER_PRAGMAS)
    assert pragmas != engine.WRITER_PRAGMAS
    monkeypatch.setattr(engine, "WRITER_PRAGMAS", pragmas)
    monkeypatch.setattr("tests.world.PATIENCE_S", 10.0)
    with pytest.raises(ExceptionGroup) as found:
        await cut_everywhere(seed, scratch, before, talk, Loss.DROP, step=5)
    assert "the power was cut" in found.value.__notes__[0]
