"""A disk that forgets what was not synced: the model behind the simulated database files and files.

Writes reach the real file at once, so that everybody reads what was written last. Beside it a durable image is kept:
what was synced, and the operations since. When the power goes, every unsynced operation is kept, dropped or torn at a
sector, and names that were not synced with their directory may vanish or come back.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

import apsw

SECTOR_BYTES = 512
NO_LIMIT = 1 << 40


class NoPower(apsw.IOError):
    """There is no disk any more for the process that asks."""


class Loss(StrEnum):
    """What a power cut does to unsynced writes."""

    DROP = "drop"
    """None of them survives."""
    KEEP = "keep"
    """All of them survive."""
    ANY = "any"
    """Each one is kept, dropped or torn, by the seed."""


@dataclass(slots=True)
class Write:
    """Bytes written at an offset and not synced yet."""

    offset: int
    content: bytes

    def apply(self, image: bytearray) -> None:
        if len(image) < self.offset:
            image.extend(bytes(self.offset - len(image)))
        image[self.offset : self.offset + len(self.content)] = self.content

    def torn(self, rng: Random) -> list[Write]:
        """The sectors of it that a disk may have finished."""
        sectors = range(0, len(self.content), SECTOR_BYTES)
        return [Write(self.offset + at, self.content[at : at + SECTOR_BYTES]) for at in sectors if rng.random() < 0.5]


@dataclass(slots=True)
class Truncate:
    """A change of the file's size that is not synced yet."""

    size: int

    def apply(self, image: bytearray) -> None:
        del image[self.size :]
        image.extend(bytes(self.size - len(image)))


@dataclass(slots=True)
class Image:
    """One file: what is durable of it, and what is not; `named` when its directory was synced since it came."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)
    named: bool = False

    def sync(self) -> None:
        for operation in self.pending:
            operation.apply(self.durable)
        self.pending.clear()

    def surviving(self, rng: Random, loss: Loss) -> tuple[bytearray, int]:
        """The content that a power cut leaves, and how many operations it takes away."""
        image, lost = bytearray(self.durable), 0
        for operation in self.pending:
            kept = _kept(operation, rng, loss)
            lost += kept != [operation]
            for each in kept:
                each.apply(image)
        return image, lost


def _kept(operation: Write | Truncate, rng: Random, loss: Loss) -> list[Write | Truncate]:
    if loss is not Loss.ANY:
        return [operation] if loss is Loss.KEEP else []
    chance = rng.random()
    if chance < 0.4:
        return [operation]
    if chance < 0.7 and isinstance(operation, Write) and len(operation.content) > SECTOR_BYTES:
        return list(operation.torn(rng))
    return []


class Disk:
    """One machine's disk below `root`, shared by the processes that run on the machine.

    Operations are counted, and `cut_after` arms a power cut at one of them. `full` refuses every write, `sync_fails`
    every sync: what a dying or full disk does.
    """

    def __init__(self, root: Path, rng: Random) -> None:
        self.root = root
        self.free_bytes = NO_LIMIT
        self.full = False
        self.sync_fails = False
        self.operations = 0
        self.lost = 0
        self.on = True
        self.locks: set[Path] = set()
        self._rng = rng
        self._files: dict[Path, Image] = {}
        self._ghosts: dict[Path, Image] = {}
        self._cut_at: int | None = None
        self._cut: Callable[[], None] = _nothing
        root.mkdir(parents=True)

    def fill(self, before: Path) -> None:
        """Put what a folder holds on the disk, all of it durable."""
        shutil.copytree(before, self.root, dirs_exist_ok=True)
        for path in self.root.rglob("*"):
            if path.is_file():
                self.opened(path)
                self._files[path].named = True

    def cut_after(self, operations: int, then: Callable[[], None]) -> None:
        """Let the power fail after this many more operations; `then` is called at that moment."""
        self._cut_at, self._cut = self.operations + operations, then

    def disarm(self) -> None:
        """The power stays on."""
        self._cut_at = None

    def lose_power(self) -> None:
        """From now on every operation fails."""
        self.on = False
        self.disarm()

    def tick(self) -> None:
        """Count one operation. Raises NoPower when there is none for it."""
        if self.on and self._cut_at is not None and self.operations >= self._cut_at:
            self.lose_power()
            self._cut()
        if not self.on:
            raise NoPower("the power is off")
        self.operations += 1

    def opened(self, path: Path) -> Image:
        """The image of a file that is opened, made when it is new."""
        found = self._files.get(path)
        if found is None:
            # What lay there before is taken to be durable; what is new has to be synced, its name too.
            before = path.read_bytes() if path.exists() else b""
            found = self._files[path] = Image(bytearray(before), named=bool(before))
        return found

    def write(self, path: Path, offset: int, content: bytes) -> None:
        """Note a write. Raises apsw.IOError, apsw.FullError."""
        self.tick()
        if self.full:
            raise apsw.FullError("the disk is full")
        self._files[path].pending.append(Write(offset, content))

    def truncate(self, path: Path, size: int) -> None:
        """Note a change of size. Raises apsw.IOError."""
        self.tick()
        self._files[path].pending.append(Truncate(size))

    def sync(self, path: Path) -> None:
        """What was written to the file is durable. Raises apsw.IOError."""
        self.tick()
        if self.sync_fails:
            raise apsw.IOError("the disk did not sync")
        self._files[path].sync()

    def sync_names(self, directory: Path) -> None:
        """The names in a directory are durable, those that are gone for ever gone."""
        for path, image in self._files.items():
            if path.parent == directory:
                image.named = True
        for path in [path for path in self._ghosts if path.parent == directory]:
            del self._ghosts[path]

    def rename(self, source: Path, target: Path) -> None:
        """A file takes another name, over whatever had it. Raises apsw.IOError."""
        self.tick()
        old = self._files.get(target)
        if old is not None and old.named:
            self._ghosts[target] = old
        image = self._files.pop(source)
        image.named = False
        self._files[target] = image

    def remove(self, path: Path) -> None:
        """A name goes; until its directory is synced it may come back. Raises apsw.IOError."""
        self.tick()
        image = self._files.pop(path, None)
        if image is not None and image.named:
            self._ghosts[path] = image

    def come_back(self, loss: Loss) -> None:
        """The power returns: on the disk is what survived."""
        survivors = {path: self._survivor(path, loss) for path in sorted({*self._files, *self._ghosts})}
        shutil.rmtree(self.root)
        self.root.mkdir()
        self._files.clear()
        self._ghosts.clear()
        self.locks.clear()
        for path, content in survivors.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._files[path] = Image(content, named=True)
        self.on = True

    def _survivor(self, path: Path, loss: Loss) -> bytearray | None:
        image, ghost = self._files.get(path), self._ghosts.get(path)
        if image is None or not (image.named or self._keeps_name(loss)):
            image = ghost if ghost is not None and (image is not None or not self._keeps_name(loss)) else None
        if image is None:
            return None
        content, lost = image.surviving(self._rng, loss)
        self.lost += lost
        return content

    def _keeps_name(self, loss: Loss) -> bool:
        """Did a change of a name that was not synced reach the disk?"""
        return loss is Loss.KEEP or (loss is Loss.ANY and self._rng.random() < 0.5)


@contextmanager
def deaf_to_the_dead() -> Iterator[None]:
    """What SQLite has no way to tell anybody is said aloud, unless it comes from a machine without power."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        if not isinstance(unraisable.exc_value, NoPower):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _nothing() -> None:
    pass


class PowerLossVFS(apsw.VFS):
    """SQLite's files of one process on a `Disk`. Works with WAL: shared memory passes through, as it is in life."""

    def __init__(self, disk: Disk, name: str) -> None:
        self.disk = disk
        self.name = name
        self.killed = False
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return PowerLossFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.check_alive()
        self.disk.remove(Path(filename))
        super().xDelete(filename, syncdir)
        if syncdir:
            self.disk.sync_names(Path(filename).parent)

    def check_alive(self) -> None:
        """Raises NoPower when the process was killed."""
        if self.killed:
            raise NoPower("the process was killed")


class PowerLossFile(apsw.VFSFile):
    """One open file of SQLite. A temporary one is not tracked: nothing of it has to survive."""

    def __init__(self, vfs: PowerLossVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._vfs = vfs
        self._disk = vfs.disk
        self._path = None if text is None else Path(text)
        # SQLite syncs the directory with the first sync of a log or journal that it made (os_unix.c, DIRSYNC).
        self._syncs_names = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        super().__init__("", name, flags)
        if self._path is not None:
            self._disk.opened(self._path)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._path is not None:
            self._vfs.check_alive()
            self._disk.write(self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        if self._path is not None:
            self._vfs.check_alive()
            self._disk.truncate(self._path, newsize)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        # No real sync: the model is the disk.
        if self._path is not None:
            self._vfs.check_alive()
            self._disk.sync(self._path)
            if self._syncs_names:
                self._disk.sync_names(self._path.parent)
