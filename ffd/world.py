"""The one seam to the world: clock, randomness and ids, databases, files, locks and listeners.

Everything in ffd that would differ between a real node and a simulated one goes through a `World`. Production uses
`RealWorld`; a simulation subclasses `World` with a seeded clock, a database that runs in line and may lose power at any
operation, and files that forget what was not synced. A lint rule keeps `time`, `random`, `uuid`, `os.urandom`, sockets
and `open` out of every other module of ffd.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import socket
import ssl
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw
import trio

from ffd.model.errors import Conflict, FfdError, Full, Invalid

T = TypeVar("T")

RANDOM_POOL_BYTES = 4096
SOCKET_PATH_MAX = 107  # sun_path, less its NUL: unix(7)
TCP_BACKLOG = 256
KEEPALIVE_IDLE_S, KEEPALIVE_BETWEEN_S, KEEPALIVE_PROBES = 60, 10, 6
"""A connection that says nothing is probed after so long; one that does not answer so many probes is lost."""
PRIVATE_DIRECTORY_MODE = 0o700
STATEMENTS_CACHED = 256
"""Prepared statements that a connection keeps; the cache is a ring, which each use of a statement turns by one."""
OPEN_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
OPEN_READ_ONLY = apsw.SQLITE_OPEN_READONLY
PIECE_BYTES = 128 * 1024
"""What is read of a file at once, and gathered before it is written: a trip to a thread costs some 50 us."""
SYNC_BYTES = 32 * 1024 * 1024
"""What may wait in the page cache while a large file is written: one sync of all of it would stall every other."""
READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A planted link must not lead out of the folder that the caller chose, nor may a pipe hold a thread."""
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

    async def aclose(self) -> None:
        """Let go of it; what was not kept is gone."""


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

    async def aclose(self) -> None:
        def close(left: Path | None) -> None:
            if left is not None:
                _remove(left)
            os.close(self._descriptor)

        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(close, self._path)


class FileLock:
    """flock(2) on an open file; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


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
        return await trio.to_thread.run_sync(_read_bounded, path, bytes_max)

    def names_in(self, folder: Path) -> list[str]:
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def read_now(self, path: Path, *, bytes_max: int) -> bytes | None:
        try:
            return _read_bounded(path, bytes_max)
        except (OSError, Full):
            return None

    async def read_guarded(self, path: Path, *, bytes_max: int, secret: bool) -> bytes:
        return await trio.to_thread.run_sync(_read_guarded, path, bytes_max, secret)

    async def tls_context(self, certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
        return await trio.to_thread.run_sync(_tls_context, certificate, key, client_ca)

    async def compute(self, work: Callable[..., T], *args: Any) -> T:
        return await trio.to_thread.run_sync(work, *args)

    async def write_file(self, path: Path, content: bytes, *, mode: int = 0o600, make_folder: bool = False) -> None:
        def write(nonce: str) -> None:
            if make_folder and not path.parent.exists():
                self.make_directory(path.parent)
            _write_durably(path, content, mode, nonce)

        # Not abandoned on cancel: a half-made file would be found by nobody, and the caller wants to know.
        await trio.to_thread.run_sync(write, self.entropy(8).hex())

    async def create_file(self, folder: Path) -> FileSink:
        return await trio.to_thread.run_sync(_make_file, folder / f"{UNFINISHED}{self.entropy(8).hex()}")

    async def open_file(self, path: Path) -> FileSource:
        def opened() -> FileSource:
            return ThreadSource(os.open(path, READ_FLAGS))

        return await trio.to_thread.run_sync(opened)

    def remove_unfinished(self, folder: Path) -> None:
        for path in folder.glob(f"{UNFINISHED}*"):
            lock = self.try_lock(path)
            if lock is not None:
                _remove(path)
                lock.release()

    def file_names(self, folder: Path) -> list[str]:
        return [name for name in os.listdir(folder) if not name.startswith(".")]

    def make_directory(self, path: Path, within: Sequence[str] = ()) -> None:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(mode=PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)
        for made in reversed(missing):
            # What is put into a folder is lost with the folder's own name. One may write where one may not read.
            with suppress(PermissionError):
                sync_directory(made.parent)
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or (found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX):
            raise Invalid(
                "FFD1104", f"folder {path} can be changed by other users: remove it, or choose another place for it"
            )
        _make_within(path, within)

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
        return FileLock(descriptor)

    def remove_file(self, path: Path) -> None:
        _remove(path)

    async def remove_large_file(self, path: Path) -> None:
        await trio.to_thread.run_sync(_remove, path)

    def inherited_listeners(self) -> list[trio.SocketListener]:
        inherited = [
            trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
            for descriptor in self._inherited
        ]
        for each in inherited:
            if each.socket.family != socket.AF_UNIX:
                _notice_the_lost(each.socket)
        return inherited

    async def listen_unix(self, path: Path, *, mode: int, group: str = "") -> trio.SocketListener:
        _check_socket_path(path)
        await _clear_stale_socket(path)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with ExitStack() as undone:
            undone.callback(listening.close)
            # umask rather than chmod: there is no moment at which others could connect.
            before = os.umask(0o777 & ~mode)
            try:
                await listening.bind(str(path))
            finally:
                os.umask(before)
            if group:
                shutil.chown(path, group=group)
            listening.listen(128)
            undone.pop_all()
        return trio.SocketListener(listening)

    async def listen_tcp(self, address: str, port: int) -> trio.SocketListener:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ExitStack() as undone:
            try:
                listening = trio.socket.socket(family, socket.SOCK_STREAM)
                undone.callback(listening.close)
                # A port that a daemon left just now is free again, though its last connections are still dying.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                _notice_the_lost(listening)
                if address == "::":
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever the machine's default
                await listening.bind((address, port))
                listening.listen(TCP_BACKLOG)
            except OSError as error:
                raise _not_listening(address, port, error) from error
            undone.pop_all()
        return trio.SocketListener(listening)


def _notice_the_lost(listening: trio.socket.SocketType) -> None:
    """Have the kernel end connections whose other machine is gone without a word; they inherit it of the listener."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_BETWEEN_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def _not_listening(address: str, port: int, error: OSError) -> FfdError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            "FFD1107", f"port {port} of {address} is taken by another program: stop it, or set another http.port"
        )
    return Invalid(
        "FFD1108",
        f"cannot listen on {address} port {port} ({error.strerror}): set http.address to an address of this machine, "
        "and http.port to one that this user may have",
    )


def _read_bounded(path: Path, bytes_max: int) -> bytes:
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


def _read_guarded(path: Path, bytes_max: int, secret: bool) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        _check_guarded(path, os.fstat(descriptor), secret)
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise Full("FFD4001", f"{path} is larger than {bytes_max} bytes: it is not something this node may read whole")
    return content


def _check_guarded(path: Path, found: os.stat_result, secret: bool) -> None:
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


def _tls_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    for path, secret in ((certificate, False), (key, True), (client_ca, False)):
        if path is not None:
            _check_guarded(path, path.stat(), secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # never asked for on the terminal
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except ssl.SSLError as error:
        named = f"{certificate} and {key}" + (f", with {client_ca}," if client_ca else "")
        raise Invalid(
            "FFD1404",
            f"{named} are not a certificate, its key without a password, and authorities, in PEM "
            f"({(error.reason or 'unreadable').lower().replace('_', ' ')}): name those that belong together",
        ) from error
    return context


def _write_durably(path: Path, content: bytes, mode: int, nonce: str) -> None:
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


def _make_file(path: Path) -> ThreadSink:
    with ExitStack() as undone:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        undone.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        undone.pop_all()
    return ThreadSink(path, descriptor)


def _make_within(path: Path, names: Sequence[str]) -> None:
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


def _check_socket_path(path: Path) -> None:
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_MAX:
        raise Invalid(
            "FFD1101", f"socket path {path} has {size} bytes, at most {SOCKET_PATH_MAX} fit: choose a shorter one"
        )


async def _clear_stale_socket(path: Path) -> None:
    """Remove what a killed ffd left at `path`; refuse to touch anything alive, or anything that is no socket."""
    if not _is_socket(path):
        return
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            await probe.connect(str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise
        else:
            raise Conflict("FFD1103", f"another daemon already listens on {path}: stop it, or give --socket PATH")
    _remove(path)


def _is_socket(path: Path) -> bool:
    """Is a socket at `path`, or nothing? Raises Conflict for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise Conflict("FFD1102", f"{path} exists and is not a socket: remove it or choose another socket path")
    return True


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
