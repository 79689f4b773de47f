"""The search index in trouble: whatever happens to its file or its process, lists are right, and it comes back."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from ffd.store import Store, namespaces, offsets, open_store
from ffd.store.index import build
from ffd.world import RealWorld
from tests.store.test_index import Writer, caught_up, check, following, small_chunks, until_it_helps

__all__ = ["small_chunks"]

ROUND = """
import os, signal, sys
from pathlib import Path
import apsw
from ffd.store.index import build
from ffd.store.search import INDEX

path, database, announced, when = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
connection = apsw.Connection(str(path))
builder = build.Builder(connection, path, INDEX)
build.CHUNK_ROWS = 16
builder.open(path.with_name("search.db"), database, announced)
assert builder.begin_round()
if when == "announced":
    node = apsw.Connection(str(path))
    node.execute("UPDATE offsets SET current = ? WHERE type = 'search' AND name = 'round'", (builder.round,))
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A process that dies while a round is under way: before the database is told of it, or after."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        await store.write(lambda tx: [namespaces.ensure(tx, name, "net", 1) for name in ("here", "elsewhere")])
        yield store


TROUBLE = {
    "the disk is full": "PRAGMA max_page_count = 12",
    "the file may not be written": "PRAGMA main.query_only = 1",
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_an_index_that_cannot_be_written_costs_time_and_comes_back(
    store: Store, trouble: str, seed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await store.write(lambda tx: Writer(seed).write(tx, 200))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(build, "PRAGMAS", (*build.PRAGMAS, TROUBLE[trouble]))
        async with following(store):
            with trio.fail_after(20):
                while "does not follow" not in caplog.text:  # noqa: ASYNC110 - nobody rings when something fails
                    await trio.sleep(0.01)
            await check(store, Random(seed), 5)
            await store.write(partial(Writer(seed, after=1000).write, messages=50))
            await check(store, Random(seed), 5)
    assert caplog.text.count("does not follow") <= 2, "it is said once, not at each try"
    async with following(store):
        await until_it_helps(store, seed)
        await check(store, Random(seed), 15)


@pytest.mark.parametrize("when", ["begun", "announced"])
async def test_a_process_that_is_killed_within_a_round_leaves_nothing_half_done(
    store: Store, when: str, seed: int
) -> None:
    await store.write(lambda tx: Writer(seed).write(tx, 120))
    async with following(store):
        await caught_up(store)
    await store.write(lambda tx: Writer(seed, after=1000).write(tx, 120))
    database, announced = (store.peek(lambda tx, name=name: offsets.read(tx, "search", name)) for name in _TOLD)  # type: ignore[misc]
    ended = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", ROUND, str(store.path), str(database), str(announced), when],
            capture_output=True, text=True, check=False,
        )
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert await check(store, Random(seed), 15) > 0
    async with following(store):
        await caught_up(store)
        assert await check(store, Random(seed), 15) > 0


_TOLD = ("database", "round")


async def test_two_nodes_share_one_index_and_one_of_them_makes_it(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "ffd.db"
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(open_store(RealWorld(), path)) for _ in range(2)]
        await one.write(lambda tx: [namespaces.ensure(tx, name, "net", 1) for name in ("here", "elsewhere")])
        async with trio.open_nursery() as nursery, following(one):
            nursery.start_soon(_follow_for_ever, other)
            for after, store in ((0, one), (1000, other), (2000, one)):
                await store.write(partial(Writer(seed, after).write, messages=80))
                await check(one, Random(seed), 4)
                await check(other, Random(seed), 4)
            await caught_up(one)
            assert await check(other, Random(seed), 10) > 0
            nursery.cancel_scope.cancel()
        # The one that made it has gone: the other goes on where it was.
        async with following(other):
            await other.write(partial(Writer(seed, 3000).write, messages=80))
            await caught_up(other)
            assert await check(other, Random(seed), 10) > 0
            assert await check(one, Random(seed), 10) > 0


async def _follow_for_ever(store: Store) -> None:
    async with following(store):
        await trio.sleep_forever()
