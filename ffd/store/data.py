"""Data items by themselves: kept without a message, published, found by who uses them, deleted."""

from __future__ import annotations

import msgspec

from ffd.model.data import Data
from ffd.store import messages
from ffd.store.transaction import Transaction


def keep(tx: Transaction, namespace: int, item: Data) -> None:
    """Store one data item that no message has brought."""
    messages.append_data(tx, namespace, [(tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM data"), item, None)])


def publish_blob(tx: Transaction, namespace: int, id: bytes, reference: str) -> str:
    """Note where a data item's blob is published, unless that is noted already. Returns what is noted."""
    found = messages.find_data(tx, namespace, id)
    if found is None or found[1].blob is None or found[1].blob.public:
        return reference if found is None or found[1].blob is None else found[1].blob.public
    blob = msgspec.structs.replace(found[1].blob, public=reference)
    tx.execute("UPDATE data SET blob = ? WHERE sequence = ?", (msgspec.json.encode(blob).decode(), found[0]))
    return reference


def publish_value(tx: Transaction, namespace: int, id: bytes, reference: str) -> str:
    """Note where a data item's value is published. Returns that."""
    tx.execute("UPDATE data SET public = ? WHERE namespace = ? AND id = ?", (reference, namespace, id))
    return reference


def blob_of(tx: Transaction, namespace: int, id: bytes) -> bytes | None:
    """The hash of the blob that the data item `id` refers to; None when there is no such item, or it has no blob."""
    found: str | None = tx.value("SELECT blob ->> '$.hash' FROM data WHERE namespace = ? AND id = ?", (namespace, id))
    return bytes.fromhex(found) if found else None


def sequence_of(tx: Transaction, namespace: int, id: bytes) -> int | None:
    """The sequence of a data item, if it is stored."""
    found: int | None = tx.value("SELECT sequence FROM data WHERE namespace = ? AND id = ?", (namespace, id))
    return found


def users(tx: Transaction, sequence: int) -> list[int]:
    """The sequences of the messages that use a data item, in their order."""
    rows = tx.execute(
        """
        SELECT message FROM data WHERE sequence = ? AND message IS NOT NULL
         UNION SELECT message FROM data_uses WHERE data = ? ORDER BY 1""",
        (sequence, sequence),
    )
    return [row[0] for row in rows]


def unsettled_user(tx: Transaction, sequence: int) -> bytes | None:
    """The id of a message that still needs a data item: it is not settled, or its batch is on its way out from here.

    A private batch is on its way until every node that it is for has it.
    """
    for message in users(tx, sequence):
        found: bytes | None = tx.value(
            """
            SELECT m.id FROM messages m JOIN message_states s ON s.message = m.sequence
              LEFT JOIN batches b ON b.sequence = s.batch
             WHERE m.sequence = ?
               AND (s.state IN ('ready', 'pending') OR (b.sealed = 1 AND b.sent IS NULL AND b.cancelled IS NULL)
                    OR EXISTS (SELECT 1 FROM owed w WHERE w.batch = s.batch))""",
            (message,),
        )
        if found is not None:
            return found
    return None


def delete(tx: Transaction, sequence: int) -> None:
    """Forget a data item; the messages that used it keep its id and hash."""
    for message in users(tx, sequence):
        tx.execute("DELETE FROM message_data WHERE message = ? AND data = ?", (message, sequence))
    tx.execute("DELETE FROM data_uses WHERE data = ?", (sequence,))
    tx.execute("DELETE FROM data WHERE sequence = ?", (sequence,))
