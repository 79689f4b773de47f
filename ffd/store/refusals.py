"""Private batches that were refused when they came, and why: whoever waits for one is told."""

from __future__ import annotations

from ffd.store.transaction import Transaction

KEPT_MAX = 1000
"""Refusals that are kept, over all namespaces; each one more takes the place of the oldest."""
REASON_CHARS_MAX = 1000


def note(tx: Transaction, namespace: int, batch: bytes, sender: str, reason: str, now: int) -> None:
    """A batch was refused."""
    forget(tx, namespace, batch)
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM refusals")
    tx.execute(
        "INSERT INTO refusals (sequence, namespace, batch, sender, reason, created) VALUES (?, ?, ?, ?, ?, ?)",
        (next, namespace, batch, sender, reason[:REASON_CHARS_MAX], now),
    )
    tx.execute("DELETE FROM refusals WHERE sequence <= ?", (next - KEPT_MAX,))


def forget(tx: Transaction, namespace: int, batch: bytes) -> None:
    """The batch was taken after all, or is refused anew."""
    tx.execute("DELETE FROM refusals WHERE batch = ? AND namespace = ?", (batch, namespace))


def reason(tx: Transaction, namespace: int, batch: bytes) -> str | None:
    """Why a batch was refused last, if it was."""
    found: str | None = tx.value("SELECT reason FROM refusals WHERE batch = ? AND namespace = ?", (batch, namespace))
    return found
