"""Datatypes: one is defined once and for all; and messages that name one must follow it.

A message knows those datatypes whose definition was pinned before it, whenever its own payload came (FireFly looks at
what was confirmed by then, which members may see differently).
"""

from __future__ import annotations

from collections.abc import Sequence

from ffd.inbound.definitions.office import Definition, Office, rejected
from ffd.inbound.order import Cause
from ffd.inbound.verdict import CONFIRM, Verdict
from ffd.model.context import broadcast_context
from ffd.model.data import Data, DatatypeRef
from ffd.model.datatype import (
    check_complete,
    check_datatype,
    check_follows,
    datatype_topic,
    parse_datatype,
    unknown_datatype,
)
from ffd.model.errors import Invalid
from ffd.model.event import DATATYPE_CONFIRMED
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.schema import schema_of
from ffd.store import datatypes, pins
from ffd.store.datatypes import DatatypeRow


def define(office: Office, definition: Definition) -> Verdict:
    """Take the definition of a datatype. Raises Invalid when it cannot be read."""
    datatype = parse_datatype(definition.value)
    name = f"datatype '{datatype.id}'"
    try:
        check_datatype(datatype)
    except Invalid as refused:
        return rejected("FF10403", f"Rejected {name} - validate failed: {refused}")
    if not definition.belongs_on(datatype.topic):
        return rejected("FF10403", f"Rejected {name} - validate failed: it is to be defined on topic {datatype.topic}")
    try:
        schema_of(datatype.value)
    except Invalid as refused:
        return rejected("FF10406", f"Rejected {name} - schema check: {refused}")
    existing = datatypes.find(office.tx, office.number, datatype.name, datatype.version)
    if existing is not None:
        return rejected("FF10407", f"Rejected {name} - conflicts with existing: {format_uuid(existing.id)}")
    id = parse_uuid(datatype.id)
    row = DatatypeRow(
        id, definition.message, datatype.validator, datatype.name, datatype.version, bytes.fromhex(datatype.hash),
        datatype.created, datatype.value, definition.pin,
    )  # fmt: skip
    datatypes.add(office.tx, office.number, row)
    office.tell(DATATYPE_CONFIRMED, id, definition.tx)
    return CONFIRM


def judge_data(office: Office, message: str, items: Sequence[Data], pin: int) -> Verdict:
    """Do the values of a message, whose first pin is `pin`, follow the datatypes that they name?"""
    for item in items:
        if item.datatype is not None and item.validator != "none":
            verdict = _judge_item(office, message, item, item.datatype, pin)
            if verdict != CONFIRM:
                return verdict
    return CONFIRM


def _judge_item(office: Office, message: str, item: Data, ref: DatatypeRef, pin: int) -> Verdict:
    try:
        check_complete(ref)
        found = datatypes.find(office.tx, office.number, ref.name, ref.version)
        if found is not None and found.pin < pin:
            check_follows(item, ref, found.value)
            return CONFIRM
        context = broadcast_context(datatype_topic(ref.name))
        first = pins.first_waiting(office.tx, office.number, context)
        if first is not None and first < pin:
            return Verdict(cause=Cause.DEFINITION, subject=context.hex())
        raise unknown_datatype(ref)
    except Invalid as refused:
        return rejected(refused.code, f"Rejected message '{message}': {refused.text}")
