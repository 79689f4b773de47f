"""What the ledger said, in its order; and the few pins that wait.

A pin is dispatched when the aggregator's offset has passed it and it is not among the waiting: the many that go
straight through cost one row and no update.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from ffd.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class PinnedBatch:
    """A ledger event that pins a batch. Ids raw, `timestamp` nanoseconds, `contexts` 32 bytes each, in their order."""

    id: bytes
    source: str
    protocol_id: str
    blockchain_id: str
    timestamp: int
    signer: str
    action: str
    tx: bytes
    batch: bytes
    batch_hash: bytes
    payload_ref: str
    contexts: Sequence[bytes]


class PinRow(msgspec.Struct, frozen=True):
    """One pin as the aggregator reads it; `event` is the sequence of the ledger event that holds it."""

    sequence: int
    hash: bytes
    position: int
    masked: int
    signer: str
    tx: bytes
    batch: bytes
    batch_hash: bytes
    event: int


class WaitingPin(msgspec.Struct, frozen=True):
    """A pin that was left behind: for what cause, and the thing whose arrival ends it.

    `may_claim` says that it may hold a claim of the key that signed it. Of a masked one, `hash` is its context as far
    as that is known, and `author` whose message it has: None while nobody here knows, empty when it can never go.
    """

    pin: int
    hash: bytes
    batch: bytes
    message: bytes | None
    topic: str | None
    cause: str
    subject: str
    signer: str = ""
    may_claim: bool = False
    masked: bool = False
    author: str | None = None


class MaskedPin(NamedTuple):
    """A masked pin that looks as one is expected to, as in its waiting row; without a `cause` when it has none."""

    sequence: int
    cause: str | None
    context: bytes | None
    author: str | None
    message: bytes | None


SEQUENCE_MAX = 2**63 - 1
HASHES_AT_ONCE = 64
NAMED_MAX = 20
PIN = """
    SELECT p.sequence, p.hash, p.position, p.masked, e.signer, e.tx, e.batch, e.batch_hash, e.sequence
      FROM pins p JOIN blockchainevents e ON e.sequence = p.blockchainevent"""


def record(tx: Transaction, namespace: int, events: Sequence[PinnedBatch], now: int) -> list[PinnedBatch]:
    """Store ledger events and their pins, in ledger order, unless they were seen before. Returns the new ones."""
    new = [event for event in events if not _seen(tx, namespace, event)]
    if not new:
        return new
    first: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM blockchainevents")
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM pins")
    for number, event in enumerate(new, first):
        before = _pinned_before(tx, namespace, event.batch)
        _insert_event(tx, namespace, number, event)
        masked = int(event.payload_ref == "")
        rows = [
            (namespace, number, position, hash, masked, now)
            for position, hash in enumerate(event.contexts)
            if (position, hash) not in before
        ]
        tx.insert_many(
            "pins",
            "sequence, namespace, blockchainevent, position, hash, masked, created",
            [(sequence, *row) for sequence, row in enumerate(rows, next)],
        )
        next += len(rows)
    return new


def pinned_by(tx: Transaction, namespace: int, transaction: bytes, payload_ref: str) -> list[tuple[bytes, bytes]]:
    """The batches, with their pinned hashes, that ledger events of this transaction name behind this reference.

    One, unless a member names what belongs to another's pin; then the first few.
    """
    rows = tx.execute(
        """
        SELECT batch, batch_hash FROM blockchainevents
         WHERE namespace = ? AND tx = ? AND payload_ref = ? ORDER BY sequence LIMIT ?""",
        (namespace, transaction, payload_ref, NAMED_MAX),
    )
    return list(dict.fromkeys((row[0], row[1]) for row in rows))


def _seen(tx: Transaction, namespace: int, event: PinnedBatch) -> bool:
    found = tx.value(
        "SELECT 1 FROM blockchainevents WHERE namespace = ? AND source = ? AND protocol_id = ?",
        (namespace, event.source, event.protocol_id),
    )
    return found is not None


def _pinned_before(tx: Transaction, namespace: int, batch: bytes) -> set[tuple[int, bytes]]:
    """The pins that this batch has already: of pins equal in hash, batch and position the first one counts."""
    rows = tx.execute(
        """
        SELECT p.position, p.hash FROM blockchainevents e JOIN pins p ON p.blockchainevent = e.sequence
         WHERE e.namespace = ? AND e.batch = ?""",
        (namespace, batch),
    )
    return {(row[0], row[1]) for row in rows}


def _insert_event(tx: Transaction, namespace: int, number: int, event: PinnedBatch) -> None:
    tx.execute(
        """
        INSERT INTO blockchainevents (sequence, id, namespace, source, name, protocol_id, blockchain_id, timestamp,
                                      signer, action, tx, batch, batch_hash, payload_ref)
        VALUES (?, ?, ?, ?, 'BatchPin', ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            number, event.id, namespace, event.source, event.protocol_id, event.blockchain_id, event.timestamp,
            event.signer, event.action, event.tx, event.batch, event.batch_hash, event.payload_ref,
        ),
    )  # fmt: skip


def after(tx: Transaction, namespace: int, offset: int, *, limit: int) -> list[PinRow]:
    """The pins past `offset` in ledger order: some `limit`, and then all that the last ledger event has."""
    page = _between(tx, namespace, offset, None, limit)
    if len(page) == limit:
        page += _between(tx, namespace, page[-1].sequence, _last_of_event(tx, page[-1].sequence), SEQUENCE_MAX)
    return page


def _between(tx: Transaction, namespace: int, offset: int, last: int | None, limit: int) -> list[PinRow]:
    rows = tx.execute(
        f"{PIN} WHERE p.sequence > ? AND p.sequence <= ? AND p.namespace = ? ORDER BY p.sequence LIMIT ?",
        (offset, SEQUENCE_MAX if last is None else last, namespace, limit),
    )
    return [PinRow(*row) for row in rows]


def _last_of_event(tx: Transaction, sequence: int) -> int:
    found: int = tx.value(
        """
        SELECT max(sequence) FROM pins
         WHERE blockchainevent = (SELECT blockchainevent FROM pins WHERE sequence = ?)""",
        (sequence,),
    )
    return found


def leave_waiting(tx: Transaction, namespace: int, pins: Sequence[WaitingPin], now: int) -> None:
    """Leave pins behind, or note a new cause for those that are; since when stays."""
    tx.execute_many(
        """
        INSERT INTO waiting_pins (pin, namespace, hash, batch, message, topic, cause, subject, signer, may_claim,
                                  masked, author, since)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (pin) DO UPDATE
           SET hash = excluded.hash, message = excluded.message, topic = excluded.topic, cause = excluded.cause,
               subject = excluded.subject, signer = excluded.signer, may_claim = excluded.may_claim,
               author = excluded.author""",
        [
            (
                p.pin, namespace, p.hash, p.batch, p.message, p.topic, p.cause, p.subject, p.signer, int(p.may_claim),
                int(p.masked), p.author, now,
            )
            for p in pins
        ],
    )  # fmt: skip


def release(tx: Transaction, pins: Sequence[int]) -> None:
    """These pins wait no longer: they are dispatched."""
    tx.execute_many("DELETE FROM waiting_pins WHERE pin = ?", [(pin,) for pin in pins])


def any_waiting(tx: Transaction, namespace: int) -> bool:
    """Does any pin of a broadcast wait in the namespace?"""
    found = tx.value("SELECT 1 FROM waiting_pins WHERE namespace = ? AND masked = 0 LIMIT 1", (namespace,))
    return found is not None


def any_masked_waiting(tx: Transaction, namespace: int) -> bool:
    """Does any masked pin of the namespace wait?"""
    found = tx.value("SELECT 1 FROM waiting_pins WHERE namespace = ? AND masked = 1 LIMIT 1", (namespace,))
    return found is not None


def first_waiting(tx: Transaction, namespace: int, context: bytes) -> int | None:
    """The lowest pin that waits on a broadcast's context: it blocks all later ones."""
    found: int | None = tx.value(
        "SELECT min(pin) FROM waiting_pins WHERE namespace = ? AND hash = ? AND masked = 0", (namespace, context)
    )
    return found


def waiting_of_batch(tx: Transaction, namespace: int, batch: bytes) -> list[PinRow]:
    """The waiting pins of a batch, in ledger order."""
    rows = tx.execute(
        f"""
        {PIN} JOIN waiting_pins w ON w.pin = p.sequence
         WHERE w.namespace = ? AND w.batch = ? ORDER BY p.sequence""",
        (namespace, batch),
    )
    return [PinRow(*row) for row in rows]


def masked_with(tx: Transaction, namespace: int, hash: bytes) -> Iterator[MaskedPin]:
    """The masked pins that look like this, in ledger order."""
    rows = tx.execute(
        """
        SELECT p.sequence, w.cause, w.hash, w.author, w.message
          FROM pins p LEFT JOIN waiting_pins w ON w.pin = p.sequence
         WHERE p.hash = ? AND p.namespace = ? AND p.masked = 1 ORDER BY p.sequence""",
        (hash, namespace),
    )
    return (MaskedPin(*row) for row in rows)


def masked_with_any(tx: Transaction, namespace: int, hashes: Iterable[bytes]) -> dict[bytes, list[MaskedPin]]:
    """`masked_with` for each of these hashes, with few statements."""
    found: dict[bytes, list[MaskedPin]] = {hash: [] for hash in hashes}
    left = list(found)
    while left:
        # By powers of two, so that few statements are prepared.
        some = left[: min(HASHES_AT_ONCE, 1 << len(left).bit_length() - 1)]
        del left[: len(some)]
        rows = tx.execute(
            f"""
            SELECT p.hash, p.sequence, w.cause, w.hash, w.author, w.message
              FROM pins p LEFT JOIN waiting_pins w ON w.pin = p.sequence
             WHERE p.hash IN ({", ".join("?" * len(some))}) AND p.namespace = ? AND p.masked = 1""",
            (*some, namespace),
        )
        for hash, *pin in rows:
            found[hash].append(MaskedPin(*pin))
    for pins in found.values():
        pins.sort()
    return found


def gone_with(tx: Transaction, namespace: int, pin: PinRow, through: int) -> Iterator[PinRow]:
    """The other masked pins up to `through` that look like this one and do not wait."""
    rows = tx.execute(
        f"""
        {PIN}
         WHERE p.hash = ? AND p.namespace = ? AND p.masked = 1 AND p.sequence <= ? AND p.sequence <> ?
           AND NOT EXISTS (SELECT 1 FROM waiting_pins w WHERE w.pin = p.sequence) ORDER BY p.sequence""",
        (pin.hash, namespace, through, pin.sequence),
    )
    return (PinRow(*row) for row in rows)


def wait_masked(tx: Transaction, namespace: int, batch: bytes, hash: bytes, through: int, now: int) -> None:
    """Let the masked pins of a batch that has just come wait, up to `through`: the aggregator has passed those."""
    tx.execute(
        """
        INSERT INTO waiting_pins (pin, namespace, hash, batch, cause, subject, signer, masked, since)
        SELECT p.sequence, p.namespace, p.hash, e.batch, 'order', '', e.signer, 1, ?
          FROM blockchainevents e JOIN pins p ON p.blockchainevent = e.sequence
         WHERE e.namespace = ? AND e.batch = ? AND e.batch_hash = ? AND p.masked = 1 AND p.sequence <= ?
            ON CONFLICT (pin) DO UPDATE SET cause = excluded.cause, subject = excluded.subject""",
        (now, namespace, batch, hash, through),
    )


def waiting_as(tx: Transaction, pin: int) -> tuple[bytes, str | None] | None:
    """The context and author of a masked pin that waits, as far as they are known."""
    row = tx.one("SELECT hash, author FROM waiting_pins WHERE pin = ?", (pin,))
    return None if row is None else (row[0], row[1])


def row_of(tx: Transaction, pin: int) -> PinRow:
    """A pin by its sequence."""
    row = tx.one(f"{PIN} WHERE p.sequence = ?", (pin,))
    assert row is not None  # noqa: S101
    return PinRow(*row)


def batch_of(tx: Transaction, pin: int) -> bytes:
    """The batch of a waiting pin."""
    found: bytes = tx.value("SELECT batch FROM waiting_pins WHERE pin = ?", (pin,))
    return found


def is_waiting(tx: Transaction, pin: int) -> bool:
    """Does this pin wait?"""
    return tx.value("SELECT 1 FROM waiting_pins WHERE pin = ?", (pin,)) is not None


def is_any_waiting_for(tx: Transaction, namespace: int, cause: str) -> bool:
    """Does any pin of the namespace wait for this cause?"""
    found = tx.value("SELECT 1 FROM waiting_pins WHERE namespace = ? AND cause = ? LIMIT 1", (namespace, cause))
    return found is not None


def may_claim(tx: Transaction, pin: int) -> bool:
    """Does this pin wait, and was it said of it that it may hold a claim of its signer's key?"""
    return tx.value("SELECT 1 FROM waiting_pins WHERE pin = ? AND may_claim = 1", (pin,)) is not None


def may_claim_before(tx: Transaction, namespace: int, signer: str, pin: int) -> bool:
    """Does an earlier pin wait that may hold a claim of this signer's key?"""
    found = tx.value(
        "SELECT 1 FROM waiting_pins WHERE namespace = ? AND signer = ? AND pin < ? AND may_claim = 1 LIMIT 1",
        (namespace, signer, pin),
    )
    return found is not None


def batches_waiting_for(tx: Transaction, namespace: int, cause: str, subject: str) -> list[bytes]:
    """The batches whose pins wait for `subject`, by their first pin."""
    rows = tx.execute(
        """
        SELECT batch, min(pin) FROM waiting_pins
         WHERE namespace = ? AND cause = ? AND subject = ? GROUP BY batch ORDER BY 2""",
        (namespace, cause, subject),
    )
    return [row[0] for row in rows]


def batches_signed_with(tx: Transaction, namespace: int, signer: str) -> list[bytes]:
    """The batches with waiting pins that were signed with this key, by their first pin."""
    rows = tx.execute(
        """
        SELECT batch, min(pin) FROM waiting_pins
         WHERE namespace = ? AND signer = ? GROUP BY batch ORDER BY 2""",
        (namespace, signer),
    )
    return [row[0] for row in rows]


def rewind(tx: Transaction, namespace: int, batch: bytes) -> None:
    """Ask the aggregator to look at a batch again. Written with the arrival that it waited for."""
    if tx.value("SELECT 1 FROM waiting_pins WHERE namespace = ? AND batch = ? LIMIT 1", (namespace, batch)) is None:
        return
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM rewinds")
    tx.execute("INSERT INTO rewinds (sequence, namespace, batch) VALUES (?, ?, ?)", (next, namespace, batch))
    tx.ring("pins")


def batch_pinned_at(tx: Transaction, namespace: int, sequence: int) -> bytes | None:
    """The batch of the pin that has this sequence."""
    found: bytes | None = tx.value(
        """
        SELECT e.batch FROM pins p JOIN blockchainevents e ON e.sequence = p.blockchainevent
         WHERE p.sequence = ? AND p.namespace = ?""",
        (sequence, namespace),
    )
    return found


def is_pinned(tx: Transaction, namespace: int, batch: bytes) -> bool:
    """Has the ledger spoken of this batch?"""
    found = tx.value("SELECT 1 FROM blockchainevents WHERE namespace = ? AND batch = ? LIMIT 1", (namespace, batch))
    return found is not None


def is_rewinding(tx: Transaction, namespace: int, batch: bytes) -> bool:
    """Is the aggregator asked to look at a batch again, and has not done so yet?"""
    found = tx.value("SELECT 1 FROM rewinds WHERE namespace = ? AND batch = ? LIMIT 1", (namespace, batch))
    return found is not None


def last_sequence(tx: Transaction) -> int:
    """The sequence of the newest pin; 0 when there is none."""
    found: int = tx.value("SELECT coalesce(max(sequence), 0) FROM pins")
    return found


def any_rewind(tx: Transaction, namespace: int) -> bool:
    """Is there a batch to look at again?"""
    return tx.value("SELECT 1 FROM rewinds WHERE namespace = ? LIMIT 1", (namespace,)) is not None


def take_rewinds(tx: Transaction, namespace: int, *, limit: int) -> list[bytes]:
    """The batches to look at again, oldest wish first; they are taken."""
    rows = list(
        tx.execute(
            "SELECT sequence, batch FROM rewinds WHERE namespace = ? ORDER BY sequence LIMIT ?", (namespace, limit)
        )
    )
    tx.execute_many("DELETE FROM rewinds WHERE sequence = ?", [(row[0],) for row in rows])
    return list(dict.fromkeys(row[1] for row in rows))
