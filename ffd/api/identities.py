"""Identities: the organisations and nodes that take part in a namespace."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.times import format_time
from ffd.store.identities import IdentityRow
from ffd.store.search import IDENTITIES, NODES, ORGANIZATIONS


async def list_identities(call: Call) -> Answer:
    """Find identities."""
    return await listing(call, IDENTITIES, lambda _tx, row: identity_json(row, call.namespace.name))


async def list_organizations(call: Call) -> Answer:
    """Find organisations."""
    return await listing(call, ORGANIZATIONS, lambda _tx, row: identity_json(row, call.namespace.name))


async def list_nodes(call: Call) -> Answer:
    """Find nodes."""
    return await listing(call, NODES, lambda _tx, row: identity_json(row, call.namespace.name))


async def get_identity(call: Call) -> Answer:
    """One identity."""
    return object_of(identity_json(one_of(call, IDENTITIES, "id", "identity"), call.namespace.name))


def identity_json(row: IdentityRow, namespace: str) -> str:
    """An identity as FireFly shows it."""
    parent = f',"parent":"{format_uuid(row.parent)}"' if row.parent else ""
    name = f',"name":{json_string(row.name)}' if row.name else ""
    description = f',"description":{json_string(row.description)}' if row.description else ""
    profile = f',"profile":{row.profile}' if row.profile else ""
    updated = f',"updated":"{format_time(row.updated)}"' if row.updated is not None else ""
    return (
        f'{{"id":"{format_uuid(row.id)}","did":{json_string(row.did)},"type":"{row.type}"{parent}'
        f',"namespace":{json_string(namespace)}{name}{description}{profile}'
        f',"messages":{{"claim":{_id(row.claim)},"verification":{_id(row.verification)},"update":{_id(row.update)}}}'
        f',"created":"{format_time(row.created)}"{updated}}}'
    )


def _id(raw: bytes | None) -> str:
    return "null" if raw is None else f'"{format_uuid(raw)}"'
