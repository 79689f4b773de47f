"""Batches: messages that travel together, as they were sealed here or came in."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid
from ffd.model.message import CONTRACT_INVOKE_PIN
from ffd.model.times import time_json
from ffd.store.batches import BatchRow
from ffd.store.collections import BATCHES


async def list_batches(call: Call) -> Answer:
    """Find batches."""
    return await listing(call, BATCHES, lambda _tx, row: batch_json(row, call.namespace.name))


async def get_batch(call: Call) -> Answer:
    """One batch."""
    return object_of(batch_json(one_of(call, BATCHES, "id", "batch"), call.namespace.name))


async def cancel_batch(call: Call) -> Answer:
    """Give up a batch that a contract refuses to pin. Refused: no batch of ffd waits for a contract of the app's own.

    404 for an unknown batch, then FireFly's codes: FF10466 for a batch that is no `contract_invoke_pin`, FF10468 for
    one that is not on its way out, FF10414 otherwise.
    """
    await call.check_empty()
    batch = one_of(call, BATCHES, "id", "batch")
    id = format_uuid(batch.id)
    if batch.tx_type != CONTRACT_INVOKE_PIN:
        raise Invalid(
            "FF10466", f"Cannot cancel batch '{id}' of type {batch.tx_type}: only {CONTRACT_INVOKE_PIN} can be"
        )
    if not batch.sealed or batch.sent is not None:
        raise Invalid("FF10468", f"Cannot cancel batch '{id}': it is not on its way out")
    raise Invalid(
        "FF10414", f"This action is not supported in this namespace: batch '{id}' is tried until it is pinned"
    )


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
