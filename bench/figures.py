"""What was measured: figures with their units and targets, and the one table of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw

FSYNCS = 50
PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """What design and issue ask for: `value` at most, or at least."""

    value: float
    at_least: bool

    def met(self, measured: float) -> bool:
        """Does a measured value reach it?"""
        return measured >= self.value if self.at_least else measured <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {shown(self.value)}"


def at_least(value: float) -> Target:
    return Target(value, at_least=True)


def at_most(value: float) -> Target:
    return Target(value, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `runs` are the single values behind a median."""

    group: str
    name: str
    value: float
    unit: str
    target: Target | None = None
    runs: Sequence[float] = ()

    @property
    def met(self) -> bool | None:
        """Is the target met? None where there is none."""
        return None if self.target is None else self.target.met(self.value)


def median_of(group: str, name: str, runs: Sequence[float], unit: str, target: Target | None = None) -> Figure:
    """The median of several runs."""
    return Figure(group, name, statistics.median(runs), unit, target, tuple(runs))


def percentiles(
    group: str, name: str, values: Sequence[float], targets: dict[int, Target] | None = None
) -> list[Figure]:
    """p50, p95 and p99 of seconds, in milliseconds."""
    rising = sorted(values)
    return [
        Figure(group, f"{name} p{part}", percentile(rising, part) * 1e3, "ms", (targets or {}).get(part))
        for part in (50, 95, 99)
    ]


def percentile(rising: Sequence[float], part: int) -> float:
    """The value that `part` percent of the sorted values do not exceed."""
    return rising[min(len(rising) - 1, max(0, -(-len(rising) * part // 100) - 1))]


def shown(value: float) -> str:
    """Three significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(figures: Iterable[Figure]) -> str:
    """The figures as text: group by group, the target beside each, and whether it is met."""
    rows = [("", "value", "unit", "target", "")]
    group = None
    for figure in figures:
        if figure.group != group:
            group = figure.group
            rows.append((group, "", "", "", ""))
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        rows.append((f"  {figure.name}", shown(figure.value), figure.unit, str(figure.target or ""), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}  {target:>{widths[3]}}  {verdict}".rstrip()
        for name, value, unit, target, verdict in rows
    )


def environment(folder: Path) -> str:
    """Where this was measured, in one line; the fsync is of 4 KiB written at the end of a file in `folder`."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, load {load:.1f}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, "
        f"fsync of 4 KiB {fsync_s(folder) * 1e3:.2f} ms"
    )


def fsync_s(folder: Path) -> float:
    """The median time of a write of one page and its fsync."""
    taken = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(b"f" * PAGE_BYTES)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken)


def write_json(path: Path, where: str, figures: Sequence[Figure], seconds: float) -> None:
    """All figures and their single runs, for other programs."""
    rows = [
        asdict(figure) | {"target": None if figure.target is None else str(figure.target), "met": figure.met}
        for figure in figures
    ]
    found = {"environment": where, "arguments": sys.argv[1:], "seconds": round(seconds, 1), "figures": rows}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
