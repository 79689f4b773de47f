"""Transactions: what was asked of the outside under one name, and how all of it stands."""

from __future__ import annotations

from typing import NamedTuple

from ffd.api.blockchainevents import list_blockchainevents
from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.api.operations import operation_json
from ffd.delivery.enrich import transaction_json
from ffd.model.canonical import json_string
from ffd.model.ids import format_uuid
from ffd.model.message import BATCH_PIN, CONTRACT_INVOKE_PIN
from ffd.model.query import Condition, Group, Query
from ffd.model.times import format_time
from ffd.store import Transaction, batches, operations, search
from ffd.store.collections import BLOCKCHAINEVENTS, OPERATIONS, TRANSACTIONS, TransactionRow
from ffd.store.operations import FAILED, PENDING, SUCCEEDED

PINNED = frozenset({BATCH_PIN, CONTRACT_INVOKE_PIN})
EVENTS_SHOWN_MAX = 100
"""Ledger events of one transaction that its status names: one is usual, but members may pin under another's name."""


async def list_transactions(call: Call) -> Answer:
    """Find transactions."""
    return await listing(call, TRANSACTIONS, lambda _tx, row: transaction_json(row[0], call.namespace.name, *row[1:]))


async def get_transaction(call: Call) -> Answer:
    """One transaction."""
    row = _find(call)
    return object_of(transaction_json(row[0], call.namespace.name, *row[1:]))


async def get_transaction_operations(call: Call) -> Answer:
    """The operations of a transaction."""
    only = _of(_find(call))
    return await listing(call, OPERATIONS, lambda _tx, row: operation_json(row, call.namespace.name), only=only)


async def get_transaction_blockchainevents(call: Call) -> Answer:
    """The blockchain events of a transaction."""
    return await list_blockchainevents(call, only=_of(_find(call), "tx.id"))


async def get_transaction_status(call: Call) -> Answer:
    """How a transaction stands: its operations, blockchain events and batch, the newest first.

    A status is known of every type of transaction; FireFly knows none of unpinned ones and network actions.
    """
    row = _find(call)
    details = await call.desk.store.read(lambda tx: _details(tx, row, call.namespace.number))
    # What has no time yet is what is missing: it leads.
    shown = sorted(details, key=lambda detail: (detail.timestamp is not None, -(detail.timestamp or 0)))
    return object_of(f'{{"status":"{_overall(details)}","details":[{",".join([_json(each) for each in shown])}]}}')


class _Detail(NamedTuple):
    """One thing that a transaction is made of. `retried` says that another one is tried in its place."""

    type: str
    status: str
    subtype: str = ""
    timestamp: int | None = None
    id: bytes | None = None
    error: str = ""
    info: str = ""
    retried: bool = False


def _details(tx: Transaction, transaction: TransactionRow, namespace: int) -> list[_Detail]:
    """Operations, then blockchain events, then the batch; a placeholder where a pinned one lacks one of the two."""
    made = [
        _Detail(
            "Operation",
            each.status,
            each.type,
            each.updated,
            each.id,
            each.error or "",
            each.output or "",
            bool(each.retry),
        )
        for each in operations.of_tx(tx, transaction.id)
        if each.namespace == namespace
    ]
    query = Query(where=Group("and", (_of(transaction, "tx.id"),)), limit=EVENTS_SHOWN_MAX)
    pinned = [
        _Detail("BlockchainEvent", SUCCEEDED, event.rest[2], event.rest[5], event.id)
        for event in search.search(tx, BLOCKCHAINEVENTS, namespace, query).rows
    ]
    if transaction.type not in PINNED:
        return made + pinned
    batch = batches.of_tx(tx, namespace, transaction.id)
    missing = _Detail("Batch", PENDING)
    carried = missing if batch is None else _Detail("Batch", SUCCEEDED, batch.type, batch.confirmed, batch.id)
    return [*made, *(pinned or [_Detail("BlockchainEvent", PENDING)]), carried]


def _overall(details: list[_Detail]) -> str:
    """Failed as soon as something failed for good, pending while something is missing (FireFly reference 3.4)."""
    statuses = {detail.status for detail in details if not detail.retried}
    if FAILED in statuses:
        return FAILED
    return SUCCEEDED if statuses <= {SUCCEEDED} else PENDING


def _json(detail: _Detail) -> str:
    subtype = f',"subtype":{json_string(detail.subtype)}' if detail.subtype else ""
    timestamp = f',"timestamp":"{format_time(detail.timestamp)}"' if detail.timestamp is not None else ""
    id = f',"id":"{format_uuid(detail.id)}"' if detail.id else ""
    error = f',"error":{json_string(detail.error)}' if detail.error else ""
    info = f',"info":{detail.info}' if detail.info else ""
    return f'{{"type":"{detail.type}"{subtype},"status":"{detail.status}"{timestamp}{id}{error}{info}}}'


def _find(call: Call) -> TransactionRow:
    return one_of(call, TRANSACTIONS, "id", "transaction")


def _of(transaction: TransactionRow, field: str = "tx") -> Condition:
    return Condition("eq", field, format_uuid(transaction.id))
