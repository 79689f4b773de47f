"""Three organisations on one machine: a real ffd each, one ledger, one shared storage, and an exchange between them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.node import Node, running
from bench.wire import Failed, Rest

NAMES = ("alice", "bob", "carol")
CONFIG = """
[org]
name = "{name}"
[node]
name = "node-{name}"
[ledgers.local.options]
path = "{folder}/ledger.db"
[storages.local.options]
path = "{folder}/storage"
[exchanges.local]
plugin = "https"
[exchanges.local.options]
port = {port}
"""
KNOWN_S = 30.0
POLL_S = 0.01


@contextmanager
def network(program: Sequence[str], folder: Path) -> Iterator[list[Node]]:
    """The nodes, each of which is registered and knows the others; all are stopped on every way out."""
    with ExitStack() as stack:
        nodes = []
        for name in NAMES:
            home = folder / name
            home.mkdir()
            (home / "ffd.toml").write_text(CONFIG.format(name=name, folder=folder, port=_free_port()))
            nodes.append(stack.enter_context(running(program, home, "--config", str(home / "ffd.toml"))))
        for node in nodes:
            _register(node)
        for node in nodes:
            _wait_all_known(node)
        yield nodes


def _free_port() -> int:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return int(end.getsockname()[1])


def _register(node: Node) -> None:
    with Rest(node.socket) as rest:
        for kind in ("organizations", "nodes"):
            rest.post(f"/api/v1/network/{kind}/self?confirm=true", {}, expected=200)


def _wait_all_known(node: Node) -> None:
    end = time.monotonic() + KNOWN_S
    with Rest(node.socket) as rest:
        while len(rest.get("/api/v1/network/nodes")) < len(NAMES):
            if time.monotonic() > end:
                raise Failed(f"a node does not know the others after {KNOWN_S:g} s")
            time.sleep(POLL_S)


def make_group(author: Node) -> str:
    """A group of all three, founded by a first message; its hash."""
    members = [{"identity": name} for name in NAMES]
    first = {"group": {"name": "bench", "members": members}, "data": [{"value": "first"}]}
    with Rest(author.socket) as rest:
        sent = rest.post("/api/v1/messages/private?confirm=true", first, expected=200)
    return str(sent["header"]["group"])
