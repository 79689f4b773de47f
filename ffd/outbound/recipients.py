"""To whom a private message goes: the members of a group, by the names that the sender gave (FireFly reference 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ffd.model.errors import Invalid, NotFound
from ffd.model.group import Member, check_group, group_hash, sort_members
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.namespace import Namespace
from ffd.outbound.draft import WireGroup, WireMember
from ffd.outbound.signer import look_up
from ffd.store import Store, Transaction, groups, identities
from ffd.store.groups import GroupRow
from ffd.store.identities import NODE, IdentityRow

ANCESTORS_MAX = 32
"""How far up a member's owners are asked for a node; no sensible chain is as long."""


class Recipients(NamedTuple):
    """The group that a private message goes to, by its hash; `new` is the group itself when nobody here knows it."""

    hash: bytes
    new: GroupRow | None


def resolve(store: Store, namespace: Namespace, hash_text: str, group: WireGroup, author: str, now: int) -> Recipients:
    """The group that is named by its hash or described by its members; its author, on this node, is always one of them.

    Raises NotFound FF10226 (group), FF10277 (identity), Invalid FF00115 (nobody), FF10224, FF10233 (node), FF10422 (a
    node of others), FFD2506 (an author who is no member), and what `check_group` raises.
    """
    here = Member(author, format_uuid(namespace.node_id))
    if hash_text:
        return _known(store, namespace, parse_hash(hash_text), here)
    if not group.members:
        raise Invalid("FF00115", "Group must have at least one member: name some in group.members")
    members = [_member(store, namespace, each) for each in group.members]
    if here not in members:
        # FireFly appends the node's organisation, and then what another author of the node sends is never confirmed.
        members.append(_checked(store, namespace, here))
    name = group.name or ""
    check_group(name, members)
    members = list(sort_members(members))
    hash = group_hash(namespace.network_name, name, members)
    if store.peek(lambda tx: groups.find(tx, namespace.number, hash)) is not None:
        return Recipients(hash, None)
    return Recipients(hash, GroupRow(hash, name, tuple(members), None, now))


def _known(store: Store, namespace: Namespace, hash: bytes, author: Member) -> Recipients:
    found = store.peek(lambda tx: groups.members(tx, namespace.number, hash))
    if not found:
        raise NotFound("FF10226", f"Group '{hash.hex()}' not found: send to its members once, and it is made")
    if author not in found:
        raise Invalid(
            "FFD2506",
            f"{author.identity} on this node is no member of group {hash.hex()}, and what it sends there could never "
            f"be confirmed: send as one of the members, or to a group with this one in it",
        )
    return Recipients(hash, None)


def _member(store: Store, namespace: Namespace, wire: WireMember) -> Member:
    did = look_up(store, namespace, wire.identity or "")
    if not wire.node:
        node = store.peek(lambda tx: _owned_node(tx, namespace.number, did))
        return Member(did, format_uuid(node.id))
    return _checked(store, namespace, Member(did, format_uuid(_named_node(store, namespace, wire.node).id)))


def _checked(store: Store, namespace: Namespace, member: Member) -> Member:
    """The member, if its node belongs to it or to one of its owners. Raises Invalid FF10422."""
    owner = store.peek(lambda tx: identities.find_by_id(tx, namespace.number, parse_uuid(member.node)))
    if owner is None or not store.peek(lambda tx: _is_below(tx, namespace.number, member.identity, owner.parent)):
        raise Invalid(
            "FF10422",
            f"Node {member.node} does not belong to '{member.identity[:80]}' or one of its parents: name one that does",
        )
    return member


def _is_below(tx: Transaction, namespace: int, did: str, ancestor: bytes | None) -> bool:
    return any(each.id == ancestor for each in _line(tx, namespace, did))


def _line(tx: Transaction, namespace: int, did: str) -> Iterator[IdentityRow]:
    """An identity, its owner, and so on up."""
    each = identities.find_identity(tx, namespace, did)
    for _ in range(ANCESTORS_MAX):
        if each is None:
            return
        yield each
        each = identities.find_by_id(tx, namespace, each.parent) if each.parent else None


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
    for owner in _line(tx, namespace, did):
        node = identities.first_node_of(tx, namespace, owner.id)
        if node is not None:
            return node
    raise Invalid("FF10233", f"Unable to find any nodes owned by org '{did}', or parent orgs: register one")
