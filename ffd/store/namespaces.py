"""Namespaces: what this node takes part in."""

from __future__ import annotations

from ffd.model.errors import Conflict
from ffd.store.transaction import Transaction

EVERYWHERE = 0
"""The number that stands for all namespaces of the node."""


def names(tx: Transaction) -> dict[int, str]:
    """The names of all namespaces that there ever were, by their numbers."""
    return {row[0]: row[1] for row in tx.execute("SELECT id, name FROM namespaces")}


def ensure(tx: Transaction, name: str, network_name: str, now: int) -> tuple[int, int]:
    """The number and the creation time of the namespace `name`, made if it is new."""
    row = tx.one("SELECT id, created FROM namespaces WHERE name = ?", (name,))
    if row is None:
        number: int = tx.value("SELECT coalesce(max(id), 0) + 1 FROM namespaces")
        tx.execute(
            "INSERT INTO namespaces (id, name, network_name, created) VALUES (?, ?, ?, ?)",
            (number, name, network_name, now),
        )
        return number, now
    return row[0], row[1]


def place(tx: Transaction, namespace: int, network_name: str, ledger: str) -> bool:
    """Record in which network, on which ledger, a namespace takes part; whether it did not before.

    Raises Conflict FFD1304 while messages are under way in the network, or on the ledger, that it would leave.
    """
    before = tx.one("SELECT network_name, ledger, name FROM namespaces WHERE id = ?", (namespace,))
    if before is not None and before[:2] == (network_name, ledger):
        return False
    under_way: int = tx.value(
        "SELECT count(*) FROM message_states WHERE namespace = ? AND confirmed IS NULL AND state = 'ready'",
        (namespace,),
    )
    if before is not None and under_way:
        raise Conflict(
            "FFD1304",
            f"namespace {before[2]} has messages under way ({under_way}) in network {before[0]} on ledger {before[1]}: "
            f"give it these back until they are confirmed",
        )
    tx.execute("UPDATE namespaces SET network_name = ?, ledger = ? WHERE id = ?", (network_name, ledger, namespace))
    return True
