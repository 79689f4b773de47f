"""Next pins: for each private context, what the next pin of each member will look like (FireFly reference 7.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ffd.store.transaction import Transaction


class NextPin(NamedTuple):
    """The hash that a member's next pin has in a context, and its nonce."""

    hash: bytes
    nonce: int


def of_context(tx: Transaction, namespace: int, context: bytes) -> dict[str, NextPin]:
    """The next pins of a context, by the member's DID; none before its first message was dispatched."""
    rows = tx.execute(
        "SELECT identity, hash, nonce FROM nextpins WHERE namespace = ? AND context = ? ORDER BY identity",
        (namespace, context),
    )
    return {row[0]: NextPin(row[1], row[2]) for row in rows}


def begin(tx: Transaction, namespace: int, context: bytes, expected: Mapping[str, NextPin]) -> None:
    """Store the next pins of all members of a context that had none."""
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM nextpins")
    tx.insert_many(
        "nextpins",
        "sequence, namespace, context, identity, hash, nonce",
        [(n, namespace, context, identity, *pin) for n, (identity, pin) in enumerate(expected.items(), next)],
    )


def move(tx: Transaction, namespace: int, context: bytes, expected: Mapping[str, NextPin]) -> None:
    """Replace the next pins of some members of a context."""
    tx.execute_many(
        "UPDATE nextpins SET hash = ?, nonce = ? WHERE namespace = ? AND context = ? AND identity = ?",
        [(*pin, namespace, context, identity) for identity, pin in expected.items()],
    )


def expecting(tx: Transaction, namespace: int, hash: bytes) -> tuple[bytes, str] | None:
    """The context and the member that have this next pin."""
    row = tx.one("SELECT context, identity FROM nextpins WHERE hash = ? AND namespace = ?", (hash, namespace))
    return None if row is None else (row[0], row[1])


def any_in(tx: Transaction, namespace: int) -> bool:
    """Was any private message dispatched in this namespace?"""
    return tx.value("SELECT 1 FROM nextpins WHERE namespace = ? LIMIT 1", (namespace,)) is not None
