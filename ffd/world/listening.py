"""Listening sockets."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import trio

from ffd.model.errors import Conflict, FfdError, Invalid
from ffd.world.files import remove

SOCKET_PATH_MAX = 107  # sun_path, less its NUL: unix(7)
TCP_BACKLOG = 256
KEEPALIVE_IDLE_S, KEEPALIVE_BETWEEN_S, KEEPALIVE_PROBES = 60, 10, 6
"""A connection that says nothing is probed after so long; one that does not answer so many probes is lost."""


async def listen_unix(path: Path, *, mode: int, group: str = "") -> trio.SocketListener:
    """See `World.listen_unix`."""
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


async def listen_tcp(address: str, port: int) -> trio.SocketListener:
    """See `World.listen_tcp`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as undone:
        try:
            listening = trio.socket.socket(family, socket.SOCK_STREAM)
            undone.callback(listening.close)
            # A port that a daemon left just now is free again, though its last connections are still dying.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            notice_the_lost(listening)
            if address == "::":
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever the machine's default
            await listening.bind((address, port))
            listening.listen(TCP_BACKLOG)
        except OSError as error:
            raise _not_listening(address, port, error) from error
        undone.pop_all()
    return trio.SocketListener(listening)


def notice_the_lost(listening: trio.socket.SocketType) -> None:
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
    remove(path)


def _is_socket(path: Path) -> bool:
    """Is a socket at `path`, or nothing? Raises Conflict for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise Conflict("FFD1102", f"{path} exists and is not a socket: remove it or choose another socket path")
    return True
