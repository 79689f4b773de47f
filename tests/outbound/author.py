"""The outbound half of one node on a simulated disk, without its roles: what is accepted stays until it is moved."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from ffd.model.errors import FfdError
from ffd.model.ids import sha256
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, org_did
from ffd.outbound.accept import Accepted, AcceptLimits, Acceptor
from ffd.outbound.assembler import BatchLimits
from ffd.outbound.draft import Draft, parse_message
from ffd.outbound.sealing import Sealer
from ffd.plugins.ledger.signing import normal_key
from ffd.store import Store, Transaction, identities, namespaces, open_store
from ffd.store.identities import NODE, ORG, IdentityRow
from ffd.world import World
from tests.simulation.disk import Disk
from tests.simulation.surroundings import EPOCH_NS, SimWorld

LIMITS = AcceptLimits(message_bytes_max=10_000, unsent_messages_max=100)
BATCHES = BatchLimits()


class Keys:
    """The key of `me`, and no other."""

    def normal_key(self, key: str) -> str:
        return normal_key(key)

    def can_sign(self, key: str) -> bool:
        return key == key_of("me")


def uid(name: str) -> bytes:
    """The id of what a test calls `name`."""
    return sha256(name.encode())[:16]


def key_of(name: str) -> str:
    """The key of an organisation."""
    return sha256(f"key of {name}".encode()).hex()


@dataclass
class Author:
    """A node that accepts and seals, and can sign as the organisation `me` alone."""

    world: World
    store: Store
    namespace: Namespace
    acceptor: Acceptor
    sealer: Sealer

    async def accept(self, *messages: Any) -> list[Accepted]:
        """Send messages in one frame (see `draft`); all of them have to be accepted."""
        results = await self.acceptor.accept([draft(each) for each in messages])
        accepted = [each for each in results if isinstance(each, Accepted)]
        assert len(accepted) == len(results), results
        return accepted

    async def codes(self, *messages: Any) -> list[str]:
        """Send messages in one frame; the code of each one's refusal, `""` where there is none."""
        results = await self.acceptor.accept([draft(each) for each in messages])
        return [each.code if isinstance(each, FfdError) else "" for each in results]

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement reads."""
        return self.store.peek(lambda tx: list(tx.execute(statement, values)))

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - a test's own word


def draft(message: Any) -> Draft:
    """A message to send: bytes are taken as they came, an object is a whole message, anything else is its one value."""
    if isinstance(message, bytes):
        return parse_message(message)
    whole = message if isinstance(message, dict) else {"data": [{"value": message}]}
    return parse_message(json.dumps(whole).encode())


def headed(**header: Any) -> dict[str, Any]:
    """A message with these fields in its header."""
    return {"header": header, "data": [{"value": "tea"}]}


@asynccontextmanager
async def open_author(
    disk: Disk, *, limits: AcceptLimits = LIMITS, batch: BatchLimits = BATCHES
) -> AsyncGenerator[Author, None]:
    """One life of the node on its disk."""
    world = SimWorld(disk, Random(disk.operations))
    try:
        async with open_store(world, disk.root / "ffd.db") as store:
            namespace = await store.write(_join)
            acceptor = Acceptor(world, store, namespace, Keys(), limits)
            yield Author(world, store, namespace, acceptor, Sealer(world, namespace, batch, "storage", "ledger"))
    finally:
        world.end()


def _join(tx: Transaction) -> Namespace:
    """The node and its organisation `me`; `bob` with a key, `carl` with none, and a node `machine` of its own."""
    number, created = namespaces.ensure(tx, "default", "network", EPOCH_NS)
    for name in ("me", "bob", "carl"):
        identities.register(tx, number, IdentityRow(uid(name), org_did(name), ORG, None, name, None, EPOCH_NS))
    for name in ("me", "bob"):
        identities.add_verifier(tx, number, "default", uid(name), LEDGER_VERIFIER, key_of(name), EPOCH_NS)
    machine = IdentityRow(uid("machine"), "did:firefly:node/machine", NODE, uid("me"), "machine", None, EPOCH_NS)
    identities.register(tx, number, machine)
    return Namespace(
        number=number, name="default", network_name="network", created=created, org_id=uid("me"), org_name="me",
        node_id=uid("machine"), node_name="machine", author=org_did("me"), key=key_of("me"),
    )  # fmt: skip
