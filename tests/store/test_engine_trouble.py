"""The store's writer among others who lock the file, callers who give up, disks that end; on real files and threads."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import apsw
import pytest
import trio
import trio.testing

from ffd.model.errors import Broken, Full
from ffd.store import Store, Transaction, engine, open_store
from ffd.store.engine import FILE_LOOK_S, READERS, UNITS_PER_COMMIT_MAX
from ffd.world import Database, RealWorld, ThreadDatabase
from tests.simulation.disk import Disk
from tests.simulation.surroundings import SimWorld

T = TypeVar("T")
PATIENCE_S = 10


@pytest.fixture
async def store(scratch: Path) -> AsyncIterator[Store]:
    async with open_store(RealWorld(), scratch / "ffd.db") as store:
        yield store


@pytest.fixture
def another(scratch: Path, store: Store) -> Iterator[apsw.Connection]:
    """A connection to the same file, as another process has it."""
    with closing(apsw.Connection(str(store.path))) as connection:
        yield connection


def note(name: str, value: int = 1) -> Callable[[Transaction], int]:
    """A unit that leaves a row behind."""

    def unit(tx: Transaction) -> int:
        tx.execute("INSERT INTO offsets (type, name, current) VALUES ('test', ?, ?)", (name, value))
        tx.ring("offsets")
        return value

    return unit


def stored(store: Store) -> list[str]:
    return [row[0] for row in store.peek(lambda tx: list(tx.execute("SELECT name FROM offsets ORDER BY name")))]


# Locks of others


async def test_another_process_that_writes_is_waited_for_and_the_loop_turns(
    store: Store, another: apsw.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    writing = store.begin(note("a"))
    await trio.testing.wait_all_tasks_blocked()
    assert store.peek(lambda tx: tx.value("SELECT count(*) FROM offsets")) == 0
    assert await store.read(lambda tx: tx.value("SELECT count(*) FROM offsets")) == 0
    another.execute("INSERT INTO offsets (type, name, current) VALUES ('test', 'theirs', 1)")
    another.execute("COMMIT")
    with trio.fail_after(PATIENCE_S):
        assert await writing.wait() == 1
    assert stored(store) == ["a", "theirs"]


async def test_a_process_that_holds_the_file_too_long_costs_one_unit_at_a_time_a_refusal(
    store: Store, another: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 20)
    another.execute("BEGIN IMMEDIATE")
    with pytest.raises(Full, match="FFD3004: the database was locked by another process for 20 ms"):
        await store.write(note("a"))
    another.execute("COMMIT")
    await store.write(note("b"))
    assert stored(store) == ["b"]


async def test_who_gives_up_while_the_file_is_locked_is_let_go_at_once_and_leaves_nothing(
    store: Store, another: apsw.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, note("a"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert store.statistics().waiting == 0
    another.execute("COMMIT")
    await store.write(note("b"))
    assert stored(store) == ["b"]


class WatchedDatabase(ThreadDatabase):
    """Tells when the lock was refused."""

    def __init__(self, connection: apsw.Connection, refused: trio.Event) -> None:
        super().__init__(connection)
        self._refused = refused

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await super().run(work, *args)
        except apsw.BusyError:
            self._refused.set()
            raise


class WatchedWorld(RealWorld):
    def __init__(self) -> None:
        super().__init__()
        self.refused = trio.Event()

    async def open_database(self, path: Path, *, read_only: bool = False) -> Database:
        return WatchedDatabase((await super().open_database(path, read_only=read_only)).connection, self.refused)


async def test_a_store_whose_every_waiter_gave_up_before_the_lock_was_refused_goes_on(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 50)
    world = WatchedWorld()
    async with open_store(world, scratch / "ffd.db") as store:
        with closing(apsw.Connection(str(store.path))) as another:
            another.execute("BEGIN IMMEDIATE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, note("a"))
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            with trio.fail_after(PATIENCE_S):
                await world.refused.wait()
            another.execute("COMMIT")
        await store.write(note("b"))
        assert stored(store) == ["b"]


# Callers who give up


async def test_a_cancel_while_the_unit_runs_is_late_and_the_outcome_is_told(store: Store) -> None:
    with trio.CancelScope() as scope:

        def unit(tx: Transaction) -> int:
            scope.cancel()
            return note("a", 7)(tx)

        assert await store.write(unit) == 7
    assert not scope.cancelled_caught
    assert stored(store) == ["a"]


async def test_a_cancel_while_the_unit_fails_is_late_and_the_failure_is_told(store: Store) -> None:
    with trio.CancelScope() as scope:

        def unit(tx: Transaction) -> None:
            note("a")(tx)
            scope.cancel()
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await store.write(unit)
    assert stored(store) == []


async def test_a_unit_that_several_wait_for_outlives_the_one_who_gives_up(
    store: Store, another: apsw.Connection
) -> None:
    another.execute("BEGIN IMMEDIATE")
    writing = store.begin(note("shared", 3))
    told: list[int] = []

    async def wait() -> None:
        told.append(await writing.wait_settled())

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            with trio.move_on_after(0):
                await writing.wait_settled()
            another.execute("COMMIT")
    assert told == [3, 3]
    assert stored(store) == ["shared"]


# What is committed together


async def test_a_long_queue_is_committed_in_order_and_in_pieces(store: Store) -> None:
    before = store.statistics()
    count = UNITS_PER_COMMIT_MAX * 3
    begun = [store.begin(note(f"{number:05}", number)) for number in range(count)]
    assert [await writing.wait() for writing in begun] == list(range(count))
    after = store.statistics()
    assert after.units - before.units == count
    assert 3 <= after.commits - before.commits < count / 10
    in_order = store.peek(lambda tx: [row[0] for row in tx.execute("SELECT current FROM offsets ORDER BY name")])
    assert in_order == list(range(count))


async def test_who_is_woken_by_a_bell_finds_the_row(store: Store) -> None:
    found: list[list[str]] = []

    async def listen(ticket: trio.Event) -> None:
        await ticket.wait()
        found.append(stored(store))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, store.bell("offsets").ticket())
            nursery.start_soon(listen, store.bell("offsets").ticket())
            await store.write(note("a"))
    assert found == [["a"], ["a"]]


async def test_a_read_that_fails_gives_its_reader_back(store: Store) -> None:
    def fails(tx: Transaction) -> None:
        tx.value("SELECT count(*) FROM offsets")
        raise ValueError("no")

    for _ in range(READERS * 2):
        with pytest.raises(ValueError, match="no"):
            await store.read(fails)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(READERS * 3):
                nursery.start_soon(store.read, lambda tx: tx.value("SELECT count(*) FROM offsets"))


# Disks that end


async def test_a_unit_that_fills_the_disk_keeps_nothing_and_the_store_goes_on_when_there_is_room(store: Store) -> None:
    await store.write(note("before"))
    pages: int = await store.write(lambda tx: tx.value("PRAGMA page_count"))
    await store.write(lambda tx: tx.value(f"PRAGMA max_page_count = {pages + 2}"))

    def large(tx: Transaction) -> None:
        for number in range(100):
            note(f"{number} {'x' * 2000}")(tx)

    ticket = store.bell("offsets").ticket()
    small, large_one = store.begin(note("small")), store.begin(large)
    for writing in (small, large_one):
        with pytest.raises(Full, match="FFD3002: the disk is full, nothing was stored"):
            await writing.wait()
    assert not ticket.is_set(), "what is not kept rings no bell"
    assert stored(store) == ["before"]
    await store.write(lambda tx: tx.value("PRAGMA max_page_count = 1000000"))
    await store.write(large)
    assert len(stored(store)) == 101


async def test_a_store_that_is_broken_answers_everybody_and_takes_nothing_more(
    scratch: Path, autojump_clock: object
) -> None:
    disk = Disk(scratch / "disk", Random(0))
    world = SimWorld(disk, Random(0))
    told: list[str] = []
    with pytest.raises(ExceptionGroup) as failure:
        await break_a_store(world, disk, told)
    assert failure.group_contains(Broken, match="may or may not be stored")
    assert told == ["all who waited", "who came later"]
    world.end()


async def break_a_store(world: SimWorld, disk: Disk, told: list[str]) -> None:
    async with open_store(world, disk.root / "ffd.db") as store:
        disk.sync_fails = True
        ticket = store.bell("offsets").ticket()
        begun = [store.begin(note(str(number))) for number in range(UNITS_PER_COMMIT_MAX + 1)]
        for writing in begun:
            with pytest.raises(Broken, match="FFD3005: the database failed"):
                await writing.wait()
        assert not ticket.is_set()
        told.append("all who waited")
        with trio.fail_after(PATIENCE_S, shield=True), pytest.raises(Broken, match="FFD3005"):
            await store.write(note("a farewell"))
        told.append("who came later")
        disk.sync_fails = False
        await trio.sleep_forever()


async def test_a_file_that_is_taken_away_is_noticed(scratch: Path, autojump_clock: object) -> None:
    """What is written to a file without a name is gone with the process."""
    disk = Disk(scratch / "disk", Random(0))
    world = SimWorld(disk, Random(0))
    with pytest.raises(ExceptionGroup) as failure:
        await take_the_file_away(world, disk.root / "ffd.db")
    assert failure.group_contains(Broken, match="was removed or replaced")
    world.end()


async def take_the_file_away(world: SimWorld, path: Path) -> None:
    async with open_store(world, path) as store:
        await store.write(note("before"))
        await trio.Path(path).rename(path.with_name("elsewhere"))
        await trio.sleep(FILE_LOOK_S)
        with pytest.raises(Broken, match="FFD3009"):
            await store.write(note("lost"))
        await trio.sleep_forever()


async def test_a_cancel_ends_a_long_search(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        with trio.fail_after(PATIENCE_S):
            for _ in range(READERS + 1):
                with trio.move_on_after(0.01) as scope:
                    await store.read(lambda tx: tx.value(endless))
                assert scope.cancelled_caught
            assert await store.read(lambda tx: tx.value("SELECT 1")) == 1, "the readers serve others"
