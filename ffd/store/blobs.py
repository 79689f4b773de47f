"""Blobs that are here whole, for each namespace. Their bytes lie in files: see `ffd.store.blobfiles`."""

from __future__ import annotations

from typing import NamedTuple

from ffd.store.transaction import Transaction


class BlobRow(NamedTuple):
    """A blob of a namespace: its SHA-256 (32 bytes), its size in bytes, when it came in nanoseconds."""

    hash: bytes
    size: int
    created: int


def record(tx: Transaction, namespace: int, blob: BlobRow) -> None:
    """A blob is here from now on; nothing changes when it was before."""
    tx.execute(
        """
        INSERT INTO blobs (namespace, hash, size, created) VALUES (?, ?, ?, ?)
            ON CONFLICT (namespace, hash) DO NOTHING""",
        (namespace, blob.hash, blob.size, blob.created),
    )


def find(tx: Transaction, namespace: int, hash: bytes) -> BlobRow | None:
    """The blob with this hash, if it is here."""
    row = tx.one("SELECT hash, size, created FROM blobs WHERE namespace = ? AND hash = ?", (namespace, hash))
    return None if row is None else BlobRow(*row)


def forget(tx: Transaction, namespace: int, hash: bytes) -> None:
    """The blob is not here any more, for this namespace."""
    tx.execute("DELETE FROM blobs WHERE namespace = ? AND hash = ?", (namespace, hash))


def is_needed(tx: Transaction, namespace: int, hash: bytes) -> bool:
    """Does any data item of the namespace refer to the blob?"""
    found = tx.value(
        "SELECT 1 FROM data WHERE namespace = ? AND blob IS NOT NULL AND blob ->> '$.hash' = ? LIMIT 1",
        (namespace, hash.hex()),
    )
    return found is not None


def is_anywhere(tx: Transaction, hash: bytes) -> bool:
    """Has any namespace a blob with this hash?"""
    found = tx.value("SELECT 1 FROM blobs WHERE namespace IN (SELECT id FROM namespaces) AND hash = ? LIMIT 1", (hash,))
    return found is not None


def subpaths(tx: Transaction, namespace: int, parent: str, *, limit: int) -> list[str]:
    """The folders below `parent` (`/a/b`, or empty for all) that blobs of data items have in their names, by name."""
    within = f"{parent}/"
    rows = tx.execute(
        """
        SELECT DISTINCT blob ->> '$.path' AS path FROM data
         WHERE namespace = ? AND blob IS NOT NULL AND substr(blob ->> '$.path', 1, length(?)) = ?
           AND blob ->> '$.path' <> ? ORDER BY path LIMIT ?""",
        (namespace, within, within, within, limit),
    )
    return [row[0] for row in rows]
