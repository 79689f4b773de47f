"""Definitions as their authors make them, in batches of their own; and what became of them at a member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ffd.model.data import Data, DatatypeRef, data_hash
from ffd.model.datatype import TAG_DATATYPE, Datatype, datatype_json, datatype_topic
from ffd.model.identity import (
    CUSTOM,
    NODE,
    ORG,
    TAG_CLAIM,
    TAG_UPDATE,
    TAG_VERIFICATION,
    Claim,
    IdentityBase,
    Update,
    Verification,
    claim_json,
    did_of,
    identity_topic,
    update_json,
    verification_json,
)
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import DEFINITION, Header, Sealed, seal
from tests.inbound.member import NETWORK, Member, Parcel, key_of, pack, uid
from tests.simulation.surroundings import EPOCH_NS


@dataclass(frozen=True)
class Story:
    """A batch with one message, and that message."""

    message: Sealed
    parcel: Parcel

    @property
    def id(self) -> str:
        return self.message.header.id


def tell(
    name: str, value: str, *, author: str, key: str, topic: str, tag: str = "", type: str = DEFINITION,
    validator: str = "definition", datatype: DatatypeRef | None = None, more: Sequence[Data] = (),
) -> Story:  # fmt: skip
    """A message with one value (and `more`), in a batch called by its name."""
    item = Data(
        id=format_uuid(uid(f"data of {name}")), hash=data_hash(value, None), created=EPOCH_NS, value=value,
        validator=validator, datatype=datatype,
    )  # fmt: skip
    header = Header(
        format_uuid(uid(name)), "", type, "batch_pin", author, key, "2024-03-01T12:00:00Z", NETWORK, "", (topic,), tag
    )
    message = seal(header, [item.ref, *(each.ref for each in more)])
    return Story(message, pack(f"batch of {name}", [(message, item)]))


def say(name: str, value: object, *, by: str, topic: str = "talk", datatype: str = "") -> Story:
    """A broadcast by somebody who is known; `datatype` is a name and a version with a slash between."""
    ref = DatatypeRef(*datatype.split("/")) if datatype else None
    text = msgspec.json.encode(value).decode()
    signed: dict[str, Any] = {"author": did_of(ORG, by), "key": key_of(by)}
    return tell(name, text, topic=topic, type="broadcast", validator="json", datatype=ref, **signed)


def datatype(name: str, schema: Any, *, version: str = "1", by: str = "alice", **other: Any) -> Story:
    """The definition of a datatype; `other` are its fields as they should not be."""
    text = schema if isinstance(schema, str) else msgspec.json.encode(schema).decode()
    label = other.pop("label", f"{name}/{version} by {by}")
    topic = other.pop("topic", datatype_topic(name))
    fields: dict[str, Any] = {
        "id": format_uuid(uid(label)), "validator": "json", "name": name, "version": version,
        "hash": sha256(text.encode()).hex(), "created": EPOCH_NS, "value": text,
    } | other  # fmt: skip
    value = datatype_json(Datatype(**fields))
    return tell(label, value, author=did_of(ORG, by), key=key_of(by), topic=topic, tag=TAG_DATATYPE)


def base(name: str, type: str = ORG, parent: IdentityBase | None = None, id: str = "") -> IdentityBase:
    """Who somebody is."""
    did = did_of(type, name)
    return IdentityBase(id or format_uuid(uid(did)), did, type, "" if parent is None else parent.id, name)


def claim(who: IdentityBase, *, label: str = "", **other: Any) -> Story:
    """The claim of an identity, by itself with the key of its name unless told otherwise; a node's by its `parent`."""
    description, profile = other.pop("description", ""), other.pop("profile", "")
    fields = {"author": who.did, "key": key_of(who.name), "topic": identity_topic(who.did), "tag": TAG_CLAIM} | other
    return tell(label or f"claim of {who.did}", claim_json(Claim(who, description, profile)), **fields)


def claim_node(who: IdentityBase, owner: IdentityBase, **other: Any) -> Story:
    """The claim of a node, signed by its organisation."""
    return claim(who, **{"author": owner.did, "key": key_of(owner.name)} | other)


def verify(claimed: Story, who: IdentityBase, by: IdentityBase, *, label: str = "", **other: Any) -> Story:
    """A parent's word that a claim is true."""
    value = verification_json(Verification(claimed.id, claimed.message.hash.hex(), who))
    fields = {"author": by.did, "key": key_of(by.name), "topic": identity_topic(who.did), "tag": TAG_VERIFICATION}
    return tell(label or f"verification of {claimed.id} by {by.did}", value, **fields | other)


def update(who: IdentityBase, *, description: str = "", profile: str = "", **other: Any) -> Story:
    """A new profile, by the identity itself unless told otherwise."""
    label = other.pop("name", f"update of {who.did}")
    fields = {"author": who.did, "key": key_of(who.name), "topic": identity_topic(who.did), "tag": TAG_UPDATE} | other
    return tell(label, update_json(Update(who, description, profile)), **fields)


ALICE, BOB = base("alice"), base("bob")
CHILD = base("child", CUSTOM, ALICE)
MACHINE = base("machine", NODE, ALICE)


async def know_alice(member: Member) -> None:
    """Let a member hear of the claim of the organisation that most things are said by."""
    await hear(member, claim(ALICE))


async def hear(member: Member, *stories: Story) -> None:
    """Pin batches, let their payloads come, and settle."""
    for story in stories:
        await member.see(story.parcel)
    await member.receive(*(story.parcel for story in stories))
    await member.settle()


def all_told(member: Member) -> list[tuple[str, str]]:
    """Type and reference of all that apps would hear of messages and definitions."""
    rows = member.rows(
        """
        SELECT type, reference FROM events
         WHERE type NOT LIKE 'blockchain%' AND type NOT LIKE 'transaction%' ORDER BY sequence"""
    )
    return [(type, format_uuid(reference)) for type, reference in rows]


def fates(member: Member) -> dict[str, str]:
    """What became of each message: `confirmed`, or the code of its rejection; the others wait."""
    rows = member.rows(
        "SELECT m.id, s.state, s.reject_reason FROM message_states s JOIN messages m ON m.sequence = s.message"
    )
    return {
        format_uuid(id): state if state == "confirmed" else reason.partition(":")[0]
        for id, state, reason in rows
        if state in ("confirmed", "rejected")
    }
