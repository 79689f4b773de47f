"""What a node may ask of its surroundings, and what it is given."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw
import trio

T = TypeVar("T")

RANDOM_POOL_BYTES = 4096
UNFINISHED = ".unfinished-"
"""How the name of a file in the making begins."""


class Database(Protocol):
    """One connection to one SQLite file, and the hop to where its blocking work runs.

    The connection is synchronous. It may be used right here, in the event loop, for work that does not wait for the
    disk while nothing of `run` is under way.
    """

    connection: apsw.Connection

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run the plain function `work` whole, off the event loop, in one hop."""

    async def aclose(self) -> None:
        """Close the connection."""


class Lock(Protocol):
    """A held OS lock; it ends with the process, at once, with no clock involved."""

    def release(self) -> None: ...


class FileSource(Protocol):
    """An open file, read from its beginning to its end. It stays readable when its name is gone."""

    size: int

    async def read(self) -> bytes:
        """The next piece; nothing at the end. Raises OSError."""

    def sha256(self) -> bytes:
        """The hash of what was read so far."""

    async def aclose(self) -> None: ...


class FileSink(Protocol):
    """A file in the making: it is there whole, under its name, or not at all. Every method may raise OSError."""

    size: int

    async def write(self, piece: bytes) -> None:
        """Add a piece at the end."""

    async def finish(self) -> bytes:
        """The SHA-256 of all that was written, which is on disk when this returns."""

    async def keep(self, path: Path) -> None:
        """Give the finished file its name, in a folder that exists; on disk when this returns."""

    async def leave(self) -> None:
        """Let go of it without a name, so that `resume_file` finds what was written; on disk when this returns."""

    async def aclose(self) -> None:
        """Let go of it; what was neither kept nor left is gone."""


class World(ABC):
    """What a node may ask of its surroundings."""

    def __init__(self) -> None:
        self._pool = b""
        self._pool_used = 0
        self._id_ms = 0
        self._id_count = 0

    @abstractmethod
    def now(self) -> int:
        """Wall clock in nanoseconds since 1970, UTC. It is shown and recorded; no order or lease depends on it."""

    @abstractmethod
    def entropy(self, size: int) -> bytes:
        """`size` bytes fit for keys."""

    @abstractmethod
    async def open_database(self, path: Path, *, read_only: bool = False) -> Database:
        """A connection with its own worker. Raises apsw.CantOpenError and its kin."""

    @abstractmethod
    def connect(self, path: Path) -> apsw.Connection:
        """A read-only connection used in the event loop, for indexed reads as short as a checkpoint."""

    @abstractmethod
    async def read_file(self, path: Path, *, bytes_max: int) -> bytes:
        """The content of `path`, at most `bytes_max` bytes. Raises FileNotFoundError, Full beyond the limit."""

    @abstractmethod
    def names_in(self, folder: Path) -> list[str]:
        """The names of what is in `folder`; none when it is not there. A look in the event loop: for small folders."""

    @abstractmethod
    def read_now(self, path: Path, *, bytes_max: int) -> bytes | None:
        """The content of a small file, in the event loop; None when it cannot be read or is larger."""

    @abstractmethod
    async def read_guarded(self, path: Path, *, bytes_max: int, secret: bool) -> bytes:
        """The content of a file that nobody but its owner, this user or root, can change; links are followed.

        One that is `secret` nobody else may read, but the group of a file of root's. Raises OSError, Full, Invalid
        FFD1403.
        """

    @abstractmethod
    async def tls_context(self, certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
        """What a TLS server needs: TLS 1.2 or newer, HTTP/1.1; clients may show a certificate that `client_ca` signed.

        Raises OSError, and Invalid FFD1403 as `read_guarded`, FFD1404 when the files hold no certificate and its key.
        """

    @abstractmethod
    def mutual_tls(self, certificate: Path, key: Path, trusted: Sequence[bytes], *, listening: bool) -> ssl.SSLContext:
        """What one end of TLS needs where each end proves that it is one of those who are `trusted` (DER).

        A name in a certificate means nothing here, and who signed it neither. Raises as `tls_context`.
        """

    @abstractmethod
    async def compute(self, work: Callable[..., T], *args: Any) -> T:
        """Run a plain function that only thinks, and long, beside the event loop."""

    @abstractmethod
    async def write_file(self, path: Path, content: bytes, *, mode: int = 0o600, make_folder: bool = False) -> None:
        """Put `content` at `path`: whole, under its name and on disk when this returns, or not at all.

        `make_folder` makes its folder first, as `make_directory` does, if it is not there.
        """

    @abstractmethod
    async def create_file(self, folder: Path) -> FileSink:
        """A file in the making in `folder`, on whose file system it will be kept. Raises OSError."""

    @abstractmethod
    async def resume_file(self, path: Path) -> FileSink | None:
        """A file in the making that may be left and taken up again at `path`, with what is there; None while somebody
        else makes it. After a crash that was no power cut all that was written is there. Raises OSError.
        """

    @abstractmethod
    async def open_file(self, path: Path) -> FileSource:
        """The file at `path`, to read. Raises OSError."""

    @abstractmethod
    def remove_unfinished(self, folder: Path) -> None:
        """What a crash left of files in the making in `folder` is gone; those that somebody is making stay."""

    @abstractmethod
    def file_names(self, folder: Path) -> list[str]:
        """The names of what lies in `folder`, hidden ones apart."""

    @abstractmethod
    def make_directory(self, path: Path, within: Sequence[str] = ()) -> None:
        """`path` exists when this returns, with the folders `within`, and no stranger can change what is in it.

        Raises Invalid.
        """

    @abstractmethod
    def disk_free(self, path: Path) -> int:
        """Bytes that this user may still write on the file system of `path`."""

    @abstractmethod
    def file_identity(self, path: Path) -> tuple[int, int] | None:
        """Which file is at `path` (device, inode); None when there is none."""

    @abstractmethod
    def try_lock(self, path: Path) -> Lock | None:
        """Take the lock at `path` if nobody holds it."""

    @abstractmethod
    def remove_file(self, path: Path) -> None:
        """`path` is gone when this returns, whether or not it was there."""

    @abstractmethod
    async def remove_large_file(self, path: Path) -> None:
        """As `remove_file`, away from the event loop: to free many blocks takes long."""

    @abstractmethod
    async def listen_unix(self, path: Path, *, mode: int, group: str = "") -> trio.SocketListener:
        """Listen at `path`. Raises Conflict when something alive listens there already."""

    @abstractmethod
    async def listen_tcp(self, address: str, port: int) -> trio.SocketListener:
        """Listen at an IP address; port 0 is any free one. Raises Conflict when the port is taken, else Invalid."""

    @abstractmethod
    async def connect_tcp(self, host: str, port: int) -> trio.SocketStream:
        """A connection to a name or an IP address. Raises OSError."""

    @abstractmethod
    def inherited_listeners(self) -> list[trio.SocketListener]:
        """The listening sockets that a service manager opened for this process (sd_listen_fds(3))."""

    def new_id(self) -> bytes:
        """A fresh UUIDv7 (RFC 9562, method 1: a counter inside the millisecond), greater than every one before it.

        Time-ordered ids keep index inserts at the right edge of the tree; the clock may step back, the ids do not.
        """
        ms = self.now() // 1_000_000
        if ms > self._id_ms:
            self._id_ms, self._id_count = ms, 0
        elif self._id_count < 0xFFF:
            self._id_count += 1
        else:
            self._id_ms, self._id_count = self._id_ms + 1, 0
        lead = self._id_ms << 16 | 0x7000 | self._id_count
        return lead.to_bytes(8, "big") + self._random_tail()

    def _random_tail(self) -> bytes:
        """The last 8 bytes of an id: the variant of RFC 9562, then 62 random bits."""
        used = self._pool_used
        if used + 8 > len(self._pool):
            # The top two bits of each tail are set here, for the whole pool at once.
            pool = bytearray(self.entropy(RANDOM_POOL_BYTES))
            pool[::8] = bytes([0x80 | byte & 0x3F for byte in pool[::8]])
            self._pool, used = bytes(pool), 0
        self._pool_used = used + 8
        return self._pool[used : used + 8]
