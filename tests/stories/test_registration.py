"""A node that says by itself who it is: at its first start, and again when its exchange is reached another way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from ffd.daemon.config import NamespaceConfig
from ffd.model.identity import peer_profile
from ffd.model.namespace import node_did, org_did
from ffd.store import identities
from ffd.store.identities import IdentityRow
from tests.world import Cast, Node, open_cast

REGISTERING = {"default": NamespaceConfig("default", register=True)}
NAMES = ("alice", "bob")


async def started(world: Cast) -> Sequence[Node]:
    """Nodes that nobody introduces."""
    world.strangers.update(NAMES)
    return [await world.node(name, namespaces=REGISTERING) for name in NAMES]


def known(node: Node, did: str) -> IdentityRow | None:
    """An identity as a node knows it from the network."""
    found = node.store.peek(lambda tx: identities.find_identity(tx, node.namespace.number, did))
    return found if found is not None and found.claim is not None else None


def endpoint(at: Node, of: Node) -> str:
    """Where a node believes that another one is."""
    found = known(at, node_did(f"{of.name}-node"))
    return "" if found is None else peer_profile(found.profile or "").endpoint


async def until_known(nodes: Sequence[Node], where: str = "memory") -> None:
    with trio.fail_after(60):
        while not all(endpoint(one, other) == where for one in nodes for other in nodes):  # noqa: ASYNC110
            await trio.sleep(0.05)


@pytest.mark.parametrize("seed", range(3))
async def test_nodes_that_start_for_the_first_time_come_to_know_each_other(
    seed: int, scratch: Path, autojump_clock: object
) -> None:
    async with open_cast(seed, scratch) as world:
        nodes = alice, bob = await started(world)
        began = trio.current_time()
        await until_known(nodes)
        assert trio.current_time() - began < 3
        for node in nodes:
            for other in nodes:
                org, its_node = known(node, org_did(other.name)), known(node, node_did(f"{other.name}-node"))
                assert org is not None
                assert its_node is not None and its_node.parent == org.id
        await alice.broadcast("tea")
        assert "tea" in await bob.heard(5)
        claims = await claims_of(alice)
        await alice.stop()
        await alice.start()
        await trio.sleep(30)
        assert await claims_of(alice) == claims, "it says nothing twice"


async def claims_of(node: Node) -> int:
    rows = node.rows("SELECT count(*) FROM messages WHERE header LIKE '%ff_identity_%'")
    return int(rows[0][0])


async def test_a_node_that_is_reached_another_way_tells_everybody(scratch: Path, autojump_clock: object) -> None:
    async with open_cast(1, scratch) as world:
        nodes = alice, bob = await started(world)
        await until_known(nodes)
        for place in ("elsewhere", "memory", "elsewhere"):
            alice.endpoint = place
            await alice.stop()
            await alice.start()
            with trio.fail_after(60):
                while endpoint(bob, alice) != place:  # noqa: ASYNC110
                    await trio.sleep(0.05)


async def test_a_node_that_was_killed_before_all_knew_it_says_it_once_more(
    scratch: Path, autojump_clock: object
) -> None:
    async with open_cast(1, scratch) as world:
        world.strangers.update(NAMES)
        alice, bob = [world.make_node(name, namespaces=REGISTERING) for name in NAMES]
        await bob.start()
        alice.ledger_faults.away = True
        await alice.start()
        await trio.sleep(5)
        await alice.kill()
        alice.ledger_faults.away = False
        await alice.start()
        await until_known([alice, bob])
        assert await claims_of(bob) == 4, "two of each"


async def test_a_name_that_another_had_first_is_not_spoken_for(
    scratch: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_cast(1, scratch) as world:
        alice, _ = nodes = await started(world)
        await until_known(nodes)
        impostor = world.make_node("mallory", namespaces=REGISTERING)
        impostor.config = replace(impostor.config, org=alice.config.org)
        world.strangers.add("mallory")
        with caplog.at_level(logging.ERROR):
            await impostor.start()
            await trio.sleep(60)
        told = [record.getMessage() for record in caplog.records if "is registered in namespace" in record.getMessage()]
        assert len(told) == 1
        assert told[0].startswith("did:firefly:org/alice is registered in namespace default with another key")
        assert known(alice, node_did("mallory-node")) is None


async def test_a_node_that_is_not_told_to_registers_nobody(scratch: Path, autojump_clock: object) -> None:
    async with open_cast(1, scratch) as world:
        alice = await world.node("alice")
        await trio.sleep(60)
        assert known(alice, org_did("alice")) is None
        assert await claims_of(alice) == 0
