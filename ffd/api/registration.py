"""Registration: claim identities, and change what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ffd.api.call import Answer, Call
from ffd.api.definitions import define, wait_defined, wait_identity
from ffd.api.identities import by_id_or_did
from ffd.delivery.defined import identity_json
from ffd.model.canonical import decode_envelope
from ffd.model.errors import Conflict, Invalid, NotFound
from ffd.model.identity import (
    CUSTOM,
    NODE,
    ORG,
    Claim,
    IdentityBase,
    Update,
    check_identity,
    did_of,
    may_be_parent,
    peer_of,
    profile_text,
    raw_id,
)
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.namespace import LEDGER_VERIFIER
from ffd.outbound.accept import Accepted, Acceptor
from ffd.outbound.definitions import claim_definition, update_definition, verification_definition
from ffd.outbound.signer import look_up
from ffd.store import identities
from ffd.store.identities import IdentityRow


class _WireIdentity(msgspec.Struct):
    name: str | None = None
    type: str | None = None
    parent: str | None = None
    key: str | None = None
    description: str | None = None
    profile: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who is to be claimed: `key` is what it will sign with, and a node's owner's."""

    claim: Claim
    parent: IdentityRow | None
    key: str

    @property
    def base(self) -> IdentityBase:
        return self.claim.identity


async def create_identity(call: Call) -> Answer:
    """Claim an identity: one of its own unless it says `org` or `node`; with `confirm` until it is confirmed."""
    return await _register(call, await _wish(call))


async def create_organization(call: Call) -> Answer:
    """Claim an organisation; with `confirm` the answer waits until it is confirmed."""
    return await _register(call, await _wish(call, ORG))


async def claim_own_organization(call: Call) -> Answer:
    """Claim the organisation of this node; with `confirm` the answer waits until it is confirmed."""
    await call.body()
    return await _register(call, _own_wish(call, call.namespace.org_id))


async def claim_own_node(call: Call) -> Answer:
    """Claim this node for its organisation; with `confirm` the answer waits until it is confirmed."""
    await call.body()
    return await _register(call, _own_wish(call, call.namespace.node_id))


async def update_identity(call: Call) -> Answer:
    """Replace description and profile of an identity; with `confirm` the answer waits until that is confirmed."""
    row, acceptor = by_id_or_did(call, call.path["id"]), _acceptor(call)
    wire, value_text = decode_envelope(await call.body(), _WIRE)
    profile = profile_text(wire.profile, value_text)
    if not profile:
        raise Invalid("FF10480", "Identity profile must be set: send all of it, since it is replaced as a whole")
    profile = _with_peer(profile, row.profile or "")
    check_identity(_base(row), wire.description or "")
    author, key = _signer(call, row)
    update = Update(_base(row), wire.description or "", profile)
    sealed = acceptor.seal_definition(update_definition(update, author, key))
    await define(call, *_first_claims(call, row), sealed)
    if call.flag("confirm"):
        await wait_defined(call, sealed)
        return Answer(200, identity_json(_stored(call, row.id), call.namespace.name))
    shown = row._replace(description=update.description or None, profile=profile, update=sealed.id)
    return Answer(202, identity_json(shown, call.namespace.name))


async def _wish(call: Call, type: str = "") -> _Wish:
    wire, value_text = decode_envelope(await call.body(), _WIRE)
    type, name = type or (wire.type or CUSTOM).lower(), wire.name or ""
    parent = _parent(call, type, wire.parent or "")
    base = IdentityBase(
        format_uuid(call.desk.world.new_id()), did_of(type, name), type,
        "" if parent is None else format_uuid(parent.id), name,
    )  # fmt: skip
    check_identity(base, wire.description or "")
    if parent is not None and not may_be_parent(parent.type, type):
        raise Invalid("FF10365", f"Parent {parent.did} of type {parent.type} is invalid for {base.did} of type {type}")
    if type != NODE and not wire.key:
        raise Invalid("FF10352", "No blockchain key specified: make one by POST keys, and give it as key")
    key = _signer(call, parent)[1] if type == NODE and parent else _acceptor(call).normal_key(wire.key or "")
    profile = profile_text(wire.profile, value_text)
    return _Wish(Claim(base, wire.description or "", profile, peer_of(profile)), parent, key)


def _own_wish(call: Call, id: bytes) -> _Wish:
    """What this node says of itself. Raises Conflict when the network knows it already."""
    row = _stored(call, id)
    if row.claim is not None:
        raise Conflict("FF10407", f"Identity {row.did} is claimed already, by message '{format_uuid(row.claim)}'")
    parent = None if row.parent is None else _stored(call, row.parent)
    return _Wish(Claim(_base(row), row.description or "", row.profile or ""), parent, call.namespace.key)


async def _register(call: Call, wish: _Wish) -> Answer:
    """Claim, and let the parent verify it; in one transaction, each signed by its own."""
    acceptor, base, parent = _acceptor(call), wish.base, wish.parent
    author = parent.did if base.type == NODE and parent is not None else base.did
    claim = acceptor.seal_definition(claim_definition(wish.claim, author, wish.key))
    verification: list[Accepted] = []
    if parent is not None and base.type != NODE:
        signer = _signer(call, parent)
        verification.append(acceptor.seal_definition(verification_definition(base, claim.id_text, claim.hash, *signer)))
    first = _first_claims(call, parent)
    await define(call, *first, claim, *verification)
    id = parse_uuid(base.id)
    if call.flag("confirm"):
        await wait_identity(call, id, [claim, *verification, *first])
        return Answer(200, identity_json(_stored(call, id), call.namespace.name))
    row = IdentityRow(
        id, base.did, base.type, raw_id(base.parent), base.name, wish.claim.description or None, 0,
        wish.claim.profile or None, claim.id, verification[0].id if verification else None,
    )  # fmt: skip
    return Answer(202, identity_json(row, call.namespace.name))


def _first_claims(call: Call, row: IdentityRow | None) -> list[Accepted]:
    """The claims of this node's own, as far as what follows needs them and they were not made: others would wait."""
    found: list[Accepted] = []
    while row is not None and row.claim is None:
        parent = None if row.parent is None else _stored(call, row.parent)
        author = parent.did if parent is not None else row.did
        claim = Claim(_base(row), row.description or "", row.profile or "")
        found.insert(0, _acceptor(call).seal_definition(claim_definition(claim, author, call.namespace.key)))
        row = parent
    return found


def _parent(call: Call, type: str, text: str) -> IdentityRow | None:
    """The parent that is named, by id, DID or organisation's name; else this node's organisation, for all but others.

    Raises NotFound FF10277, Invalid FF10214.
    """
    if not text:
        return None if type == ORG else _stored(call, call.namespace.org_id)
    number, store = call.namespace.number, call.desk.store
    try:
        id = parse_uuid(text)
    except Invalid:
        did = look_up(store, call.namespace, text)
        found = store.peek(lambda tx: identities.find_identity(tx, number, did))
    else:
        found = store.peek(lambda tx: identities.find_by_id(tx, number, id))
    if found is None:
        raise Invalid("FF10214", f"Identity '{text[:80]}' not found in identity chain: register the parent first")
    return found


def _signer(call: Call, row: IdentityRow) -> tuple[str, str]:
    """Who signs for an identity, and with which key. Raises Invalid FF10353."""
    if row.type == NODE and row.parent is not None:
        row = _stored(call, row.parent)
    number = call.namespace.number
    key = call.desk.store.peek(lambda tx: identities.key_of(tx, number, LEDGER_VERIFIER, row.did))
    if key is None:
        raise Invalid("FF10353", f"No {LEDGER_VERIFIER} verifier registered for identity {row.did}")
    return row.did, key


def _with_peer(profile: str, before: str) -> str:
    """The profile with the data exchange's name of before, unless it names one."""
    peer = peer_of(before)
    if not peer or peer_of(profile):
        return profile
    fields: dict[str, Any] = msgspec.json.decode(profile)
    return msgspec.json.encode(fields | {"id": peer}).decode()


def _stored(call: Call, id: bytes) -> IdentityRow:
    found = call.desk.store.peek(lambda tx: identities.find_by_id(tx, call.namespace.number, id))
    if found is None:
        raise NotFound("FF10109", f"Not found: no identity {format_uuid(id)} in namespace '{call.namespace.name}'")
    return found


def _base(row: IdentityRow) -> IdentityBase:
    parent = "" if row.parent is None else format_uuid(row.parent)
    return IdentityBase(format_uuid(row.id), row.did, row.type, parent, row.name)


def _acceptor(call: Call) -> Acceptor:
    return call.desk.acceptors[call.namespace.name]


_WIRE = msgspec.json.Decoder(_WireIdentity)
