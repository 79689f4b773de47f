"""What the nodes of other members are owed: batches and blobs, each node's in the order in which it has to get them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ffd.store.transaction import Transaction

BELL = "owed"
"""Rung when something is owed that nobody in this process was told of."""


class Owed(NamedTuple):
    """Something owed: `operation` is its place in the order, `id` and `tx` are the operation's.

    `batch` is the sequence of the batch, `data` the 16-byte id of the item whose blob is meant; None for the batch
    itself.
    """

    operation: int
    id: bytes
    tx: bytes
    batch: int
    data: bytes | None


def add(tx: Transaction, namespace: int, node: bytes, operation: int, batch: int, data: bytes | None) -> None:
    """Owe a node what the operation of this sequence is to bring it."""
    tx.execute(
        "INSERT INTO owed (operation, namespace, node, batch, data) VALUES (?, ?, ?, ?, ?)",
        (operation, namespace, node, batch, data),
    )


def first(tx: Transaction, namespace: int, node: bytes, *, limit: int) -> list[Owed]:
    """What a node has to get next, in that order."""
    rows = tx.execute(
        """
        SELECT w.operation, o.id, o.tx, w.batch, w.data FROM owed w JOIN operations o ON o.sequence = w.operation
         WHERE w.namespace = ? AND w.node = ? ORDER BY w.operation LIMIT ?""",
        (namespace, node, limit),
    )
    return [Owed(*row) for row in rows]


def settle(tx: Transaction, operation: int) -> None:
    """It has arrived, or never will."""
    tx.execute("DELETE FROM owed WHERE operation = ?", (operation,))


def is_owed(tx: Transaction, operation: int) -> bool:
    """Is it still owed?"""
    return tx.value("SELECT 1 FROM owed WHERE operation = ?", (operation,)) is not None


def nodes(tx: Transaction, namespace: int) -> Iterator[bytes]:
    """The nodes that are owed anything, each found without a look at all that it is owed."""
    node: bytes | None = b""
    while node is not None:
        node = tx.value(
            "SELECT node FROM owed WHERE namespace = ? AND node > ? ORDER BY node LIMIT 1", (namespace, node)
        )
        if node is not None:
            yield node


def of_batch(tx: Transaction, batch: int) -> dict[bytes, int]:
    """Who is still owed anything of a batch: by node, the place of the last of it."""
    return dict(tx.execute("SELECT node, max(operation) FROM owed WHERE batch = ? GROUP BY node", (batch,)))


def forget_batch(tx: Transaction, batch: int) -> None:
    """Owe nobody anything of a batch any more."""
    tx.execute("DELETE FROM owed WHERE batch = ?", (batch,))
