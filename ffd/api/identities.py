"""Identities: the organisations, nodes and others that take part in a namespace, found and shown."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.api.verifiers import ref_json, verifier_json
from ffd.delivery.defined import identity_json
from ffd.model.errors import Invalid
from ffd.model.identity import NODE, ORG, did_of
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.query import Condition
from ffd.store import Transaction, identities
from ffd.store.collection import Collection
from ffd.store.collections import IDENTITIES, NODES, ORGANIZATIONS, VERIFIERS
from ffd.store.identities import IdentityRow

DID = "did:"


async def list_identities(call: Call) -> Answer:
    """Find identities; with `fetchverifiers` what proves them is inside."""
    return await _list(call, IDENTITIES)


async def list_organizations(call: Call) -> Answer:
    """Find organisations."""
    return await _list(call, ORGANIZATIONS)


async def list_nodes(call: Call) -> Answer:
    """Find nodes."""
    return await _list(call, NODES)


async def get_identity(call: Call) -> Answer:
    """One identity, by its id or DID; with `fetchverifiers` what proves it is inside."""
    return await one(call, by_id_or_did(call, call.path["id"]))


async def get_identity_by_did(call: Call) -> Answer:
    """One identity, by its DID; with `fetchverifiers` what proves it is inside."""
    return await one(call, by_did(call, call.path["did"]))


async def get_organization(call: Call) -> Answer:
    """One organisation, by its name or id."""
    return await one(call, _by_name_or_id(call, ORG))


async def get_node(call: Call) -> Answer:
    """One node, by its name or id."""
    return await one(call, _by_name_or_id(call, NODE))


async def list_identity_verifiers(call: Call) -> Answer:
    """Find what proves an identity."""
    if is_half(call.path["id"]):
        return await one(call, by_did(call, f"{call.path['id']}/verifiers"))
    row = by_id_or_did(call, call.path["id"])
    only = Condition("eq", "identity", format_uuid(row.id))
    return await listing(call, VERIFIERS, lambda _tx, each: verifier_json(each, call.namespace.name), only=only)


def is_half(text: str) -> bool:
    """Is this what stands before the slash of a DID? Then what follows is a name, even if it is a route's last word."""
    return text in (did_of(ORG, "").rstrip("/"), did_of(NODE, "").rstrip("/"))


def by_id_or_did(call: Call, text: str) -> IdentityRow:
    """The identity in the path. Raises Invalid FF00138, NotFound FF10109."""
    if text.startswith(DID):
        return by_did(call, text)
    id = parse_uuid(text)
    return _found(call, call.desk.store.peek(lambda tx: identities.find_by_id(tx, call.namespace.number, id)), text)


def by_did(call: Call, did: str) -> IdentityRow:
    """The identity that has this DID. Raises Invalid FF10349, NotFound FF10109."""
    if not did.startswith(DID):
        raise Invalid("FF10349", f"{did[:80]!r} is no DID: write did:firefly:org/NAME, did:firefly:NAME or an id")
    return _found(call, call.desk.store.peek(lambda tx: identities.find_identity(tx, call.namespace.number, did)), did)


def _by_name_or_id(call: Call, type: str) -> IdentityRow:
    text, number = call.path["name"], call.namespace.number
    try:
        id = parse_uuid(text)
    except Invalid:
        row = call.desk.store.peek(lambda tx: identities.find_identity(tx, number, did_of(type, text)))
    else:
        row = call.desk.store.peek(lambda tx: identities.find_by_id(tx, number, id))
    return _found(call, row if row is not None and row.type == type else None, text)


def _found(call: Call, row: IdentityRow | None, text: str) -> IdentityRow:
    if row is None:
        raise not_found(call, "identity", text)
    return row


async def _list(call: Call, collection: Collection[IdentityRow]) -> Answer:
    name, with_verifiers = call.namespace.name, call.flag("fetchverifiers")

    def show(tx: Transaction, row: IdentityRow) -> str:
        shown = identity_json(row, name)
        return _with_verifiers(tx, call.namespace.number, row, shown) if with_verifiers else shown

    return await listing(call, collection, show)


async def one(call: Call, row: IdentityRow) -> Answer:
    """One identity, as the query string wants it."""
    shown = identity_json(row, call.namespace.name)
    if call.flag("fetchverifiers"):
        shown = await call.desk.store.read(lambda tx: _with_verifiers(tx, call.namespace.number, row, shown))
    return object_of(shown)


def _with_verifiers(tx: Transaction, namespace: int, row: IdentityRow, shown: str) -> str:
    verifiers = ",".join([ref_json(each) for each in identities.verifiers_of(tx, namespace, row.id)])
    return f'{shown[:-1]},"verifiers":[{verifiers}]}}'
