"""How far each reader has come: one number for each, moved in the transaction that did the work."""

from __future__ import annotations

from ffd.store.transaction import Transaction

BATCH, AGGREGATOR, SUBSCRIPTION = "batch", "aggregator", "subscription"
"""The types of offset, as FireFly names them: of the sequencer, of the aggregator, of a subscription."""


def read(tx: Transaction, type: str, name: str) -> int | None:
    """The offset, or None before the first move."""
    found: int | None = tx.value("SELECT current FROM offsets WHERE type = ? AND name = ?", (type, name))
    return found


def move(tx: Transaction, type: str, name: str, *, to: int) -> None:
    """Record that everything up to and with `to` is done."""
    tx.execute(
        """
        INSERT INTO offsets (type, name, current) VALUES (?, ?, ?)
            ON CONFLICT (type, name) DO UPDATE SET current = excluded.current""",
        (type, name, to),
    )


def forget(tx: Transaction, type: str, name: str) -> None:
    """Remove the offset, so that its name can begin anew."""
    tx.execute("DELETE FROM offsets WHERE type = ? AND name = ?", (type, name))


def cursor(tx: Transaction, ledger: str) -> str:
    """The position of the last ledger event that is recorded here; empty before the first."""
    found: str | None = tx.value("SELECT position FROM cursors WHERE ledger = ?", (ledger,))
    return found or ""


def move_cursor(tx: Transaction, ledger: str, *, to: str) -> None:
    """Record that the ledger has been read up to and with `to`."""
    tx.execute(
        """
        INSERT INTO cursors (ledger, position) VALUES (?, ?)
            ON CONFLICT (ledger) DO UPDATE SET position = excluded.position""",
        (ledger, to),
    )


def forget_cursor(tx: Transaction, ledger: str) -> None:
    """Read the ledger from its beginning again: what is recorded here stays, what is not comes now."""
    tx.execute("DELETE FROM cursors WHERE ledger = ?", (ledger,))


def prove_writable(tx: Transaction, now: int) -> None:
    """Write something that nobody reads: the disk takes it, or this raises."""
    move(tx, "watchdog", "alive", to=now)
