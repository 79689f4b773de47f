"""The main job: one publisher, one durable consumer, all acknowledged; and all checked once the clock has stopped."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import trio

from bench.node import Node
from bench.wire import Failed, Frame, Rest, WebSocket, send_frames, text_frame

SUBSCRIPTIONS = "/api/v1/namespaces/default/subscriptions"
READ_AHEAD = 1_000
WINDOW_FRAMES = 64
"""Frames that the publisher has unanswered, as many as ffd allows a connection."""
STALLED_S = 60.0
SETTLE_POLL_S = 0.01


@dataclass(slots=True)
class Received:
    """What a consumer has heard, frame by frame."""

    references: list[str] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    """When each event came, on the monotonic clock."""
    cut_off: float = 0.0
    """When the last ack was on its way."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What one run of the main job took; `began` is on the monotonic clock, the rest in seconds."""

    messages: int
    began: float
    accepted_s: float
    acknowledged_s: float
    daemon_cpu_s: float
    client_cpu_s: float

    @property
    def rate(self) -> float:
        """Messages a second, from the first frame sent to the last ack."""
        return self.messages / self.acknowledged_s


def create_subscription(node: Node, name: str, *, first: str, tag: str = "") -> str:
    """A durable subscription to confirmed messages, of a tag or of all, in batches; gives its id."""
    with Rest(node.socket) as rest:
        made = rest.post(
            SUBSCRIPTIONS,
            {
                "name": name,
                "filter": {"events": "^message_confirmed$", "message": {"tag": tag and f"^{tag}$"}},
                "options": {"firstEvent": first, "batch": True, "readAhead": READ_AHEAD},
            },
            expected=201,
        )
    return str(made["id"])


@asynccontextmanager
async def consumer(node: Node, name: str) -> AsyncIterator[WebSocket]:
    """A connection on which the durable subscription `name` is started."""
    async with await WebSocket.open(node.socket) as ws:
        await ws.say({"type": "start", "namespace": "default", "name": name, "autoack": False})
        yield ws


async def consume(ws: WebSocket, received: Received, count: int) -> None:
    """Take `count` events in batches, and acknowledge each batch."""
    while len(received.references) < count:
        frames = await ws.receive()
        now = time.monotonic()
        await ws.send([text_frame(b'{"type":"ack","id":"%s"}' % frame.id.encode()) for frame in frames])
        for frame in frames:
            received.references += [event.reference for event in frame.events]
            received.sequences += [event.sequence for event in frame.events]
            received.at += [now] * len(frame.events)
    received.cut_off = time.monotonic()


async def publish(ws: WebSocket, frames: Sequence[bytes]) -> tuple[list[str], float]:
    """Send frames, `WINDOW_FRAMES` of them unanswered; the ids in order, and when the last one was accepted."""
    accepted: list[str] = []
    sent = answered = 0
    while answered < len(frames):
        if sent < (until := min(answered + WINDOW_FRAMES, len(frames))):
            await ws.send(frames[sent:until])
            sent = until
        for reply in await ws.receive():
            accepted += accepted_ids(reply)
            answered += 1
    return accepted, time.monotonic()


def accepted_ids(reply: Frame) -> list[str]:
    """The ids that an `accepted` frame gives. Raises Failed when a message was refused."""
    for each in reply.messages:
        if each.error:
            raise Failed(f"the daemon refused a message: {each.error}")
    return [each.id for each in reply.messages]


async def run_stream(node: Node, name: str, messages: int, per_frame: int, warm_up: int) -> Stream:
    """The main job once, on a subscription of its own. Raises Failed when anything is lost, doubled or late."""
    id = create_subscription(node, name, first="newest")
    async with consumer(node, name) as hearing, await WebSocket.open(node.socket) as sending:
        await _both(sending, hearing, send_frames(warm_up, per_frame), warm_up, node)
        frames = send_frames(messages, per_frame)
        gc.collect()
        gc.freeze()
        result = await _both(sending, hearing, frames, messages, node)
        gc.unfreeze()
        await wait_offset(node, id, result[1].sequences[-1])
    return result[0]


async def _both(
    sending: WebSocket, hearing: WebSocket, frames: Sequence[bytes], messages: int, node: Node
) -> tuple[Stream, Received]:
    received = Received()
    accepted: list[str] = []
    accepted_at = 0.0
    daemon_cpu_s, client_cpu_s, began = node.cpu_s(), time.process_time(), time.monotonic()

    async def send() -> None:
        nonlocal accepted, accepted_at
        accepted, accepted_at = await publish(sending, frames)

    with trio.move_on_after(STALLED_S + messages / 500) as patience:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(consume, hearing, received, messages)
    if patience.cancelled_caught:
        raise Failed(f"{len(received.references)} of {messages} messages were delivered before patience ended")
    stream = Stream(
        messages, began, accepted_at - began, received.cut_off - began,
        node.cpu_s() - daemon_cpu_s, time.process_time() - client_cpu_s,
    )  # fmt: skip
    check(accepted, received)
    return stream, received


def check(accepted: Sequence[str], received: Received) -> None:
    """One sender's messages are delivered each once and in the order accepted. Raises Failed."""
    if received.references != list(accepted):
        raise Failed("the events are not the accepted messages, each once and in order: this is a bug of ffd")
    if any(later <= earlier for earlier, later in zip(received.sequences, received.sequences[1:], strict=False)):
        raise Failed("the sequence of the events does not rise: this is a bug of ffd")


async def wait_offset(node: Node, id: str, sequence: int) -> None:
    """Until the offset of a subscription is on disk at or past `sequence`: the acks were taken."""
    with trio.move_on_after(STALLED_S), Rest(node.socket) as rest:
        while rest.get(f"{SUBSCRIPTIONS}/{id}?fetchstatus=true")["status"]["currentOffset"] < sequence:  # noqa: ASYNC110
            await trio.sleep(SETTLE_POLL_S)  # the condition is in another process
        return
    raise Failed(f"the offset of subscription {id} did not reach {sequence}: acknowledgements were lost")


def batches_made(state: Path) -> int:
    """How many batches the messages of a stopped node travelled in."""
    connection = apsw.Connection(str(state / "ffd.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("SELECT count(*) FROM batches").get)
    finally:
        connection.close()
