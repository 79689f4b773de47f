"""Datatypes: JSON Schemas that the network agrees on."""

from __future__ import annotations

import msgspec

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.api.definitions import define, wait_defined
from ffd.delivery.defined import stored_datatype_json
from ffd.model.datatype import check_datatype, datatype_json, parse_datatype
from ffd.model.ids import format_uuid, sha256
from ffd.model.schema import schema_of
from ffd.outbound.definitions import datatype_definition
from ffd.store import datatypes
from ffd.store.collections import DATATYPES


async def create_datatype(call: Call) -> Answer:
    """Define a datatype for the whole network; with `confirm` the answer waits until it is confirmed."""
    namespace, world = call.namespace, call.desk.world
    given = parse_datatype(await call.body())
    datatype = msgspec.structs.replace(
        given, id=format_uuid(world.new_id()), hash=sha256(given.value.encode()).hex(), created=world.now()
    )
    check_datatype(datatype)
    schema_of(datatype.value)
    acceptor = call.desk.acceptors[namespace.name]
    sealed = acceptor.seal_definition(datatype_definition(datatype, namespace.author, namespace.key))
    await define(call, sealed)
    if call.flag("confirm"):
        await wait_defined(call, sealed)
    shown = datatype_json(datatype, namespace=namespace.name, message=sealed.id_text)
    return Answer(200 if call.flag("confirm") else 202, shown)


async def list_datatypes(call: Call) -> Answer:
    """Find datatypes."""
    return await listing(call, DATATYPES, lambda _tx, row: stored_datatype_json(row, call.namespace.name))


async def get_datatype(call: Call) -> Answer:
    """One datatype, by its name and version."""
    name, version = call.path["name"], call.path["version"]
    found = call.desk.store.peek(lambda tx: datatypes.find(tx, call.namespace.number, name, version))
    if found is None:
        raise not_found(call, "datatype", f"{name}/{version}")
    return object_of(stored_datatype_json(found, call.namespace.name))
