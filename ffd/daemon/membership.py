"""Who this node is in each of its namespaces: an organisation, a node, and the key that proves both."""

from __future__ import annotations

from ffd.daemon.config import Config
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, node_did, org_did
from ffd.ports.ledger import Ledger
from ffd.store import Store, Transaction, namespaces
from ffd.store.namespaces import NODE, ORG, IdentityRow
from ffd.world import World


async def join(world: World, store: Store, config: Config, name: str, ledger: Ledger) -> Namespace:
    """Take part in namespace `name`: its rows exist, and the node's own identities are known in it."""
    return await store.write(lambda tx: _join(tx, world, config, name, ledger))


def _join(tx: Transaction, world: World, config: Config, name: str, ledger: Ledger) -> Namespace:
    now, key = world.now(), ledger.default_key()
    network_name = config.namespaces[name].network_name or name
    number, created = namespaces.ensure(tx, name, network_name, now)
    org = IdentityRow(
        world.new_id(), org_did(config.org.name), ORG, None, config.org.name, config.org.description or None, now
    )
    org_id = namespaces.register(tx, number, org)
    namespaces.add_verifier(tx, number, name, org_id, LEDGER_VERIFIER, key, now)
    node = IdentityRow(world.new_id(), node_did(config.node.name), NODE, org_id, config.node.name, None, now)
    node_id = namespaces.register(tx, number, node)
    return Namespace(
        number=number, name=name, network_name=network_name, created=created, org_id=org_id, org_name=config.org.name,
        node_id=node_id, node_name=config.node.name, author=org.did, key=key,
    )  # fmt: skip
