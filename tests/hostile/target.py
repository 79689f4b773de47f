"""The node that is attacked: what its configuration bounds, its two doors, and how it shows that it lives."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

from tests.hostile.wire import Heard, Where, ask, request, upgrade
from tests.processes.node import Node, Program

CONFIG = """
[http]
address = "127.0.0.1"
port = 0
open_loopback = true
[limits]
connections_max = 400
header_timeout_s = 1
idle_timeout_s = 5
"""
API = "/api/v1"
BROADCAST = f"{API}/messages/broadcast"
SUBSCRIPTIONS = f"{API}/subscriptions"
QUICK_S = 5.0
"""How long a hostile text may keep the node busy on a machine that does much else."""


class Target:
    """The node that is attacked, and its two doors."""

    def __init__(self, node: Node, daemon: Program) -> None:
        self.node = node
        self.daemon = daemon
        at = urlsplit(node.facts()["http"][0])
        self.tcp: Where = (at.hostname or "", at.port or 0)
        self.doors: tuple[Where, ...] = (node.socket, self.tcp)

    def check_alive(self, where: Where | None = None) -> None:
        """It takes a broadcast and confirms it, at once."""
        body = b'{"header":{"topics":["alive"]},"data":[{"value":"alive"}]}'
        heard = ask(where or self.tcp, request("POST", f"{BROADCAST}?confirm", "Connection: close", body=body))
        assert heard.status == 200 and b'"state":"confirmed"' in heard.raw, heard


def converse(where: Where, data: bytes, *, target: str = "/ws", within_s: float = 20) -> Heard:
    """Open a WebSocket, say this, and hear all until ffd closes it."""
    return ask(where, upgrade(target) + data, within_s=within_s, eof=False)


def in_background(attack: threading.Thread, target: Target, *, seconds: float) -> None:
    """While the attack goes on, others are served."""
    attack.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        target.check_alive()
    attack.join(30)
    assert not attack.is_alive()
