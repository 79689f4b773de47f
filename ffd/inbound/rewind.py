"""How far back to look when something late arrives: the batches whose pins wait for it, and no others.

A payload rewinds its own batch where it is stored (`ffd.inbound.arrivals`). Whoever makes a key known calls `key_known`
in the same transaction, and whoever takes a blob in `blob_here`, so that no crash comes between the two.
"""

from __future__ import annotations

from ffd.inbound.order import Cause
from ffd.store import Transaction, pins


def key_known(tx: Transaction, namespace: int, key: str) -> None:
    """Somebody is known to own `key` from now on: the aggregator looks again at what waited for that."""
    known(tx, namespace, Cause.AUTHOR, key)


def key_taken(tx: Transaction, namespace: int, key: str) -> None:
    """`key` was claimed: who claims anything else with it is refused from now on, whatever was waited for."""
    for batch in pins.batches_signed_with(tx, namespace, key):
        pins.rewind(tx, namespace, batch)


def known(tx: Transaction, namespace: int, cause: Cause, subject: str) -> None:
    """What some wait for has come, or may have: the aggregator looks at these again."""
    for batch in pins.batches_waiting_for(tx, namespace, cause, subject):
        pins.rewind(tx, namespace, batch)


def blob_here(tx: Transaction, namespace: int, hash: bytes) -> None:
    """A blob is here from now on: the aggregator looks again at what waited for it."""
    for batch in pins.batches_waiting_for(tx, namespace, Cause.BLOB, hash.hex()):
        pins.rewind(tx, namespace, batch)
