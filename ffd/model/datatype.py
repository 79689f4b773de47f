"""Datatypes: named and versioned JSON Schemas that a network agrees on, and what it means to follow one."""

from __future__ import annotations

import msgspec

from ffd.model.canonical import decode_envelope, json_string
from ffd.model.data import Data, DatatypeRef, check_validator
from ffd.model.errors import Invalid
from ffd.model.identity import definition_topic
from ffd.model.ids import normal_hash, normal_uuid, sha256
from ffd.model.names import check_name, check_name_not_uuid
from ffd.model.schema import schema_of
from ffd.model.times import ZERO_TIME, parse_stored_time, time_json

TAG_DATATYPE = "ff_define_datatype"


class Datatype(msgspec.Struct, frozen=True):
    """A datatype as its definition says it: `id` a UUID, `hash` of the value in hex, `created` nanoseconds.

    `value` is the schema's canonical text.
    """

    id: str
    validator: str
    name: str
    version: str
    hash: str
    created: int
    value: str

    @property
    def topic(self) -> str:
        """The topic of its definition: all versions of a datatype are defined in one order (networks of version 2)."""
        return datatype_topic(self.name)


def datatype_topic(name: str) -> str:
    """The topic on which a datatype of that name is defined."""
    return definition_topic("datatype", "", name)


def datatype_json(datatype: Datatype, *, namespace: str = "", message: str = "") -> str:
    """A datatype as it is broadcast; with the local namespace and the defining message's id as REST shows it."""
    parts = [f'{{"id":"{datatype.id}"']
    if message:
        parts.append(f',"message":"{message}"')
    parts.append(f',"validator":"{datatype.validator}"')
    if namespace:
        parts.append(f',"namespace":{json_string(namespace)}')
    parts.append(f',"name":{json_string(datatype.name)},"version":{json_string(datatype.version)}')
    parts.append(f',"hash":"{datatype.hash}"')
    if datatype.created:
        parts.append(f',"created":{time_json(datatype.created)}')
    parts.append(f',"value":{datatype.value}}}')
    return "".join(parts)


class WireDatatype(msgspec.Struct):
    """A datatype as it arrives."""

    id: str | None = None
    validator: str | None = None
    name: str | None = None
    version: str | None = None
    hash: str | None = None
    created: str | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")


def parse_datatype(text: str | bytes) -> Datatype:
    """The datatype in a definition's value, or in a request; not checked any further. Raises Invalid."""
    wire, value_text = decode_envelope(text, _DATATYPE)
    created = 0 if wire.created is None else parse_stored_time(wire.created)
    return Datatype(
        normal_uuid(wire.id) if wire.id else "", check_validator(wire.validator or ""), wire.name or "",
        wire.version or "", normal_hash(wire.hash) if wire.hash else "", 0 if created == ZERO_TIME else created,
        value_text(wire.value),
    )  # fmt: skip


def check_datatype(datatype: Datatype) -> None:
    """Refuse a datatype that cannot be defined so, its schema apart.

    Raises Invalid FF00108 (a validator that is not `json`), FF00140, FF00141 (names), FF00109 (no schema), FF10201 (its
    hash is another's), FF00114 (no id).
    """
    if datatype.validator != "json":
        raise Invalid("FF00108", f"Unknown validator type: {datatype.validator!r}: a datatype's is json")
    check_name_not_uuid(datatype.name, "name")
    check_name(datatype.version, "version")
    if datatype.value == "null":
        raise Invalid("FF00109", "Data value is null: give a JSON Schema")
    if not datatype.id:
        raise Invalid("FF00114", "Invalid datatype: it has no id")
    if datatype.hash != sha256(datatype.value.encode()).hex():
        raise Invalid("FF10201", f"Hash does not match: {datatype.hash or 'none'} is not that of the schema")


def check_complete(ref: DatatypeRef) -> None:
    """Refuse a reference that names no datatype. Raises Invalid FF10195."""
    if not ref.name or not ref.version:
        raise unknown_datatype(ref)


def unknown_datatype(ref: DatatypeRef) -> Invalid:
    """FF10195 for a datatype that is not known where it counts."""
    return Invalid("FF10195", f"Datatype '{label(ref)}' not found: define it first, or use validator none")


def check_follows(item: Data, ref: DatatypeRef, schema: str) -> None:
    """Refuse a data item whose value does not follow the schema of its datatype (FireFly reference 7.6).

    Raises Invalid FF10199 (no value), FF10201 (its hash is not that of the value alone), FF10196 (not a schema that can
    be checked), FF10198 (it does not follow).
    """
    if item.value is None:
        raise Invalid("FF10199", f"Data value is null: datatype '{label(ref)}' is about values, use validator none")
    if item.blob is not None:
        # Its hash covers the blob as well, so FireFly's members would never get over it (reference 13, Q15).
        raise Invalid("FF10201", "Hashes do not match: data with a blob follows no datatype, use validator none")
    problem = schema_of(schema).problem(item.value)
    if problem:
        raise Invalid("FF10198", f"Data does not conform to the JSON schema of datatype '{label(ref)}': {problem}")


def label(ref: DatatypeRef) -> str:
    """A datatype as texts name it."""
    return f"{ref.name[:80]}/{ref.version[:80]}"


_DATATYPE = msgspec.json.Decoder(WireDatatype)
