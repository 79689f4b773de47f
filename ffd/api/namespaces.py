"""Namespaces: what this node takes part in."""

from __future__ import annotations

from ffd.api.call import Answer, Call, object_of
from ffd.api.desk import Desk
from ffd.model.canonical import json_string
from ffd.model.namespace import Namespace
from ffd.model.times import format_time


async def list_namespaces(call: Call) -> Answer:
    """All namespaces that the caller may use. None is ever initializing: ffd answers when all are open."""
    shown = [each for each in call.desk.namespaces.values() if call.caller.may_use(each.name)]
    return object_of(f"[{','.join([namespace_json(call.desk, each) for each in shown])}]")


async def get_namespace(call: Call) -> Answer:
    """One namespace."""
    return object_of(namespace_json(call.desk, call.namespace))


def namespace_json(desk: Desk, namespace: Namespace) -> str:
    """A namespace as FireFly shows it."""
    description = desk.descriptions.get(namespace.name, "")
    return (
        f'{{"name":{json_string(namespace.name)},"networkName":{json_string(namespace.network_name)}'
        f',"description":{json_string(description)},"created":"{format_time(namespace.created)}"}}'
    )
