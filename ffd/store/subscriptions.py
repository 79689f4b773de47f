"""Durable subscriptions: what an app wants to hear, and from where."""

from __future__ import annotations

from typing import NamedTuple

from ffd.model.errors import Conflict, Full
from ffd.store import offsets
from ffd.store.transaction import Transaction


class SubscriptionRow(NamedTuple):
    """One subscription; `filter` and `options` are JSON texts, `firstEvent` in the options is a resolved number."""

    sequence: int
    id: bytes
    namespace: int
    name: str
    transport: str
    filter: str
    options: str
    created: int
    updated: int | None


COLUMNS = "s.sequence, s.id, s.namespace, s.name, s.transport, s.filter, s.options, s.created, s.updated"


def create(tx: Transaction, row: SubscriptionRow, *, limit: int) -> SubscriptionRow:
    """Store a new subscription. Raises Conflict FF10193 when the name is taken, Full beyond `limit` subscriptions."""
    if find_by_name(tx, row.namespace, row.name) is not None:
        raise Conflict("FF10193", f"Subscription '{row.name}' already exists: delete it first, or PUT to change it")
    count: int = tx.value("SELECT count(*) FROM subscriptions WHERE namespace = ?", (row.namespace,))
    if count >= limit:
        raise Full("FFD5001", f"there are {count} subscriptions and the limit is {limit}: delete one that is not used")
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM subscriptions")
    row = row._replace(sequence=next)
    tx.execute(
        """
        INSERT INTO subscriptions (sequence, id, namespace, name, transport, filter, options, created, updated)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        row,
    )
    tx.ring("subscriptions")
    return row


def change(tx: Transaction, row: SubscriptionRow) -> None:
    """Replace transport, filter and options; who is served is served anew, from where it stands."""
    tx.execute(
        "UPDATE subscriptions SET transport = ?, filter = ?, options = ?, updated = ? WHERE id = ?",
        (row.transport, row.filter, row.options, row.updated, row.id),
    )
    tx.ring("subscriptions")


def delete(tx: Transaction, namespace: int, id: bytes) -> bool:
    """Remove a subscription with its offset; whether there was one."""
    if find(tx, namespace, id) is None:
        return False
    tx.execute("DELETE FROM subscriptions WHERE id = ?", (id,))
    offsets.forget(tx, offsets.SUBSCRIPTION, id.hex())
    tx.ring("subscriptions")
    return True


def find(tx: Transaction, namespace: int, id: bytes) -> SubscriptionRow | None:
    """The subscription `id`."""
    row = tx.one(f"SELECT {COLUMNS} FROM subscriptions s WHERE s.namespace = ? AND s.id = ?", (namespace, id))
    return None if row is None else SubscriptionRow(*row)


def find_by_name(tx: Transaction, namespace: int, name: str) -> SubscriptionRow | None:
    """The subscription called `name`."""
    row = tx.one(f"SELECT {COLUMNS} FROM subscriptions s WHERE s.namespace = ? AND s.name = ?", (namespace, name))
    return None if row is None else SubscriptionRow(*row)


def every(tx: Transaction) -> list[SubscriptionRow]:
    """All subscriptions of the node, oldest first."""
    return [SubscriptionRow(*row) for row in tx.execute(f"SELECT {COLUMNS} FROM subscriptions s ORDER BY s.sequence")]
