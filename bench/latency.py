"""How long a message takes: at fixed rates, and one at a time by REST."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import msgspec
import trio

from bench.figures import Figure, at_most, percentiles
from bench.node import Node, running
from bench.plan import Plan, say, scratch
from bench.stream import STALLED_S, Received, accepted_ids, check, consume, consumer, create_subscription, run_stream
from bench.wire import Failed, Rest, WebSocket, message, send_frames

BROADCAST = "/api/v1/namespaces/default/messages/broadcast?confirm=true"
CONFIRM_TARGETS = {50: at_most(5), 99: at_most(20)}
WARM_CONFIRMS = 20


@dataclass(slots=True)
class _Replies:
    """The ids of accepted messages in order, and when each was known to be accepted."""

    ids: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)


async def measure_latency(plan: Plan) -> list[Figure]:
    """Percentiles at each rate, and of the confirmed round trip."""
    found: list[Figure] = []
    with scratch() as folder, running(plan.program, folder) as node:
        await run_stream(node, "warm-up", plan.warm_up, 1, plan.warm_up)
        for rate in plan.rates:
            found += await _at_rate(node, rate, max(rate, round(rate * plan.rate_s)))
        found += _confirmed(node, plan.confirms)
    return found


async def _at_rate(node: Node, rate: int, count: int) -> list[Figure]:
    """One message a frame, each sent at its time whether or not the ones before are answered.

    A latency counts from when its message was due, so that a stall is paid by all that came into it.
    """
    say(f"{count:,} messages at {rate:,}/s")
    name = f"rate-{rate}"
    create_subscription(node, name, first="newest")
    frames, received, replies = send_frames(count, 1), Received(), _Replies()
    async with consumer(node, name) as hearing, await WebSocket.open(node.socket) as sending:
        with trio.move_on_after(STALLED_S + 10 * count / rate) as patience:
            async with trio.open_nursery() as nursery:
                began = trio.current_time()
                offset = time.monotonic() - began
                nursery.start_soon(_send_on_time, sending, frames, began, rate)
                nursery.start_soon(_take_replies, sending, replies, count)
                nursery.start_soon(consume, hearing, received, count)
    if patience.cancelled_caught:
        raise Failed(f"{len(received.references)} of {count} messages at {rate}/s were delivered in time")
    check(replies.ids, received)
    due = [began + offset + n / rate for n in range(count)]
    group = f"latency at {rate:,} messages/s"
    return [
        *percentiles(group, "send -> accepted", [at - since for at, since in zip(replies.at, due, strict=True)]),
        *percentiles(group, "send -> delivered", [at - since for at, since in zip(received.at, due, strict=True)]),
    ]


async def _send_on_time(ws: WebSocket, frames: list[bytes], began: float, rate: int) -> None:
    sent = 0
    while sent < len(frames):
        await trio.sleep_until(began + sent / rate)
        until = min(len(frames), math.floor((trio.current_time() - began) * rate) + 1)
        if until > sent:
            await ws.send(frames[sent:until])
            sent = until


async def _take_replies(ws: WebSocket, replies: _Replies, count: int) -> None:
    while len(replies.ids) < count:
        frames = await ws.receive()
        now = time.monotonic()
        for frame in frames:
            ids = accepted_ids(frame)
            replies.ids += ids
            replies.at += [now] * len(ids)


def _confirmed(node: Node, count: int) -> list[Figure]:
    """POST with confirm=true, one after the other on one connection: from the request to the confirmed message."""
    say(f"{count:,} confirmed round trips")
    taken: list[float] = []
    with Rest(node.socket) as rest:
        for number in range(WARM_CONFIRMS + count):
            body = msgspec.json.encode(message(number))
            began = time.perf_counter()
            status, answer = rest.ask("POST", BROADCAST, body)
            taken.append(time.perf_counter() - began)
            if status != 200:
                raise Failed(f"a confirmed broadcast was answered by {status}: {answer[:200].decode(errors='replace')}")
    return percentiles("confirmed round trip by REST, one client", "POST", taken[WARM_CONFIRMS:], CONFIRM_TARGETS)
