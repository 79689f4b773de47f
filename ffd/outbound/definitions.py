"""What this node defines for its network: the texts of definitions, ready to be accepted (FireFly reference 7.7).

A definition is a broadcast like any other: it is sealed, stored, batched and pinned with its author's messages, in
their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from ffd.model.datatype import TAG_DATATYPE, Datatype, datatype_json
from ffd.model.group import TAG_GROUP, group_json
from ffd.model.identity import (
    TAG_CLAIM,
    TAG_UPDATE,
    TAG_VERIFICATION,
    Claim,
    IdentityBase,
    Update,
    Verification,
    claim_json,
    identity_topic,
    update_json,
    verification_json,
)
from ffd.store.groups import GroupRow


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition about to be sealed: who signs it with which key, and its one value as canonical JSON."""

    author: str
    key: str
    tag: str
    topic: str
    value: str


def datatype_definition(datatype: Datatype, author: str, key: str) -> Definition:
    """The definition of a datatype."""
    return Definition(author, key, TAG_DATATYPE, datatype.topic, datatype_json(datatype))


def claim_definition(claim: Claim, author: str, key: str) -> Definition:
    """The claim of an identity: by itself with its new key, or a node's by its owner."""
    return Definition(author, key, TAG_CLAIM, identity_topic(claim.identity.did), claim_json(claim))


def verification_definition(base: IdentityBase, claim: str, claim_hash: bytes, author: str, key: str) -> Definition:
    """A parent's word that the claim in the message `claim` is true."""
    value = verification_json(Verification(claim, claim_hash.hex(), base))
    return Definition(author, key, TAG_VERIFICATION, identity_topic(base.did), value)


def update_definition(update: Update, author: str, key: str) -> Definition:
    """A new description and profile of an identity."""
    return Definition(author, key, TAG_UPDATE, identity_topic(update.identity.did), update_json(update))


def group_definition(network_name: str, group: GroupRow, author: str, key: str) -> Definition:
    """The founding of a group: a private message to its members, on a topic of its own."""
    value = group_json(network_name, group.name, group.members, group.hash, group.created)
    return Definition(author, key, TAG_GROUP, group.hash.hex(), value)
