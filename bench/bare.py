"""The baseline: what SQLite alone does for the same rows.

A real ffd runs the main job once while every statement on its database is recorded. The baseline then plays the same
statements with the same values, transaction by transaction, in one thread, into a fresh file under ffd's own pragmas:
the same rows are written and read in the same transactions with the same fsyncs, and nothing else is done. No JSON is
read or written, nothing is hashed, no frame is sent, no thread is changed. What ffd writes beside its database, the
ledger's file and the payloads, is left out, and so are ffd's savepoints: the baseline is on the fast side.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import apsw

from bench.node import running
from bench.recorder import DATABASE, Recorded, Statement
from bench.stream import run_stream
from bench.wire import Failed
from ffd.world import STATEMENTS_CACHED

RECORDER = (sys.executable, "-m", "bench.recorder")
LEFT_OUT = ("SAVEPOINT", "RELEASE")


@dataclass(frozen=True, slots=True)
class Step:
    """One statement: once with its values, or for many rows."""

    sql: str
    values: Any
    rows: Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Recording:
    """What ffd asked of SQLite: before the clock runs, and for `messages` messages while it does."""

    before: Sequence[Step]
    timed: Sequence[Step]
    messages: int


@dataclass(frozen=True, slots=True)
class Bare:
    """What the baseline took for `messages` messages."""

    messages: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


async def record(folder: Path, messages: int, per_frame: int, warm_up: int) -> Recording:
    """Run the main job in `folder` and record it; the recording is checked by playing it. Raises Failed."""
    file = folder / "statements"
    with running((*RECORDER, str(file)), folder) as node:
        stream = await run_stream(node, "bench", messages, per_frame, warm_up)
    transactions: list[Recorded] = pickle.loads(file.read_bytes())  # noqa: S301 - this run wrote it
    file.unlink()
    recording = Recording(
        _steps(statements for at, statements in transactions if at < stream.began),
        _steps(statements for at, statements in transactions if at >= stream.began),
        messages,
    )
    play(recording, folder)
    recorded, played = (_rows(path) for path in (node.state / DATABASE, folder / "bare.db"))
    if recorded != played:
        raise Failed(f"the baseline is no baseline: it left the rows {played}, and ffd {recorded}")
    return recording


def play(recording: Recording, folder: Path) -> Bare:
    """Play a recording into a new file in `folder`."""
    path = folder / "bare.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with closing(apsw.Connection(str(path), statementcachesize=STATEMENTS_CACHED)) as connection:
        _play(connection, recording.before)
        cpu_s, began = time.process_time(), time.perf_counter()
        _play(connection, recording.timed)
        return Bare(recording.messages, time.perf_counter() - began, time.process_time() - cpu_s)


def _play(connection: apsw.Connection, steps: Iterable[Step]) -> None:
    execute, many = connection.execute, connection.executemany
    for step in steps:
        rows = execute(step.sql, step.values) if step.rows is None else many(step.sql, step.rows)
        deque(rows, maxlen=0)


def _steps(transactions: Iterable[Sequence[Statement]]) -> list[Step]:
    """The statements in their order; rows that go into one table one after the other are one step."""
    steps: list[Step] = []
    for statements in transactions:
        kept = [each for each in statements if not each[0].lstrip().upper().startswith(LEFT_OUT)]
        for sql, group in groupby(kept, key=lambda statement: statement[0]):
            values = [value for _, value in group]
            if len(values) > 1 and sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
                steps.append(Step(sql, None, values))
            else:
                steps += [Step(sql, value, None) for value in values]
    return steps


def _rows(path: Path) -> dict[str, int]:
    """How many rows each table of a database has."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').get) for name in names}  # noqa: S608
