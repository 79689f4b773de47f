"""The command line: which measurements, how large, and the table at the end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType

import trio

from bench.blob import measure_blob
from bench.crowd import measure_crowd
from bench.figures import Figure, environment, table, write_json
from bench.latency import measure_latency
from bench.life import measure_catch_up, measure_idle, measure_start
from bench.lists import measure_lists
from bench.plan import Plan, full, quick, say, scratch
from bench.private import measure_private
from bench.private_blob import measure_private_blob
from bench.throughput import measure_large, measure_throughput
from bench.wire import Failed

MEASUREMENTS: dict[str, Callable[[Plan], Awaitable[list[Figure]]]] = {
    "throughput": measure_throughput,
    "private": measure_private,
    "private-blob": measure_private_blob,
    "latency": measure_latency,
    "start": measure_start,
    "idle": measure_idle,
    "catch-up": measure_catch_up,
    "crowd": measure_crowd,
    "large": measure_large,
    "lists": measure_lists,
    "blob": measure_blob,
}
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def main() -> int:
    """Measure and print; 0 whether or not targets are met, 1 when something could not be measured."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell had it ignored
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    program = {} if arguments.ffd is None else {"program": (arguments.ffd,)}
    plan = (full if arguments.full else quick)(large=arguments.large, **program)
    wanted = arguments.only or list(MEASUREMENTS)
    began = time.monotonic()
    try:
        with scratch() as folder:
            where = environment(folder)
        say(where)
        figures, failures = _measure(plan, wanted)
    except KeyboardInterrupt:
        say("interrupted; every ffd was stopped and every folder removed")
        return EXIT_INTERRUPTED
    seconds = time.monotonic() - began
    print(f"ffd bench: {where}\n\n{table(figures)}\n\n{_verdict(figures)}, measured in {seconds:.0f} s")
    if arguments.json is not None:
        write_json(arguments.json, where, figures, seconds)
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return EXIT_FAILED if failures else 0


def _measure(plan: Plan, wanted: list[str]) -> tuple[list[Figure], list[str]]:
    """One measurement after the other; what fails is told, and the others go on."""
    figures: list[Figure] = []
    failures: list[str] = []
    for name in wanted:
        try:
            figures += trio.run(MEASUREMENTS[name], plan)
        except (Failed, OSError) as failure:
            failures.append(f"{name} could not be measured: {failure}")
        except BaseExceptionGroup as group:
            failures += [f"{name} could not be measured: {each}" for each in _failures(group)]
    return figures, failures


def _failures(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """What stopped a measurement, out of its nurseries. Raises KeyboardInterrupt, and bugs as they are."""
    if group.subgroup(KeyboardInterrupt) is not None:
        raise KeyboardInterrupt
    _, bugs = group.split((Failed, OSError))
    if bugs is not None:
        raise bugs
    return list(_leaves(group))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


def _verdict(figures: list[Figure]) -> str:
    judged = [figure for figure in figures if figure.met is not None]
    met = sum(bool(figure.met) for figure in judged)
    return f"{met} of {len(judged)} targets met"


def _as_interrupt(_number: int, frame: FrameType | None) -> None:
    # By way of Trio's handler while it runs, which raises only where nothing is left half done.
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measure ffd beside bare SQLite in the same run; see bench/README.md.",
        epilog="TMPDIR chooses the disk. Targets are told, never enforced: the exit code is 0 when all was measured.",
        allow_abbrev=False,
    )  # fmt: skip
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="under a minute on an idle machine (the default)")
    size.add_argument("--full", action="store_true", help="more runs of more messages: some minutes")
    parser.add_argument("--only", choices=list(MEASUREMENTS), action="append", help="only this; may be repeated")
    parser.add_argument("--large", type=int, default=0, metavar="N", help="also measure behind N stored messages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures and their runs to FILE")
    parser.add_argument("--ffd", metavar="PATH", help="measure this ffd (default: the one beside this Python)")
    return parser
