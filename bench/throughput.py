"""Throughput of the main job, pair by pair beside the baseline."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from bench.bare import Bare, Recording, play, record
from bench.figures import Figure, Target, at_least, at_most, median_of
from bench.node import running
from bench.plan import Plan, say, scratch
from bench.stream import Stream, batches_made, run_stream

RATES = {50: at_least(8_000), 10: None, 1: at_least(3_000)}
"""Messages a frame, and what the first version must reach."""
RATIO = at_least(0.5)
PEAK = at_most(250)
MIB = 1 << 20


@dataclass(slots=True)
class Runs:
    """The pairs of one frame size."""

    streams: list[Stream] = field(default_factory=list)
    bares: list[Bare] = field(default_factory=list)
    batch_sizes: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


async def measure_throughput(plan: Plan) -> list[Figure]:
    """The main job and the baseline in turn, for each frame size."""
    with scratch() as folder:
        say("recording what ffd asks of SQLite")
        recording = await record(folder, plan.messages[50], 50, plan.warm_up)
        found: list[Figure] = []
        for per_frame, target in RATES.items():
            found += _figures(per_frame, target, await _pairs(plan, recording, per_frame, folder))
    return found


async def _pairs(plan: Plan, recording: Recording, per_frame: int, folder: Path) -> Runs:
    runs = Runs()
    for pair in range(plan.pairs):
        await trio.lowlevel.checkpoint()
        bare = play(recording, folder)
        stream = await _run(plan, per_frame, runs)
        runs.bares.append(bare)
        runs.streams.append(stream)
        say(
            f"{per_frame} a frame, pair {pair + 1} of {plan.pairs}: ffd {stream.rate:,.0f}/s, "
            f"bare SQLite {bare.rate:,.0f}/s, ratio {stream.rate / bare.rate:.2f}"
        )
    return runs


async def _run(plan: Plan, per_frame: int, runs: Runs) -> Stream:
    messages = plan.messages[per_frame]
    with scratch() as folder:
        with running(plan.program, folder) as node:
            stream = await run_stream(node, "bench", messages, per_frame, plan.warm_up)
            runs.peaks.append(node.peak_rss() / MIB)
            state = node.state
        runs.batch_sizes.append((messages + plan.warm_up) / batches_made(state))
    return stream


def _figures(per_frame: int, target: Target | None, runs: Runs) -> list[Figure]:
    group = f"main job, {per_frame} message{'s' if per_frame > 1 else ''} a frame"
    streams, bares = runs.streams, runs.bares
    ratios = [stream.rate / bare.rate for stream, bare in zip(streams, bares, strict=True)]
    return [
        median_of(group, "accepted", [s.messages / s.accepted_s for s in streams], "messages/s"),
        median_of(group, "accepted -> delivered -> acknowledged", [s.rate for s in streams], "messages/s", target),
        median_of(group, "bare SQLite, same rows", [bare.rate for bare in bares], "messages/s"),
        median_of(group, "ratio ffd / bare SQLite", ratios, "", RATIO if per_frame == 50 else None),
        median_of(group, "CPU of the daemon", _each(streams, "daemon_cpu_s"), "us/message"),
        median_of(group, "CPU of the clients", _each(streams, "client_cpu_s"), "us/message"),
        median_of(group, "CPU of bare SQLite", [bare.cpu_s / bare.messages * 1e6 for bare in bares], "us/message"),
        median_of(group, "ratio by CPU, bare SQLite / daemon", _cpu_ratios(runs), ""),
        median_of(group, "messages a batch", runs.batch_sizes, "messages"),
        Figure(group, "peak memory", max(runs.peaks), "MiB", PEAK, tuple(runs.peaks)),
    ]


def _cpu_ratios(runs: Runs) -> list[float]:
    """The same ratio of CPU alone, which other work on the machine disturbs least."""
    return [
        (bare.cpu_s / bare.messages) / (stream.daemon_cpu_s / stream.messages)
        for stream, bare in zip(runs.streams, runs.bares, strict=True)
    ]


def _each(streams: Sequence[Stream], name: str) -> list[float]:
    return [float(getattr(stream, name)) / stream.messages * 1e6 for stream in streams]


async def measure_large(plan: Plan) -> list[Figure]:
    """The cost of a message beside an empty database, and behind `plan.large` messages, in turn."""
    if not plan.large:
        return []
    group = f"main job behind {plan.large:,} messages"
    empty, large = Runs(), []
    with scratch() as folder:
        with running(plan.program, folder) as node:
            say(f"filling a database with {plan.large:,} messages")
            await run_stream(node, "fill", plan.large, 50, plan.warm_up)
        for pair in range(plan.pairs):
            empty.streams.append(await _run(plan, 50, empty))
            with running(plan.program, folder) as node:
                large.append(await run_stream(node, f"pair-{pair}", plan.messages[50], 50, plan.warm_up))
    alone = statistics.median(_each(empty.streams, "daemon_cpu_s"))
    costs = [cost / alone for cost in _each(large, "daemon_cpu_s")]
    return [
        median_of(group, "accepted -> delivered -> acknowledged", [s.rate for s in large], "messages/s"),
        median_of(group, "CPU of a message, of that in an empty database", costs, "", at_most(1.3)),
    ]
