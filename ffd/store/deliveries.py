"""Pages of events with what they speak of: the reads behind every delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ffd.store import datatypes, identities
from ffd.store.datatypes import DatatypeRow
from ffd.store.identities import IdentityRow
from ffd.store.transaction import Row, Transaction


class EventWithMessage(NamedTuple):
    """An event and, when it speaks of one, its message. Ids raw; `namespace` by name."""

    sequence: int
    id: bytes
    namespace: str
    type: str
    reference: bytes
    correlator: bytes | None
    tx: bytes | None
    topic: str | None
    created: int
    message: int | None
    header: str | None
    hash: bytes | None
    data: str | None
    state: str | None
    confirmed: int | None
    reject_reason: str | None
    pins: str | None
    idempotency_key: str | None
    batch: bytes | None
    txid: bytes | None


PAGE = """
    SELECT e.sequence, e.id, n.name, e.type, e.reference, e.correlator, e.tx, e.topic, e.created,
           m.sequence, m.header, m.hash, m.data, s.state, s.confirmed, s.reject_reason, m.pins, m.idempotency_key,
           b.id, b.tx
      FROM events e
      JOIN namespaces n ON n.id = e.namespace
      LEFT JOIN messages m ON m.namespace = e.namespace AND m.id = e.reference
                          AND e.type IN ('message_confirmed', 'message_rejected')
      LEFT JOIN message_states s ON s.message = m.sequence
      LEFT JOIN batches b ON b.sequence = s.batch"""


def after(tx: Transaction, sequence: int, *, limit: int) -> list[EventWithMessage]:
    """The events past `sequence`, node-wide, in order."""
    rows = tx.execute(f"{PAGE} WHERE e.sequence > ? ORDER BY e.sequence LIMIT ?", (sequence, limit))
    return [EventWithMessage._make(row) for row in rows]


def of_ids(tx: Transaction, ids: Sequence[bytes]) -> list[EventWithMessage]:
    """These events, in the order asked; what is unknown is left out."""
    found = (tx.one(f"{PAGE} WHERE e.id = ?", (id,)) for id in ids)
    return [EventWithMessage(*row) for row in found if row is not None]


VALUES = """
    SELECT l.message, d.id, d.hash, d.validator, d.datatype_name, d.datatype_version, d.value
      FROM message_data l JOIN data d ON d.sequence = l.data"""
NEAR_FACTOR = 4
"""How much wider than their number a range of messages may be that is read as one."""


def values_of(tx: Transaction, messages: Sequence[int]) -> dict[int, list[Row]]:
    """For each message its data: id, hash, validator, datatype name and version, and value, in its order."""
    found: dict[int, list[Row]] = {message: [] for message in messages}
    if not found:
        return found
    first, last = min(found), max(found)
    if last - first < len(found) * NEAR_FACTOR:
        between = f"{VALUES} WHERE l.message BETWEEN ? AND ? ORDER BY l.message, l.position"
        rows = list(tx.execute(between, (first, last)))
    else:
        one = f"{VALUES} WHERE l.message = ? ORDER BY l.position"
        rows = [row for message in found for row in tx.execute(one, (message,))]
    for row in rows:
        if row[0] in found:
            found[row[0]].append(row[1:])
    return found


def transaction(tx: Transaction, namespace: str, id: bytes) -> Row | None:
    """A transaction of a namespace: type, created, idempotency key, ledger ids (comma-joined)."""
    return tx.one(
        """
        SELECT t.type, t.created, t.idempotency_key, t.blockchain_ids
          FROM transactions t JOIN namespaces n ON n.id = t.namespace
         WHERE t.id = ? AND n.name = ?""",
        (id, namespace),
    )


BLOCKCHAIN_EVENT = """
    e.sequence, e.source, e.name, e.protocol_id, e.blockchain_id, e.timestamp, e.signer, e.action, e.tx, e.batch,
    e.batch_hash, e.payload_ref"""


def blockchain_event(tx: Transaction, id: bytes) -> Row | None:
    """A ledger event: sequence, source, name, protocol id, ledger tx, time, signer, action, tx, batch, hash, ref."""
    return tx.one(f"SELECT {BLOCKCHAIN_EVENT} FROM blockchainevents e WHERE e.id = ?", (id,))


def contexts(tx: Transaction, blockchain_event: int) -> list[bytes]:
    """The contexts that a ledger event pinned, in its order."""
    rows = tx.execute("SELECT hash FROM pins WHERE blockchainevent = ? ORDER BY position", (blockchain_event,))
    return [row[0] for row in rows]


def datatype(tx: Transaction, namespace: str, id: bytes) -> DatatypeRow | None:
    """The datatype that an event speaks of."""
    number = _number_of(tx, namespace)
    return None if number is None else datatypes.find_by_id(tx, number, id)


def identity(tx: Transaction, namespace: str, id: bytes) -> IdentityRow | None:
    """The identity that an event speaks of."""
    number = _number_of(tx, namespace)
    return None if number is None else identities.find_by_id(tx, number, id)


def _number_of(tx: Transaction, namespace: str) -> int | None:
    found: int | None = tx.value("SELECT id FROM namespaces WHERE name = ?", (namespace,))
    return found
