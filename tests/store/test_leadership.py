"""One leader a role, and a write of yesterday's is refused."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
import trio

from ffd.store import Store, Transaction, open_store
from ffd.store.leadership import Deposed, lead, leaders, lock_path
from tests.simulation.disk import Disk
from tests.simulation.surroundings import SimWorld

Process = tuple[SimWorld, Store]


@pytest.fixture
async def processes(autojump_clock: object, scratch: Path) -> AsyncIterator[tuple[Process, Process]]:
    """Two processes on one database."""
    disk = Disk(scratch / "disk", Random(1))
    async with AsyncExitStack() as stack:
        made: list[Process] = []
        for number in range(2):
            world = SimWorld(disk, Random(number))
            stack.callback(world.end)
            made.append((world, await stack.enter_async_context(open_store(world, disk.root / "ffd.db"))))
        yield made[0], made[1]


async def test_the_second_takes_over_when_the_first_goes(
    processes: tuple[Process, Process], autojump_clock: object
) -> None:
    (world, store), (other_world, other) = processes
    told: list[tuple[str, int, float]] = []

    async def stand_by() -> None:
        async with lead(other_world, other, "role", process="second") as leadership:
            told.append(("second", leadership.epoch, trio.current_time()))

    async with trio.open_nursery() as nursery, lead(world, store, "role", process="first") as leadership:
        told.append(("first", leadership.epoch, trio.current_time()))
        nursery.start_soon(stand_by)
        await trio.sleep(10)
        assert len(told) == 1
        went = trio.current_time()
    assert [(name, epoch) for name, epoch, _ in told] == [("first", 1), ("second", 2)]
    assert told[1][2] - went < 1


async def test_a_write_of_a_deposed_leader_is_refused(
    processes: tuple[Process, Process], autojump_clock: object
) -> None:
    """It slept past its time: its lock was lost, and it does not know."""
    (world, store), (other_world, other) = processes
    async with lead(world, store, "role", process="first") as old:
        world.disk.locks.discard(lock_path(store.path, "role"))
        async with lead(other_world, other, "role", process="second") as new:
            await other.write(new.check)

            def unit(tx: Transaction) -> None:
                old.check(tx)
                tx.execute("INSERT INTO offsets (type, name, current) VALUES ('test', 'late', 1)")

            with pytest.raises(Deposed, match=r"FFD3020.*epoch 1"):
                await store.write(unit)
    assert store.peek(lambda tx: tx.value("SELECT count(*) FROM offsets WHERE name = 'late'")) == 0


async def test_roles_are_led_apart(processes: tuple[Process, Process], autojump_clock: object) -> None:
    (world, store), (other_world, other) = processes
    async with (
        lead(world, store, "one", process="first"),
        lead(other_world, other, "two", process="second"),
    ):
        shown = store.peek(leaders)
    assert [(role, epoch, process) for role, epoch, process, _ in shown] == [("one", 1, "first"), ("two", 1, "second")]


async def test_a_killed_process_leads_no_more(processes: tuple[Process, Process], autojump_clock: object) -> None:
    (world, store), (other_world, other) = processes
    with trio.CancelScope() as scope:
        async with lead(world, store, "role", process="first"):
            world.kill()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    with trio.fail_after(1):
        async with lead(other_world, other, "role", process="second") as leadership:
            assert leadership.epoch == 2
