"""A private blob: from the request that sends it to the moment at which both other members have it confirmed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio

from bench.blob import upload
from bench.figures import Figure, at_most, median_of
from bench.network import make_group, network
from bench.node import Node
from bench.plan import Plan, say, scratch
from bench.wire import Failed, Rest

MEBIBYTES = 10
GROUP = f"a private blob of {MEBIBYTES} MiB to two members"
TARGET = at_most(1.0)
PATIENCE_S, POLL_S = 60.0, 0.005


async def measure_private_blob(plan: Plan) -> list[Figure]:
    """The median of some, each with a message of its own; the first, which makes the connections, does not count."""
    await trio.lowlevel.checkpoint()
    say(GROUP)
    with scratch() as folder, network(plan.program, folder) as nodes:
        group = make_group(nodes[0])
        first, *taken = [whisper_blob(nodes, group) for _ in range(2 * plan.pairs + 2)]
        cpu = sum(node.cpu_s() for node in nodes)
        whisper_blob(nodes, group)
        cpu = sum(node.cpu_s() for node in nodes) - cpu
    return [
        Figure(GROUP, "sent -> confirmed by both, first", first, "s"),
        median_of(GROUP, "sent -> confirmed by both", taken, "s", TARGET),
        Figure(GROUP, "CPU of the three daemons", cpu, "s"),
    ]


def whisper_blob(nodes: Sequence[Node], group: str) -> float:
    """Send a blob to the group; how long it took until it was everywhere, in seconds. Raises Failed."""
    author, *others = nodes
    data = upload(author, MEBIBYTES)
    began = time.monotonic()
    with Rest(author.socket) as rest:
        sent = {"header": {"group": group}, "data": [{"id": data}]}
        message = str(rest.post("/api/v1/messages/private", sent, expected=202)["header"]["id"])
    for node in others:
        _wait_confirmed(node, message, began + PATIENCE_S)
    return time.monotonic() - began


def _wait_confirmed(node: Node, message: str, deadline: float) -> None:
    with Rest(node.socket) as rest:
        while not rest.get(f"/api/v1/messages?id={message}&state=confirmed"):
            if time.monotonic() > deadline:
                raise Failed(f"a private blob was not confirmed after {PATIENCE_S:g} s")
            time.sleep(POLL_S)
