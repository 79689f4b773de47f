"""Operations: each thing asked of the outside, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ffd.api.call import Answer, Call, listing, not_found, object_of, one_of
from ffd.api.status import plugin_json
from ffd.model.canonical import json_string
from ffd.model.errors import Conflict, Invalid
from ffd.model.ids import format_uuid
from ffd.model.message import DATA_PUBLISH
from ffd.model.times import format_time
from ffd.outbound.lanes import owe_again
from ffd.outbound.retries import RETRIED
from ffd.store import Transaction, operations
from ffd.store.collections import OPERATIONS
from ffd.store.operations import (
    DOWNLOAD_BATCH,
    DOWNLOAD_BLOB,
    INITIALIZED,
    PENDING,
    SEND_BATCH,
    SEND_BLOB,
    OperationRow,
)

DOWNLOADS = frozenset({DOWNLOAD_BATCH, DOWNLOAD_BLOB})
SENDS = frozenset({SEND_BATCH, SEND_BLOB})


async def list_operations(call: Call) -> Answer:
    """Find operations; with `fetchstatus` what the plugin behind each says of itself."""
    detail_of = await _details(call)
    return await listing(
        call, OPERATIONS, lambda _tx, row: operation_json(row, call.namespace.name, detail_of(row.type))
    )


async def get_operation(call: Call) -> Answer:
    """One operation; with `fetchstatus` what the plugin behind it says of itself."""
    row = one_of(call, OPERATIONS, "id", "operation")
    detail_of = await _details(call)
    return object_of(operation_json(row, call.namespace.name, detail_of(row.type)))


async def retry_operation(call: Call) -> Answer:
    """Do an operation once more, under a new one: 202 with that. The operation names it in `retry` from then on.

    A download that does not come through is tried at once. An upload or a pin that was done is done again, and changes
    nothing where it was; so is what was sent to a node of another member, after all that it is to get before. 409 for
    one that ffd is trying anyway.
    """
    await call.check_empty()
    id, namespace, now = call.id("id"), call.namespace, call.desk.world.now()
    new_id = call.desk.world.new_id()

    def unit(tx: Transaction) -> OperationRow:
        named = operations.find(tx, namespace.number, id)
        if named is None:
            raise not_found(call, "operation", format_uuid(id))
        latest = operations.latest(tx, named)
        _check_retried(latest, own=operations.is_of(tx, latest, DATA_PUBLISH))
        new = replace(latest, id=new_id, status=INITIALIZED, output=None, error=None, created=now, updated=now)
        sequence = operations.replace(tx, {named.id, latest.id}, new, now)
        if new.type in SENDS:
            owe_again(tx, new, sequence)
        tx.ring(operations.RETRIES_BELL, "downloads")
        return new

    return Answer(202, operation_json(await call.desk.store.write(unit), namespace.name))


def _check_retried(operation: OperationRow, *, own: bool) -> None:
    """Refuse what cannot be done once more, or need not; what an app asked for by its `own` wish is tried once.

    Raises Invalid FFD2022, Conflict FFD2023.
    """
    if operation.type in DOWNLOADS:
        return
    if operation.type not in RETRIED and operation.type not in SENDS:
        raise Invalid("FFD2022", f"An operation of type {operation.type} cannot be done once more by itself")
    if operation.status in (INITIALIZED, PENDING) and not own:
        error = f", the latest error was: {operation.error}" if operation.error else ""
        raise Conflict(
            "FFD2023", f"Operation {format_uuid(operation.id)} is being tried, and goes on until it succeeds{error}"
        )


async def _details(call: Call) -> Callable[[str], str]:
    """For a type of operation what its plugin says of itself, as JSON; empty unless the request asks for that."""
    if not call.flag("fetchstatus"):
        return lambda _type: ""
    status, name = call.desk.status, call.namespace.name
    shown = {
        "blockchain": plugin_json(await status.ledger(name)),
        "sharedstorage": plugin_json(await status.storage(name)),
        "dataexchange": plugin_json(await status.exchange(name)),
    }
    return lambda type: shown.get(type.partition("_")[0], "")


def operation_json(row: OperationRow, namespace: str, detail: str = "") -> str:
    """An operation as FireFly shows it; input, output and detail are texts of ours."""
    given = f',"input":{row.input}' if row.input else ""
    came = f',"output":{row.output}' if row.output else ""
    error = f',"error":{json_string(row.error)}' if row.error else ""
    detailed = f',"detail":{detail}' if detail else ""
    retry = f',"retry":"{format_uuid(row.retry)}"' if row.retry else ""
    return (
        f'{{"id":"{format_uuid(row.id)}","namespace":{json_string(namespace)},"tx":"{format_uuid(row.tx)}"'
        f',"type":"{row.type}","status":"{row.status}","plugin":{json_string(row.plugin)}{given}{came}{error}'
        f',"created":"{format_time(row.created)}","updated":"{format_time(row.updated)}"{retry}{detailed}}}'
    )
