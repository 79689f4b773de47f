"""Pins: the batches' marks on the ledger, in its order, and whether each became events; and those expected next."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.model.canonical import decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.times import format_time
from ffd.store import Transaction, pins
from ffd.store.collections import NEXTPINS, PINS, NextPinRow, ShownPin


class WireRewind(msgspec.Struct):
    """Where to look again: the sequence of a pin, or else a batch (FireFly's PinRewind)."""

    sequence: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    batch: str | None = None


_REWIND = msgspec.json.Decoder(WireRewind)


async def list_pins(call: Call) -> Answer:
    """Find pins."""
    return await listing(call, PINS, lambda _tx, pin: pin_json(pin, call.namespace.name))


async def rewind_pins(call: Call) -> Answer:
    """Let the aggregator look again at the pins of a batch that wait; 404 for a pin or batch that is not known.

    The batch is named, or the sequence of one of its pins. What arrives does the same by itself.
    """
    wire, _ = decode_envelope(await call.body(), _REWIND)
    sequence, number = wire.sequence or 0, call.namespace.number
    named = None if sequence > 0 or not wire.batch else parse_uuid(wire.batch)
    if sequence <= 0 and named is None:
        raise Invalid("FFD2021", "Nothing says where to rewind to: give the sequence of a pin, or a batch")

    def unit(tx: Transaction) -> bytes:
        batch = pins.batch_pinned_at(tx, number, sequence) if named is None else named
        if batch is None or not pins.is_pinned(tx, number, batch):
            raise (
                not_found(call, "pin", str(sequence))
                if named is None
                else not_found(call, "pinned batch", format_uuid(named))
            )
        if not pins.is_rewinding(tx, number, batch):
            pins.rewind(tx, number, batch)
        return batch

    batch = await call.desk.store.write(unit)
    return object_of(f'{{"sequence":{sequence},"batch":"{format_uuid(batch)}"}}')


async def list_nextpins(call: Call) -> Answer:
    """Find the pins that are expected next of the members of groups; there are none before private messages."""
    return await listing(call, NEXTPINS, lambda _tx, row: nextpin_json(row, call.namespace.name))


def nextpin_json(row: NextPinRow, namespace: str) -> str:
    """A next pin as FireFly shows it."""
    return (
        f'{{"namespace":{json_string(namespace)},"context":"{row.context.hex()}"'
        f',"identity":{json_string(row.identity)},"hash":"{row.hash.hex()}","nonce":{row.nonce}}}'
    )


def pin_json(pin: ShownPin, namespace: str) -> str:
    """A pin as FireFly shows it."""
    masked = ',"masked":true' if pin.masked else ""
    dispatched = ',"dispatched":true' if pin.dispatched else ""
    return (
        f'{{"sequence":{pin.sequence},"namespace":{json_string(namespace)}{masked},"hash":"{pin.hash.hex()}"'
        f',"batch":"{format_uuid(pin.batch)}","batchHash":"{pin.batch_hash.hex()}","index":{pin.index}{dispatched}'
        f',"signer":{json_string(pin.signer)},"created":"{format_time(pin.created)}"}}'
    )
