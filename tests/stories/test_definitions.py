"""Nodes that never met learn from the ledger who is who and what is what, and all of them the same."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from ffd.model.datatype import Datatype
from ffd.model.errors import Invalid
from ffd.model.identity import CUSTOM, Claim, IdentityBase, did_of
from ffd.model.ids import format_uuid, sha256
from ffd.outbound.accept import Accepted
from ffd.outbound.definitions import claim_definition, datatype_definition, verification_definition
from ffd.store import identities
from tests.world import NAMESPACE, Cast, Node, draft, open_cast

SHARED = """
    SELECT e.topic, m.id, e.type FROM events e JOIN messages m ON m.id = e.reference
     WHERE e.type LIKE 'message%' ORDER BY e.sequence"""
WIDGET = {"type": "object", "required": ["name"]}


async def strangers(cast: Cast, *names: str) -> list[Node]:
    """Running nodes that know nobody but themselves."""
    cast.strangers.update(names)
    return [await cast.node(name) for name in names]


async def define(node: Node, *definitions: Accepted) -> None:
    await node.desk.acceptors[NAMESPACE].define(*definitions)


def own_claim(node: Node) -> Accepted:
    """The claim of a node's organisation."""
    place = node.namespace
    base = IdentityBase(format_uuid(place.org_id), place.author, "org", "", place.org_name)
    return node.desk.acceptors[NAMESPACE].seal_definition(claim_definition(Claim(base), place.author, place.key))


def datatype(node: Node, name: str, schema: Any, version: str = "1") -> Accepted:
    text = json.dumps(schema, separators=(",", ":"))
    made = Datatype(
        format_uuid(node.desk.world.new_id()), "json", name, version, sha256(text.encode()).hex(),
        node.desk.world.now(), text,
    )  # fmt: skip
    place = node.namespace
    return node.desk.acceptors[NAMESPACE].seal_definition(datatype_definition(made, place.author, place.key))


async def child(node: Node, name: str) -> list[Accepted]:
    """The claim of an identity below a node's organisation, with a new key, and its verification."""
    place, acceptor = node.namespace, node.desk.acceptors[NAMESPACE]
    key = await node.desk.wallet.make()
    base = IdentityBase(
        format_uuid(node.desk.world.new_id()), did_of(CUSTOM, name), CUSTOM, format_uuid(place.org_id), name
    )
    claim = acceptor.seal_definition(claim_definition(Claim(base), base.did, key))
    word = verification_definition(base, claim.id_text, claim.hash, place.author, place.key)
    return [claim, acceptor.seal_definition(word)]


def per_topic(node: Node) -> dict[str, list[tuple[str, str]]]:
    """The fate of every message, in the order in which apps hear of it, for each topic."""
    found: dict[str, list[tuple[str, str]]] = {}
    for topic, id, type in node.rows(SHARED):
        found.setdefault(topic, []).append((format_uuid(id), type))
    return found


def directory(node: Node) -> dict[str, Any]:
    """Who and what a node knows."""
    return {
        "identities": node.rows("SELECT did, id, parent FROM identities WHERE claim IS NOT NULL ORDER BY did"),
        "keys": node.rows(
            """
            SELECT v.value, i.did FROM verifiers v JOIN identities i ON i.id = v.identity
             WHERE i.claim IS NOT NULL ORDER BY v.value"""
        ),
        "datatypes": node.rows("SELECT name, version, id, hash FROM datatypes ORDER BY name, version"),
    }


async def until_alike(*nodes: Node) -> None:
    """Until every node has settled all that any of them accepted."""

    def left(node: Node) -> set[str]:
        settled = {id for events in per_topic(node).values() for id, _ in events}
        return {format_uuid(row[0]) for other in nodes for row in other.rows("SELECT id FROM messages")} - settled

    with trio.fail_after(1800):
        while any(left(node) for node in nodes):  # noqa: ASYNC110 - no bell tells of all nodes
            await trio.sleep(0.2)


async def test_a_stranger_is_heard_when_it_has_said_who_it_is(autojump_clock: object, seed: int, scratch: Path) -> None:
    async with open_cast(seed, scratch) as cast:
        alice, bob = await strangers(cast, "alice", "bob")
        await alice.broadcast("early")
        assert await alice.heard(1) == ["early"]
        (blocked,) = await bob.wait_blocked()
        assert blocked.cause == "author"
        await define(alice, own_claim(alice))
        assert (await bob.heard(2))[1] == "early"
        await until_alike(alice, bob)
        assert directory(alice) == directory(bob) and per_topic(alice) == per_topic(bob)
        await define(bob, own_claim(bob), *await child(bob, "child"))
        await until_alike(alice, bob)
        (message,) = await bob.send([draft("from the child", author="did:firefly:child")])
        assert (await alice.settled([message]))[message].author == "did:firefly:child"


async def test_a_datatype_holds_on_every_node_from_its_place_on_the_ledger_on(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    async with open_cast(seed, scratch) as cast:
        alice, bob = await strangers(cast, "alice", "bob")
        await define(alice, own_claim(alice), datatype(alice, "widget", WIDGET))
        await define(bob, own_claim(bob))
        await until_alike(alice, bob)
        typed = {"name": "widget", "version": "1"}
        with pytest.raises(Invalid, match="FF10198"):
            await send_typed(bob, {"nom": "the"}, typed)
        message = await send_typed(bob, {"name": "tea"}, typed)
        assert (await alice.settled([message]))[message].values == ({"name": "tea"},)
        await bob.kill()
        await define(alice, datatype(alice, "widget", {"type": "string"}, "2"))
        await bob.start()
        await until_alike(alice, bob)
        assert directory(alice) == directory(bob) and len(directory(alice)["datatypes"]) == 2


async def send_typed(node: Node, value: Any, datatype: dict[str, str]) -> str:
    """Send a value that names its datatype."""
    from ffd.outbound.draft import parse_message

    body = {"header": {"topics": ["house"]}, "data": [{"value": value, "datatype": datatype}]}
    (outcome,) = await node.desk.acceptors[NAMESPACE].accept([parse_message(json.dumps(body).encode())])
    if isinstance(outcome, Accepted):
        return outcome.id_text
    raise outcome


async def test_nodes_that_want_the_same_names_agree_who_has_them(
    autojump_clock: object, seed: int, scratch: Path
) -> None:
    """Each defines the same datatypes and claims the same names, at once, on ledgers and storages that falter."""
    async with open_cast(seed, scratch) as cast:
        rng = Random(seed)
        nodes = await strangers(cast, "alice", "bob", "carol")
        for node in nodes:
            await define(node, own_claim(node))
        await until_alike(*nodes)
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(_want_all, node, Random(rng.random()))
        await until_alike(*nodes)
        for other in nodes[1:]:
            assert directory(other) == directory(nodes[0]) and per_topic(other) == per_topic(nodes[0])
        assert len(directory(nodes[0])["datatypes"]) == 6
        taken = [did for did, _, _ in directory(nodes[0])["identities"]]
        assert taken.count("did:firefly:child0") == 1


async def _want_all(node: Node, rng: Random) -> None:
    for number in range(3):
        node.ledger_faults.delay_s = node.storage_faults.delay_s = rng.random()
        await define(
            node, datatype(node, f"type{number}", {"type": "integer"}), datatype(node, f"type{number}", {}, "2")
        )
        await define(node, *await child(node, f"child{number}"))
        await node.broadcast(number, topic="house")
        await trio.sleep(rng.random())


async def test_a_name_that_another_takes_first_is_the_other_s(autojump_clock: object, seed: int, scratch: Path) -> None:
    """Two nodes call themselves alike; the network has the one that claims first, and the other knows it."""
    async with open_cast(seed, scratch) as cast:
        alice, thief = await strangers(cast, "alice", "thief")
        place = thief.namespace
        base = IdentityBase(format_uuid(thief.desk.world.new_id()), alice.namespace.author, "org", "", "alice")
        claim = claim_definition(Claim(base), base.did, place.key)
        await define(thief, thief.desk.acceptors[NAMESPACE].seal_definition(claim))
        await until_alike(alice, thief)
        await define(alice, own_claim(alice))
        await until_alike(alice, thief)
        assert directory(alice) == directory(thief)
        (row,) = directory(alice)["keys"]
        assert row == (place.key, base.did)
        found = alice.store.peek(lambda tx: identities.find_identity(tx, alice.namespace.number, base.did))
        assert found is not None and format_uuid(found.id) == base.id
