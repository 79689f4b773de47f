"""What only a storage in a directory can meet: planted names, full disks, crashes between write and rename."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio

from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.ids import sha256
from ffd.plugins.sharedstorage.directory import DirectoryStorage
from tests.plugins.storages import DirectoryStorages, Text
from tests.simulation.disk import Disk, Loss
from tests.simulation.surroundings import SimWorld

CONTENT = b"tea at four" * 1000
REFERENCE = sha256(CONTENT).hex()
ROOMY = 10_000_000


async def test_digits_of_any_case_are_the_same_reference(directory: DirectoryStorages) -> None:
    alice = await directory.node("alice")
    await alice.put(CONTENT)
    assert await alice.get(REFERENCE.upper(), bytes_max=ROOMY) == CONTENT
    assert directory.files() == [directory.path(REFERENCE)]


# What was planted under a name


def plant_link(path: Path) -> None:
    secret = path.parent / "secret"
    secret.write_bytes(CONTENT)
    path.symlink_to(secret)


def plant_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def plant_endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def plant_pipe(path: Path) -> None:
    os.mkfifo(path)


PLANTED: dict[str, Callable[[Path], None]] = {
    "a link to a file with the right content": plant_link,
    "a link to nothing": plant_dangling_link,
    "a link to a file without end": plant_endless,
    "a pipe that nobody writes to": plant_pipe,
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
async def test_what_is_no_file_is_not_read_and_gives_way_to_what_is_put(
    directory: DirectoryStorages, plant: Callable[[Path], None]
) -> None:
    alice = await directory.node("alice")
    path = directory.path(REFERENCE)
    path.parent.mkdir(exist_ok=True)
    plant(path)
    with trio.fail_after(10):
        with pytest.raises((Away, Invalid)):
            await alice.get(REFERENCE, bytes_max=ROOMY)
        assert await alice.put(CONTENT) == REFERENCE
    assert path.is_file() and not path.is_symlink()
    assert await alice.get(REFERENCE, bytes_max=ROOMY) == CONTENT


async def test_a_folder_under_a_name_is_away_and_costs_no_descriptors(directory: DirectoryStorages) -> None:
    alice = await directory.node("alice")
    directory.path(REFERENCE).mkdir(parents=True)

    async def ask() -> int:
        with pytest.raises(Away):
            await alice.get(REFERENCE, bytes_max=ROOMY)
        with pytest.raises(Away):
            await alice.put(CONTENT)
        return len(os.listdir("/proc/self/fd"))  # noqa: ASYNC240 - not a disk

    before = await ask()
    for _ in range(5):
        assert await ask() == before


async def test_a_storage_whose_folder_is_gone_is_away_or_has_nothing(directory: DirectoryStorages) -> None:
    alice = await directory.node("alice")
    shutil.rmtree(directory.folder)
    with pytest.raises(NotFound):
        await alice.get(REFERENCE, bytes_max=ROOMY)
    directory.folder.write_text("a file in its place")
    with pytest.raises(Away):
        await alice.get(REFERENCE, bytes_max=ROOMY)
    with pytest.raises(Away):
        await alice.put(CONTENT)
    directory.folder.unlink()
    await alice.put(CONTENT)
    assert await alice.get(REFERENCE, bytes_max=ROOMY) == CONTENT


# What dies half-way

DIES_AT = """
import os, sys, trio
from pathlib import Path
from ffd.plugins.sharedstorage.directory import DirectoryStorage
from ffd.world import RealWorld

def die(*args):
    os.kill(os.getpid(), 9)

os.{function} = die
trio.run(DirectoryStorage("local", Path(sys.argv[1]), RealWorld()).put, b"tea at four" * 1000)
"""


@pytest.mark.parametrize("function", ["fsync", "rename"])
async def test_a_process_that_is_killed_before_its_content_has_its_name_leaves_nothing_under_it(
    directory: DirectoryStorages, function: str
) -> None:
    code = DIES_AT.replace("{function}", function)
    killed = await trio.run_process([sys.executable, "-c", code, str(directory.folder)], check=False)
    assert killed.returncode == -9
    assert not directory.path(REFERENCE).exists()
    alice = await directory.node("alice")
    with pytest.raises(NotFound):
        await alice.get(REFERENCE, bytes_max=ROOMY)
    await alice.put(CONTENT)
    assert await alice.get(REFERENCE, bytes_max=ROOMY) == CONTENT


@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_at_any_operation_leaves_all_or_nothing(
    directory: DirectoryStorages, autojump_clock: object, loss: Loss
) -> None:
    for operations in range(100):
        # A disk that has held the storage before: its folders are there.
        disk = Disk(directory.root / f"disk-{operations}", Random(operations))
        directory.root = disk.root
        directory.path(REFERENCE).parent.mkdir(parents=True)
        stored = await put_until_cut(directory, disk, operations)
        disk.come_back(loss)
        world = SimWorld(disk, Random(0))
        alice = await directory.node("alice", world)
        try:
            assert await alice.get(REFERENCE, bytes_max=ROOMY) == CONTENT
        except NotFound:
            assert not stored, "what was stored is lost"
        world.end()
        directory.root = directory.root.parent
        if stored:
            assert operations > 3
            return
    raise AssertionError("it never got through")


async def put_until_cut(directory: DirectoryStorages, disk: Disk, operations: int) -> bool:
    """Put the content on a disk whose power is cut; whether it was said to be stored before."""
    world = SimWorld(disk, Random(0))
    disk.cut_after(operations, lambda: None)
    stored = False
    try:
        await (await directory.node("alice", world)).put(CONTENT)
        stored = True
    except Away:
        pass
    disk.lose_power()
    world.end()
    return stored


FAULTS: dict[str, tuple[str, type[FfdError], str]] = {
    "full": ("full", Full, "make room"),
    "failing": ("sync_fails", Away, "tried again"),
}


@pytest.mark.parametrize("fault, error, text", FAULTS.values(), ids=FAULTS)
async def test_a_disk_that_refuses_is_told_and_leaves_nothing_under_the_name(
    directory: DirectoryStorages, autojump_clock: object, fault: str, error: type[FfdError], text: str
) -> None:
    disk = Disk(directory.root / "disk", Random(0))
    directory.root = disk.root
    world = SimWorld(disk, Random(0))
    alice = await directory.node("alice", world)
    setattr(disk, fault, True)
    with pytest.raises(error, match=text):
        await alice.put(CONTENT)
    with pytest.raises(NotFound):
        await alice.get(REFERENCE, bytes_max=ROOMY)
    setattr(disk, fault, False)
    await alice.put(CONTENT)
    assert await alice.get(REFERENCE, bytes_max=ROOMY) == CONTENT
    world.end()


async def test_a_file_that_cannot_be_written_whole_leaves_nothing_at_all(directory: DirectoryStorages) -> None:
    """The real disk's refusal: a limit on the size of files."""
    limited = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    )
    code = limited + DIES_AT.replace("{function}", "nothing")
    refused = await trio.run_process(
        [sys.executable, "-c", code, str(directory.folder)], capture_stderr=True, check=False
    )
    assert refused.stderr.rstrip().endswith(b"cannot be written (File too large): it is tried again")
    assert directory.files() == []


# Streams


async def test_no_stream_leaves_anything_but_its_file(directory: DirectoryStorages) -> None:
    alice = await directory.node("alice")
    for fails_at in (0, 3000, None):
        with suppress(Away):
            await alice.put_stream(Text(CONTENT, fails_at=fails_at))
    assert directory.files() == [directory.path(REFERENCE)]


async def test_a_disk_that_is_full_in_the_middle_of_a_stream_says_so_and_nothing_is_left(
    autojump_clock: object, scratch: Path
) -> None:
    disk = Disk(scratch / "disk", Random(1))
    world = SimWorld(disk, Random(1))
    storage = DirectoryStorage("local", disk.root / "storage", world)

    class Filling(Text):
        async def read(self) -> bytes:
            disk.full = self.at >= 5000
            return await super().read()

    with pytest.raises(Full, match="FFD4105"):
        await storage.put_stream(Filling(CONTENT))
    assert [path for path in (disk.root / "storage").rglob("*") if path.is_file()] == []
    disk.full = False
    assert await storage.put_stream(Text(CONTENT)) == REFERENCE
    world.end()


@pytest.mark.parametrize("loss", Loss)
async def test_after_a_power_cut_in_a_stream_it_is_there_whole_or_not_at_all_and_no_leftover(
    autojump_clock: object, seed: int, scratch: Path, loss: Loss
) -> None:
    for operations in range(40):
        disk = Disk(scratch / f"disk {operations}", Random(seed))
        world = SimWorld(disk, Random(seed))
        storage = DirectoryStorage("local", disk.root / "storage", world)
        disk.cut_after(operations, lambda: None)
        kept = ""
        with suppress(Away):
            kept = await storage.put_stream(Text(CONTENT))
        world.end()
        disk.lose_power()
        disk.come_back(loss)
        world = SimWorld(disk, Random(seed))
        storage = DirectoryStorage("local", disk.root / "storage", world)
        found = [path for path in (disk.root / "storage").rglob("*") if path.is_file()]
        assert [path.name for path in found] in ([REFERENCE[2:]], [] if not kept else [REFERENCE[2:]])
        if found:
            taken = Text()
            await storage.get_stream(REFERENCE, taken, bytes_max=ROOMY)
            assert taken.content == CONTENT
        world.end()
        if kept:
            return
    raise AssertionError("the stream was never put whole")
