"""Who this node is in each of its namespaces: an organisation, a node, and the key that proves both."""

from __future__ import annotations

import logging

from ffd.daemon.config import Config
from ffd.inbound.rewind import key_known
from ffd.model.errors import Conflict
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, node_did, org_did
from ffd.ports.exchange import Exchange, profile_json
from ffd.ports.ledger import Ledger
from ffd.store import Store, Transaction, identities, namespaces, offsets
from ffd.store.identities import NODE, ORG, IdentityRow
from ffd.world import World

_log = logging.getLogger(__name__)


async def join(
    world: World, store: Store, config: Config, name: str, ledger: Ledger, exchange: Exchange, key: str
) -> Namespace:
    """Take part in namespace `name`: its rows exist, and the node's own identities are known in it; `key` signs.

    Raises Conflict when the node's key is known under another name, or the namespace cannot leave where it was.
    """
    profile = profile_json(exchange.profile(config.namespaces[name].node or config.node.name))
    return await store.write(lambda tx: _join(tx, world, config, name, ledger, profile, key))


def _join(
    tx: Transaction, world: World, config: Config, name: str, ledger: Ledger, profile: str, key: str
) -> Namespace:
    now, wanted = world.now(), config.namespaces[name]
    network_name = wanted.network_name or name
    org_name, node_name = org_of(config, name), wanted.node or config.node.name
    number, created = namespaces.ensure(tx, name, network_name, now)
    if namespaces.place(tx, number, network_name, ledger.name):
        # For the others it may have been read beyond what this one needs.
        offsets.forget_cursor(tx, ledger.name)
    about = config.org.description if org_name == config.org.name else ""
    org = IdentityRow(world.new_id(), org_did(org_name), ORG, None, org_name, about or None, now)
    org_id = identities.register(tx, number, org)
    _own_key(tx, number, name, org, org_id, key)
    node = IdentityRow(world.new_id(), node_did(node_name), NODE, org_id, node_name, None, now, profile)
    node_id = identities.register(tx, number, node)
    identities.describe_unclaimed(tx, number, node_id, profile)
    return Namespace(
        number=number, name=name, network_name=network_name, created=created, org_id=org_id, org_name=org_name,
        node_id=node_id, node_name=node_name, author=org.did, key=key,
    )  # fmt: skip


def org_of(config: Config, namespace: str) -> str:
    """The organisation that signs what is sent in a namespace."""
    return config.namespaces[namespace].org or config.org.name


def _own_key(tx: Transaction, namespace: int, name: str, org: IdentityRow, org_id: bytes, key: str) -> None:
    """The node's key proves its organisation, and nobody else: messages in any other name would be rejected by all."""
    owner = identities.author_of(tx, namespace, LEDGER_VERIFIER, key)
    if owner is None:
        if (other := identities.key_of(tx, namespace, LEDGER_VERIFIER, org.did)) is not None:
            _log.warning(
                "%s has a new key in namespace %s: members that know only its key %s will not deliver what it sends; "
                "if keys/org.pem was lost, restore it", org.did, name, other,
            )  # fmt: skip
        identities.add_verifier(tx, namespace, name, org_id, LEDGER_VERIFIER, key, org.created)
        key_known(tx, namespace, key)
    elif owner[0] != org.did:
        raise Conflict(
            "FFD1303",
            f"the key of this node is known in namespace {name} as that of {owner[0]}, and cannot speak for "
            f"{org.did}: give org.name its old value, or choose another state directory",
        )
