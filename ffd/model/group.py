"""Groups: who shares private messages, and the hash that names them (FireFly reference 2.5)."""

from collections.abc import Sequence

import msgspec

from ffd.model.canonical import decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.ids import normal_uuid, parse_hash, sha256
from ffd.model.names import check_name_not_uuid
from ffd.model.times import ZERO_TIME, parse_stored_time, time_json

IDENTITY_MAX = 1024
TAG_GROUP = "ff_define_group"
"""The tag of the message that founds a group."""


class Member(msgspec.Struct, frozen=True):
    """A member: the DID of an identity, and the id (UUID text) of the node that receives for it."""

    identity: str
    node: str


def sort_members(members: Sequence[Member]) -> tuple[Member, ...]:
    """Members in the order that a sender hashes: by the bytes of the identity, then by node.

    FireFly leaves the order of equal identities open, so what is received is hashed as sent, never sorted again.
    """
    return tuple(sorted(members, key=lambda member: (member.identity.encode(), member.node)))


def check_group(name: str, members: Sequence[Member]) -> None:
    """Refuse what is no group: FF00115 (no member), FF00116/7 (no identity, no node), FF00118 (one twice).

    Also FF00135 for an identity beyond `IDENTITY_MAX` characters, FF00140/1 for a name, which may be empty.
    """
    if name:
        check_name_not_uuid(name, "name")
    if not members:
        raise Invalid("FF00115", "Group must have at least one member")
    for index, member in enumerate(members):
        if not member.identity:
            raise Invalid("FF00116", f"Group member {index} has no identity")
        if len(member.identity) > IDENTITY_MAX:
            raise Invalid("FF00135", f"Field 'identity' of group member {index} exceeds {IDENTITY_MAX} characters")
        if not member.node:
            raise Invalid("FF00117", f"Group member {index} has no node")
    if len(set(members)) < len(members):
        raise Invalid("FF00118", "A group member is there twice: name each identity and node once")


def check_group_hash(namespace: str, name: str, members: Sequence[Member], hash: bytes) -> None:
    """`check_group` for a received one, whose members are hashed as sent; FF00119 when the hash is another's."""
    check_group(name, members)
    if group_hash(namespace, name, members) != hash:
        raise Invalid("FF00119", f"Group hash {hash.hex()} is not that of its members")


def group_hash(namespace: str, name: str, members: Sequence[Member]) -> bytes:
    """The 32 bytes that name a group; their hex is the topic of the message that founds it."""
    return sha256(group_identity_json(namespace, name, members).encode())


def group_identity_json(namespace: str, name: str, members: Sequence[Member]) -> str:
    """The hashed text: network namespace, name and members in the order given."""
    lead = f'"namespace":{json_string(namespace)},' if namespace else ""
    return f'{{{lead}"name":{json_string(name)},"members":{members_json(members)}}}'


def group_json(namespace: str, name: str, members: Sequence[Member], hash: bytes, created: int) -> str:
    """A group as it travels: the value of the message that founds it, and beside a batch that may come before that."""
    identity = group_identity_json(namespace, name, members)
    return f'{identity[:-1]},"hash":"{hash.hex()}","created":{time_json(created or None)}}}'


def members_json(members: Sequence[Member]) -> str:
    """The array of members in the order given, as it is hashed."""
    listed = ",".join([f'{{"identity":{json_string(member.identity)},"node":"{member.node}"}}' for member in members])
    return f"[{listed}]"


class _WireMember(msgspec.Struct):
    identity: str | None = None
    node: str | None = None


class _WireGroup(msgspec.Struct):
    namespace: str | None = None
    name: str | None = None
    members: list[_WireMember] | None = None
    hash: str | None = None
    created: str | None = None


_GROUP = msgspec.json.Decoder(_WireGroup)


class GroupDefinition(msgspec.Struct, frozen=True):
    """A group as somebody tells of it: `hash` (32 bytes) is that of the rest, `created` in nanoseconds, 0 for none."""

    namespace: str
    name: str
    members: tuple[Member, ...]
    hash: bytes
    created: int

    def has(self, identity: str, node: str) -> bool:
        """Is this identity, on this node, one of its members?"""
        return Member(identity, node) in self.members


def parse_group(value: bytes | str, namespace: str) -> GroupDefinition:
    """The group in a JSON text, checked: it is what its hash says, and of the network's `namespace`.

    Raises Invalid as `check_group_hash`, FFD2111 for another namespace, and for what cannot be read.
    """
    wire, _ = decode_envelope(value, _GROUP)
    members = tuple(
        [Member(each.identity or "", normal_uuid(each.node) if each.node else "") for each in wire.members or ()]
    )
    created = 0 if wire.created is None else parse_stored_time(wire.created)
    hash = parse_hash(wire.hash or "")
    found = GroupDefinition(
        wire.namespace or "", wire.name or "", members, hash, 0 if created == ZERO_TIME else created
    )
    if found.namespace != namespace:
        raise Invalid(
            "FFD2111",
            f"The group is of the namespace {found.namespace[:80]!r}, not {namespace!r}: name its members here",
        )
    check_group_hash(found.namespace, found.name, members, hash)
    return found
