"""Transactions, and operations: each thing asked of the outside, and what came of it."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.delivery.enrich import transaction_json
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.query import Condition
from ffd.model.times import format_time
from ffd.store.operations import OperationRow
from ffd.store.search import OPERATIONS, TRANSACTIONS


async def list_transactions(call: Call) -> Answer:
    """Find transactions."""
    return await listing(call, TRANSACTIONS, lambda _tx, row: transaction_json(row[0], call.namespace.name, *row[1:]))


async def get_transaction(call: Call) -> Answer:
    """One transaction."""
    row = one_of(call, TRANSACTIONS, "id", "transaction")
    return object_of(transaction_json(row[0], call.namespace.name, *row[1:]))


async def get_transaction_operations(call: Call) -> Answer:
    """The operations of a transaction."""
    id = one_of(call, TRANSACTIONS, "id", "transaction").id
    return await listing(
        call, OPERATIONS, lambda _tx, row: operation_json(row, call.namespace.name),
        only=Condition("eq", "tx", format_uuid(id)),
    )  # fmt: skip


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
