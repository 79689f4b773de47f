"""The store's one writer: units share a commit, and nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import apsw
import pytest
import trio

from ffd.model.errors import Broken, Full
from ffd.store import Store, Transaction, open_store
from ffd.store.engine import UNITS_WAITING_MAX
from tests.simulation.disk import Disk, Loss
from tests.simulation.surroundings import SimWorld


@asynccontextmanager
async def opened(disk: Disk) -> AsyncIterator[Store]:
    world = SimWorld(disk, Random(7))
    try:
        async with open_store(world, disk.root / "ffd.db") as store:
            yield store
    finally:
        world.end()


@pytest.fixture
def disk(scratch: Path) -> Disk:
    return Disk(scratch / "disk", Random(7))


@pytest.fixture
async def store(autojump_clock: object, disk: Disk) -> AsyncIterator[Store]:
    async with opened(disk) as store:
        yield store


def note(name: str, number: int = 0) -> Callable[[Transaction], int]:
    """A unit that leaves a row behind."""

    def unit(tx: Transaction) -> int:
        tx.execute("INSERT INTO offsets (type, name, current) VALUES ('test', ?, ?)", (name, number))
        tx.ring("offsets")
        return number

    return unit


def stored(store: Store) -> set[str]:
    return {row[0] for row in store.peek(lambda tx: list(tx.execute("SELECT name FROM offsets")))}


async def test_units_that_wait_together_share_a_commit(store: Store, autojump_clock: object) -> None:
    before = store.statistics().commits
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(store.write, note(str(number)))
    assert stored(store) == {str(number) for number in range(50)}
    assert store.statistics().commits - before <= 3
    assert store.statistics().waiting == 0


async def test_units_run_in_the_order_they_were_begun(store: Store, autojump_clock: object) -> None:
    order: list[int] = []
    begun = [store.begin(lambda tx, number=number: order.append(number)) for number in range(20)]  # type: ignore[misc]
    for writing in begun:
        await writing.wait()
    assert order == list(range(20))


async def test_one_units_failure_is_its_own(store: Store, autojump_clock: object) -> None:
    def fails(tx: Transaction) -> None:
        note("half done")(tx)
        raise ValueError("my own fault")

    good, bad, also_good = store.begin(note("one")), store.begin(fails), store.begin(note("two", 2))
    assert await good.wait() == 0
    with pytest.raises(ValueError, match="my own fault"):
        await bad.wait()
    assert await also_good.wait() == 2
    assert stored(store) == {"one", "two"}


async def test_a_unit_that_breaks_a_rule_of_the_schema_fails_alone(store: Store, autojump_clock: object) -> None:
    first, again, other = store.begin(note("one")), store.begin(note("one")), store.begin(note("two"))
    await first.wait()
    with pytest.raises(apsw.ConstraintError):
        await again.wait()
    await other.wait()
    assert stored(store) == {"one", "two"}


async def test_a_bell_rings_after_the_commit_and_not_without_one(store: Store, autojump_clock: object) -> None:
    ticket = store.bell("offsets").ticket()

    def rings_and_fails(tx: Transaction) -> None:
        note("never")(tx)
        raise ValueError

    with pytest.raises(ValueError):
        await store.write(rings_and_fails)
    assert not ticket.is_set()
    await store.write(note("one"))
    assert ticket.is_set()
    assert not store.bell("offsets").ticket().is_set()


async def test_what_follows_from_a_write_is_on_disk_with_it(store: Store, autojump_clock: object) -> None:
    told: list[int] = []
    before = store.statistics().commits
    with store.following("offsets", note("follower", 7), told.append):
        await store.write(note("one"))
    assert (stored(store), told) == ({"one", "follower"}, [7])
    assert store.statistics().commits - before == 1
    await store.write(note("two"))
    assert (stored(store), told) == ({"one", "two", "follower"}, [7]), "nobody follows any more"


async def test_a_follower_that_fails_takes_nothing_with_it(store: Store, autojump_clock: object) -> None:
    def fails(tx: Transaction) -> None:
        note("half done")(tx)
        raise ValueError

    told: list[None] = []
    with store.following("offsets", fails, told.append):
        await store.write(note("one"))
    assert (stored(store), told) == ({"one"}, [])


async def test_a_follower_is_told_of_nothing_that_is_not_on_disk(
    store: Store, disk: Disk, autojump_clock: object
) -> None:
    told: list[int] = []
    with store.following("offsets", note("follower"), told.append):
        disk.full = True
        with pytest.raises(Full, match="FFD3002"):
            await store.write(note("one"))
        disk.full = False
    assert (stored(store), told) == (set(), [])


async def test_a_cancel_before_the_unit_ran_leaves_nothing(store: Store, autojump_clock: object) -> None:
    first, second, third = [store.begin(note(name, 1)) for name in ("first", "second", "third")]
    result = None
    with trio.CancelScope() as scope:
        scope.cancel()
        # Of the writer and the cancel either may come first; what the caller is told is what happened.
        result = await second.wait()
    await first.wait()
    await third.wait()
    assert stored(store) == {"first", "third"} | ({"second"} if result else set())


async def test_a_cancel_while_the_unit_is_on_its_way_lets_it_arrive(store: Store, autojump_clock: object) -> None:
    """Whenever the cancel comes, what the caller knows is what is on disk."""
    for number, delay in enumerate(range(0, 60, 2)):
        result = None
        with trio.move_on_after(delay / 10_000):
            result = await store.write(note(str(number), number))
        await store.write(note(f"after {number}"))
        assert (str(number) in stored(store)) == (result == number), f"cancelled after {delay} ten-thousandths"


async def test_the_queue_has_an_end(store: Store, autojump_clock: object) -> None:
    begun = [store.begin(note(str(number))) for number in range(UNITS_WAITING_MAX)]
    with pytest.raises(Full, match="FFD3001"):
        store.begin(note("one too many"))
    for writing in begun:
        await writing.wait()
    assert len(stored(store)) == UNITS_WAITING_MAX


async def test_a_reader_sees_what_was_committed_and_writes_nothing(store: Store, autojump_clock: object) -> None:
    await store.write(note("one", 1))
    assert await store.read(lambda tx: tx.value("SELECT current FROM offsets")) == 1
    with pytest.raises(apsw.ReadOnlyError):
        await store.read(note("two"))
    assert stored(store) == {"one"}


async def test_a_full_disk_refuses_all_that_share_the_commit_and_each_is_told(
    store: Store, disk: Disk, autojump_clock: object
) -> None:
    disk.full = True
    begun = [store.begin(note(str(number))) for number in range(3)]
    for writing in begun:
        with pytest.raises(Full, match="FFD3002"):
            await writing.wait()
    disk.full = False
    await store.write(note("there is room"))
    assert stored(store) == {"there is room"}


async def test_a_failed_sync_breaks_the_store_for_everybody(disk: Disk, autojump_clock: object) -> None:
    async def live() -> None:
        async with opened(disk) as store:
            await store.write(note("one"))
            disk.sync_fails = True
            begun = [store.begin(note(str(number))) for number in range(3)]
            for writing in begun:
                with pytest.raises(Broken, match="FFD3005"):
                    await writing.wait()
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as found:
        await live()
    assert found.group_contains(Broken, match="FFD3005")
    disk.sync_fails = False
    disk.lose_power()
    disk.come_back(Loss.DROP)
    async with opened(disk) as store:
        assert "one" in stored(store)


async def test_a_store_can_be_opened_twice_and_both_write(store: Store, disk: Disk, autojump_clock: object) -> None:
    """Two processes on one database: each waits for the other's commits, and sees them."""
    async with opened(disk) as other, trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon((store, other)[number % 2].write, note(str(number)))
    assert len(stored(store)) == 30
