"""The machine as it is."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
import trio

from ffd.model.errors import Full, Invalid
from ffd.world import files, listening, tls
from ffd.world.contract import UNFINISHED, Database, FileSink, FileSource, Lock, World

T = TypeVar("T")

STATEMENTS_CACHED = 256
"""Prepared statements that a connection keeps; the cache is a ring, which each use of a statement turns by one."""
OPEN_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
OPEN_READ_ONLY = apsw.SQLITE_OPEN_READONLY


def _connect(path: Path, flags: int) -> apsw.Connection:
    return apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENTS_CACHED)


class ThreadDatabase:
    """A database whose long or blocking work goes to a thread, one piece at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._one_at_a_time = trio.CapacityLimiter(1)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(work, *args, limiter=self._one_at_a_time)

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self.run(self.connection.close)


class RealWorld(World):
    """The machine as it is; `inherited` are the descriptors of listening sockets that were handed to the process."""

    def __init__(self, inherited: Sequence[int] = ()) -> None:
        super().__init__()
        self._inherited = inherited

    def now(self) -> int:
        return time.time_ns()

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)

    async def open_database(self, path: Path, *, read_only: bool = False) -> Database:
        flags = OPEN_READ_ONLY if read_only else OPEN_READ_WRITE
        return ThreadDatabase(await trio.to_thread.run_sync(_connect, path, flags))

    def connect(self, path: Path) -> apsw.Connection:
        return _connect(path, OPEN_READ_ONLY)

    async def read_file(self, path: Path, *, bytes_max: int) -> bytes:
        return await trio.to_thread.run_sync(files.read_bounded, path, bytes_max)

    def names_in(self, folder: Path) -> list[str]:
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def read_now(self, path: Path, *, bytes_max: int) -> bytes | None:
        try:
            return files.read_bounded(path, bytes_max)
        except (OSError, Full):
            return None

    async def read_guarded(self, path: Path, *, bytes_max: int, secret: bool) -> bytes:
        return await trio.to_thread.run_sync(files.read_guarded, path, bytes_max, secret)

    async def tls_context(self, certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
        return await trio.to_thread.run_sync(tls.tls_context, certificate, key, client_ca)

    def mutual_tls(self, certificate: Path, key: Path, trusted: Sequence[bytes], *, listening: bool) -> ssl.SSLContext:
        return tls.mutual_tls(certificate, key, trusted, listening)

    async def compute(self, work: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(work, *args)

    async def write_file(self, path: Path, content: bytes, *, mode: int = 0o600, make_folder: bool = False) -> None:
        def write(nonce: str) -> None:
            if make_folder and not path.parent.exists():
                self.make_directory(path.parent)
            files.write_durably(path, content, mode, nonce)

        # Not abandoned on cancel: a half-made file would be found by nobody, and the caller wants to know.
        await trio.to_thread.run_sync(write, self.entropy(8).hex())

    async def create_file(self, folder: Path) -> FileSink:
        return await trio.to_thread.run_sync(files.make_file, folder / f"{UNFINISHED}{self.entropy(8).hex()}")

    async def resume_file(self, path: Path) -> FileSink | None:
        return await trio.to_thread.run_sync(files.resume_file, path)

    async def open_file(self, path: Path) -> FileSource:
        def opened() -> FileSource:
            return files.ThreadSource(os.open(path, files.READ_FLAGS))

        return await trio.to_thread.run_sync(opened)

    def remove_unfinished(self, folder: Path) -> None:
        for path in folder.glob(f"{UNFINISHED}*"):
            lock = self.try_lock(path)
            if lock is not None:
                files.remove(path)
                lock.release()

    def file_names(self, folder: Path) -> list[str]:
        return [name for name in os.listdir(folder) if not name.startswith(".")]

    def make_directory(self, path: Path, within: Sequence[str] = ()) -> None:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(mode=files.PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)
        for made in reversed(missing):
            # What is put into a folder is lost with the folder's own name. One may write where one may not read.
            with suppress(PermissionError):
                files.sync_directory(made.parent)
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or (found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX):
            raise Invalid(
                "FFD1104", f"folder {path} can be changed by other users: remove it, or choose another place for it"
            )
        files.make_within(path, within)

    def disk_free(self, path: Path) -> int:
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def file_identity(self, path: Path) -> tuple[int, int] | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def try_lock(self, path: Path) -> Lock | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return files.FileLock(descriptor)

    def remove_file(self, path: Path) -> None:
        files.remove(path)

    async def remove_large_file(self, path: Path) -> None:
        await trio.to_thread.run_sync(files.remove, path)

    def inherited_listeners(self) -> list[trio.SocketListener]:
        inherited = [
            trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
            for descriptor in self._inherited
        ]
        for each in inherited:
            if each.socket.family != socket.AF_UNIX:
                listening.notice_the_lost(each.socket)
        return inherited

    async def listen_unix(self, path: Path, *, mode: int, group: str = "") -> trio.SocketListener:
        return await listening.listen_unix(path, mode=mode, group=group)

    async def listen_tcp(self, address: str, port: int) -> trio.SocketListener:
        return await listening.listen_tcp(address, port)

    async def connect_tcp(self, host: str, port: int) -> trio.SocketStream:
        return await trio.open_tcp_stream(host, port)
