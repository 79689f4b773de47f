"""Connections that are many, slow, half open, or never read."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.hostile.target import API, BROADCAST, Target, in_background
from tests.hostile.wire import Heard, Where, ask, connect, frame, hear, request, upgrade
from tests.processes.node import until


def test_thousands_of_idle_connections_keep_nobody_out(target: Target) -> None:
    """The bound is 400; those who say nothing give way to those who ask, after their second."""
    with ExitStack() as stack:
        idle = []
        for _ in range(3000):
            with suppress(OSError):
                idle.append(stack.enter_context(connect(target.tcp)))
        until("TCP is served", lambda: served(target.tcp))
        for _ in range(20):
            target.check_alive(target.tcp)
            target.check_alive(target.node.socket)
    assert len(idle) > 2000


def served(where: Where) -> bool:
    with suppress(OSError):
        return ask(where, request("GET", "/livez", "Connection: close")).status == 200
    return False


def drip(where: Where, data: bytes, *, between_s: float, seconds: float, heard: list[Heard]) -> None:
    """Say it byte by byte, on many connections."""
    ends = [connect(where) for _ in range(100)]
    end_at = time.monotonic() + seconds
    for byte in data:
        if time.monotonic() > end_at:
            break
        for end in ends:
            with suppress(OSError):
                end.sendall(bytes([byte]))
        time.sleep(between_s)
    heard += [hear(end, 3) for end in ends]
    for end in ends:
        end.close()


@pytest.mark.parametrize(
    "data",
    [request("GET", "/livez"), b"GET /livez HTTP/1.1\r\n" + b"X-A: b\r\n" * 1000, b"\r\n" * 10_000],
    ids=["a head", "a head without end", "empty lines"],
)
def test_who_says_its_head_slowly_is_told_and_holds_up_nobody(target: Target, data: bytes) -> None:
    heard: list[Heard] = []
    attack = threading.Thread(
        target=drip, args=(target.tcp, data), kwargs={"between_s": 0.1, "seconds": 2, "heard": heard}
    )
    in_background(attack, target, seconds=2)
    assert {each.status for each in heard} <= {0, 400, 408, 503} and not any(each.open for each in heard)


def test_who_sends_its_body_slowly_holds_up_nobody(target: Target) -> None:
    heard: list[Heard] = []
    head = request("POST", BROADCAST, "Content-Type: application/json", "Content-Length: 100000")
    with ExitStack() as stack:
        ends = [stack.enter_context(connect(target.tcp)) for _ in range(200)]
        for end in ends:
            end.sendall(head + b"{")
        for _ in range(20):
            target.check_alive()
    assert heard == []


def test_half_open_connections_end(target: Target) -> None:
    whole = request("GET", "/livez")
    for where in target.doors:
        for part in (b"", whole[:10], request("POST", BROADCAST, "Content-Length: 10") + b"{"):
            assert not ask(where, part, within_s=5).open
        assert ask(where, whole, within_s=5).status == 200, "who has asked is answered"
        for part in (b"", whole[:10], whole, upgrade(), upgrade() + frame(1, b"{")[:3]):
            with connect(where) as end:
                end.sendall(part)
                if not isinstance(where, tuple):
                    continue
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset


def test_pipelined_requests_are_all_answered_in_order(target: Target) -> None:
    many = [request("GET", f"{API}/status" if n % 500 == 0 else "/livez") for n in range(1000)]
    answers: list[Heard] = []
    with connect(target.tcp) as end:
        reading = threading.Thread(target=lambda: answers.append(hear(end)))
        reading.start()
        end.sendall(b"".join(many))
        end.shutdown(socket.SHUT_WR)
        reading.join()
    assert answers[0].statuses == [200] * 1000


def test_who_asks_and_never_reads_is_held_up_alone(target: Target) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            end = stack.enter_context(connect(target.tcp))
            end.setblocking(False)
            with suppress(OSError):
                while True:
                    end.send(request("GET", f"{API}/status") * 100)
        for _ in range(10):
            target.check_alive()
