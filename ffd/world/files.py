"""Files as a disk keeps them: whole and synced or not there, guarded against strangers, streamed in threads."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from ffd.model.errors import Full, Invalid

PRIVATE_DIRECTORY_MODE = 0o700
PIECE_BYTES = 128 * 1024
"""What is read of a file at once, and gathered before it is written: a trip to a thread costs some 50 us."""
SYNC_BYTES = 32 * 1024 * 1024
"""What may wait in the page cache while a large file is written: one sync of all of it would stall every other."""
READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A planted link must not lead out of the folder that the caller chose, nor may a pipe hold a thread."""


class ThreadSource:
    """A file that is read in threads."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._digest = hashlib.sha256()

    async def read(self) -> bytes:
        return await trio.to_thread.run_sync(self._read)

    def _read(self) -> bytes:
        piece = os.read(self._descriptor, PIECE_BYTES)
        self._digest.update(piece)
        return piece

    def sha256(self) -> bytes:
        return self._digest.digest()

    async def aclose(self) -> None:
        os.close(self._descriptor)
        await trio.lowlevel.checkpoint()


class ThreadSink:
    """A file that is written in threads. While it is made it is locked, so that nobody takes it for a leftover."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.size = 0
        self._path: Path | None = path
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._unsynced = 0

    async def write(self, piece: bytes) -> None:
        self._gathered.append(piece)
        self._gathered_bytes += len(piece)
        self.size += len(piece)
        if self._gathered_bytes >= PIECE_BYTES:
            await trio.to_thread.run_sync(self._write_gathered)

    def _write_gathered(self) -> None:
        content = memoryview(b"".join(self._gathered))
        self._gathered.clear()
        self._digest.update(content)
        self._unsynced += self._gathered_bytes
        self._gathered_bytes = 0
        while content:
            content = content[os.write(self._descriptor, content) :]
        if self._unsynced >= SYNC_BYTES:
            os.fdatasync(self._descriptor)
            self._unsynced = 0

    async def finish(self) -> bytes:
        def finish() -> bytes:
            self._write_gathered()
            os.fsync(self._descriptor)
            return self._digest.digest()

        return await trio.to_thread.run_sync(finish)

    async def keep(self, path: Path) -> None:
        def keep(made: Path) -> None:
            os.rename(made, path)
            self._path = None
            sync_directory(path.parent)

        if self._path is not None:
            await trio.to_thread.run_sync(keep, self._path)

    async def leave(self) -> None:
        await self.finish()
        if self._path is not None:
            await trio.to_thread.run_sync(sync_directory, self._path.parent)
            self._path = None

    def read_again(self) -> None:
        """Go on behind what is in the file."""
        while piece := os.read(self._descriptor, PIECE_BYTES):
            self._digest.update(piece)
            self.size += len(piece)

    async def aclose(self) -> None:
        def close(left: Path | None) -> None:
            if left is not None:
                remove(left)
            os.close(self._descriptor)

        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(close, self._path)


class FileLock:
    """flock(2) on an open file; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def read_bounded(path: Path, bytes_max: int) -> bytes:
    """The content of a file. Raises OSError, Full beyond `bytes_max`."""
    descriptor = os.open(path, READ_FLAGS)
    try:
        # It does not close the descriptor when it refuses one, as it does a folder's.
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(bytes_max + 1)
    finally:
        os.close(descriptor)
    if len(content) > bytes_max:
        raise Full("FFD4001", f"{path} is larger than {bytes_max} bytes: it is not something this node may read whole")
    return content


def read_guarded(path: Path, bytes_max: int, secret: bool) -> bytes:
    """The same of a file that only this user, or root, may change, or for a secret read. Raises Invalid FFD1403."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        check_guarded(path, os.fstat(descriptor), secret)
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise Full("FFD4001", f"{path} is larger than {bytes_max} bytes: it is not something this node may read whole")
    return content


def check_guarded(path: Path, found: os.stat_result, secret: bool) -> None:
    """Raises Invalid FFD1403 when others have rights to a file that they must not have."""
    if not stat.S_ISREG(found.st_mode):
        raise Invalid("FFD1403", f"{path} is not a file: name one")
    if found.st_uid not in (0, os.getuid()):
        raise Invalid("FFD1403", f"{path} belongs to another user: give it to this user or to root")
    others = 0o022
    if secret:
        # The group of a file of root's is how an administrator or a service manager hands it to us alone.
        others |= 0o004 if found.st_uid == 0 else 0o044
    if found.st_mode & others:
        what = "read or changed" if secret else "changed"
        raise Invalid("FFD1403", f"{path} can be {what} by other users: take that right away, as chmod go= does")


def write_durably(path: Path, content: bytes, mode: int, nonce: str) -> None:
    """Put `content` at `path`: whole and synced, or not at all."""
    temporary = path.with_name(f".{path.name}.{nonce}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with ExitStack() as undone:
        undone.callback(temporary.unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
        undone.pop_all()
    sync_directory(path.parent)


def make_file(path: Path) -> ThreadSink:
    """A new file, locked while it is made."""
    with ExitStack() as undone:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        undone.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        undone.pop_all()
    return ThreadSink(path, descriptor)


def resume_file(path: Path) -> ThreadSink | None:
    """The file at `path`, made or gone on with; None while somebody else has it."""
    with ExitStack() as undone:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        undone.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        sink = ThreadSink(path, descriptor)
        sink.read_again()
        undone.pop_all()
    return sink


def make_within(path: Path, names: Sequence[str]) -> None:
    """Folders of these names are in `path`, and durable."""
    there = set(os.listdir(path)) if names else set()
    new = [name for name in names if name not in there]
    for name in new:
        (path / name).mkdir(mode=PRIVATE_DIRECTORY_MODE, exist_ok=True)
    if new:
        sync_directory(path)


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable: a file that was synced can still lose its name without this."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """No file is at `path` any more."""
    path.unlink(missing_ok=True)
