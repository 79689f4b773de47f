"""Datatypes: the schemas that values may claim to follow, as they were confirmed."""

from __future__ import annotations

from typing import NamedTuple

from ffd.store.transaction import Transaction

COLUMNS = "t.id, t.message, t.validator, t.name, t.version, t.hash, t.created, t.value, t.pin"


class DatatypeRow(NamedTuple):
    """A confirmed datatype; `value` is its JSON Schema, `pin` the first pin of the message that defined it."""

    id: bytes
    message: bytes
    validator: str
    name: str
    version: str
    hash: bytes
    created: int
    value: str
    pin: int


def add(tx: Transaction, namespace: int, datatype: DatatypeRow) -> None:
    """Store a datatype whose name and version are free."""
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM datatypes")
    tx.execute(
        """
        INSERT INTO datatypes (sequence, namespace, id, message, validator, name, version, hash, created, value, pin)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (next, namespace, *datatype),
    )


def find(tx: Transaction, namespace: int, name: str, version: str) -> DatatypeRow | None:
    """The datatype of that name and version."""
    row = tx.one(
        f"SELECT {COLUMNS} FROM datatypes t WHERE t.namespace = ? AND t.name = ? AND t.version = ?",
        (namespace, name, version),
    )
    return None if row is None else DatatypeRow(*row)


def find_by_id(tx: Transaction, namespace: int, id: bytes) -> DatatypeRow | None:
    """The datatype that has this id; the first one if somebody has taken the id again."""
    row = tx.one(
        f"SELECT {COLUMNS} FROM datatypes t WHERE t.id = ? AND t.namespace = ? ORDER BY t.sequence LIMIT 1",
        (id, namespace),
    )
    return None if row is None else DatatypeRow(*row)
