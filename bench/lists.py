"""Lists: every filter, order and page on a node with many messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from bench.figures import Figure, at_most, percentile
from bench.library import fill
from bench.node import running
from bench.plan import Plan, say, scratch
from ffd.api.filters import parse_filter
from ffd.model.query import COLLECTIONS, Kind
from ffd.store import Store, Transaction, open_store
from ffd.store import search as searching
from ffd.store.search import Collection, search
from ffd.world import RealWorld

LISTED: tuple[Collection[Any], ...] = (
    searching.MESSAGES, searching.DATA, searching.EVENTS, searching.BATCHES, searching.PINS, searching.TRANSACTIONS,
    searching.OPERATIONS,
)  # fmt: skip
NAMESPACE = 1
SAMPLED = 20_000
SLOWEST = 10
HTTP_EVERY = 20
TARGET = at_most(50)
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

    def __str__(self) -> str:
        return f"{self.collection.name}?{self.query}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question took."""

    question: Question
    took_s: float
    rows: int


async def measure_lists(plan: Plan) -> list[Figure]:
    """Every field by every operator, what is found being common, rare and none; in every order, and paged."""
    with scratch() as folder:
        with running(plan.program, folder) as node:
            database = node.state / "ffd.db"
        say(f"{plan.listed:,} messages to list")
        fill(database, plan.listed)
        figures = await _measure_in_process(plan, database)
        return figures + _measure_http(plan, folder)


async def _measure_in_process(plan: Plan, database: Path) -> list[Figure]:
    async with open_store(RealWorld(), database) as store:
        questions = await _questions(store)
        say(f"{len(questions):,} lists")
        asked = [await ask(store, question) for question in questions]
    for each in sorted(asked, key=lambda each: -each.took_s)[:SLOWEST]:
        say(f"{each.took_s * 1e3:8.1f} ms  {each.rows:5} rows  {each.question}")
    group = f"lists of {plan.listed:,} messages"
    return _figures(group, f"{len(asked):,} lists, read", [each.took_s for each in asked])


def _measure_http(plan: Plan, folder: Path) -> list[Figure]:
    return []


def _figures(group: str, name: str, values: list[float]) -> list[Figure]:
    rising = sorted(values)
    return [
        Figure(group, f"{name} p50", percentile(rising, 50) * 1e3, "ms"),
        Figure(group, f"{name} p99", percentile(rising, 99) * 1e3, "ms", TARGET),
        Figure(group, f"{name} slowest", rising[-1] * 1e3, "ms"),
    ]


async def ask(store: Store, question: Question) -> Asked:
    """Read one list as the API does."""
    query = parse_filter(question.collection.name, question.query)

    def unit(tx: Transaction) -> int:
        found = search(tx, question.collection, NAMESPACE, query)
        return sum(1 for _ in found.rows)

    began = time.perf_counter()
    rows = await store.read(unit)
    return Asked(question, time.perf_counter() - began, rows)


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
