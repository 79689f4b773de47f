"""Identities: what is claimed, verified and updated by broadcasts, and the texts of these (FireFly reference 7.7).

All that is said of one identity is said on one topic, the hash of its DID, so that members hear it in one order.
"""

from __future__ import annotations

import re

import msgspec

from ffd.model.canonical import ValueText, decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.ids import normal_hash, normal_uuid, parse_uuid, sha256
from ffd.model.names import check_name_not_uuid

ORG, NODE, CUSTOM = "org", "node", "custom"
DID_PREFIX = "did:firefly:"
DX_VERIFIER = "dx_peer_id"
"""The type of a verifier whose value is the name of a node's data exchange."""
TAG_CLAIM, TAG_VERIFICATION, TAG_UPDATE = "ff_identity_claim", "ff_identity_verification", "ff_identity_update"
DESCRIPTION_MAX = 4096

_CUSTOM_NAME = re.compile(r"[0-9a-zA-Z](?:[0-9a-zA-Z._/-]{0,62}[0-9a-zA-Z])?")
_RESERVED = (f"{ORG}/", f"{NODE}/")


def identity_topic(did: str) -> str:
    """The topic of an identity's claim, verification and updates."""
    return sha256(did.encode()).hex()


def definition_topic(kind: str, namespace: str, name: str) -> str:
    """The topic of a definition: `kind` is `datatype`, `tokenpool`, `contractapi` or `ffi`.

    Networks of version 2 define with an empty `namespace`.
    """
    return sha256(f"{kind}{namespace}{name}".encode()).hex()


def verifier_hash(namespace: str, kind: str, value: str) -> bytes:
    """What a key is filed under: `namespace` is the local one, `kind` such as `ethereum_address`."""
    return sha256(f"{namespace}{kind}{value}".encode())


def did_of(type: str, name: str) -> str:
    """The DID of an identity. Raises Invalid for a type that there is not."""
    if type == CUSTOM:
        return f"{DID_PREFIX}{name}"
    if type in (ORG, NODE):
        return f"{DID_PREFIX}{type}/{name}"
    raise Invalid("FF00126", f"Unknown identity type: {type[:80]!r}, use org, node or custom")


def bare_name(did: str) -> str:
    """The name in a DID of FireFly's."""
    name = did.removeprefix(DID_PREFIX)
    return name.partition("/")[2] if name.startswith(_RESERVED) else name


class IdentityBase(msgspec.Struct, frozen=True):
    """What never changes of an identity: ids are lower-case UUIDs, `parent` is empty for a root organisation."""

    id: str
    did: str
    type: str
    parent: str
    name: str


class Claim(msgspec.Struct, frozen=True):
    """Somebody says who it is: the identity, what describes it, and `profile`, a JSON object or nothing."""

    identity: IdentityBase
    description: str = ""
    profile: str = ""
    peer: str = ""
    """The text `profile.id`: for a node, the name of its data exchange."""


class Verification(msgspec.Struct, frozen=True):
    """A parent says that a claim is true: which message that is (id, hex of its hash), and what it claims."""

    claim: str
    hash: str
    identity: IdentityBase


class Update(msgspec.Struct, frozen=True):
    """An identity has a new description and profile, which replace the old ones as a whole."""

    identity: IdentityBase
    description: str = ""
    profile: str = ""


def check_identity(base: IdentityBase, description: str = "") -> IdentityBase:
    """`base` back if an identity may be called so.

    Raises Invalid FF00114 (no id), FF00120 (its DID is not that of its type and name), FF00124 (no parent where one is
    needed), FF00126 (type), FF00135 (description), FF00140, FF00141 (name).
    """
    if not base.id:
        raise Invalid("FF00114", "Invalid identity: it has no id")
    if base.type == CUSTOM:
        _check_custom_name(base.name)
    else:
        check_name_not_uuid(base.name, "name")
    if base.did != did_of(base.type, base.name):
        raise Invalid("FF00120", f"Invalid DID {base.did[:80]!r} for {base.type} '{base.name}'")
    if base.type != ORG and not base.parent:
        raise Invalid("FF00124", f"Identity of type '{base.type}' must have a valid parent: name an organisation")
    if len(description) > DESCRIPTION_MAX:
        raise Invalid("FF00135", f"Field 'description' has {len(description)} characters: {DESCRIPTION_MAX} at most")
    return base


def may_be_parent(parent_type: str, child_type: str) -> bool:
    """Organisations and nodes belong to organisations, others also to others (FireFly reference 7.7)."""
    return parent_type == ORG or (child_type == CUSTOM and parent_type == CUSTOM)


def _check_custom_name(name: str) -> None:
    if "/" not in name:
        check_name_not_uuid(name, "name")
    elif not _CUSTOM_NAME.fullmatch(name) or name.startswith(_RESERVED):
        raise Invalid(
            "FF00140",
            f"Field 'name' must be 1-64 characters of a-zA-Z0-9._-/, start and end in an alphanumeric, and not begin "
            f"with org/ or node/: {name[:80]!r} does not",
        )


# Texts ----------------------------------------------------------------------------------------------------------------


def claim_json(claim: Claim) -> str:
    """The value of a claim."""
    described = f',"description":{json_string(claim.description)}' if claim.description else ""
    profile = f',"profile":{claim.profile}' if claim.profile else ""
    messages = '"messages":{"claim":null,"verification":null,"update":null}'
    return f'{{"identity":{{{_base_fields(claim.identity)}{described}{profile},{messages}}}}}'


def verification_json(verification: Verification) -> str:
    """The value of a verification."""
    meant = f'{{"id":"{verification.claim}","hash":"{verification.hash}"}}'
    return f'{{"claim":{meant},"identity":{{{_base_fields(verification.identity)}}}}}'


def update_json(update: Update) -> str:
    """The value of an update."""
    updates = [f'"description":{json_string(update.description)}'] if update.description else []
    updates += [f'"profile":{update.profile}'] if update.profile else []
    return f'{{"identity":{{{_base_fields(update.identity)}}},"updates":{{{",".join(updates)}}}}}'


def _base_fields(base: IdentityBase) -> str:
    parent = f',"parent":"{base.parent}"' if base.parent else ""
    return (
        f'"id":"{base.id}","did":{json_string(base.did)},"type":"{base.type}"{parent},"namespace":""'
        f',"name":{json_string(base.name)}'
    )


class WireIdentity(msgspec.Struct):
    """An identity as it arrives."""

    id: str | None = None
    did: str | None = None
    type: str | None = None
    parent: str | None = None
    name: str | None = None
    description: str | None = None
    profile: msgspec.Raw = msgspec.Raw(b"null")


class _WireClaim(msgspec.Struct):
    identity: WireIdentity | None = None


class _WireRef(msgspec.Struct):
    id: str | None = None
    hash: str | None = None


class _WireVerification(msgspec.Struct):
    claim: _WireRef | None = None
    identity: WireIdentity | None = None


class _WireUpdates(msgspec.Struct):
    description: str | None = None
    profile: msgspec.Raw = msgspec.Raw(b"null")


class _WireUpdate(msgspec.Struct):
    identity: WireIdentity | None = None
    updates: _WireUpdates | None = None


def parse_claim(value: str) -> Claim:
    """The claim in a value; not checked any further. Raises Invalid."""
    wire, value_text = decode_envelope(value, _CLAIM)
    identity = wire.identity or WireIdentity()
    profile = profile_text(identity.profile, value_text)
    return Claim(_read_base(identity), identity.description or "", profile, peer_of(profile))


def parse_verification(value: str) -> Verification:
    """The verification in a value; not checked any further. Raises Invalid."""
    wire, _ = decode_envelope(value, _VERIFICATION)
    meant = wire.claim or _WireRef()
    return Verification(
        normal_uuid(meant.id) if meant.id else "", normal_hash(meant.hash) if meant.hash else "",
        _read_base(wire.identity or WireIdentity()),
    )  # fmt: skip


def parse_update(value: str) -> Update:
    """The update in a value; not checked any further. Raises Invalid."""
    wire, value_text = decode_envelope(value, _UPDATE)
    updates = wire.updates or _WireUpdates()
    profile = profile_text(updates.profile, value_text)
    return Update(_read_base(wire.identity or WireIdentity()), updates.description or "", profile)


def profile_text(raw: msgspec.Raw, value_text: ValueText) -> str:
    """A profile's canonical text, empty for none. Raises Invalid when it is not an object."""
    text = value_text(raw)
    if text == "null":
        return ""
    if not text.startswith("{"):
        raise Invalid("FFD2104", f"The JSON is not as expected: a profile is an object, not {text[:80]}")
    return text


class _WithId(msgspec.Struct):
    id: object = None


class _WireNodeProfile(_WithId):
    endpoint: object = None
    cert: object = None


def peer_of(profile: str) -> str:
    """The text `id` of a profile; empty when there is none."""
    if not profile:
        return ""
    try:
        wire, _ = decode_envelope(profile, _WITH_ID)
    except Invalid:
        return ""
    return wire.id if isinstance(wire.id, str) else ""


class NodeProfile(msgspec.Struct, frozen=True):
    """The profile of a node: how its data exchange is called, where it is, and its certificates in PEM."""

    id: str = ""
    endpoint: str = ""
    cert: str = ""


def peer_profile(profile: str) -> NodeProfile:
    """What the profile of a node says of its data exchange; each field is empty unless it is a text."""
    try:
        wire, _ = decode_envelope(profile, _NODE_PROFILE)
    except Invalid:
        return NodeProfile()
    return NodeProfile(*[each if isinstance(each, str) else "" for each in (wire.id, wire.endpoint, wire.cert)])


def _read_base(wire: WireIdentity) -> IdentityBase:
    return IdentityBase(
        normal_uuid(wire.id) if wire.id else "",
        wire.did or "",
        (wire.type or "").lower(),
        normal_uuid(wire.parent) if wire.parent else "",
        wire.name or "",
    )


def raw_id(text: str) -> bytes | None:
    """The 16 bytes of an id; None for none."""
    return parse_uuid(text) if text else None


_CLAIM = msgspec.json.Decoder(_WireClaim)
_VERIFICATION = msgspec.json.Decoder(_WireVerification)
_UPDATE = msgspec.json.Decoder(_WireUpdate)
_NODE_PROFILE = msgspec.json.Decoder(_WireNodeProfile)
_WITH_ID = msgspec.json.Decoder(_WithId)
