"""Shapes of those who take part, and of what proves it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, field

from ffd.api.shapes.words import Hash, Name, Object, Time, U, Uuid


class IdentityMessages(Struct):
    """The messages by which an identity came to be; null where there was none."""

    claim: Uuid | None
    verification: Uuid | None
    update: Uuid | None


class Identity(Struct):
    """An organisation, a node, or another who takes part."""

    id: Uuid
    did: str
    type: Literal["org", "node", "custom"]
    namespace: str
    messages: IdentityMessages
    parent: Uuid | U = UNSET
    name: str | U = UNSET
    description: str | U = UNSET
    profile: Object | U = UNSET
    created: Time | U = UNSET
    updated: Time | U = UNSET


class VerifierRef(Struct):
    """A key, or another thing that proves an identity."""

    value: str
    type: str | U = UNSET


class IdentityWithVerifiers(Identity, kw_only=True):
    """An identity, with what proves it."""

    verifiers: list[VerifierRef]


class NewIdentity(Struct):
    """An identity to claim."""

    name: Name
    type: Literal["org", "node", "custom"] | U = UNSET
    parent: str | U = UNSET
    key: str | U = UNSET
    description: Annotated[str, Meta(max_length=4096)] | U = UNSET
    profile: Object | U = UNSET


class IdentityUpdate(Struct):
    """What is to change of an identity."""

    profile: Object
    description: Annotated[str, Meta(max_length=4096)] | U = UNSET


class Verifier(Struct):
    """What proves an identity."""

    hash: Hash
    type: str
    value: str
    identity: Uuid | U = UNSET
    namespace: str | U = UNSET
    created: Time | U = UNSET


class Key(Struct):
    """A signing key, by its public half."""

    key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class DIDDocument(Struct):
    """An identity as DID documents show it (https://www.w3.org/TR/did-core/)."""

    context: list[str] = field(name="@context")
    id: str
    authentication: list[str]
    verificationMethod: list[Object]


class NetworkAction(Struct):
    """What the whole network is to do."""

    type: Literal["terminate"]
