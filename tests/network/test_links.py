"""The wires themselves: what goes through, what does not, and whose it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.network.links import HOST, Links, Wire, owner_of

SHORT_S = 0.2


@pytest.fixture
def links() -> Iterator[Links]:
    """The caller is alice."""
    found = Links(lambda: {"alice": os.getpid()})
    yield found
    found.close()


@pytest.fixture
def bob() -> Iterator[int]:
    """Somebody who says all that he hears, in capitals; the port he listens at."""
    with socket.create_server((HOST, 0)) as door:

        def answer(end: socket.socket) -> None:
            with end:
                while heard := end.recv(100):
                    end.sendall(heard.upper())

        def serve() -> None:
            while True:
                try:
                    end, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(end,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def call(links: Links, bob: int) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, links.open_door("bob", bob)), timeout=10) as end:
        yield end


def ask(end: socket.socket, text: bytes) -> bytes:
    end.sendall(text)
    return end.recv(100)


def test_a_wire_carries_both_ways(call: socket.socket) -> None:
    assert ask(call, b"tea") == b"TEA"


def test_a_wire_that_is_cut_breaks_what_is_open_and_what_is_new(links: Links, bob: int, call: socket.socket) -> None:
    assert ask(call, b"tea") == b"TEA"
    links.wire("bob", "alice").cut()
    assert call.recv(100) == b""
    door = links.open_door("bob", bob)
    with socket.create_connection((HOST, door), timeout=10) as again:
        assert again.recv(100) == b""
    links.wire("alice", "bob").mend()
    with socket.create_connection((HOST, door), timeout=10) as again:
        assert ask(again, b"cake") == b"CAKE"


def test_a_silent_wire_holds_back_and_lets_go(links: Links, call: socket.socket) -> None:
    assert ask(call, b"tea") == b"TEA"
    links.wire("alice", "bob").fall_silent()
    call.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        ask(call, b"cake")
    links.wire("alice", "bob").mend()
    call.settimeout(10)
    assert call.recv(100) == b"CAKE"


def test_another_pairs_wire_is_another_one(links: Links, call: socket.socket) -> None:
    links.wire("carol", "bob").cut()
    assert ask(call, b"tea") == b"TEA"
    assert isinstance(links.wire("carol", "alice"), Wire)


def test_whose_a_connection_is_the_kernel_knows(bob: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with socket.create_connection((HOST, bob)) as end:
            port = end.getsockname()[1]
            assert owner_of(port, {"other": other.pid, "alice": os.getpid()}) == "alice"
            assert owner_of(port, {"other": other.pid}) is None
        other.communicate()
