"""Operations: each thing asked of the outside, and what came of it."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.times import format_time
from ffd.store.operations import OperationRow
from ffd.store.search import OPERATIONS


async def list_operations(call: Call) -> Answer:
    """Find operations."""
    return await listing(call, OPERATIONS, lambda _tx, row: operation_json(row, call.namespace.name))


async def get_operation(call: Call) -> Answer:
    """One operation."""
    return object_of(operation_json(one_of(call, OPERATIONS, "id", "operation"), call.namespace.name))


def operation_json(row: OperationRow, namespace: str) -> str:
    """An operation as FireFly shows it; input and output are texts of ours."""
    given = f',"input":{row.input}' if row.input else ""
    came = f',"output":{row.output}' if row.output else ""
    error = f',"error":{json_string(row.error)}' if row.error else ""
    retry = f',"retry":"{format_uuid(row.retry)}"' if row.retry else ""
    return (
        f'{{"id":"{format_uuid(row.id)}","namespace":{json_string(namespace)},"tx":"{format_uuid(row.tx)}"'
        f',"type":"{row.type}","status":"{row.status}","plugin":{json_string(row.plugin)}{given}{came}{error}'
        f',"created":"{format_time(row.created)}","updated":"{format_time(row.updated)}"{retry}}}'
    )
