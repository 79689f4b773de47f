"""How much is measured, and where."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trio.lowlevel import enable_ki_protection

from bench.node import PROGRAM


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of each measurement; `messages` by messages a frame, times in seconds, rates in messages a second."""

    program: Sequence[str]
    messages: Mapping[int, int]
    pairs: int
    warm_up: int
    rates: Sequence[int]
    rate_s: float
    starts: int
    idle_s: float
    confirms: int
    catch_up: int
    subscriptions: int
    crowd_events: int
    large: int
    blob_mib: int
    listed: int


def quick(program: Sequence[str] = PROGRAM, large: int = 0) -> Plan:
    """Under a minute on an idle machine."""
    return Plan(
        program, {50: 10_000, 10: 5_000, 1: 3_000}, pairs=2, warm_up=500,
        rates=(100, 1_000, 3_000), rate_s=1.5, starts=3, idle_s=5.0, confirms=100, catch_up=20_000,
        subscriptions=1_000, crowd_events=5, large=large, blob_mib=128, listed=50_000,
    )  # fmt: skip


def full(program: Sequence[str] = PROGRAM, large: int = 0) -> Plan:
    """Some minutes, for figures to keep."""
    return Plan(
        program, {50: 50_000, 10: 30_000, 1: 15_000}, pairs=5, warm_up=2_000,
        rates=(100, 1_000, 3_000), rate_s=10.0, starts=11, idle_s=5.0, confirms=1_000, catch_up=200_000,
        subscriptions=1_000, crowd_events=11, large=large, blob_mib=1024, listed=1_000_000,
    )  # fmt: skip


def say(text: str) -> None:
    """What is being done, on stderr: stdout is the table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


@contextmanager
@enable_ki_protection
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards, short enough for a socket; TMPDIR says where, and so on which disk."""
    with tempfile.TemporaryDirectory(prefix="ffd-bench-") as name:
        yield Path(name)
