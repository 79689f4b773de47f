"""A group is what its hash says, whoever heard of it first."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from ffd.model.group import Member, group_hash
from ffd.store import Store, groups, namespaces, open_store
from ffd.store.groups import GroupRow
from ffd.world import RealWorld

ALICE, BOB = Member("did:firefly:org/a<b", "node-1"), Member("did:firefly:org/b", "node-2")
CARL = Member("did:firefly:carl", "node-2")
MEMBERS = (BOB, ALICE, CARL)
HOUSE = GroupRow(group_hash("net", "", MEMBERS), "", MEMBERS, None, 7)


@pytest.fixture
async def store(scratch: Path) -> AsyncIterator[Store]:
    """A store with two namespaces, 1 and 2."""
    async with open_store(RealWorld(), scratch / "ffd.db") as store:
        for name in ("one", "two"):
            await store.write(partial(namespaces.ensure, name=name, network_name="net", now=1))
        yield store


async def test_a_group_is_read_as_it_was_hashed(store: Store) -> None:
    assert await store.write(lambda tx: groups.ensure(tx, 1, HOUSE))
    assert store.peek(lambda tx: groups.find(tx, 1, HOUSE.hash)) == HOUSE
    assert store.peek(lambda tx: groups.members(tx, 1, HOUSE.hash)) == MEMBERS
    assert HOUSE.nodes == ("node-2", "node-1")
    assert HOUSE.has(CARL.identity, "node-2") and not HOUSE.has(CARL.identity, "node-1")


async def test_each_namespace_has_its_own_groups(store: Store) -> None:
    await store.write(lambda tx: groups.ensure(tx, 1, HOUSE))
    assert store.peek(lambda tx: groups.find(tx, 2, HOUSE.hash)) is None
    assert store.peek(lambda tx: groups.members(tx, 2, HOUSE.hash)) == ()
    assert await store.write(lambda tx: groups.ensure(tx, 2, HOUSE))


async def test_a_group_that_is_known_stays_as_it_is_until_it_is_founded(store: Store) -> None:
    await store.write(lambda tx: groups.ensure(tx, 1, HOUSE))
    assert not await store.write(lambda tx: groups.ensure(tx, 1, HOUSE._replace(message=b"m" * 16, created=9)))
    assert store.peek(lambda tx: groups.find(tx, 1, HOUSE.hash)) == HOUSE
    await store.write(lambda tx: groups.founded_by(tx, 1, HOUSE.hash, b"n" * 16))
    assert store.peek(lambda tx: groups.find(tx, 1, HOUSE.hash)) == HOUSE._replace(message=b"n" * 16)
