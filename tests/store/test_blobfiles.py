"""The files of blobs: whole and under their hash, or not there; gone when nobody needs them; never too much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio

from ffd.model.errors import Away, Full
from ffd.model.ids import sha256
from ffd.store import Store, blobs, namespaces, open_store
from ffd.store.blobfiles import ROOM_CHECK_BYTES, BlobFiles, BlobLimits
from ffd.world import UNFINISHED, RealWorld, World
from tests.simulation.disk import Disk, Loss, deaf_to_the_dead
from tests.simulation.surroundings import EPOCH_NS, SimWorld

CONTENT = b"tea at four\n" * 2000
HASH = sha256(CONTENT)
LIMITS = BlobLimits(blob_bytes_max=100_000)


class Shelf:
    """The blobs of a node with one namespace."""

    def __init__(self, world: World, store: Store, folder: Path, namespace: int) -> None:
        self.files = BlobFiles(world, store, folder, LIMITS)
        self.store = store
        self.folder = folder
        self.namespace = namespace

    async def take(self, content: bytes, piece: int = 1000) -> bytes:
        """A blob comes in and is recorded."""
        async with self.files.receive() as incoming:
            for at in range(0, len(content), piece):
                await incoming.write(content[at : at + piece])
            hash = await incoming.finish()
            async with incoming.placed(hash):
                await self.store.write(lambda tx: incoming.record(tx, self.namespace, hash, 1))
        return hash

    async def read(self, hash: bytes) -> bytes:
        async with aclosing(await self.files.open(hash)) as outgoing:
            found = b""
            while piece := await outgoing.read():
                found += piece
            assert outgoing.size == len(found)
            return found

    async def forget(self, hash: bytes) -> None:
        await self.store.write(lambda tx: blobs.forget(tx, self.namespace, hash))
        await self.files.drop_unneeded(hash)

    def rows(self) -> list[str]:
        """The places of the files that rows speak of."""
        return [place(row[0]) for row in self.store.peek(lambda tx: list(tx.execute("SELECT hash FROM blobs")))]

    def names(self) -> list[str]:
        """All that lies in the folder, by its path within it."""
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if not path.is_dir()]


def place(hash: bytes) -> str:
    return f"{hash.hex()[:2]}/{hash.hex()[2:]}"


@asynccontextmanager
async def opened(world: World, folder: Path) -> AsyncIterator[Shelf]:
    async with open_store(world, folder / "ffd.db") as store:
        number, _ = await store.write(lambda tx: namespaces.ensure(tx, "default", "default", EPOCH_NS))
        yield Shelf(world, store, folder / "blobs", number)


@asynccontextmanager
async def simulated(disk: Disk, seed: int = 1) -> AsyncIterator[Shelf]:
    world = SimWorld(disk, Random(seed))
    try:
        async with opened(world, disk.root) as shelf:
            yield shelf
    finally:
        world.end()


@pytest.fixture
def disk(scratch: Path) -> Disk:
    return Disk(scratch / "disk", Random(7))


@pytest.fixture
async def shelf(autojump_clock: object, disk: Disk) -> AsyncIterator[Shelf]:
    async with simulated(disk) as shelf:
        yield shelf


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["nothing", "a byte", "many pieces"])
async def test_what_came_in_is_read_back_on_a_real_disk(tmp_path: Path, content: bytes) -> None:
    async with opened(RealWorld(), tmp_path) as shelf:
        hash = await shelf.take(content, piece=333)
        assert hash == sha256(content)
        assert await shelf.read(hash) == content
        assert shelf.names() == [place(hash)]
        found = shelf.store.peek(lambda tx: blobs.find(tx, shelf.namespace, hash))
        assert found is not None and found.size == len(content)
        assert (shelf.folder / place(hash)).stat().st_mode & 0o777 == 0o600


async def test_a_file_that_somebody_makes_is_not_taken_for_a_leftover_of_a_crash(tmp_path: Path) -> None:
    async with opened(RealWorld(), tmp_path) as shelf:
        left = shelf.folder / f"{UNFINISHED}left"
        left.write_bytes(b"what a crash left")
        async with shelf.files.receive() as incoming:
            await incoming.write(CONTENT)
            other = BlobFiles(RealWorld(), shelf.store, shelf.folder)
            assert not left.exists()
            hash = await incoming.finish()
            async with incoming.placed(hash):
                await shelf.store.write(lambda tx: incoming.record(tx, shelf.namespace, hash, 1))
        async with aclosing(await other.open(hash)) as outgoing:
            assert await outgoing.read() == CONTENT


async def test_what_is_not_placed_is_gone(shelf: Shelf, autojump_clock: object) -> None:
    async with shelf.files.receive() as incoming:
        await incoming.write(CONTENT)
    async with shelf.files.receive() as incoming:
        await incoming.write(CONTENT)
        await incoming.finish()
    with trio.CancelScope() as scope:
        async with shelf.files.receive() as incoming:
            scope.cancel()
            await incoming.write(CONTENT)
    assert shelf.names() == []


async def test_a_file_goes_when_its_row_cannot_be_written_unless_it_was_here_before(
    shelf: Shelf, autojump_clock: object
) -> None:
    async def fail() -> None:
        async with shelf.files.receive() as incoming:
            await incoming.write(CONTENT)
            hash = await incoming.finish()
            with pytest.raises(ZeroDivisionError):
                async with incoming.placed(hash):
                    raise ZeroDivisionError

    await fail()
    assert shelf.names() == []
    await shelf.take(CONTENT)
    await fail()
    assert await shelf.read(HASH) == CONTENT


async def test_a_blob_larger_than_the_limit_is_refused_at_the_piece_that_goes_beyond(
    shelf: Shelf, autojump_clock: object
) -> None:
    await shelf.take(bytes(LIMITS.blob_bytes_max))
    async with shelf.files.receive() as incoming:
        for _ in range(LIMITS.blob_bytes_max // 1000):
            await incoming.write(bytes(1000))
        with pytest.raises(Full, match="FFD3101"):
            await incoming.write(b"x")
    assert len(shelf.names()) == 1


async def test_a_disk_without_room_refuses_before_and_while_a_blob_comes_in(
    shelf: Shelf, disk: Disk, autojump_clock: object
) -> None:
    shelf.files.limits = BlobLimits()
    async with shelf.files.receive() as incoming:
        await incoming.write(b"x")
        disk.free_bytes = shelf.files.limits.disk_reserve_bytes - 1
        with pytest.raises(Full, match="FFD3002"):
            await incoming.write(bytes(ROOM_CHECK_BYTES))
    with pytest.raises(Full, match="FFD3002"):
        async with shelf.files.receive():
            pass
    assert shelf.names() == []


async def test_a_disk_that_is_full_or_fails_in_the_middle_leaves_nothing(
    shelf: Shelf, disk: Disk, autojump_clock: object
) -> None:
    disk.full = True
    with pytest.raises(Full, match="FFD3002"):
        await shelf.take(CONTENT)
    disk.full, disk.sync_fails = False, True
    with pytest.raises(Away, match="FFD3102"):
        await shelf.take(CONTENT)
    disk.sync_fails = False
    assert shelf.names() == shelf.rows() == []
    await shelf.take(CONTENT)


ALTERED = {"other bytes": CONTENT.swapcase(), "fewer": CONTENT[:-1], "none": b"", "more": CONTENT + b"x"}


@pytest.mark.parametrize("content", ALTERED.values(), ids=ALTERED)
async def test_a_file_that_was_altered_is_never_read_to_its_end_and_is_mended_by_the_same_blob(
    shelf: Shelf, autojump_clock: object, content: bytes
) -> None:
    await shelf.take(CONTENT)
    (shelf.folder / place(HASH)).write_bytes(content)
    with pytest.raises(Away, match="FFD3103"):
        await shelf.read(HASH)
    (shelf.folder / place(HASH)).unlink()
    with pytest.raises(Away, match="FFD3103"):
        await shelf.read(HASH)
    await shelf.take(CONTENT)
    assert await shelf.read(HASH) == CONTENT


async def test_a_file_stays_as_long_as_one_namespace_has_it(shelf: Shelf, autojump_clock: object) -> None:
    other, _ = await shelf.store.write(lambda tx: namespaces.ensure(tx, "other", "other", EPOCH_NS))
    await shelf.take(CONTENT)
    await shelf.store.write(lambda tx: blobs.record(tx, other, blobs.BlobRow(HASH, len(CONTENT), 1)))
    await shelf.forget(HASH)
    assert shelf.names() == [place(HASH)]
    shelf.namespace = other
    await shelf.forget(HASH)
    assert shelf.names() == []


async def test_a_reader_reads_on_when_the_blob_is_dropped(shelf: Shelf, autojump_clock: object) -> None:
    await shelf.take(CONTENT)
    async with aclosing(await shelf.files.open(HASH)) as outgoing:
        first = await outgoing.read()
        await shelf.forget(HASH)
        assert shelf.names() == []
        while piece := await outgoing.read():
            first += piece
    assert first == CONTENT


@pytest.mark.seeds(20)
async def test_whoever_comes_and_goes_at_once_a_row_never_lacks_its_file(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    rng = Random(seed)
    async with simulated(Disk(scratch / "disk", rng), seed) as shelf:

        async def take_and_forget() -> None:
            for _ in range(5):
                await trio.sleep(rng.uniform(0, 0.05))
                await shelf.take(CONTENT[:5000])
                await trio.sleep(rng.uniform(0, 0.05))
                await shelf.forget(sha256(CONTENT[:5000]))

        async def look() -> None:
            for _ in range(50):
                await trio.sleep(0.01)
                await shelf.files.sweep()
                assert set(shelf.rows()) <= set(shelf.names())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take_and_forget)
            nursery.start_soon(look)
        assert shelf.names() == shelf.rows() == []


async def test_files_without_a_row_are_swept_and_what_is_no_blob_is_left_alone(
    shelf: Shelf, autojump_clock: object
) -> None:
    await shelf.take(CONTENT)
    orphan, strange = shelf.folder / place(sha256(b"left")), shelf.folder / "00" / "readme"
    for path in (orphan, strange):
        path.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"left")
    strange.write_bytes(b"by somebody")
    await shelf.files.sweep()
    assert sorted(shelf.names()) == sorted([place(HASH), "00/readme"])


@pytest.mark.parametrize("loss", Loss)
async def test_after_a_power_cut_at_any_operation_every_row_has_its_file_and_nothing_else_is_left(
    autojump_clock: object, seed: int, scratch: Path, loss: Loss
) -> None:
    """A blob comes in, goes, and comes in again; the power is cut at one operation of the disk after another."""

    async def live(shelf: Shelf) -> None:
        await shelf.take(CONTENT, piece=5000)
        await shelf.forget(HASH)
        await shelf.take(CONTENT, piece=5000)

    for operations in range(seed % 7, 700, 7):
        disk = Disk(scratch / f"disk {operations}", Random(seed))
        through = await live_until_cut(disk, seed, operations, live)
        disk.come_back(loss)
        async with simulated(disk, seed) as shelf:
            await shelf.files.sweep()
            assert shelf.names() == shelf.rows()
            for _ in shelf.rows():
                assert await shelf.read(HASH) == CONTENT
            await shelf.take(CONTENT)
        if through:
            assert operations > 60
            return
    raise AssertionError("the power was always cut")


async def live_until_cut(disk: Disk, seed: int, operations: int, live: Callable[[Shelf], Awaitable[None]]) -> bool:
    """Whether the life came to its end before its power was cut."""
    through = False
    with trio.CancelScope() as scope, deaf_to_the_dead():
        disk.cut_after(operations, scope.cancel)
        try:
            async with simulated(disk, seed) as shelf:
                await live(shelf)
                through = disk.on
                disk.disarm()
        except BaseException:
            if disk.on:
                raise
    disk.lose_power()
    return through
