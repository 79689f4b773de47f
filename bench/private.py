"""Private messages: pinned, pipelined, in a group of three; beside broadcasts of one node in the same run."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import trio

from bench.figures import Figure, at_least, median_of
from bench.network import NAMES, make_group, network
from bench.node import Node, running
from bench.plan import Plan, say, scratch
from bench.stream import STALLED_S, Received, check, consume, consumer, create_subscription, publish, run_stream
from bench.wire import Failed, WebSocket, send_frames

PER_FRAME = 50
GROUP = f"private messages, a group of {len(NAMES)}, {PER_FRAME} messages a frame"
RATIO = at_least(1 / 3)
SUBSCRIPTION = "bench"


@dataclass(frozen=True, slots=True)
class Whispered:
    """What one run took, in seconds: until all was accepted, and until every member had acknowledged all."""

    messages: int
    accepted_s: float
    acknowledged_s: float
    daemons_cpu_s: float

    @property
    def rate(self) -> float:
        """Messages a second, from the first frame sent to the last ack of the last member."""
        return self.messages / self.acknowledged_s


async def measure_private(plan: Plan) -> list[Figure]:
    """A lone node's broadcasts and a group's private messages in turn; the ratio is the median of the pairs'."""
    alone, among = [], []
    messages = plan.messages[PER_FRAME]
    for pair in range(plan.pairs):
        with scratch() as folder, running(plan.program, folder) as node:
            alone.append(await run_stream(node, SUBSCRIPTION, messages, PER_FRAME, plan.warm_up))
        with scratch() as folder, network(plan.program, folder) as nodes:
            among.append(await whisper(nodes, messages, plan.warm_up))
        say(
            f"private messages, pair {pair + 1} of {plan.pairs}: {among[-1].rate:,.0f}/s on three nodes, "
            f"broadcasts {alone[-1].rate:,.0f}/s on one, ratio {among[-1].rate / alone[-1].rate:.2f}"
        )
    ratios = [private.rate / broadcast.rate for private, broadcast in zip(among, alone, strict=True)]
    cpu = [each.daemons_cpu_s / each.messages * 1e6 for each in among]
    return [
        median_of(GROUP, "accepted", [each.messages / each.accepted_s for each in among], "messages/s"),
        median_of(GROUP, "accepted -> acknowledged by all three", [each.rate for each in among], "messages/s"),
        median_of(GROUP, "broadcasts of one node", [each.rate for each in alone], "messages/s"),
        median_of(GROUP, "ratio private / broadcast", ratios, "", RATIO),
        median_of(GROUP, "CPU of the three daemons", cpu, "us/message"),
    ]


async def whisper(nodes: Sequence[Node], messages: int, warm_up: int) -> Whispered:
    """The first node sends to the group, and a durable consumer on each acknowledges all. Raises Failed."""
    group = make_group(nodes[0])
    for node in nodes:
        create_subscription(node, SUBSCRIPTION, first="newest", tag="bench")
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(consumer(node, SUBSCRIPTION)) for node in nodes]
        mouth = await stack.enter_async_context(await WebSocket.open(nodes[0].socket))
        await _stream(nodes, mouth, ears, send_frames(warm_up, PER_FRAME, group=group), warm_up)
        frames = send_frames(messages, PER_FRAME, group=group)
        gc.collect()
        gc.freeze()
        taken = await _stream(nodes, mouth, ears, frames, messages)
        gc.unfreeze()
    return taken


async def _stream(
    nodes: Sequence[Node], mouth: WebSocket, ears: Sequence[WebSocket], frames: Sequence[bytes], messages: int
) -> Whispered:
    received = [Received() for _ in ears]
    accepted: list[str] = []
    accepted_at = 0.0
    cpu_s, began = sum(node.cpu_s() for node in nodes), time.monotonic()

    async def send() -> None:
        nonlocal accepted, accepted_at
        accepted, accepted_at = await publish(mouth, frames)

    with trio.move_on_after(STALLED_S + messages / 200) as patience:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            for ear, heard in zip(ears, received, strict=True):
                nursery.start_soon(consume, ear, heard, messages)
    if patience.cancelled_caught:
        had = ", ".join(str(len(heard.references)) for heard in received)
        raise Failed(f"the members had {had} of {messages} private messages before patience ended")
    for heard in received:
        check(accepted, heard)
    last = max(heard.cut_off for heard in received)
    return Whispered(messages, accepted_at - began, last - began, sum(node.cpu_s() for node in nodes) - cpu_s)
