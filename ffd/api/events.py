"""Events: what happened here, in the node's order."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.delivery.enrich import encode
from ffd.model import event as model
from ffd.model.event import Event
from ffd.model.ids import format_uuid
from ffd.store import Transaction, deliveries, namespaces
from ffd.store.collections import EVENTS
from ffd.store.events import EventRow

FETCH = ("fetchreferences", "fetchreference")


async def list_events(call: Call) -> Answer:
    """Find events; with `fetchreferences` what they speak of is inside."""
    if call.flag(*FETCH):
        return await listing(call, EVENTS, _enriched_json)
    names = call.desk.store.peek(namespaces.names)
    return await listing(call, EVENTS, lambda _tx, event: event_json(event, names[event.namespace]))


async def get_event(call: Call) -> Answer:
    """One event; with `fetchreference` what it speaks of is inside."""
    event = one_of(call, EVENTS, "id", "event")
    if call.flag(*FETCH):
        return object_of(await call.desk.store.read(lambda tx: _enriched_json(tx, event)))
    return object_of(event_json(event, call.desk.store.peek(namespaces.names)[event.namespace]))


def event_json(row: EventRow, namespace: str) -> str:
    """An event as FireFly shows it."""
    return model.event_json(
        Event(
            row.sequence, format_uuid(row.id), row.type, namespace, format_uuid(row.reference),
            format_uuid(row.correlator) if row.correlator else "", format_uuid(row.tx) if row.tx else "",
            row.topic or "", row.created,
        )
    )  # fmt: skip


def _enriched_json(tx: Transaction, event: EventRow) -> str:
    (encoded,) = encode(tx, deliveries.of_ids(tx, [event.id]), with_data=False)
    return f"{encoded.text}}}"
