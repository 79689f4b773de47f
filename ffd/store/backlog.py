"""What is under way: messages that are not settled, and the contexts that wait, with who holds them."""

from __future__ import annotations

from typing import NamedTuple

from ffd.model.ids import format_uuid
from ffd.store import events, messages
from ffd.store.operations import DOWNLOAD_BATCH, DOWNLOAD_BLOB
from ffd.store.transaction import Transaction


class Sequences(NamedTuple):
    """The newest message, pin and event of the node; 0 where there is none."""

    messages: int
    pins: int
    events: int


class Backlog(NamedTuple):
    """How many messages of a namespace wait for the ledger to take them, and how many to be confirmed or rejected."""

    unsent: int
    unconfirmed: int


class Blocked(NamedTuple):
    """A context that waits: the pin that holds it, for what cause, and how many `pins` wait in all.

    `message` is None while it is not here, and `topic` and `group` (hex, of a private context) while no message that
    waits there is; `subject` is the thing whose arrival ends it, and `error` why it could not be had when it was last
    tried, or why it was refused when it last came.
    """

    topic: str | None
    context: bytes
    message: bytes | None
    batch: bytes
    cause: str
    subject: str
    since: int
    pins: int
    error: str | None = None
    group: str | None = None


def sequences(tx: Transaction) -> Sequences:
    """How far the node's three sequences have come."""
    pins: int = tx.value("SELECT coalesce(max(sequence), 0) FROM pins")
    return Sequences(messages.last_sequence(tx), pins, events.last_sequence(tx))


def backlog(tx: Transaction, namespace: int) -> Backlog:
    """What is under way in a namespace: what it reads grows with that, not with the table."""
    row = tx.one(
        """
        SELECT count(*) FILTER (WHERE s.state = 'ready' AND b.sent IS NULL), count(*)
          FROM message_states s LEFT JOIN batches b ON b.sequence = s.batch
         WHERE s.namespace = ? AND s.confirmed IS NULL""",
        (namespace,),
    )
    return Backlog(*(row or (0, 0)))


def blocked(tx: Transaction, namespace: int, *, limit: int) -> list[Blocked]:
    """The contexts that wait, the one that has waited longest first."""
    rows = tx.execute(
        """
        SELECT c.topic, w.hash, w.message, w.batch, w.cause, w.subject, w.since, c.pins,
               CASE WHEN w.masked = 1 THEN (
                   SELECT r.reason FROM refusals r WHERE r.batch = w.batch AND r.namespace = w.namespace)
                    WHEN w.cause = 'payload' THEN (
                   SELECT o.error FROM pins p
                     JOIN blockchainevents e ON e.sequence = p.blockchainevent
                     JOIN operations o ON o.tx = e.tx AND o.type = ?
                    WHERE p.sequence = w.pin ORDER BY o.sequence DESC LIMIT 1) END,
               (SELECT m.header ->> '$.group' FROM messages m WHERE m.id = c.any_message AND m.namespace = w.namespace)
          FROM (SELECT hash, min(pin) AS pin, max(topic) AS topic, count(*) AS pins,
                       CASE masked WHEN 1 THEN max(message) END AS any_message
                  FROM waiting_pins WHERE namespace = ? GROUP BY masked, hash) c
          JOIN waiting_pins w ON w.pin = c.pin
         ORDER BY w.pin LIMIT ?""",
        (DOWNLOAD_BATCH, namespace, limit),
    )
    return [_with_error(tx, namespace, Blocked(*row)) for row in rows]


def _with_error(tx: Transaction, namespace: int, blocked: Blocked) -> Blocked:
    """Of one that waits for a blob, why that could not be had."""
    if blocked.cause != "blob":
        return blocked
    ids = tx.execute(
        "SELECT id FROM data WHERE namespace = ? AND blob IS NOT NULL AND blob ->> '$.hash' = ?",
        (namespace, blocked.subject),
    )
    wanted = {format_uuid(row[0]) for row in ids}
    tried = tx.execute(
        """
        SELECT o.input ->> '$.dataId', o.error FROM batches b JOIN operations o ON o.tx = b.tx
         WHERE b.namespace = ? AND b.id = ? AND o.type = ? AND o.error IS NOT NULL ORDER BY o.sequence DESC""",
        (namespace, blocked.batch, DOWNLOAD_BLOB),
    )
    return blocked._replace(error=next((error for id, error in tried if id in wanted), None))
