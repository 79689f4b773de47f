"""Batches: those that this node sealed and must bring out, and those that came in and were verified."""

from __future__ import annotations

import msgspec

from ffd.model.ids import stand_in_id
from ffd.store.transaction import Transaction


class BatchRow(msgspec.Struct, frozen=True):
    """One batch. `sent` is when the ledger took our pin, `confirmed` when its payload was verified here."""

    sequence: int
    id: bytes
    namespace: int
    type: str
    node: bytes | None
    group_hash: bytes | None
    author: str
    key: str
    created: int
    hash: bytes
    manifest: str
    tx: bytes
    tx_type: str
    sealed: int
    payload_hash: bytes | None
    payload_ref: str | None
    sent: int | None
    confirmed: int | None


COLUMNS = """sequence, id, namespace, type, node, group_hash, author, key, created, hash, manifest, tx, tx_type, sealed,
             payload_hash, payload_ref, sent, confirmed"""


def next_sequence(tx: Transaction) -> int:
    """The sequence that the next batch gets."""
    found: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM batches")
    return found


def insert(tx: Transaction, row: BatchRow) -> None:
    """Store a batch."""
    tx.execute(
        f"INSERT INTO batches ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.sequence, row.id, row.namespace, row.type, row.node, row.group_hash, row.author, row.key, row.created,
            row.hash, row.manifest, row.tx, row.tx_type, row.sealed, row.payload_hash, row.payload_ref, row.sent,
            row.confirmed,
        ),
    )  # fmt: skip


def find(tx: Transaction, namespace: int, id: bytes) -> BatchRow | None:
    """The batch `id`."""
    row = tx.one(f"SELECT {COLUMNS} FROM batches WHERE namespace = ? AND id = ?", (namespace, id))
    return None if row is None else BatchRow(*row)


def at(tx: Transaction, sequence: int) -> BatchRow:
    """The batch of this sequence, which is there."""
    (row,) = tx.execute(f"SELECT {COLUMNS} FROM batches WHERE sequence = ?", (sequence,))
    return BatchRow(*row)


def find_pinned(tx: Transaction, namespace: int, id: bytes, hash: bytes) -> BatchRow | None:
    """The batch `id` that has this hash; if only one is here that has another hash, that one."""
    found = find(tx, namespace, id)
    if found is None or found.hash == hash:
        return found
    return find(tx, namespace, stand_in_id(id, hash)) or found


def of_tx(tx: Transaction, namespace: int, transaction: bytes) -> BatchRow | None:
    """The first batch that travelled under a transaction."""
    row = tx.one(
        f"SELECT {COLUMNS} FROM batches WHERE tx = ? AND namespace = ? ORDER BY sequence LIMIT 1",
        (transaction, namespace),
    )
    return None if row is None else BatchRow(*row)


CANCEL_BELL, CANCELLED_BELL = "cancel", "cancelled"
"""Rung when somebody asks to give up a batch, and when one was given up or has left all the same."""


def unsent(tx: Transaction, namespace: int, type: str, *, pinned: bool = True, limit: int) -> list[BatchRow]:
    """The batches of a type sealed here that have not left yet, pinned ones or others, in the order they are to."""
    rows = tx.execute(
        f"""
        SELECT {COLUMNS} FROM batches
         WHERE namespace = ? AND sealed = 1 AND sent IS NULL AND cancelled IS NULL AND type = ?
           AND (tx_type <> 'unpinned') = ?
         ORDER BY coalesce(place, sequence) LIMIT ?""",
        (namespace, type, pinned, limit),
    )
    return [BatchRow(*row) for row in rows]


def ask_cancel(tx: Transaction, sequence: int, now: int) -> None:
    """Ask whoever brings out a batch to give it up."""
    tx.execute("UPDATE batches SET cancel = coalesce(cancel, ?) WHERE sequence = ?", (now, sequence))
    tx.ring(CANCEL_BELL)


def is_cancel_asked(tx: Transaction, sequence: int) -> bool:
    """Has somebody asked to give up a batch?"""
    return tx.value("SELECT cancel FROM batches WHERE sequence = ?", (sequence,)) is not None


def drop_cancel(tx: Transaction, sequence: int) -> None:
    """A batch cannot be given up: it is too late."""
    tx.execute("UPDATE batches SET cancel = NULL WHERE sequence = ?", (sequence,))
    tx.ring(CANCELLED_BELL)


def is_cancelled(tx: Transaction, sequence: int) -> bool:
    """Was a batch given up?"""
    return tx.value("SELECT cancelled FROM batches WHERE sequence = ?", (sequence,)) is not None


def mark_cancelled(tx: Transaction, sequence: int, now: int) -> None:
    """Record that a batch was given up."""
    tx.execute("UPDATE batches SET cancelled = ? WHERE sequence = ?", (now, sequence))
    tx.ring(CANCELLED_BELL)


def take_place(tx: Transaction, sequence: int, other: int) -> None:
    """Let a batch leave where another one would have: later ones go on from there."""
    tx.execute(
        "UPDATE batches SET place = (SELECT coalesce(place, sequence) FROM batches WHERE sequence = ?)"
        " WHERE sequence = ?",
        (other, sequence),
    )


def fix_payload(tx: Transaction, sequence: int, payload_hash: bytes) -> None:
    """Record what bytes go to shared storage, once all that stands in them is known."""
    tx.execute("UPDATE batches SET payload_hash = ? WHERE sequence = ?", (payload_hash, sequence))


def mark_sent(tx: Transaction, sequence: int, payload_ref: str, now: int) -> None:
    """Record that the ledger took the batch's pin; its messages are `sent` from now on."""
    tx.execute("UPDATE batches SET sent = ?, payload_ref = ? WHERE sequence = ?", (now, payload_ref, sequence))


def mark_confirmed(tx: Transaction, sequence: int, now: int) -> None:
    """Record that the payload was read from where everyone reads it, and is what was sealed."""
    tx.execute("UPDATE batches SET confirmed = ? WHERE sequence = ? AND confirmed IS NULL", (now, sequence))
