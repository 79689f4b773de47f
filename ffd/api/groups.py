"""Groups: those to whom private messages go together."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid, parse_hash
from ffd.model.namespace import Namespace
from ffd.model.times import format_time
from ffd.store import search
from ffd.store.collections import GROUPS, ShownGroup


async def list_groups(call: Call) -> Answer:
    """Find groups."""
    return await listing(call, GROUPS, lambda _tx, row: group_json(row, call.namespace))


async def get_group(call: Call) -> Answer:
    """One group, by its hash."""
    hash = parse_hash(call.path["hash"])
    found = call.desk.store.peek(lambda tx: search.find(tx, GROUPS, call.namespace.number, hash, by="hash"))
    if found is None:
        raise not_found(call, "group", hash.hex())
    return object_of(group_json(found, call.namespace))


def group_json(row: ShownGroup, namespace: Namespace) -> str:
    """A group as FireFly shows it."""
    message = f',"message":"{format_uuid(row.message)}"' if row.message else ""
    return (
        f'{{"namespace":{json_string(namespace.network_name)},"name":{json_string(row.name)},"members":{row.members}'
        f',"localNamespace":{json_string(namespace.name)}{message},"hash":"{row.hash.hex()}"'
        f',"created":"{format_time(row.created)}"}}'
    )
