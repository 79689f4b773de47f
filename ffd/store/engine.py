"""The node's one database: one writer with group commit, readers of their own, bells.

Every unit that waits is run in the writer's next transaction, each inside a savepoint, so that one unit's failure is
its own; one commit with an fsync then releases them all. Under load the cost of the fsync is shared; idle, it is paid
at once.

The units run in the event loop, the commit off it. A unit touches memory: pages in the cache, the log in the page
cache; what waits for the disk is the commit. Measured: with units in a thread the two threads hand the GIL back and
forth at every row (each sqlite3_step lets it go), which cost three times the CPU of the units themselves.

Durability (https://www.sqlite.org/pragma.html#pragma_synchronous): WAL with synchronous=FULL syncs the log at each
commit; NORMAL would not, and a power cut would take acknowledged messages with it. A commit that failed may still come
back after a crash, so nothing in memory can be trusted after one: the store breaks, and the process ends with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import apsw
import outcome
import trio

from ffd.model.errors import Broken, FfdError, Full
from ffd.store.bells import Bell
from ffd.store.migrate import check_ours, migrate
from ffd.store.transaction import Transaction, roll_back
from ffd.world import Database, World

T = TypeVar("T")
Unit = Callable[[Transaction], T]

UNITS_PER_COMMIT_MAX = 128  # measured: beyond some 200 the waiters' wake-ups cost more than the shared fsync saves
COMPANY_FROM = 3
GATHER_S = 0.001
GATHER_TIMES_MAX = 4
UNITS_WAITING_MAX = 4096
UNITS_S = 0.005  # how long the units of one transaction may hold the event loop
READERS = 2
BUSY_TIMEOUT_MS = 10_000
OPEN_AGAIN_S = 0.01
FILE_LOOK_S = 1.0
INDEX = "search.db"
INDEX_CACHE_KIB = 2_000
SQLITE_OLDEST = (3, 51, 3)  # before: the WAL-reset race, https://www.sqlite.org/wal.html#walresetbug
CACHE_KIB = 24_000
WAL_CHECKPOINT_PAGES = 4_000

READER_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    f"PRAGMA cache_size = -{CACHE_KIB // 4}",
    "PRAGMA mmap_size = 0",
)
WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    f"PRAGMA cache_size = -{CACHE_KIB}",
    f"PRAGMA wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
)


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What the store has done and has before it."""

    commits: int
    units: int
    waiting: int


class Writing(Generic[T]):
    """A unit that is in the writer's queue, and where its outcome will be."""

    __slots__ = ("_queue", "company", "done", "outcome", "taken", "unit")

    def __init__(self, unit: Unit[T], queue: deque[Writing[Any]]) -> None:
        self.unit = unit
        self.done = trio.Event()
        self.taken = False
        self.company = 1
        """How many wait for this unit: more, when several callers share one."""
        self.outcome: outcome.Maybe[T] | None = None
        self._queue = queue

    async def wait_settled(self) -> T:
        """`wait` for one of several who wait for the same unit: a cancel leaves it in the queue for the others."""
        await self.done.wait()
        # Not unwrap(), which works once.
        result = cast("outcome.Maybe[T]", self.outcome)
        if isinstance(result, outcome.Error):
            raise result.error
        return result.value

    async def wait(self) -> T:
        """What the unit returned, on disk; raises what it raised. A cancel comes before the unit ran or not at all."""
        try:
            await self.done.wait()
        except trio.Cancelled:  # noqa: ASYNC103 - what is on disk is told; the cancel comes at the next checkpoint
            if not self.taken:
                self._queue.remove(self)
                raise
            with trio.CancelScope(shield=True):
                await self.done.wait()
        return cast("outcome.Maybe[T]", self.outcome).unwrap()


@dataclass(frozen=True, slots=True, eq=False)
class Follower(Generic[T]):
    """Work that belongs into each transaction that rings a bell; `done` is told its result once that is on disk."""

    bell: str
    unit: Unit[T]
    done: Callable[[T], object]


class Store:
    """Typed reads and writes on the node's database. Made by `open_store`."""

    def __init__(
        self, world: World, path: Path, writer: Database, readers: list[Database], peeking: apsw.Connection
    ) -> None:
        self.path = path
        self.index_path = path.with_name(INDEX)
        self._world = world
        self._attached: dict[apsw.Connection, tuple[int, int] | None] = {}
        self._file = world.file_identity(path)
        self._file_seen = trio.current_time()
        self._writer = writer
        self._peeking = peeking
        self._readers: tuple[trio.MemorySendChannel[Database], trio.MemoryReceiveChannel[Database]]
        self._readers = trio.open_memory_channel(len(readers))
        for reader in readers:
            self._readers[0].send_nowait(reader)
        self._queue: deque[Writing[Any]] = deque()
        self._work = trio.Event()
        self._bells: dict[str, Bell] = {}
        self._followers: list[Follower[Any]] = []
        self._broken: Broken | None = None
        self._company = 0
        self._commits = 0
        self._units = 0

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in one transaction; what it did is on disk when this returns.

        Raises what the unit raised (then nothing of it is kept), Full when the disk is full or the queue is. A cancel
        comes before the unit ran or not at all: once it was taken, its outcome is known here.
        """
        return await self.begin(unit).wait()

    def begin(self, unit: Unit[T]) -> Writing[T]:
        """Queue `unit` now, behind all that were begun before it; its outcome is waited for later.

        Raises Full, and Broken when the store is.
        """
        if self._broken is not None:
            raise self._broken
        if len(self._queue) >= UNITS_WAITING_MAX:
            raise Full("FFD3001", f"{UNITS_WAITING_MAX} writes wait for the disk already: try again in a moment")
        writing = Writing(unit, self._queue)
        self._queue.append(writing)
        self._work.set()
        return writing

    @contextmanager
    def following(self, bell: str, unit: Unit[T], done: Callable[[T], object]) -> Iterator[None]:
        """For now, run `unit` at the end of every transaction of this process that rings `bell`, and within it.

        What follows from a write then costs no commit of its own, and is not waited for. Where it fails nothing of it
        is kept and nobody is told: whoever follows looks at the table as well, and meets the failure there.
        """
        follower = Follower(bell, unit, done)
        self._followers.append(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on a reader, off the event loop: for pages and searches. A cancel interrupts it.

        The search index is attached to the reader as `search`, if there is one.
        """
        reader = await self._readers[1].receive()
        index = self._world.file_identity(self.index_path)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(interrupt_when_cancelled, reader.connection)
                if self._attached.get(reader.connection) != index:
                    attached = await reader.run(_attach, reader.connection, self.index_path, index is not None)
                    # Not what could not be attached: the next file may get its number.
                    self._attached[reader.connection] = index if attached else None
                result = await reader.run(_capture_reading, unit, reader.connection)
                nursery.cancel_scope.cancel()
        finally:
            self._readers[0].send_nowait(reader)
        if isinstance(result, outcome.Error) and isinstance(result.error, apsw.InterruptError):
            await trio.lowlevel.checkpoint()
        return cast("T", result.unwrap())

    def peek(self, unit: Unit[T]) -> T:
        """Run a short indexed read here and now: a cached point read costs what a checkpoint costs."""
        return unit(Transaction(self._peeking))

    def bell(self, name: str) -> Bell:
        """The bell of one table."""
        found = self._bells.get(name)
        if found is None:
            found = self._bells[name] = Bell()
        return found

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(commits=self._commits, units=self._units, waiting=len(self._queue))

    async def _run_writer(self) -> None:
        while True:
            await self._work.wait()
            self._work = trio.Event()
            while self._queue:
                if self._company >= COMPANY_FROM:
                    await self._gather()
                await self._commit_waiting()

    async def _gather(self) -> None:
        """Several came together last time: wait while more keep coming, so that they share what a commit costs.

        Whoever sends and waits alone is never kept.
        """
        waiting = 0
        for _ in range(GATHER_TIMES_MAX):
            await trio.sleep(GATHER_S)
            before, waiting = waiting, sum([writing.company for writing in self._queue])
            if waiting - before < COMPANY_FROM:
                break

    async def _commit_waiting(self) -> None:
        connection = self._writer.connection
        taken: list[Writing[Any]] = []
        rings: set[str] = set()
        followed: list[Callable[[], object]] = []
        with trio.CancelScope(shield=True):
            try:
                self._check_file()
                await self._begin()
                _run_units(connection, self._queue, taken, rings)
                followed += _follow(connection, self._followers, rings)
                await self._writer.run(_commit, connection)
            except Broken as broken:
                self._break(broken, taken)
                raise
            except apsw.Error as error:
                refused = _as_refusal(error)
                if isinstance(refused, Broken):
                    self._break(refused, taken)
                    raise refused from error
                self._release(taken or self._take_next(1), refused)
                roll_back(connection)
                return
        self._company = sum([writing.company for writing in taken])
        self._commits += 1
        self._units += len(taken)
        # Followers first: whoever is woken by what follows finds what was done for him.
        for tell in followed:
            tell()
        for writing in taken:
            writing.done.set()
        for name in rings:
            self.bell(name).ring()

    def _check_file(self) -> None:
        """Raises Broken when the file that is written has no name any more: what it takes would be lost in the end."""
        if trio.current_time() - self._file_seen < FILE_LOOK_S:
            return
        self._file_seen = trio.current_time()
        if self._world.file_identity(self.path) != self._file:
            raise Broken(
                "FFD3009",
                f"{self.path} was removed or replaced while ffd runs: ffd ends here, put the right file in its place "
                f"and start again",
            )

    async def _begin(self) -> None:
        """Take the write lock: at once if it is free, else off the loop, where waiting harms nobody."""
        connection = self._writer.connection
        connection.set_busy_timeout(0)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            await self._writer.run(connection.execute, "BEGIN IMMEDIATE")

    def _take_next(self, count: int) -> list[Writing[Any]]:
        # None may be left: who waits may have been cancelled while the lock was waited for.
        taken = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
        for writing in taken:
            writing.taken = True
        return taken

    def _break(self, broken: Broken, taken: Sequence[Writing[Any]]) -> None:
        """Nobody can be told any more what is on disk and what is not: all who wait hear of it, and all who come."""
        self._broken = broken
        self._release([*taken, *self._take_next(len(self._queue))], broken)

    def _release(self, taken: list[Writing[Any]], refused: FfdError) -> None:
        # Each its own outcome: one may be unwrapped but once.
        for waiting in taken:
            waiting.outcome = outcome.Error(refused)
            waiting.done.set()


async def interrupt_when_cancelled(connection: apsw.Connection) -> None:
    """Beside work in another thread, which no cancel reaches: end its statement when the nursery is cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        connection.interrupt()  # of a search that has ended it does nothing


def _attach(connection: apsw.Connection, path: Path, present: bool) -> bool:
    """Attach the index that is at `path` now instead of the one that was; whether there is one, as far as one sees."""
    if any(name == "search" for _, name, _ in connection.execute("PRAGMA database_list").fetchall()):
        connection.execute("DETACH search")
    if present:
        with suppress(apsw.Error):
            connection.execute("ATTACH ? AS search", (str(path),))
            connection.execute(f"PRAGMA search.cache_size = -{INDEX_CACHE_KIB}")
            return True
    return False


def _capture_reading(unit: Unit[T], connection: apsw.Connection) -> outcome.Maybe[T]:
    return outcome.capture(_run_reading, unit, connection)


def _run_reading(unit: Unit[T], connection: apsw.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return unit(Transaction(connection))
    finally:
        connection.execute("ROLLBACK")


def _run_units(
    connection: apsw.Connection, queue: deque[Writing[Any]], taken: list[Writing[Any]], rings: set[str]
) -> None:
    """Run what waits for as long as one may hold the event loop. Fills `taken` and `rings`."""
    until = trio.current_time() + UNITS_S
    while queue and len(taken) < UNITS_PER_COMMIT_MAX and (not taken or trio.current_time() < until):
        writing = queue.popleft()
        writing.taken = True
        taken.append(writing)
        writing.outcome = _run_unit(connection, writing.unit, rings)


def _follow(
    connection: apsw.Connection, followers: Sequence[Follower[Any]], rings: set[str]
) -> Iterator[Callable[[], object]]:
    """Run those whose bell will ring; what to tell them after the commit."""
    for follower in followers:
        if follower.bell in rings:
            result = _run_unit(connection, follower.unit, rings)
            if isinstance(result, outcome.Value):
                yield partial(follower.done, result.value)


def _run_unit(connection: apsw.Connection, unit: Unit[T], rings: set[str]) -> outcome.Maybe[T]:
    """Run one unit in a savepoint: where it fails, nothing of it is kept and it rings no bell."""
    transaction = Transaction(connection)
    connection.execute("SAVEPOINT unit")
    result: outcome.Maybe[T] = outcome.capture(unit, transaction)
    if isinstance(result, outcome.Error):
        _refuse_to_go_on(result.error)
        connection.execute("ROLLBACK TO unit")
    else:
        rings |= transaction.rings
    connection.execute("RELEASE unit")
    return result


def _commit(connection: apsw.Connection) -> None:
    connection.execute("COMMIT")


def _refuse_to_go_on(error: BaseException) -> None:
    # These say that the disk, not the unit, is at fault: the whole transaction is undone.
    if isinstance(error, apsw.FullError | apsw.IOError | apsw.CorruptError | apsw.NotADBError | apsw.ReadOnlyError):
        raise error


def _as_refusal(error: apsw.Error) -> FfdError:
    if isinstance(error, apsw.FullError):
        return Full("FFD3002", "the disk is full, nothing was stored: make room, then send again")
    if isinstance(error, apsw.ReadOnlyError):
        return Full("FFD3003", "the database cannot be written, nothing was stored: make its file system writable")
    if isinstance(error, apsw.BusyError):
        return Full("FFD3004", f"the database was locked by another process for {BUSY_TIMEOUT_MS} ms: try again")
    return Broken("FFD3005", f"the database failed ({error}): what was being written may or may not be stored")


@asynccontextmanager
async def open_store(world: World, path: Path) -> AsyncIterator[Store]:
    """The node's one database, migrated and ready; closed on every way out.

    Raises Invalid when the file is no database of ours or from a later version, Broken when it cannot be read.
    """
    _check_library()
    opened: list[Database] = []
    try:
        writer = await _open(world, path, opened, read_only=False)
        await writer.run(migrate, writer.connection, path, world.now())
        readers = [await _open(world, path, opened, read_only=True) for _ in range(READERS)]
        peeking = world.connect(path)
        prepare_connection(peeking, READER_PRAGMAS)
        store = Store(world, path, writer, readers, peeking)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store._run_writer)
            try:
                yield store
            finally:
                peeking.close()
                nursery.cancel_scope.cancel()
    finally:
        for database in reversed(opened):
            await database.aclose()


def _check_library() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SQLITE_OLDEST:
        wanted = ".".join(str(part) for part in SQLITE_OLDEST)
        raise Broken("FFD3006", f"SQLite {apsw.sqlite_lib_version()} is older than {wanted}: upgrade the apsw package")


async def _open(world: World, path: Path, opened: list[Database], *, read_only: bool) -> Database:
    try:
        database = await world.open_database(path, read_only=read_only)
    except apsw.CantOpenError as error:
        raise Broken("FFD3007", f"cannot open {path}: check that its directory exists and is yours") from error
    opened.append(database)
    if not read_only:
        # Before the first setting: to turn a file to WAL is to write it, and it may be somebody else's.
        await database.run(_refuse_strangers, database.connection, path)
    await _prepare(database, READER_PRAGMAS if read_only else WRITER_PRAGMAS)
    return database


async def _prepare(database: Database, pragmas: tuple[str, ...]) -> None:
    """`prepare_connection`, again while other processes open the same new file: to turn one to WAL waits for nobody."""
    until = trio.current_time() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            return await database.run(prepare_connection, database.connection, pragmas)
        except apsw.BusyError as error:
            if trio.current_time() >= until:
                raise _as_refusal(error) from error
            await trio.sleep(OPEN_AGAIN_S)


def _refuse_strangers(connection: apsw.Connection, path: Path) -> None:
    with readable(connection):
        check_ours(connection, path)
        if connection.readonly("main"):  # SQLite opens so what it may not write
            raise _not_writable(path)


def prepare_connection(connection: apsw.Connection, pragmas: tuple[str, ...]) -> None:
    """Give a new connection its settings. Raises Broken when the file is no database, or cannot be used."""
    with readable(connection):
        for pragma in pragmas:
            connection.execute(pragma)


@contextmanager
def readable(connection: apsw.Connection) -> Iterator[None]:
    """Look into a file for the first time. Raises Broken when it is no database, or cannot be used."""
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    try:
        yield
    except apsw.NotADBError as error:
        raise Broken("FFD3008", f"{connection.filename} is not a database: restore it, or move it away") from error
    except (apsw.ReadOnlyError, apsw.CantOpenError) as error:
        raise _not_writable(connection.filename) from error


def _not_writable(path: str | Path) -> Broken:
    return Broken("FFD3003", f"{path} cannot be written: give its user the right to, and its file system too")
