"""The wires between nodes: whatever one says to another goes through here, and each wire can be cut or fall silent.

Every member has a door of its own that the others are told of, in front of the one it listens at. All of them are on
one machine, so whose a connection is the kernel is asked (proc(5), `/proc/net/tcp`).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PIECE_BYTES = 1 << 16
ACCEPTED_MAX = 64
HOST = "127.0.0.1"

Pids = Callable[[], Mapping[str, int]]
"""The process of each member that runs."""


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as end:
        end.bind((HOST, 0))
        return int(end.getsockname()[1])


class Wire:
    """What two members say to each other, either way."""

    def __init__(self) -> None:
        self._flows = threading.Event()
        self._flows.set()
        self._cut = False
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut(self) -> None:
        """All connections break, and new ones too."""
        with self._lock:
            self._cut = True
            for end in self._ends:
                _hang_up(end)

    def fall_silent(self) -> None:
        """All stay open, and nothing comes through."""
        self._flows.clear()

    def mend(self) -> None:
        """It is whole again, and what was held back comes through."""
        self._cut = False
        self._flows.set()

    def join(self, one: socket.socket, other: socket.socket) -> None:
        """Carry what either end says to the other one, until one hangs up."""
        with self._lock:
            self._ends |= {one, other}
            if self._cut:
                _hang_up(one)
                _hang_up(other)
        back = threading.Thread(target=self._carry, args=(other, one), daemon=True)
        back.start()
        self._carry(one, other)
        back.join()
        with self._lock:
            self._ends -= {one, other}
        one.close()
        other.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                self._flows.wait()
                target.sendall(piece)
        _hang_up(source)
        _hang_up(target)


class Links:
    """The wires of a network, and the doors before its members."""

    def __init__(self, pids: Pids) -> None:
        self._pids = pids
        self._wires: dict[frozenset[str], Wire] = {}
        self._doors: list[socket.socket] = []

    def wire(self, one: str, other: str) -> Wire:
        return self._wires.setdefault(frozenset((one, other)), Wire())

    def open_door(self, name: str, port: int) -> int:
        """A door for a member that listens at `port`; the port of the door."""
        door = socket.create_server((HOST, 0), backlog=ACCEPTED_MAX)
        self._doors.append(door)
        threading.Thread(target=self._serve, args=(door, name, port), daemon=True).start()
        return int(door.getsockname()[1])

    def close(self) -> None:
        """All doors are closed, and all wires cut."""
        for door in self._doors:
            _hang_up(door)
            door.close()
        for wire in self._wires.values():
            wire.mend()
            wire.cut()

    def _serve(self, door: socket.socket, name: str, port: int) -> None:
        with suppress(OSError):
            while True:
                caller, (_, at) = door.accept()
                threading.Thread(target=self._connect, args=(caller, at, name, port), daemon=True).start()

    def _connect(self, caller: socket.socket, at: int, name: str, port: int) -> None:
        who = owner_of(at, self._pids())
        if who is None:  # it was killed meanwhile
            caller.close()
            return
        try:
            other = socket.create_connection((HOST, port))
        except OSError:
            caller.close()
            return
        self.wire(who, name).join(caller, other)


def owner_of(port: int, pids: Mapping[str, int]) -> str | None:
    """Which of these processes has the TCP connection from this local port."""
    inode = _inode_of(port)
    return next((name for name, pid in pids.items() if inode and f"socket:[{inode}]" in _open_files(pid)), None)


def _inode_of(port: int) -> str | None:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return fields[9]
    return None


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(file))
    return found


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
