"""The events table: deliberately light rows in one gap-free local sequence, node-wide.

The numbers are given inside the transaction, whose writers are serialised by the database, so that a reader never sees
a lower number appear later. On a database with concurrent writers this function is the place to serialise them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ffd.store.namespaces import EVERYWHERE
from ffd.store.transaction import Transaction


class NewEvent(NamedTuple):
    """An event about to get its sequence. Ids are raw, `created` nanoseconds."""

    id: bytes
    namespace: int
    type: str
    reference: bytes
    correlator: bytes | None
    tx: bytes | None
    topic: str | None
    created: int


class EventRow(NamedTuple):
    """An event as stored; `namespace` is its number."""

    sequence: int
    id: bytes
    namespace: int
    type: str
    reference: bytes
    correlator: bytes | None
    tx: bytes | None
    topic: str | None
    created: int


COLUMNS = "e.sequence, e.id, e.namespace, e.type, e.reference, e.correlator, e.tx, e.topic, e.created"


def append(tx: Transaction, events: Sequence[NewEvent]) -> None:
    """Give each event the next sequence and store it; whoever waits for events is woken after the commit."""
    if not events:
        return
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM events")
    tx.insert_many(
        "events",
        "sequence, id, namespace, type, reference, correlator, tx, topic, created",
        [(sequence, *event) for sequence, event in enumerate(events, next)],
    )
    tx.ring("events")


def last_sequence(tx: Transaction, namespace: int = EVERYWHERE) -> int:
    """The sequence of the newest event (of one namespace); 0 when there is none."""
    if namespace == EVERYWHERE:
        found: int = tx.value("SELECT coalesce(max(sequence), 0) FROM events")
        return found
    newest: int | None = tx.value(
        "SELECT sequence FROM events WHERE namespace = ? ORDER BY sequence DESC LIMIT 1", (namespace,)
    )
    return newest or 0


def find(tx: Transaction, namespace: int, id: bytes) -> EventRow | None:
    """One event."""
    row = tx.one(f"SELECT {COLUMNS} FROM events e WHERE e.namespace = ? AND e.id = ?", (namespace, id))
    return None if row is None else EventRow(*row)


def of_reference(tx: Transaction, namespace: int, reference: bytes) -> list[EventRow]:
    """The events that speak of one object, in order."""
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM events e WHERE e.reference = ? AND e.namespace = ? ORDER BY e.sequence",
        (reference, namespace),
    )
    return [EventRow(*row) for row in rows]


def of_correlator(tx: Transaction, namespace: int, correlator: bytes, *, after: int) -> list[EventRow]:
    """The events past the sequence `after` that name this correlator, in order. It reads all that are past it."""
    rows = tx.execute(
        f"""
        SELECT {COLUMNS} FROM events e
         WHERE e.sequence > ? AND e.correlator = ? AND e.namespace = ? ORDER BY e.sequence""",
        (after, correlator, namespace),
    )
    return [EventRow(*row) for row in rows]
