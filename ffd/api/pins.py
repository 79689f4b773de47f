"""Pins: the batches' marks on the ledger, in its order, and whether each became events."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.times import format_time
from ffd.store.search import PINS, ShownPin


async def list_pins(call: Call) -> Answer:
    """Find pins."""
    return await listing(call, PINS, lambda _tx, pin: pin_json(pin, call.namespace.name))


def pin_json(pin: ShownPin, namespace: str) -> str:
    """A pin as FireFly shows it."""
    masked = ',"masked":true' if pin.masked else ""
    dispatched = ',"dispatched":true' if pin.dispatched else ""
    return (
        f'{{"sequence":{pin.sequence},"namespace":{json_string(namespace)}{masked},"hash":"{pin.hash.hex()}"'
        f',"batch":"{format_uuid(pin.batch)}","batchHash":"{pin.batch_hash.hex()}","index":{pin.index}{dispatched}'
        f',"signer":{json_string(pin.signer)},"created":"{format_time(pin.created)}"}}'
    )
