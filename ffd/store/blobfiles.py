"""The bytes of blobs: one file each, named by its SHA-256, streamed in and out. One file serves all namespaces.

A file is in its place before its row is written, and goes after its last row went: so no row ever lacks its file. What
a crash leaves between the two is a file that nobody needs, and `sweep` removes it.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from ffd.model.errors import Away, Full, Invalid
from ffd.model.ids import parse_hash
from ffd.store import blobs
from ffd.store.blobs import BlobRow
from ffd.store.engine import Store
from ffd.store.partials import Partials
from ffd.store.transaction import Transaction
from ffd.world import FileSink, FileSource, World

MIB = 1 << 20
ROOM_CHECK_BYTES = 8 * MIB
SWEPT_AT_ONCE = 100
READ_MAX = 256
"""Blobs that are read at one time: each may hold a few pieces for a reader that stalls."""


@dataclass(frozen=True, slots=True)
class BlobLimits:
    """Beyond these a blob is refused while it comes in."""

    blob_bytes_max: int = 16 << 30
    disk_reserve_bytes: int = 64 * MIB


class BlobFiles:
    """The blobs of one node in `folder`. `limits` may be replaced at any time."""

    def __init__(self, world: World, store: Store, folder: Path, limits: BlobLimits = BlobLimits()) -> None:
        self.limits = limits
        self._world = world
        self._store = store
        self._folder = folder
        self._busy: dict[bytes, trio.Event] = {}
        self._read = 0
        world.make_directory(folder)
        world.remove_unfinished(folder)
        self._partials = Partials(world, folder)

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[Incoming]:
        """Take a blob in, piece by piece; what is not placed within the block is gone after it. Raises Full, Away."""
        self.check_room()
        with self._writing():
            sink = await self._world.create_file(self._folder)
        async with aclosing(sink):
            yield Incoming(self, sink)

    @asynccontextmanager
    async def resume(self, key: bytes, *, offset: int, hash: bytes | None = None) -> AsyncIterator[Incoming]:
        """Take in what follows the first `offset` bytes of a blob; what is not placed within the block is kept.

        `key` (32 bytes) is what the blob is called until it is whole; `hash` what it is if the sender has said so.
        Raises Away when not just so many bytes are here, or it is coming already; Full.
        """
        self.check_room()
        sink = await self._partials.take_up(key)
        async with aclosing(sink):
            if sink.size != offset:
                await sink.leave()
                raise Away("FFD3107", f"{sink.size} bytes of the blob are here, not {offset}: go on behind them")
            incoming = Incoming(self, sink, hash)
            try:
                yield incoming
            finally:
                with trio.CancelScope(shield=True), suppress(OSError):
                    await incoming.leave()

    async def kept(self, key: bytes) -> int:
        """How many bytes of the blob that is called `key` are here from tries that broke off."""
        return await self._partials.size(key)

    async def open(self, hash: bytes) -> Outgoing:
        """A blob to read, piece by piece, and to close then. Raises Away when it cannot be read, or too many are."""
        if self._read >= READ_MAX:
            raise Away("FFD3105", f"{READ_MAX} blobs are read at once: ask again later")
        with self._reading(hash):
            source = await self._world.open_file(self._path(hash))
        self._read += 1
        return Outgoing(self, hash, source)

    async def drop_unneeded(self, hash: bytes) -> None:
        """Remove a blob's file unless a namespace has a row for it."""
        async with self._alone_with(hash):
            await self._drop_unneeded(hash)

    async def sweep(self) -> None:
        """Remove the files that no row names: what was left by a crash between a file and its row."""
        for folder in self._names(self._folder):
            for number, name in enumerate(self._names(self._folder / folder)):
                if number % SWEPT_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
                hash = _hash_of(folder + name)
                if hash is not None and not self._is_needed(hash):
                    await self.drop_unneeded(hash)

    def _names(self, folder: Path) -> list[str]:
        with self._writing():
            return self._world.file_names(folder)

    def check_room(self) -> None:
        """Raises Full when the disk has no more room than its reserve."""
        free, reserve = self._world.disk_free(self._folder), self.limits.disk_reserve_bytes
        if free < reserve:
            raise Full(
                "FFD3002",
                f"{free // MIB} MiB are free on the disk of {self._folder}, and {reserve // MIB} MiB are kept for what "
                f"was accepted before: make room, then send again",
            )

    def check_placed(self, hash: bytes) -> None:
        """Raises Away when the blob's file is not in its place: another process of this node has just swept it."""
        if self._world.file_identity(self._path(hash)) is None:
            raise Away("FFD3104", f"blob {hash.hex()} was removed while it came in: send it again")

    async def _drop_unneeded(self, hash: bytes) -> None:
        if not self._is_needed(hash):
            with self._writing():
                await self._world.remove_large_file(self._path(hash))

    def _is_needed(self, hash: bytes) -> bool:
        return self._store.peek(lambda tx: blobs.is_anywhere(tx, hash))

    def _path(self, hash: bytes) -> Path:
        """One of 256 folders by the first two digits, each made with its first blob."""
        digits = hash.hex()
        return self._folder / digits[:2] / digits[2:]

    @asynccontextmanager
    async def _alone_with(self, hash: bytes) -> AsyncIterator[None]:
        """Nobody else of this process places or drops the blob within the block."""
        while hash in self._busy:
            await self._busy[hash].wait()
        self._busy[hash] = trio.Event()
        try:
            yield
        finally:
            self._busy.pop(hash).set()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Full("FFD3002", f"the disk of {self._folder} is full: make room, then send again") from error
            raise Away(
                "FFD3102", f"{self._folder} cannot be written ({error.strerror}): mend that, then send again"
            ) from error

    @contextmanager
    def _reading(self, hash: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Away(
                "FFD3103",
                f"blob {hash.hex()} cannot be read ({error.strerror}): restore {self._path(hash)}, or upload it again",
            ) from error


def _hash_of(name: str) -> bytes | None:
    """The hash that a file is named by; None for what somebody else put there."""
    try:
        return parse_hash(name)
    except Invalid:
        return None


class Incoming:
    """A blob that comes in; `size` in bytes so far."""

    def __init__(self, files: BlobFiles, sink: FileSink, hash: bytes | None = None) -> None:
        self._files = files
        self._sink = sink
        self._hash = hash
        self._wanted = True
        self._check_at = sink.size + ROOM_CHECK_BYTES

    @property
    def size(self) -> int:
        return self._sink.size

    async def write(self, piece: bytes) -> None:
        """Take the next piece. Raises Full beyond the limits, Away."""
        most = self._files.limits.blob_bytes_max
        if self._sink.size + len(piece) > most:
            raise Full("FFD3101", f"The blob is larger than {most} bytes: send a smaller one, or raise the limit")
        with self._files._writing():
            await self._sink.write(piece)
        if self._sink.size >= self._check_at:
            self._check_at = self._sink.size + ROOM_CHECK_BYTES
            self._files.check_room()

    async def finish(self) -> bytes:
        """The hash of all of it, which is on disk, under no name yet. Raises Full, Away.

        When it is not the one that was said, nothing of it is kept: what was kept before may be what is wrong.
        """
        with self._files._writing():
            found = await self._sink.finish()
        self._wanted = False
        if self._hash not in (None, found):
            raise Away(
                "FFD3108", f"the blob has the SHA-256 {found.hex()}, and not the one that was said: send it anew"
            )
        return found

    async def leave(self) -> None:
        """Keep what came of a blob that is not whole yet, for the next try. Raises OSError."""
        if self._wanted:
            await self._sink.leave()

    @asynccontextmanager
    async def placed(self, hash: bytes) -> AsyncIterator[None]:
        """In its place, as the file of `hash`, for a block that writes its row; gone again where it fails to."""
        files = self._files
        async with files._alone_with(hash):
            path = files._path(hash)
            with files._writing():
                files._world.make_directory(path.parent)
                await self._sink.keep(path)
            try:
                yield
            finally:
                with trio.CancelScope(shield=True):
                    await files._drop_unneeded(hash)

    def record(self, tx: Transaction, namespace: int, hash: bytes, now: int) -> None:
        """Write the row of a blob that is placed. Raises Away when it is not any more."""
        self._files.check_placed(hash)
        blobs.record(tx, namespace, BlobRow(hash, self._sink.size, now))


class Outgoing:
    """A blob that is read; `size` in bytes."""

    def __init__(self, files: BlobFiles, hash: bytes, source: FileSource) -> None:
        self.size = source.size
        self._files = files
        self._hash = hash
        self._source = source
        self._read = 0

    async def read(self) -> bytes:
        """The next piece; nothing at the end. Raises Away instead of the last one when the file was altered."""
        with self._files._reading(self._hash):
            piece = await self._source.read()
        self._read += len(piece)
        if self._read >= self.size and self._source.sha256() != self._hash:
            raise Away(
                "FFD3103",
                f"the file of blob {self._hash.hex()} was altered: restore it from a backup, or upload it again",
            )
        return piece

    async def aclose(self) -> None:
        self._files._read -= 1
        await self._source.aclose()
