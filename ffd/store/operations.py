"""Transactions of FireFly's kind, and operations: each thing asked of the outside, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ffd.store.transaction import Transaction

INITIALIZED, PENDING, SUCCEEDED, FAILED = "Initialized", "Pending", "Succeeded", "Failed"
UPLOAD_BATCH = "sharedstorage_upload_batch"
UPLOAD_BLOB = "sharedstorage_upload_blob"
UPLOAD_VALUE = "sharedstorage_upload_value"
DOWNLOAD_BATCH = "sharedstorage_download_batch"
DOWNLOAD_BLOB = "sharedstorage_download_blob"
SEND_BATCH = "dataexchange_send_batch"
SEND_BLOB = "dataexchange_send_blob"
PIN_BATCH = "blockchain_pin_batch"
RETRIES_BELL = "retries"
"""Rung when an operation is to be tried once more."""
BLOCKCHAIN_IDS_MAX = 100
"""How many names of the ledger a transaction keeps: one is usual, and members may pin under another's transaction."""


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation; `input` and `output` are JSON texts."""

    id: bytes
    namespace: int
    tx: bytes
    type: str
    status: str
    plugin: str
    input: str | None
    output: str | None
    error: str | None
    created: int
    updated: int
    retry: bytes | None


COLUMNS = "id, namespace, tx, type, status, plugin, input, output, error, created, updated, retry"


def insert(tx: Transaction, row: OperationRow) -> int:
    """Store an operation that is about to be tried; its sequence."""
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM operations")
    tx.execute(
        f"INSERT INTO operations (sequence, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            next, row.id, row.namespace, row.tx, row.type, row.status, row.plugin, row.input, row.output, row.error,
            row.created, row.updated, row.retry,
        ),
    )  # fmt: skip
    return next


def settle(
    tx: Transaction, id: bytes, status: str, now: int, *, output: str | None = None, error: str | None = None
) -> None:
    """Record how an operation stands: done, failed, or still tried with the latest error.

    Of one that another is tried instead of, nothing is recorded any more.
    """
    tx.execute(
        """
        UPDATE operations SET status = ?, output = coalesce(?, output), error = ?, updated = ?
         WHERE id = ? AND retry IS NULL""",
        (status, output, error, now, id),
    )


def give_up(tx: Transaction, transaction: bytes, error: str, now: int) -> None:
    """All that is still tried of a transaction has failed."""
    tx.execute(
        """
        UPDATE operations SET status = 'Failed', error = ?, updated = ?
         WHERE tx = ? AND status IN ('Initialized', 'Pending')""",
        (error, now, transaction),
    )


def find(tx: Transaction, namespace: int, id: bytes) -> OperationRow | None:
    """One operation."""
    row = tx.one(f"SELECT {COLUMNS} FROM operations WHERE id = ? AND namespace = ?", (id, namespace))
    return None if row is None else OperationRow(*row)


def latest(tx: Transaction, operation: OperationRow) -> OperationRow:
    """The one that is tried instead of an operation, however often it was tried again; itself when it never was."""
    while operation.retry is not None:
        next = find(tx, operation.namespace, operation.retry)
        if next is None:
            break
        operation = next
    return operation


def replace(tx: Transaction, ids: Iterable[bytes], new: OperationRow, now: int) -> int:
    """Store an operation that is tried instead of these, and give its sequence.

    What was still tried of them has failed with that.
    """
    sequence = insert(tx, new)
    for id in ids:
        tx.execute(
            """
            UPDATE operations SET retry = ?, updated = ?,
                   status = CASE WHEN status IN ('Initialized', 'Pending') THEN 'Failed' ELSE status END
             WHERE id = ?""",
            (new.id, now, id),
        )
    return sequence


def is_replaced(tx: Transaction, id: bytes) -> bool:
    """Is another operation tried instead of this one?"""
    return tx.value("SELECT 1 FROM operations WHERE id = ? AND retry IS NOT NULL", (id,)) is not None


def is_retry(tx: Transaction, transaction: bytes, id: bytes) -> bool:
    """Is an operation of this transaction tried instead of another?"""
    return tx.value("SELECT 1 FROM operations WHERE tx = ? AND retry = ? LIMIT 1", (transaction, id)) is not None


def open_retries(tx: Transaction, namespace: int, types: Sequence[str], *, limit: int) -> list[OperationRow]:
    """The operations of these types that are tried instead of others, and are neither done nor given up."""
    marks = ", ".join("?" * len(types))
    rows = tx.execute(
        f"""
        SELECT {COLUMNS} FROM operations r
         WHERE type IN ({marks}) AND status IN ('Initialized', 'Pending') AND namespace = ?
           AND EXISTS (SELECT 1 FROM operations o WHERE o.tx = r.tx AND o.retry = r.id)
         ORDER BY sequence LIMIT ?""",
        (*types, namespace, limit),
    )
    return [OperationRow(*row) for row in rows]


def first_of(tx: Transaction, transaction: bytes, type: str) -> bytes:
    """The id of the first operation of this type in a transaction, under which the outside knows it; empty for none."""
    found: bytes | None = tx.value(
        "SELECT id FROM operations WHERE tx = ? AND type = ? ORDER BY sequence LIMIT 1", (transaction, type)
    )
    return found or b""


def of_tx(tx: Transaction, transaction: bytes) -> list[OperationRow]:
    """The operations of a transaction, in the order they were made."""
    rows = tx.execute(f"SELECT {COLUMNS} FROM operations WHERE tx = ? ORDER BY sequence", (transaction,))
    return [OperationRow(*row) for row in rows]


def unfinished(tx: Transaction, namespace: int, type: str, *, after: int, limit: int) -> list[tuple[int, OperationRow]]:
    """Operations of a type that are neither done nor given up, each with its sequence, in their order.

    Those past `after` come first, then the others from the oldest on: so each has its turn.
    """
    unfinished = f"""
        SELECT sequence, {COLUMNS} FROM operations
         WHERE type = ? AND status IN ('Initialized', 'Pending') AND namespace = ?"""
    newer = list(
        tx.execute(f"{unfinished} AND sequence > ? ORDER BY sequence LIMIT ?", (type, namespace, after, limit))
    )
    older = tx.execute(
        f"{unfinished} AND sequence <= ? ORDER BY sequence LIMIT ?", (type, namespace, after, limit - len(newer))
    )
    return [(row[0], OperationRow(*row[1:])) for row in (*newer, *older)]


def add_transaction(tx: Transaction, namespace: int, id: bytes, type: str, now: int, *, key: str | None) -> None:
    """Make a transaction that belongs to no batch. Its key, if it has one, has not been used in the namespace."""
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM transactions")
    tx.execute(
        """
        INSERT INTO transactions (sequence, id, namespace, type, created, idempotency_key)
        VALUES (?, ?, ?, ?, ?, ?)""",
        (next, id, namespace, type, now, key),
    )


def transaction_of_key(tx: Transaction, namespace: int, key: str) -> bytes | None:
    """The transaction that used this idempotency key."""
    found: bytes | None = tx.value(
        "SELECT id FROM transactions WHERE namespace = ? AND idempotency_key = ?", (namespace, key)
    )
    return found


def is_of(tx: Transaction, operation: OperationRow, type: str) -> bool:
    """Does an operation belong to a transaction of this type?"""
    found = tx.value(
        "SELECT 1 FROM transactions WHERE id = ? AND namespace = ? AND type = ?",
        (operation.tx, operation.namespace, type),
    )
    return found is not None


def ensure_transaction(
    tx: Transaction, namespace: int, id: bytes, type: str, now: int, *, blockchain_id: str | None = None
) -> bool:
    """Make the transaction if it is new, else add what the ledger calls it. Returns whether it is new."""
    row = tx.one("SELECT blockchain_ids FROM transactions WHERE id = ? AND namespace = ?", (id, namespace))
    if row is None:
        next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM transactions")
        tx.execute(
            """
            INSERT INTO transactions (sequence, id, namespace, type, created, blockchain_ids)
            VALUES (?, ?, ?, ?, ?, ?)""",
            (next, id, namespace, type, now, blockchain_id),
        )
        return True
    if blockchain_id is not None:
        known = {part for part in (row[0] or "").split(",") if part}
        if blockchain_id.lower() not in known and len(known) < BLOCKCHAIN_IDS_MAX:
            listed = ",".join(sorted({*known, blockchain_id.lower()}))
            tx.execute(
                "UPDATE transactions SET blockchain_ids = ? WHERE id = ? AND namespace = ?", (listed, id, namespace)
            )
    return False
