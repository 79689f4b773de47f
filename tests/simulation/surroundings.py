"""The world of one simulated process: seeded time and randomness, databases in line, a disk that may lose its power."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import apsw
import trio

from ffd.model.errors import Full
from ffd.world import OPEN_READ_ONLY, OPEN_READ_WRITE, UNFINISHED, Database, FileSink, FileSource, Lock, World
from tests.simulation.disk import Disk, PowerLossVFS

T = TypeVar("T")

EPOCH_NS = 1_800_000_000_000_000_000
HOP_S = 0.005  # the most that a trip to a database or a file takes
PIECE_BYTES = 4096  # of files, so that even small ones take several
BUSY_S = 10.0  # how long a database may be locked by another process
_NUMBERS = itertools.count()


class PatientConnection(apsw.Connection):
    """A connection that is told at once that the database is busy: in line, waiting for others would be for ever."""

    def set_busy_timeout(self, milliseconds: int) -> None:
        super().set_busy_timeout(0)


class SimDatabase:
    """A connection whose work runs in line, after a trip of seeded length."""

    def __init__(self, connection: apsw.Connection, world: SimWorld) -> None:
        self.connection = connection
        self._world = world

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        deadline = trio.current_time() + BUSY_S
        while True:
            await self._world.hop()
            try:
                return work(*args)
            except apsw.BusyError:
                if trio.current_time() >= deadline:
                    raise

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        self._world.close(self.connection)


class SimLock:
    """A lock in memory."""

    def __init__(self, path: Path, world: SimWorld) -> None:
        self._path = path
        self._world = world

    def release(self) -> None:
        self._world.locks.discard(self._path)
        self._world.disk.locks.discard(self._path)


class SimSource:
    """A file that is read in line."""

    def __init__(self, path: Path, world: SimWorld) -> None:
        self._content = path.read_bytes()
        self.size = len(self._content)
        self._world = world
        self._at = 0

    async def read(self) -> bytes:
        await self._world.hop()
        piece = self._content[self._at : self._at + PIECE_BYTES]
        self._at += len(piece)
        return piece

    def sha256(self) -> bytes:
        return hashlib.sha256(self._content[: self._at]).digest()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class SimSink:
    """A file in the making on a simulated disk, with the steps of the real one."""

    def __init__(self, path: Path, world: SimWorld) -> None:
        self.size = 0
        self._world = world
        self._path: Path | None = path
        self._lock = world.try_lock(path)
        self._digest = hashlib.sha256()
        with world.at_the_disk(path) as disk:
            if not path.exists():
                disk.opened(path)
                path.touch(mode=0o600)

    async def write(self, piece: bytes) -> None:
        await self._world.hop()
        path = self._made()
        with self._world.at_the_disk(path) as disk:
            disk.write(path, self.size, piece)
            with path.open("ab") as file:  # noqa: ASYNC230 - in line, as everything here
                file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    async def finish(self) -> bytes:
        await self._world.hop()
        path = self._made()
        with self._world.at_the_disk(path) as disk:
            disk.sync(path)
        return self._digest.digest()

    async def keep(self, path: Path) -> None:
        with trio.CancelScope(shield=True):
            await self._world.hop()
        made = self._made()
        with self._world.at_the_disk(path) as disk:
            disk.rename(made, path)
            made.rename(path)
            self._path = None
            disk.tick()
            disk.sync_names(path.parent)

    async def leave(self) -> None:
        await self.finish()
        path = self._made()
        with self._world.at_the_disk(path) as disk:
            disk.sync_names(path.parent)
        self._path = None

    def read_again(self) -> None:
        """Go on behind what is in the file."""
        content = self._made().read_bytes()
        self._digest.update(content)
        self.size = len(content)

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        if self._path is not None and not self._world.dead:
            self._world.remove_file(self._path)
        if self._lock is not None:
            self._lock.release()

    def _made(self) -> Path:
        assert self._path is not None
        return self._path


class SimWorld(World):
    """One life of one process on `disk`; `skew_ns` is how far its clock is off.

    When the process ends, `end` must be called: it lets go of the locks, and of what SQLite knows of it.
    """

    def __init__(self, disk: Disk, rng: Random, *, skew_ns: int = 0) -> None:
        super().__init__()
        self.disk = disk
        self.locks: set[Path] = set()
        self._rng = rng
        self._skew_ns = skew_ns
        self._vfs = PowerLossVFS(disk, f"sim-{next(_NUMBERS)}")
        self._open: list[apsw.Connection] = []

    def now(self) -> int:
        return EPOCH_NS + int(trio.current_time() * 1e9) + self._skew_ns

    def entropy(self, size: int) -> bytes:
        return self._rng.randbytes(size)

    async def hop(self) -> None:
        """What a trip to another thread costs: a checkpoint, and often time."""
        await trio.sleep(self._rng.choice((0.0, self._rng.uniform(0, HOP_S))))

    async def open_database(self, path: Path, *, read_only: bool = False) -> Database:
        await self.hop()
        return SimDatabase(self._connect(path, OPEN_READ_ONLY if read_only else OPEN_READ_WRITE), self)

    def connect(self, path: Path) -> apsw.Connection:
        return self._connect(path, OPEN_READ_ONLY)

    def _connect(self, path: Path, flags: int) -> apsw.Connection:
        connection = PatientConnection(str(path), flags=flags, vfs=self._vfs.name)
        self._open.append(connection)
        return connection

    def close(self, connection: apsw.Connection) -> None:
        """Close a connection. SQLite ignores what its last checkpoint meets; apsw tells it, if the VFS is Python's."""
        self._open.remove(connection)
        with suppress(apsw.IOError):
            connection.close()

    @property
    def dead(self) -> bool:
        """Was the process killed, or has the machine no power?"""
        return self._vfs.killed or not self.disk.on

    def kill(self) -> None:
        """From now on nothing that the process does reaches the disk."""
        self._vfs.killed = True

    def end(self) -> None:
        """The process is gone: what it held is free."""
        for connection in list(self._open):
            self.close(connection)
        self.disk.locks -= self.locks
        self._vfs.unregister()

    async def read_file(self, path: Path, *, bytes_max: int) -> bytes:
        await self.hop()
        content = path.read_bytes()  # noqa: ASYNC240 - in line, as everything here
        if len(content) > bytes_max:
            raise Full("FFD4001", f"{path} is larger than {bytes_max} bytes")
        return content

    def names_in(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def read_now(self, path: Path, *, bytes_max: int) -> bytes | None:
        content = path.read_bytes() if path.exists() else None
        return content if content is not None and len(content) <= bytes_max else None

    async def read_guarded(self, path: Path, *, bytes_max: int, secret: bool) -> bytes:
        return await self.read_file(path, bytes_max=bytes_max)

    async def tls_context(self, certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
        raise OSError(errno.EOPNOTSUPP, "a simulated node has no doors", str(certificate))

    def mutual_tls(self, certificate: Path, key: Path, trusted: Sequence[bytes], *, listening: bool) -> ssl.SSLContext:
        raise OSError(errno.EOPNOTSUPP, "a simulated node has no doors", str(certificate))

    async def compute(self, work: Callable[..., T], *args: Any) -> T:
        await self.hop()
        return work(*args)

    async def write_file(self, path: Path, content: bytes, *, mode: int = 0o600, make_folder: bool = False) -> None:
        with trio.CancelScope(shield=True):
            await self.hop()
        if make_folder:
            self.make_directory(path.parent)
        temporary = path.with_name(f".{path.name}.{self.entropy(8).hex()}")
        try:
            with self.at_the_disk(path):
                self._write_durably(temporary, path, content, mode)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                temporary.unlink(missing_ok=True)
            raise

    def _write_durably(self, temporary: Path, path: Path, content: bytes, mode: int) -> None:
        """The steps of the real one, each of which a power cut may be the last before."""
        disk = self.disk
        disk.tick()
        disk.opened(temporary)
        temporary.touch(mode=mode)
        disk.write(temporary, 0, content)
        temporary.write_bytes(content)
        disk.sync(temporary)
        disk.rename(temporary, path)
        temporary.rename(path)
        disk.tick()
        disk.sync_names(path.parent)

    @contextmanager
    def at_the_disk(self, path: Path) -> Iterator[Disk]:
        """Use the disk as a process that lives; what it says against that is an OSError."""
        try:
            self._vfs.check_alive()
            yield self.disk
        except apsw.FullError:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        except apsw.IOError:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path)) from None

    async def create_file(self, folder: Path) -> FileSink:
        await self.hop()
        return SimSink(folder / f"{UNFINISHED}{self.entropy(8).hex()}", self)

    async def resume_file(self, path: Path) -> FileSink | None:
        await self.hop()
        if path in self.disk.locks:
            return None
        sink = SimSink(path, self)
        sink.read_again()
        return sink

    async def open_file(self, path: Path) -> FileSource:
        await self.hop()
        return SimSource(path, self)

    def remove_unfinished(self, folder: Path) -> None:
        for path in folder.glob(f"{UNFINISHED}*"):
            lock = self.try_lock(path)
            if lock is not None:
                self.remove_file(path)
                lock.release()

    def file_names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))

    def make_directory(self, path: Path, within: Sequence[str] = ()) -> None:
        for made in (path, *[path / name for name in within]):
            made.mkdir(parents=True, exist_ok=True)

    def disk_free(self, path: Path) -> int:
        return self.disk.free_bytes

    def file_identity(self, path: Path) -> tuple[int, int] | None:
        return (found.st_dev, found.st_ino) if path.exists() and (found := path.stat()) else None

    def try_lock(self, path: Path) -> Lock | None:
        if path in self.disk.locks:
            return None
        self.disk.locks.add(path)
        self.locks.add(path)
        return SimLock(path, self)

    def remove_file(self, path: Path) -> None:
        if path.exists():
            self.disk.remove(path)
            path.unlink()

    async def remove_large_file(self, path: Path) -> None:
        await self.hop()
        with self.at_the_disk(path):
            self.remove_file(path)

    async def listen_unix(self, path: Path, *, mode: int, group: str = "") -> trio.SocketListener:
        raise OSError(errno.EOPNOTSUPP, "a simulated node has no doors: its stories speak to its parts", str(path))

    async def listen_tcp(self, address: str, port: int) -> trio.SocketListener:
        raise OSError(errno.EOPNOTSUPP, "a simulated node has no doors: its stories speak to its parts", address)

    async def connect_tcp(self, host: str, port: int) -> trio.SocketStream:
        raise OSError(errno.EOPNOTSUPP, "a simulated node has no doors: its stories speak to its parts", host)

    def inherited_listeners(self) -> list[trio.SocketListener]:
        return []
