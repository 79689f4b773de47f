"""Lists: every filter, order and page on a node with many messages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import trio

from bench.figures import Figure, Target, at_most, percentile
from bench.library import fill
from bench.node import running
from bench.plan import Plan, say, scratch
from bench.wire import Failed, Rest
from ffd.api.filters import parse_filter
from ffd.model.query import COLLECTIONS, Kind
from ffd.store import Store, Transaction, collections, open_store
from ffd.store.collection import Collection
from ffd.store.search import search
from ffd.world import RealWorld

LISTED: tuple[Collection[Any], ...] = (
    collections.MESSAGES, collections.DATA, collections.EVENTS, collections.BATCHES, collections.PINS,
    collections.TRANSACTIONS, collections.OPERATIONS,
)  # fmt: skip
NAMESPACE = 1
SAMPLED = 20_000
SLOWEST = 10
HTTP_EVERY = 20
QUIET_S, POLL_S = 6.0, 0.2
MIB = 1 << 20
TARGET = at_most(50)
LONG, MIDDLE = 40, 5
"""Of longer values a part near the end is looked for too, of so many characters: of data, what few others have."""
EQUALS = ("", "!", ":", "!:")
ORDERS = (">", ">=", "<", "<=")
PARTS = tuple(f"{modifier}{operator}" for operator in "@^$" for modifier in ("", "!", ":", "!:"))
PAGES = ("", "&count", "&skip=1000&limit=1000", "&limit=100&count")


@dataclass(frozen=True, slots=True)
class Question:
    """One list request; `how` names its kind."""

    collection: Collection[Any]
    query: str
    how: str

    @property
    def reads_values(self) -> bool:
        """Does it look at the values of data, which are long?"""
        return self.collection is collections.DATA and re.search(r"(^|&|=-?)value\b", self.query) is not None

    def __str__(self) -> str:
        return f"{self.collection.name}?{self.query}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question took: on the clock, and of the processor for the thread that read."""

    question: Question
    took_s: float
    cpu_s: float
    rows: int


async def measure_lists(plan: Plan) -> list[Figure]:
    """Every field by every operator, what is found being common, rare and none; in every order, and paged."""
    with scratch() as folder:
        with running(plan.program, folder) as node:
            database = node.state / "ffd.db"
        say(f"{plan.listed:,} messages to list")
        fill(database, plan.listed)
        with running(plan.program, folder) as node:
            made = await _index_made(node.state / "search.db", plan.listed)
        questions, figures = await _measure_in_process(plan, database)
        return [*made, *figures, *_measure_http(plan, folder, questions)]


async def _index_made(index: Path, messages: int) -> list[Figure]:
    """Wait until the index has all messages but the newest."""
    began = time.monotonic()
    size, quiet_since = 0, time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        await trio.sleep(POLL_S)
        now = sum(path.stat().st_size for path in index.parent.glob(f"{index.name}*"))
        if now != size:
            size, quiet_since = now, time.monotonic()
    group = f"lists of {messages:,} messages"
    return [
        Figure(group, "index made from nothing", quiet_since - began, "s", at_most(60)),
        Figure(group, "index", size / MIB, "MiB"),
    ]


async def _measure_in_process(plan: Plan, database: Path) -> tuple[list[Question], list[Figure]]:
    async with open_store(RealWorld(), database) as store:
        questions = await _questions(store)
        say(f"{len(questions):,} lists")
        asked = [await ask(store, question) for question in questions]
    for each in sorted(asked, key=lambda each: -each.cpu_s)[:SLOWEST]:
        say(f"{each.took_s * 1e3:8.1f} ms  {each.cpu_s * 1e3:8.1f} ms CPU  {each.rows:5} rows  {each.question}")
    group = f"lists of {plan.listed:,} messages"
    by_values = [each.took_s for each in asked if each.question.reads_values]
    return questions, [
        *_figures(group, f"{len(asked):,} lists", [each.took_s for each in asked], TARGET),
        *_figures(group, "the same, CPU of the reading thread", [each.cpu_s for each in asked]),
        *_figures(group, f"{len(by_values)} of them by the values of data", by_values),
    ]


def _measure_http(plan: Plan, folder: Path, questions: list[Question]) -> list[Figure]:
    """Some of the lists over the socket, from the request to the last byte."""
    taken = []
    with running(plan.program, folder) as node, Rest(node.socket) as rest:
        for question in questions[::HTTP_EVERY]:
            began = time.perf_counter()
            status, answer = rest.ask("GET", f"/api/v1/{question.collection.name}?{question.query}")
            taken.append(time.perf_counter() - began)
            if status != 200:
                raise Failed(f"{question} was answered by {status}: {answer[:200].decode(errors='replace')}")
        memory = node.peak_rss() / MIB
    group = f"lists of {plan.listed:,} messages"
    return [
        *_figures(group, f"{len(taken)} lists over HTTP", taken, TARGET),
        Figure(group, "peak memory of the daemon", memory, "MiB", at_most(250)),
    ]


def _figures(group: str, name: str, values: list[float], target: Target | None = None) -> list[Figure]:
    rising = sorted(values)
    return [
        Figure(group, f"{name} p50", percentile(rising, 50) * 1e3, "ms"),
        Figure(group, f"{name} p99", percentile(rising, 99) * 1e3, "ms", target),
        Figure(group, f"{name} slowest", rising[-1] * 1e3, "ms"),
    ]


async def ask(store: Store, question: Question) -> Asked:
    """Read one list as the API does."""
    query = parse_filter(question.collection.name, question.query)

    def unit(tx: Transaction) -> tuple[int, float]:
        began = time.thread_time()
        rows = sum(1 for _ in search(tx, question.collection, NAMESPACE, query).rows)
        return rows, time.thread_time() - began

    began = time.perf_counter()
    rows, cpu_s = await store.read(unit)
    return Asked(question, time.perf_counter() - began, cpu_s, rows)


async def _questions(store: Store) -> list[Question]:
    found: list[Question] = []
    for collection in LISTED:
        values = await store.read(partial(_values, collection=collection))
        found += _about(collection, values)
    Random(1).shuffle(found)
    return found


def _values(tx: Transaction, collection: Collection[Any]) -> dict[str, list[str]]:
    """For each field a value that is common, one that is rare, and one that nobody has."""
    found = {}
    for field, kind in COLLECTIONS[collection.name].items():
        sql = collection.columns[field].text
        newest = f"SELECT {sql} AS v, {collection.sequence} AS n FROM {collection.source} ORDER BY n DESC LIMIT ?"  # noqa: S608
        by_number = f"SELECT v FROM ({newest}) WHERE v IS NOT NULL GROUP BY v ORDER BY count(*) DESC, v"  # noqa: S608
        rows = tx.execute(by_number, (SAMPLED,))
        values = [str(row[0]) for row in rows]
        found[field] = [*dict.fromkeys((values[0], values[-1]) if values else ()), _nobodys(kind)]
    return found


def _nobodys(kind: Kind) -> str:
    by_kind = {Kind.UUID: "0f" * 4 + "-0f0f-4f0f-8f0f-" + "0f" * 6, Kind.HASH: "0f" * 32, Kind.BOOL: "true"}
    return by_kind.get(kind, "987654321" if not kind.textual else "nobody's")


def _about(collection: Collection[Any], values: dict[str, list[str]]) -> Iterator[Question]:
    kinds = COLLECTIONS[collection.name]
    conditions: list[str] = []
    for field, kind in kinds.items():
        for sign in (*EQUALS, *ORDERS, *PARTS) if kind.textual else ("", "!", *ORDERS):
            for value in values[field]:
                conditions.append(f"{field}={quote(sign + _cut(sign, value, kind))}")
                if sign.endswith("@") and len(value) >= LONG:
                    conditions.append(f"{field}={quote(sign + value[-LONG // 2 :][:MIDDLE])}")
        conditions += [f"{field}=?", f"{field}=!?"]
    for number, condition in enumerate(conditions):
        yield Question(collection, condition + PAGES[number % len(PAGES)], "one")
        other = conditions[number * 7 % len(conditions)]
        yield Question(collection, f"{condition}&{other}{PAGES[number % 3]}", "two")
    for number, field in enumerate(kinds):
        for sort in (field, f"-{field}"):
            yield Question(collection, f"sort={sort}", "sort")
            yield Question(collection, f"sort={sort}&{conditions[number * 13 % len(conditions)]}", "sort")
            yield Question(collection, f"sort={sort}&skip=1000", "sort")
    for page in PAGES:
        yield Question(collection, page.lstrip("&"), "all")


def _cut(sign: str, value: str, kind: Kind) -> str:
    """A part of a value, where parts are asked for."""
    if sign.endswith("@"):
        return value[2:7]
    if sign.endswith("^"):
        return value[:5]
    return value[-5:] if sign.endswith("$") else value
