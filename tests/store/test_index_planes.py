"""Planes of the search index: bytes are found, and values read, as by the simplest way there is."""

from __future__ import annotations

from array import array
from itertools import pairwise
from random import Random

import pytest

from ffd.store.index import finding
from ffd.store.index.finding import Search
from ffd.store.index.planes import entries_at, marked, positions, spread_chosen, spread_values
from ffd.store.index.texts import AFTER, BEFORE, texts_marked


@pytest.mark.parametrize("near", [0, 8, 1 << 30])
def test_every_place_of_a_needle_is_found_also_where_one_overlaps_another(
    near: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "NEAR", near)
    rng = Random(seed)
    for _ in range(300):
        body = bytes(rng.choices(b"ab\xaa\xbb", k=rng.randrange(1, 80)))
        needle = bytes(rng.choices(b"ab\xaa\xbb", k=rng.randrange(1, 4)))
        places = [at for at in range(len(body)) if body.startswith(needle, at)]
        assert list(Search(body, needle)) == places, (body, needle)
        nibble = rng.randrange(16)
        asked = [at for at in places if at + len(needle) < len(body) and body[at + len(needle)] >> 4 == nibble]
        found = list(Search(body, needle, nibble))
        assert set(asked) <= set(found) <= set(places), (body, needle, nibble)


def spread_of(runs: list[tuple[int, int]]) -> bytes:
    numbers = array("I", [first for first, _ in runs] + [end for _, end in runs])
    numbers.byteswap()
    return numbers.tobytes()


@pytest.mark.parametrize("longest", [1, 5])
def test_values_of_some_rows_are_those_that_all_rows_have_there(longest: int, seed: int) -> None:
    rng = Random(seed)
    for _ in range(200):
        ends = sorted(rng.sample(range(1, 200), rng.randrange(2, 40)))
        runs = [(max(first, end - rng.randint(1, longest)), end) for first, end in pairwise([0, *ends])]
        count, spread, values = ends[-1] + rng.randrange(3), spread_of(runs), list(range(1, len(runs) + 1))
        every = spread_values(spread, values, None, count)
        flags = [value is not None and rng.random() < 0.5 for value in every]
        asked = [value for value, flag in zip(every, flags, strict=True) if flag]
        rows = positions(marked(flags), count)
        found = entries_at(spread, rows)
        assert [None if entry is None else values[entry] for entry in found] == asked
        assert [entry is None for entry in entries_at(spread, range(count))] == [value is None for value in every]
        chosen = spread_chosen(spread, values, marked(flags), count)
        assert chosen == asked or (chosen is None and longest > 1)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 1.0])
@pytest.mark.parametrize("part", ["eq", "contains", "starts_with", "ends_with"])
def test_texts_are_found_however_many_have_what_is_asked_for(part: str, share: float, seed: int) -> None:
    rng = Random(seed)
    for count in (1, 7, 2_000):
        some = ["aa", "aaaa", "baab", "caa", "aac"]
        texts = [rng.choice(some) if rng.random() < share else rng.choice(["", "b", "xa", "ä"]) for _ in range(count)]
        body = b"".join(BEFORE + text.encode() + AFTER for text in texts)
        holds = {
            "eq": str.__eq__,
            "contains": str.__contains__,
            "starts_with": str.startswith,
            "ends_with": str.endswith,
        }
        expected = marked([holds[part](text, "aa") for text in texts])
        assert texts_marked(body, count, part, b"aa", caseless=False) == expected
