"""Batches: messages that travel together, as they were sealed here or came in."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.times import time_json
from ffd.store.batches import BatchRow
from ffd.store.search import BATCHES


async def list_batches(call: Call) -> Answer:
    """Find batches."""
    return await listing(call, BATCHES, lambda _tx, row: batch_json(row, call.namespace.name))


async def get_batch(call: Call) -> Answer:
    """One batch."""
    return object_of(batch_json(one_of(call, BATCHES, "id", "batch"), call.namespace.name))


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
