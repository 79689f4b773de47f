"""How far back to look when something late arrives: the batches whose pins wait for it, and no others.

A payload rewinds its own batch where it is stored (`ffd.inbound.arrivals`). Whoever makes a key known calls `key_known`
in the same transaction, and whoever takes a blob in `blob_here`, so that no crash comes between the two.
"""

from __future__ import annotations

from ffd.inbound.order import Cause
from ffd.store import Transaction, pins


def key_known(tx: Transaction, namespace: int, key: str) -> None:
    """Somebody is known to own `key` from now on: the aggregator looks again at what waited for that."""
    for batch in pins.batches_waiting_for(tx, namespace, Cause.AUTHOR, key):
        pins.rewind(tx, namespace, batch)


def blob_here(tx: Transaction, namespace: int, hash: bytes) -> None:
    """A blob is here from now on: the aggregator looks again at what waited for it."""
    for batch in pins.batches_waiting_for(tx, namespace, Cause.BLOB, hash.hex()):
        pins.rewind(tx, namespace, batch)
