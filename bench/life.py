"""Starting, idling, and catching up."""

from __future__ import annotations

import time

import trio

from bench.figures import Figure, at_least, at_most, median_of
from bench.node import running
from bench.plan import Plan, say, scratch
from bench.stream import Received, consume, consumer, create_subscription, run_stream

MIB = 1 << 20
READY = at_most(500)


async def measure_start(plan: Plan) -> list[Figure]:
    """From the start of the process to its first 200 on /readyz: with nothing there, and with what it left."""
    say(f"{plan.starts} starts")
    fresh: list[float] = []
    again: list[float] = []
    for _ in range(plan.starts):
        await trio.lowlevel.checkpoint()  # Ctrl-C comes through here
        with scratch() as folder:
            for taken in (fresh, again):
                with running(plan.program, folder) as node:
                    taken.append(node.ready_s * 1e3)
    return [
        median_of("start to ready", "first start, empty state", fresh, "ms", READY),
        median_of("start to ready", "later start", again, "ms", READY),
    ]


async def measure_idle(plan: Plan) -> list[Figure]:
    """What a daemon costs that has worked a little and has nothing to do."""
    with scratch() as folder, running(plan.program, folder) as node:
        idle = node.rss() / MIB
        await run_stream(node, "warm-up", plan.warm_up, 50, plan.warm_up)
        say(f"idle for {plan.idle_s:g} s")
        cpu_s, began = node.cpu_s(), time.monotonic()
        await trio.sleep(plan.idle_s)
        used = (node.cpu_s() - cpu_s) / (time.monotonic() - began) * 100
        return [
            Figure("idle", "memory after the start", idle, "MiB", at_most(60)),
            Figure("idle", f"memory after {2 * plan.warm_up:,} messages", node.rss() / MIB, "MiB"),
            Figure("idle", f"CPU over {plan.idle_s:g} s", used, "% of a core", at_most(0.5)),
        ]


async def measure_catch_up(plan: Plan) -> list[Figure]:
    """A subscription that begins at the oldest event, on a daemon that was just started and remembers none."""
    with scratch() as folder:
        with running(plan.program, folder) as node:
            say(f"{plan.catch_up:,} messages to catch up with")
            await run_stream(node, "load", plan.catch_up, 50, plan.warm_up)
        with running(plan.program, folder) as node:
            create_subscription(node, "late", first="oldest")
            received = Received()
            cpu_s, began = node.cpu_s(), time.monotonic()
            async with consumer(node, "late") as hearing:
                await consume(hearing, received, plan.catch_up)
            used, peak = node.cpu_s() - cpu_s, node.peak_rss() / MIB
    rate = plan.catch_up / (received.cut_off - began)
    group = "catch-up of an old subscription, in batches"
    return [
        Figure(group, "delivered and acknowledged", rate, "events/s", at_least(40_000)),
        Figure(group, "CPU of the daemon", used / plan.catch_up * 1e6, "us/event"),
        Figure(group, "peak memory", peak, "MiB", at_most(250)),
    ]
