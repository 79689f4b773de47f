"""Who is at the other end of a connection, as the kernel says it."""

import struct
from dataclasses import dataclass
from typing import Any

import trio

_UCRED = struct.Struct("3i")
_SOL_SOCKET, _SO_PEERCRED = 1, 17  # Linux's; a name from the socket module would bring the module


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, on a Unix socket (as of `connect`; never decide by `pid`), else its address."""

    pid: int | None = None
    uid: int | None = None
    gid: int | None = None
    address: tuple[str, int] | None = None

    def __str__(self) -> str:
        if self.address is not None:
            return "{}:{}".format(*self.address)
        return "" if self.pid is None else f"pid {self.pid}, uid {self.uid}"


def peer_of(stream: trio.abc.Stream) -> Peer:
    """The peer of a stream of the kernel; nobody known for one in memory, or one that is gone already."""
    inner = getattr(stream, "transport_stream", stream)
    socket = getattr(inner, "socket", None)
    if socket is None:
        return Peer()
    try:
        return _unix(socket) if socket.family.name == "AF_UNIX" else Peer(address=socket.getpeername()[:2])
    except OSError:
        return Peer()


def _unix(socket: Any) -> Peer:
    pid, uid, gid = _UCRED.unpack(socket.getsockopt(_SOL_SOCKET, _SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid, gid)
