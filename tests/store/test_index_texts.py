"""Long texts in the search index: cut to shapes and slots, ranked, or left in their table, a list is what that says."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from ffd.model.query import Condition, Group, Op, Query, Sort
from ffd.store import Store, Transaction, namespaces, open_store
from ffd.store.collections import DATA
from ffd.store.index import build, digits, finding, follow, layout, ranks, shaping
from ffd.world import RealWorld
from tests.store.test_index import HERE, TEXT_OPS, asked, caught_up, following

HELD, RANKED = 60, 12
WORDS = ("ab", "aB", "b", "", "ba", "größe", "ab ab", 'x"y', "\\", "1")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows do what a million do."""
    for module in (build, follow, layout):
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    for name, value in (("CHUNK_ROWS_MAX", 1024), ("MERGED", 4), ("RECENT_ROWS", 8)):
        monkeypatch.setattr(build, name, value)
    for name, value in (("HELD_BYTES", HELD), ("PART_ROWS", 50), ("SLOTS_MAX", 3), ("WORDS_MAX", 30)):
        monkeypatch.setattr(shaping, name, value)
    for module in (shaping, ranks):
        monkeypatch.setattr(module, "RANKED_CHARS", RANKED)
    monkeypatch.setattr(ranks, "FEW_TIMES", 1)
    for module in (finding, digits):
        monkeypatch.setattr(module, "HITS", 3)
    for name, soon in (("GATHER_S", 0.001), ("POLL_S", 0.01), ("AGAIN_S", 0.01), ("CHANGES_WAITED_FOR", 1.0)):
        monkeypatch.setattr(follow, name, soon)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:
        await store.write(lambda tx: namespaces.ensure(tx, "here", "net", 1))
        yield store


def some_value(rng: Random) -> str | None:
    """JSON of some shapes that are mixed, long or alone, with parts that collide over the ends of what they share."""
    kind = rng.randrange(12)
    if kind == 0:
        return None
    word, number = rng.choice(WORDS), rng.randrange(2000)
    if kind < 6:
        value: object = {"n": number, "ab": word, "hash": rng.randbytes(6).hex()}
    elif kind < 8:
        value = {"ab": [number, number % 3], "b": word}
    elif kind == 8:
        value = rng.choice((number, word, None, [], {}, True, [word] * rng.randrange(6)))
    elif kind == 9:
        value = {"ab": "ab" * rng.randrange(50), "n": number}
    elif kind == 10:
        value = {"order": "the same beginning", "n": number, "deep": {"er": [word, {"and": number % 7}]}}
    else:
        return rng.choice(("", "no json at all", "ab", '{"n":1,"ab":"', "größe"))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def fill(tx: Transaction, rng: Random, count: int, after: int = 0) -> list[str]:
    values = [some_value(rng) for _ in range(count)]
    for n, value in enumerate(values, after + 1):
        tx.execute(
            "INSERT INTO data (sequence, id, namespace, validator, hash, created, datatype_name, value) "
            "VALUES (?, ?, ?, 'json', ?, ?, ?, ?)",
            (n, rng.randbytes(16), HERE, rng.randbytes(32), n, rng.choice(("a", "b", None)), value),
        )
    return [value for value in values if value]


def some_query(rng: Random, values: list[str]) -> Query:
    sort = (Sort("value", rng.random() < 0.5, rng.random() < 0.2),) if rng.random() < 0.4 else ()
    conditions = tuple(some_condition(rng, values) for _ in range(rng.choice((0, 1, 1, 1, 2))))
    where: Condition | Group = Group(rng.choice(("and", "and", "or")), conditions)
    if rng.random() < 0.3:
        where = Group("and", (Condition("eq", "datatype.name", "a"), where))
    page = rng.choice((1, 5, 25, 300, 1000))
    return Query(Group("and", (where,)), sort, skip=rng.choice((0, 0, 3, 100)), limit=page, count=rng.random() < 0.5)


def some_condition(rng: Random, values: list[str]) -> Condition:
    op: Op = rng.choice(TEXT_OPS)
    text = rng.choice(values)
    if "with" in op or "contains" in op:
        length = rng.choice((1, 2, 3, 5, 9, 30))
        start = rng.randrange(len(text))
        text = text[:length] if "starts" in op else text[-length:] if "ends" in op else text[start : start + length]
    if rng.random() < 0.2:
        text = rng.choice((text.upper(), text + "!", "!" + text, text.swapcase()))
    return Condition(op, "value", rng.choice((text, text, text, "", None)) if op in ("eq", "neq") else text)


@pytest.mark.parametrize("rows", [70, 300, 1500])
async def test_lists_by_long_texts_are_what_the_table_says(store: Store, seed: int, rows: int) -> None:
    rng = Random(f"{seed} {rows}")
    values = await store.write(partial(fill, rng=rng, count=rows))
    async with following(store):
        await caught_up(store)
    helped = 0
    for _ in range(400):
        query = some_query(rng, values)
        found, walked, by_index = await store.read(partial(asked, collection=DATA, query=query, of=1))
        assert found == walked, query
        helped += by_index
    assert helped > 300


async def test_all_the_same_is_said_once(store: Store, seed: int) -> None:
    rng = Random(seed)
    await store.write(lambda tx: fill(tx, rng, 0))
    for value in ('{"a":1}', None):
        await store.write(
            lambda tx, value=value: tx.execute(  # type: ignore[misc]
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
                "INSERT INTO data (id, namespace, validator, hash, created, value) "
                "SELECT randomblob(16), 1, 'json', zeroblob(32), i, ? FROM n",
                (value,),
            )
        )
        async with following(store):
            await caught_up(store)
        for _ in range(60):
            query = some_query(rng, ['{"a":1}', '{"a"', "b"])
            found, walked, _ = await store.read(partial(asked, collection=DATA, query=query, of=1))
            assert found == walked, query


def test_of_json_the_names_are_pieces_and_the_rest_is_slots() -> None:
    assert shaping.pieces_of('{"a": 1, "b": ["x\\"y", true]}') == ['{"a": ', ', "b": ["', '", ', "]}"]
    assert shaping.pieces_of('"just text"') == ['"', '"']
    assert shaping.pieces_of("[1,2,3,4,5]") == ["[", ",", ",", ""]
    assert shaping.pieces_of("no leaf") == ["no leaf"]
