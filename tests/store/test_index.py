"""The search index: whatever it holds, and however far it has come, a list is what the tables say."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import apsw
import pytest
import trio

from ffd.model.ids import format_uuid
from ffd.model.query import COLLECTIONS, Condition, Group, Op, Query, Sort, default_sort
from ffd.model.times import format_time
from ffd.store import Store, Transaction, collections, namespaces, offsets, open_store
from ffd.store import search as searching
from ffd.store.collection import Collection
from ffd.store.collections import DATA, EVENTS, MESSAGES, OPERATIONS, PINS, TRANSACTIONS
from ffd.store.index import answer, build, digits, encode, finding, follow, layout, longs
from ffd.store.leadership import lead
from ffd.store.search import INDEX, search
from ffd.world import RealWorld

T = TypeVar("T")

HERE, ELSEWHERE = 1, 2
SMALL_CHUNK, SMALL_MERGE = 16, 4
QUERIES = 60
NAMES = ("Red", "red", "blue", "", "o_f", "größe", 'quo"te')
HELD = (MESSAGES, DATA, EVENTS, collections.BATCHES, PINS, TRANSACTIONS, OPERATIONS)
TEXT_OPS: tuple[Op, ...] = (
    "eq", "neq", "ieq", "nieq", "gt", "gte", "lt", "lte", "contains", "not_contains", "icontains", "not_icontains",
    "starts_with", "not_starts_with", "istarts_with", "not_istarts_with", "ends_with", "not_ends_with", "iends_with",
    "not_iends_with",
)  # fmt: skip
NUMBER_OPS: tuple[Op, ...] = ("eq", "neq", "nieq", "gt", "gte", "lt", "lte")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows do what thousands do."""
    for module in (build, follow, layout):
        monkeypatch.setattr(module, "CHUNK_ROWS", SMALL_CHUNK)
    for name, value in (("CHUNK_ROWS_MAX", SMALL_CHUNK * 8), ("MERGED", SMALL_MERGE), ("RECENT_ROWS", 8)):
        monkeypatch.setattr(build, name, value)
    monkeypatch.setattr(encode, "CODES_MAX", 300)
    monkeypatch.setattr(encode, "RUNS_TRIED", 8)
    monkeypatch.setattr(digits, "HITS", 3)
    monkeypatch.setattr(finding, "NEAR", 64)
    monkeypatch.setattr(longs, "LOOKED_AT", 1)
    monkeypatch.setattr(answer, "SORTED_ROWS", 3)
    monkeypatch.setattr("ffd.store.index.ordering.SPARE_ROWS", 2)
    for name, soon in (("GATHER_S", 0.001), ("POLL_S", 0.01), ("AGAIN_S", 0.01), ("CHANGES_WAITED_FOR", 1.0)):
        monkeypatch.setattr(follow, name, soon)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        await store.write(lambda tx: [namespaces.ensure(tx, name, "net", 1) for name in ("here", "elsewhere")])
        yield store


class Writer:
    """Writes rows of every kind, with values that collide, differ in case, are absent, or nobody else's."""

    def __init__(self, seed: int, after: int = 0) -> None:
        self.rng = Random(f"{seed} {after}")
        self.after = self.message = self.batch = self.event = self.pin = after
        self.confirmed = self.rng.randrange(10**9, 2 * 10**18)

    def id(self) -> bytes:
        return self.rng.choice((0x018B, 0x018C)).to_bytes(2) + self.rng.randbytes(14)

    def some(self, of: Any, share: float) -> Any:
        return of if self.rng.random() < share else None

    def write(self, tx: Transaction, messages: int, *, settled: float = 0.95) -> None:
        for _ in range(messages):
            self._message(tx, settled)
            if self.rng.random() < 0.3:
                self._batch(tx)

    def _message(self, tx: Transaction, settled: float) -> None:
        rng = self.rng
        self.message += 1
        n, id, at = self.message, self.id(), rng.randrange(10**9, 2 * 10**18)
        namespace = HERE if rng.random() < 0.9 else ELSEWHERE
        header: dict[str, object] = {"id": format_uuid(id), "type": "broadcast", "txtype": "batch_pin"}
        if rng.random() < 0.3:
            header["cid"] = format_uuid(self.id())
        if rng.random() < 0.05:
            header["txparent"] = {"type": "token_transfer", "id": rng.choice(("", format_uuid(self.id())))}
        header |= {"author": f"did:{rng.randrange(3)}", "key": rng.choice(NAMES), "created": format_time(at)}
        header |= {"topics": [f"t{rng.randrange(5)}" for _ in range(rng.randrange(1, 3))]}
        if tag := rng.choice((*NAMES, f"tag-{rng.randrange(1000)}")):
            header["tag"] = tag
        header["datahash"] = rng.randbytes(32).hex()
        tx.execute(
            "INSERT INTO messages (sequence, id, namespace, header, hash, data, size, idempotency_key) "
            "VALUES (?, ?, ?, ?, ?, '[]', 1, ?)",
            (n, id, namespace, json.dumps(header, ensure_ascii=False), rng.randbytes(32), self.some(f"Key-{n}", 0.5)),
        )
        # As a batch is confirmed: many at once, and some at the same time as others before.
        state = ("confirmed", self.confirmed + n // 6 % 7) if rng.random() < settled else ("ready", None)
        batch = self.some(rng.randrange(self.after, self.batch) + 1, 0.8) if self.batch > self.after else None
        tx.execute(
            "INSERT INTO message_states (message, namespace, state, batch, confirmed) VALUES (?, ?, ?, ?, ?)",
            (n, namespace, state[0], batch, state[1]),
        )
        blob = {"hash": rng.randbytes(32).hex(), "size": rng.randrange(50), "name": f"f/{n}"}
        tx.execute(
            "INSERT INTO data (sequence, id, namespace, validator, hash, created, datatype_name, value, blob) "
            "VALUES (?, ?, ?, 'json', ?, ?, ?, ?, ?)",
            (n, self.id(), namespace, rng.randbytes(32), at, self.some(rng.choice(NAMES), 0.2),
             json.dumps(f"value {n % 7}"), self.some(json.dumps(blob), 0.3)),
        )  # fmt: skip
        self.event += 1
        tx.execute(
            "INSERT INTO events (sequence, id, namespace, type, reference, correlator, tx, topic, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.event, self.id(), namespace, rng.choice(("message_confirmed", "message_rejected")), id,
             self.some(self.id(), 0.3), self.some(self.id(), 0.5), rng.choice(NAMES), at),
        )  # fmt: skip

    def _batch(self, tx: Transaction) -> None:
        rng = self.rng
        self.batch += 1
        n, id, transaction = self.batch, self.id(), self.id()
        at = rng.randrange(1000)
        tx.execute(
            "INSERT INTO batches (sequence, id, namespace, type, author, key, created, hash, manifest, tx, tx_type, "
            "sealed, payload_ref, sent) VALUES (?, ?, ?, 'broadcast', ?, 'k', ?, ?, '{}', ?, 'batch_pin', 1, ?, ?)",
            (n, id, HERE, rng.choice(NAMES), at, rng.randbytes(32), transaction, f"ref-{n}", self.some(at, 0.9)),
        )
        tx.execute(
            "INSERT INTO blockchainevents (sequence, id, namespace, source, name, protocol_id, blockchain_id, "
            "timestamp, signer, action, tx, batch, batch_hash, payload_ref) "
            "VALUES (?, ?, ?, 'l', 'BatchPin', ?, '0x', ?, 'k', 'batch_pin', ?, ?, ?, 'r')",
            (n, self.id(), HERE, f"{n:012d}", at, transaction, id, rng.randbytes(32)),
        )
        for position in range(rng.randrange(1, 4)):
            self.pin += 1
            tx.execute(
                "INSERT INTO pins (sequence, namespace, blockchainevent, position, hash, masked, created) "
                "VALUES (?, ?, ?, ?, ?, 0, ?)",
                (self.pin, HERE, n, position, bytes([rng.randrange(4)]) * 32, at),
            )
        if rng.random() < 0.9:
            offsets.move(tx, offsets.AGGREGATOR, "here", to=self.pin)
        tx.execute(
            "INSERT INTO transactions (sequence, id, namespace, type, created, blockchain_ids) "
            "VALUES (?, ?, ?, 'batch_pin', ?, ?)",
            (n, transaction, HERE, at, self.some(f"0x{n}", 0.9)),
        )
        tx.execute(
            "INSERT INTO operations (sequence, id, namespace, tx, type, status, plugin, input, created, updated) "
            "VALUES (?, ?, ?, ?, 'blockchain_pin_batch', ?, 'local', ?, ?, ?)",
            (n, self.id(), HERE, transaction, rng.choice(("Succeeded", "Succeeded", "Failed", "Pending")),
             json.dumps({"n": n % 3}), at, at + rng.randrange(9)),
        )  # fmt: skip


class Asker:
    """Makes queries of all shapes about values that there are, and some that there are not."""

    def __init__(self, rng: Random, values: dict[str, dict[str, list[Any]]]) -> None:
        self.rng = rng
        self.values = values

    def query(self, collection: str) -> Query:
        rng = self.rng
        fields = list(COLLECTIONS[collection])
        sort = tuple(
            Sort(rng.choice(fields), rng.random() < 0.5, rng.random() < 0.2) for _ in range(rng.choice((0, 0, 1, 1, 2)))
        )
        where = Group("and", tuple(self.node(collection, 0) for _ in range(rng.choice((0, 1, 1, 2, 3)))))
        return Query(
            where, sort, skip=rng.choice((0, 0, 3, 40)), limit=rng.choice((1, 5, 25, 1000, 0)), count=rng.random() < 0.5
        )

    def node(self, collection: str, depth: int) -> Condition | Group:
        rng = self.rng
        if depth < 2 and rng.random() < 0.3:
            children = tuple(self.node(collection, depth + 1) for _ in range(rng.randrange(4)))
            return Group(rng.choice(("and", "or")), children)
        field, kind = rng.choice(list(COLLECTIONS[collection].items()))
        op = rng.choice(TEXT_OPS if kind.textual else NUMBER_OPS)
        if op in ("eq", "neq", "nieq") and rng.random() < 0.2:
            return Condition(op, field, None)
        value = rng.choice(self.values[collection][field] or [None])
        if not kind.textual:
            return Condition(op, field, int(value or 0) + rng.choice((0, 0, 1, -1)))
        text = str("nobody's" if value is None or rng.random() < 0.1 else value)
        if "with" in op or "contains" in op:
            start = rng.randrange(len(text) + 1)
            text = text[start : start + rng.randrange(1, 6)]
        return Condition(op, field, rng.choice((text, text.upper(), text.swapcase(), text)))


def samples(tx: Transaction) -> dict[str, dict[str, list[Any]]]:
    """Of each field of each collection some values, as the API shows them."""
    return {
        each.name: {
            field: [row[0] for row in tx.execute(f"SELECT {each.columns[field].text} FROM {each.source} LIMIT 40")]  # noqa: S608
            for field in COLLECTIONS[each.name]
        }
        for each in HELD
    }


Listed = tuple[list[Any], int | None]


def asked(tx: Transaction, collection: Collection[Any], query: Query, of: int) -> tuple[Listed, Listed, bool]:
    """Of one namespace or of all: what the search says, what a walk over the tables says, and was the index asked?"""
    steps = searching._steps(query.sort or default_sort(collection.name))
    said = answer.consult(tx, INDEX, collection.name, of, query, steps, 1)
    found = search(tx, collection, of, query)
    walked = searching._walk(tx, collection, of, query, steps)
    return (list(found.rows), found.total), (list(walked.rows), walked.total), said is not None


async def check(store: Store, rng: Random, queries: int = QUERIES) -> int:
    """Ask many queries of every collection, and compare; how many the index answered."""
    asker = Asker(rng, await store.read(samples))
    helped = 0
    for collection in HELD:
        for _ in range(queries):
            query = asker.query(collection.name)
            of = rng.choice((HERE, namespaces.EVERYWHERE)) if collection.spans else HERE
            found, walked, by_index = await store.read(partial(asked, collection=collection, query=query, of=of))
            assert found == walked, (collection.name, query, of)
            helped += by_index
    return helped


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[None]:
    """The indexer at work."""
    world = RealWorld()
    async with lead(world, store, "indexer", process="test") as leadership, trio.open_nursery() as nursery:
        nursery.start_soon(follow.follow, world, store, INDEX, leadership)
        yield
        nursery.cancel_scope.cancel()


async def caught_up(store: Store) -> None:
    """Until the index has nothing to do for a while."""
    before, quiet = -1, 0
    with trio.fail_after(60):
        while quiet < 20:
            now = store.peek(lambda tx: offsets.read(tx, "search", "round")) or 0
            quiet = quiet + 1 if now == before and now > 0 else 0
            before = now
            await trio.sleep(0.01)


async def until_it_helps(store: Store, seed: int) -> None:
    """Until lists are answered by the index again; they are right all the while."""
    with trio.fail_after(30):
        while not await check(store, Random(seed), 3):  # noqa: ASYNC110 - nobody rings when it is made
            await trio.sleep(0.05)


@pytest.mark.parametrize("seed", range(2))
async def test_a_list_is_the_same_with_the_index_at_every_stage(store: Store, seed: int) -> None:
    writer, rng = Writer(seed), Random(f"{seed} queries")
    await store.write(lambda tx: writer.write(tx, 30))
    assert await check(store, rng, 5) == 0
    async with following(store):
        helped = 0
        for messages in (60, 10, 200, 1, 90):
            settled = rng.choice((0.6, 0.95, 1.0))
            await store.write(partial(writer.write, messages=messages, settled=settled))
            helped += await check(store, rng, 12)
            await caught_up(store)
            helped += await check(store, rng, 12)
    assert helped > 300


async def test_what_settles_late_changes_or_goes_is_found_as_it_is_now(store: Store, seed: int) -> None:
    writer, rng = Writer(seed), Random(seed)
    await store.write(lambda tx: writer.write(tx, 150, settled=0.5))

    def change(tx: Transaction) -> None:
        tx.execute(
            "UPDATE message_states SET state = 'rejected', confirmed = message "
            "WHERE confirmed IS NULL AND message % 4 = 0"
        )
        tx.execute("UPDATE data SET public = 'ref' WHERE sequence % 5 = 0")
        tx.execute("DELETE FROM data WHERE sequence % 7 = 0")
        tx.execute("UPDATE operations SET status = 'Failed', error = 'no' WHERE sequence % 3 = 0")
        tx.execute("UPDATE batches SET confirmed = 5 WHERE sequence % 3 = 0")
        tx.execute("UPDATE transactions SET blockchain_ids = '0x1,0x2' WHERE sequence % 3 = 0")

    async with following(store):
        await caught_up(store)
        assert await check(store, rng, 15) > 0
    # Nobody follows: what changes now is found by the changes alone.
    await store.write(change)
    assert await check(store, rng, 25) > 0
    async with following(store):
        await store.write(lambda tx: writer.write(tx, 100))
        await caught_up(store)
        assert await check(store, rng, 25) > 0
        await store.write(change)
        await caught_up(store)
        assert await check(store, rng, 25) > 0


def rounds(store: Store) -> int:
    with_index = apsw.Connection(str(store.index_path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found: int = with_index.execute("SELECT count(*) FROM chunks").get
        return found
    finally:
        with_index.close()


async def with_index(store: Store, seed: int) -> None:
    await store.write(lambda tx: Writer(seed).write(tx, 200))
    async with following(store):
        await caught_up(store)
    assert rounds(store) > 0


TORN: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "no database": lambda path: path.write_bytes(b"not a database at all" * 1000),
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


@pytest.mark.parametrize("harm", TORN)
async def test_a_file_that_was_harmed_costs_time_and_no_answer(tmp_path: Path, harm: str, seed: int) -> None:
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        await store.write(lambda tx: [namespaces.ensure(tx, name, "net", 1) for name in ("here", "elsewhere")])
        await with_index(store, seed)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"search.db{suffix}").unlink(missing_ok=True)
    TORN[harm](tmp_path / "search.db")
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        assert await check(store, Random(seed), 10) == 0 or harm == "torn"
        async with following(store):
            await store.write(lambda tx: Writer(seed, after=1000).write(tx, 60))
            await until_it_helps(store, seed)
            await check(store, Random(seed), 15)


async def test_an_index_that_is_taken_away_while_lists_are_read_is_made_again(store: Store, seed: int) -> None:
    await with_index(store, seed)
    async with following(store):
        assert await check(store, Random(seed), 3) > 0
        for suffix in ("", "-wal", "-shm"):
            store.index_path.with_name(store.index_path.name + suffix).unlink(missing_ok=True)
        await until_it_helps(store, seed)


async def test_an_index_from_the_future_of_a_restored_database_is_not_believed(tmp_path: Path, seed: int) -> None:
    path, copy = tmp_path / "ffd.db", tmp_path / "copy.db"
    async with open_store(RealWorld(), path) as store:
        await store.write(lambda tx: [namespaces.ensure(tx, name, "net", 1) for name in ("here", "elsewhere")])
        await with_index(store, seed)
        await store.write(lambda tx: tx.execute("SELECT 1"))
    copy.write_bytes(path.read_bytes())
    async with open_store(RealWorld(), path) as store:
        await store.write(
            lambda tx: tx.execute("UPDATE message_states SET state = 'rejected', confirmed = 1 WHERE confirmed IS NULL")
        )
        async with following(store):
            await store.write(lambda tx: Writer(seed, after=1000).write(tx, 100))
            await caught_up(store)
    path.write_bytes(copy.read_bytes())
    async with open_store(RealWorld(), path) as store:
        assert await check(store, Random(seed), 10) == 0
        async with following(store):
            await until_it_helps(store, seed)


async def test_nested_conditions_are_joined_as_they_stand(store: Store, seed: int) -> None:
    await with_index(store, seed)
    where = Group(
        "or",
        (
            Group("and", (Condition("eq", "tag", "red"), Condition("contains", "topics", "t1"))),
            Group("and", (Condition("not_icontains", "tag", "RED"), Group("or", (Condition("eq", "key", "blue"),)))),
        ),
    )
    query = Query(Group("and", (where,)), (Sort("tag"), Sort("author", descending=True)), count=True, limit=1000)
    found, walked, by_index = await store.read(lambda tx: asked(tx, MESSAGES, query, HERE))
    assert by_index and found == walked and found[1]


async def test_a_stop_does_not_wait_for_the_chunk_that_is_being_made(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = trio.Event()

    def begin_round(builder: build.Builder) -> bool:
        rows = builder._run("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
        next(rows)
        trio.from_thread.run_sync(began.set)
        return all(True for _ in rows)

    monkeypatch.setattr(build.Builder, "begin_round", begin_round)
    await store.write(lambda tx: Writer(1).write(tx, 50))
    with trio.fail_after(20):
        async with following(store):
            await began.wait()
