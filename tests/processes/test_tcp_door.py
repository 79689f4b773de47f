"""The door over TCP, as it is configured, found and refused."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.processes.node import PATIENCE_S, Answer, House, Node

OPEN = '[http]\naddress = "127.0.0.1"\nport = 0\nopen_loopback = true\n'


def url_of(node: Node) -> str:
    """Where the node says that it can be reached."""
    (url,) = node.facts()["http"]
    return str(url)


def ask(url: str, request: bytes) -> Answer:
    """What comes back for these bytes on a connection of their own."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=PATIENCE_S) as end:
        end.sendall(request)
        answer = b"".join(iter(lambda: end.recv(65_536), b""))
    return Answer(answer)


def get(url: str, target: str, *headers: str) -> Answer:
    lines = [f"GET {target} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Connection: close", *headers, "", ""]
    return ask(url, "\r\n".join(lines).encode())


def test_a_node_that_was_told_to_listens_on_a_free_port_and_names_it(node: Node) -> None:
    node.config.write_text(OPEN)
    daemon = node.start()
    url = url_of(node)
    assert daemon.logged(f"on {node.socket} and {url}")
    assert f"http          {url}\n" in node.ffctl().out
    node.broadcast("t", "the same on both")
    answer = get(url, "/api/v1/messages?fetchdata=true")
    assert answer.status == 200 and json.loads(answer.body)[0]["data"][0]["value"] == "the same on both"
    node.stop(daemon)


def test_a_node_that_was_told_nothing_has_no_tcp_door(node: Node) -> None:
    daemon = node.start()
    assert node.facts()["http"] == []
    node.stop(daemon)


def test_a_port_that_is_taken_is_named_and_the_next_start_is_as_ever(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node.config.write_text(OPEN.replace("port = 0", f"port = {port}"))
        done = node.launch().wait()
    told = f"ffd: FFD1107: port {port} of 127.0.0.1 is taken by another program: stop it, or set another http.port\n"
    assert (done.code, done.err) == (1, told)
    assert not node.socket.exists()
    for _ in range(2):  # the port of connections that just died, too
        daemon = node.start()
        assert get(f"http://127.0.0.1:{port}", "/livez").status == 200
        node.stop(daemon)


@contextmanager
def handed_over(address: str) -> Iterator[tuple[list[str], int, str]]:
    """A program that gives its successor a listener as a service manager does; the listener, and where it is."""
    with socket.create_server((address, 0)) as listening:
        script = f"""
import os, sys
os.dup2({listening.fileno()}, 3)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
os.execvp(sys.argv[1], sys.argv[1:])
"""
        port = listening.getsockname()[1]
        yield [sys.executable, "-c", script], listening.fileno(), f"http://127.0.0.1:{port}"


def test_a_listener_of_the_service_manager_is_served_beside_the_socket(node: Node) -> None:
    node.config.write_text("[http]\nopen_loopback = true\n")
    with handed_over("127.0.0.1") as (shim, descriptor, url):
        daemon = node.start(before=shim, pass_fds=[descriptor])
        assert url_of(node) == url
        assert get(url, "/readyz").status == 200
        node.stop(daemon)


def test_a_listener_of_the_service_manager_keeps_the_rules_too(node: Node) -> None:
    for address, why in (
        ("0.0.0.0", "0.0.0.0 is not a loopback address"),  # noqa: S104 - what is tested
        ("127.0.0.1", "without TLS every program of this machine could come in at 127.0.0.1"),
    ):
        with handed_over(address) as (shim, descriptor, _):
            done = node.launch(before=shim, pass_fds=[descriptor]).wait()
        assert done.code == 2 and done.err.startswith(f"ffd: FFD1109: {address}:"), done.err
        assert why in done.err and not node.socket.exists()


def test_two_nodes_have_a_door_each(house: House) -> None:
    nodes = [Node(house, name, config=OPEN) for name in ("one", "other")]
    daemons = [node.start() for node in nodes]
    assert len({url_of(node) for node in nodes}) == 2
    for node, daemon in zip(nodes, daemons, strict=True):
        node.stop(daemon)
