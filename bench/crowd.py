"""A thousand live tails: one event to all of them, and what each costs while it waits."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.figures import Figure, at_most, median_of
from bench.node import Node, running
from bench.plan import Plan, say, scratch
from bench.wire import HANDSHAKE, RECEIVE_BYTES, TEXT, Failed, cut, read, send_frames, text_frame

DESCRIPTORS = 512
"""File descriptors that both sides need beside the connections."""
PATIENCE_S = 30.0
PROBE_S = 1.0
KIB = 1 << 10
START = text_frame(
    msgspec.json.encode(
        {
            "type": "start", "namespace": "default", "ephemeral": True, "autoack": True,
            "filter": {"events": "^message_confirmed$"}, "options": {"firstEvent": "newest", "readAhead": 10},
        }
    )
)  # fmt: skip


class Crowd:
    """Many connections read by one selector, so that the clients cost the machine as little as they can."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._buffers: dict[socket.socket, bytearray] = {}
        self._heard: dict[socket.socket, str] = {}
        self._sender = self._connect()

    def join(self, count: int) -> None:
        """Open connections, each with an ephemeral subscription of its own."""
        for _ in range(count):
            sock = self._connect()
            sock.sendall(START)
            self._buffers[sock] = bytearray()
            self._selector.register(sock, selectors.EVENT_READ)

    def broadcast(self) -> str:
        """Send one message; its id, once it is accepted."""
        self._sender.sendall(send_frames(1, 1)[0])
        buffer = bytearray()
        while not (found := cut(buffer)):
            buffer += _received(self._sender)
        return read(*found[0]).messages[0].id

    def wait_all(self, reference: str, patience_s: float) -> bool:
        """Until every subscription has heard the message; False when one has not in time."""
        deadline = time.monotonic() + patience_s
        missing = sum(heard != reference for heard in self._heard.values()) + len(self._buffers) - len(self._heard)
        while missing:
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return False
            for key, _ in ready:
                if isinstance(key.fileobj, socket.socket):
                    missing -= self._take(key.fileobj, reference)
        return True

    def _take(self, sock: socket.socket, reference: str) -> bool:
        buffer = self._buffers[sock]
        buffer += _received(sock)
        new = False
        for opcode, payload in cut(buffer):
            if opcode == TEXT:
                found = msgspec.json.decode(payload, type=_Heard)
                self._heard[sock] = found.reference
                new = new or found.reference == reference
        return new

    def _connect(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.settimeout(PATIENCE_S)
        sock.connect(str(self._path))
        sock.sendall(HANDSHAKE)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += _received(sock)
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise Failed(f"the daemon refused a WebSocket: {answer[:80]!r}")
        return sock


class _Heard(msgspec.Struct):
    reference: str = ""


async def measure_crowd(plan: Plan) -> list[Figure]:
    """Time until all have one event, and memory for each subscription that waits."""
    with (
        _descriptors(plan.subscriptions + DESCRIPTORS),
        scratch() as folder,
        running(plan.program, folder) as node,
        ExitStack() as stack,
    ):
        say(f"{plan.subscriptions:,} live subscriptions")
        crowd = Crowd(node.socket, stack)
        _wait_live(crowd)
        before = node.rss()
        crowd.join(plan.subscriptions)
        _wait_live(crowd)
        each = (node.rss() - before) / plan.subscriptions / KIB
        taken = [_reach_all(crowd) * 1e3 for _ in range(plan.crowd_events)]
        return _figures(plan, taken, each, node)


def _figures(plan: Plan, taken: list[float], each: float, node: Node) -> list[Figure]:
    group = f"{plan.subscriptions:,} live subscriptions, a connection each"
    return [
        median_of(group, "one event: sent -> all have it", taken, "ms", at_most(250)),
        Figure(group, "memory for each while idle", each, "KiB", at_most(30)),
        Figure(group, "peak memory", node.peak_rss() / KIB / KIB, "MiB", at_most(250)),
    ]


def _wait_live(crowd: Crowd) -> None:
    """Until all hear what is sent: a start is not answered, so messages are sent until one reaches all."""
    deadline = time.monotonic() + PATIENCE_S
    while not crowd.wait_all(crowd.broadcast(), PROBE_S):
        if time.monotonic() > deadline:
            raise Failed(f"not every subscription heard a message within {PATIENCE_S:g} s of its start")


def _reach_all(crowd: Crowd) -> float:
    began = time.perf_counter()
    if not crowd.wait_all(crowd.broadcast(), PATIENCE_S):
        raise Failed(f"an event did not reach every subscription within {PATIENCE_S:g} s")
    return time.perf_counter() - began


def _received(sock: socket.socket) -> bytes:
    came = sock.recv(RECEIVE_BYTES)
    if not came:
        raise Failed("the daemon closed a connection: look at its log")
    return came


@contextmanager
def _descriptors(count: int) -> Iterator[None]:
    """Enough file descriptors for us and for the daemon, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise Failed(f"{count} file descriptors are needed and the hard limit is {hard}: raise it with `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
