"""What definitions made, as FireFly shows it: identities and datatypes."""

from __future__ import annotations

from ffd.model.canonical import json_string
from ffd.model.datatype import Datatype, datatype_json
from ffd.model.ids import format_uuid
from ffd.model.times import format_time
from ffd.store.datatypes import DatatypeRow
from ffd.store.identities import IdentityRow


def stored_datatype_json(row: DatatypeRow, namespace: str) -> str:
    """A datatype as FireFly shows it."""
    return datatype_json(
        Datatype(format_uuid(row.id), row.validator, row.name, row.version, row.hash.hex(), row.created, row.value),
        namespace=namespace, message=format_uuid(row.message),
    )  # fmt: skip


def identity_json(row: IdentityRow, namespace: str) -> str:
    """An identity as FireFly shows it; one that is not confirmed yet has no time."""
    parent = f',"parent":"{format_uuid(row.parent)}"' if row.parent else ""
    name = f',"name":{json_string(row.name)}' if row.name else ""
    description = f',"description":{json_string(row.description)}' if row.description else ""
    profile = f',"profile":{row.profile}' if row.profile else ""
    created = f',"created":"{format_time(row.created)}"' if row.created else ""
    updated = f',"updated":"{format_time(row.updated)}"' if row.updated is not None else ""
    return (
        f'{{"id":"{format_uuid(row.id)}","did":{json_string(row.did)},"type":"{row.type}"{parent}'
        f',"namespace":{json_string(namespace)}{name}{description}{profile}'
        f',"messages":{{"claim":{_id(row.claim)},"verification":{_id(row.verification)},"update":{_id(row.update)}}}'
        f"{created}{updated}}}"
    )


def _id(raw: bytes | None) -> str:
    return "null" if raw is None else f'"{format_uuid(raw)}"'
