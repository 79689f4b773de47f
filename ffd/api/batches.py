"""Batches: messages that travel together, as they were sealed here or came in."""

from __future__ import annotations

import msgspec

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.errors import Away, Invalid
from ffd.model.ids import format_uuid
from ffd.model.times import time_json
from ffd.outbound.cancelling import Cancellation, cancellation
from ffd.store import Store, Transaction, batches, operations
from ffd.store.batches import BatchRow
from ffd.store.bells import wait_rung
from ffd.store.collections import BATCHES
from ffd.store.operations import SEND_BATCH, SUCCEEDED

POLL_S = 0.5  # the fallback for what another process does


async def list_batches(call: Call) -> Answer:
    """Find batches."""
    return await listing(call, BATCHES, lambda _tx, row: batch_json(row, call.namespace.name))


async def get_batch(call: Call) -> Answer:
    """One batch."""
    return object_of(batch_json(one_of(call, BATCHES, "id", "batch"), call.namespace.name))


async def cancel_batch(call: Call) -> Answer:
    """Give up a batch that cannot leave: its messages are cancelled, and gaps that private ones leave are filled.

    With `dryrun` nothing is done, and the answer says what would be. Any batch that this node sealed and that is not on
    the ledger can be given up; FireFly gives up those of `contract_invoke_pin` only. It is done when no try of it is
    under way: 204 then. FF10468 for one that is not on its way out, or arrives at the ledger meanwhile.
    """
    await call.check_empty()
    store, batch = call.desk.store, one_of(call, BATCHES, "id", "batch")
    if not batch.sealed or batch.sent is not None or store.peek(lambda tx: batches.is_cancelled(tx, batch.sequence)):
        raise _not_leaving(batch)
    what = await store.read(lambda tx: cancellation(tx, batch))
    if what.on_ledger:
        raise _not_leaving(batch)
    if call.flag("dryrun"):
        return object_of(await store.read(lambda tx: _cancellation_json(tx, batch, what)))
    call.late = Away(
        "FFD2040",
        f"batch '{format_uuid(batch.id)}' is still tried: it is given up when that try ends, unless it arrives",
    )
    await store.write(lambda tx: batches.ask_cancel(tx, batch.sequence, call.desk.world.now()))
    await _wait_cancelled(store, batch)
    return Answer(204, None)


async def _wait_cancelled(store: Store, batch: BatchRow) -> None:
    """Until the batch is given up. Raises Invalid FF10468 when it left instead."""
    bell = store.bell(batches.CANCELLED_BELL)
    while True:
        ticket = bell.ticket()
        if store.peek(lambda tx: batches.is_cancelled(tx, batch.sequence)):
            return
        if not store.peek(lambda tx: batches.is_cancel_asked(tx, batch.sequence)):
            raise _not_leaving(batch)  # the ledger told of it
        if store.peek(lambda tx: batches.at(tx, batch.sequence)).sent is not None:
            raise _not_leaving(batch)
        await wait_rung(ticket, at_most_s=POLL_S)


def _not_leaving(batch: BatchRow) -> Invalid:
    id = format_uuid(batch.id)
    why = "it was not sealed here" if not batch.sealed else "it is on the ledger, or was given up before"
    return Invalid("FF10468", f"Cannot cancel batch '{id}': it is not on its way out, {why}")


def _cancellation_json(tx: Transaction, batch: BatchRow, what: Cancellation) -> str:
    """What giving up a batch would do, and which nodes have it already."""
    sends = [each for each in operations.of_tx(tx, batch.tx) if each.type == SEND_BATCH and each.status == SUCCEEDED]
    brought = [msgspec.json.decode(each.input or "{}")["node"] for each in sends]
    cancelled = [format_uuid(each.id) for each in what.cancelled]
    shown = {
        "batch": format_uuid(batch.id), "cancelled": cancelled, "filled": cancelled if what.filled else [],
        "kept": [format_uuid(each.id) for each in what.kept], "delivered": brought,
    }  # fmt: skip
    return msgspec.json.encode(shown).decode()


def batch_json(row: BatchRow, namespace: str) -> str:
    """A batch as FireFly shows it: the head, and the manifest that was hashed."""
    node = f',"node":"{format_uuid(row.node)}"' if row.node else ""
    group = f',"group":"{row.group_hash.hex()}"' if row.group_hash else ""
    author = f',"author":{json_string(row.author)}' if row.author else ""
    key = f',"key":{json_string(row.key)}' if row.key else ""
    return (
        f'{{"id":"{format_uuid(row.id)}","type":{json_string(row.type)},"namespace":{json_string(namespace)}{node}{group}'
        f',"created":{time_json(row.created or None)}{author}{key},"hash":"{row.hash.hex()}","manifest":{row.manifest}'
        f',"tx":{{"type":"{row.tx_type}","id":"{format_uuid(row.tx)}"}},"confirmed":{time_json(row.confirmed)}}}'
    )
