"""To whom a private message goes: the members of a group, by the names that the sender gave (FireFly reference 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ffd.model.errors import Invalid, NotFound
from ffd.model.group import Member, check_group
from ffd.model.ids import format_uuid, parse_hash
from ffd.model.namespace import Namespace
from ffd.outbound.draft import WireGroup, WireMember
from ffd.outbound.signer import look_up
from ffd.store import Store, Transaction, identities, search
from ffd.store.collections import GROUPS
from ffd.store.identities import NODE, IdentityRow

ANCESTORS_MAX = 32
"""How far up a member's owners are asked for a node; no sensible chain is as long."""


def resolve(store: Store, namespace: Namespace, group_hash: str, group: WireGroup) -> Sequence[Member] | None:
    """The members of a group that is described; None for one that is named by its hash, and known.

    Raises NotFound FF10226 (group), FF10277 (identity), Invalid FF00115 (nobody), FF10224, FF10233 (node), and what
    `check_group` raises.
    """
    if group_hash:
        hash = parse_hash(group_hash)
        if store.peek(lambda tx: search.find(tx, GROUPS, namespace.number, hash, by="hash")) is None:
            raise NotFound("FF10226", f"Group '{hash.hex()}' not found: send to its members once, and it is made")
        return None
    if not group.members:
        raise Invalid("FF00115", "Group must have at least one member: name some in group.members")
    members = [_member(store, namespace, each) for each in group.members]
    check_group(group.name or "", members)
    return members


def _member(store: Store, namespace: Namespace, wire: WireMember) -> Member:
    did = look_up(store, namespace, wire.identity or "")
    node = _named_node(store, namespace, wire.node) if wire.node else None
    if node is None:
        node = store.peek(lambda tx: _owned_node(tx, namespace.number, did))
    return Member(did, format_uuid(node.id))


def _named_node(store: Store, namespace: Namespace, text: str) -> IdentityRow:
    """The node behind a look-up string; a bare name is that of an organisation, as everywhere in FireFly."""
    try:
        did = look_up(store, namespace, text)
    except NotFound:
        did = ""
    node = store.peek(lambda tx: identities.find_identity(tx, namespace.number, did))
    if node is None or node.type != NODE:
        raise Invalid(
            "FF10224", f"Node with name or identity '{text[:80]}' not found: name it as did:firefly:node/NAME"
        )
    return node


def _owned_node(tx: Transaction, namespace: int, did: str) -> IdentityRow:
    """The first node of an identity, or else of its owner, and so on up."""
    owner = identities.find_identity(tx, namespace, did)
    for _ in range(ANCESTORS_MAX):
        if owner is None:
            break
        node = identities.first_node_of(tx, namespace, owner.id)
        if node is not None:
            return node
        owner = identities.find_by_id(tx, namespace, owner.parent) if owner.parent else None
    raise Invalid("FF10233", f"Unable to find any nodes owned by org '{did}', or parent orgs: register one")
