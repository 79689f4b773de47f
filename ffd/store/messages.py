"""Messages and the data they carry. A message's `header` and `data` are the very texts that were hashed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ffd.model.data import BlobRef, Data, DatatypeRef
from ffd.model.ids import format_uuid
from ffd.store import blobs
from ffd.store.transaction import Row, Transaction

READY, PENDING, CONFIRMED, REJECTED = "ready", "pending", "confirmed", "rejected"
BELL, PRIVATE_BELL = "messages", "private messages"
"""Rung when broadcasts, or private messages, are ready for a batch."""
MASKED, UNMASKED = 1, 2
"""The two kinds of private messages sent here: those that are pinned, and those that go past the ledger."""
NEAR_FACTOR = 20
"""How much longer than a batch the range may be that is read to find its messages."""
LOOKED_UP_MAX = 200
"""How many messages one statement names."""


class NewMessage(msgspec.Struct, frozen=True):
    """A message about to be stored: its texts, and its data items in order."""

    id: bytes
    header: str
    hash: bytes
    data: str
    size: int
    items: Sequence[Data]
    idempotency_key: str | None = None
    pins: str | None = None
    private: int | None = None
    """For which kind of private batch it waits; None for a broadcast, and for what others sent."""


class ReadyMessage(msgspec.Struct, frozen=True):
    """A message on its way into a batch."""

    sequence: int
    id: bytes
    header: str
    hash: bytes
    data: str
    size: int
    pins: str | None = None
    """Of a private one, when it was sealed before."""


class BatchedMessage(msgspec.Struct, frozen=True):
    """A message as the aggregator looks at it."""

    sequence: int
    id: bytes
    header: str
    hash: bytes
    state: str
    batch: int | None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the API shows it; ids are raw, `state` is FireFly's, `batch` and `txid` those of its batch."""

    sequence: int
    id: bytes
    header: str
    hash: bytes
    data: str
    state: str
    confirmed: int | None
    reject_reason: str | None
    pins: str | None
    idempotency_key: str | None
    batch: bytes | None
    txid: bytes | None


SHOWN_STATE = "CASE WHEN s.state = 'ready' AND b.sent IS NOT NULL THEN 'sent' ELSE s.state END"
SHOWN_COLUMNS = f"""
           m.sequence, m.id, m.header, m.hash, m.data, {SHOWN_STATE}, s.confirmed, s.reject_reason, m.pins,
           m.idempotency_key, b.id, b.tx"""
SHOWN_SOURCE = """messages m
      JOIN message_states s ON s.message = m.sequence AND s.namespace = m.namespace
      LEFT JOIN batches b ON b.sequence = s.batch"""


def append(
    tx: Transaction,
    namespace: int,
    messages: Sequence[NewMessage],
    *,
    state: str,
    known: Mapping[str, int],
    batch: int | None = None,
) -> int:
    """Store messages with their data, in this order. Returns the sequence of the first one.

    `known` gives the sequences of the data items (by id text) that are stored already: these are only referred to.
    """
    first: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM messages")
    tx.insert_many(
        "messages",
        "sequence, id, namespace, header, hash, data, size, pins, idempotency_key",
        [
            (n, m.id, namespace, m.header, m.hash, m.data, m.size, m.pins, m.idempotency_key)
            for n, m in enumerate(messages, first)
        ],
    )
    if any(message.private for message in messages):
        tx.insert_many(
            "message_states",
            "message, namespace, state, batch, private",
            [(n, namespace, state, batch, message.private) for n, message in enumerate(messages, first)],
        )
    else:
        tx.insert_many(
            "message_states",
            "message, namespace, state, batch",
            [(n, namespace, state, batch) for n in range(first, first + len(messages))],
        )
    places = dict(known)
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM data")
    items, uses = _new_items(messages, first, places, next)
    append_data(tx, namespace, items)
    if uses:
        tx.insert_many("data_uses", "data, message", sorted(uses))
    tx.insert_many(
        "message_data",
        "message, position, data",
        [(n, k, places[item.id]) for n, m in enumerate(messages, first) for k, item in enumerate(m.items)],
    )
    return first


NewItem = tuple[int, Data, int | None]
"""A data item about to be stored: its sequence, itself, and the sequence of the message that brings it, if one does."""


def _new_items(
    messages: Sequence[NewMessage], first: int, places: dict[str, int], next: int
) -> tuple[list[NewItem], set[tuple[int, int]]]:
    """The items that are not stored yet, each once, and which others are used by whom; `places` learns sequences.

    The messages get sequences from `first` on, the new items from `next`.
    """
    fresh: list[NewItem] = []
    uses: set[tuple[int, int]] = set()
    for number, message in enumerate(messages, first):
        for item in message.items:
            if item.id not in places:
                places[item.id] = next
                fresh.append((next, item, number))
                next += 1
            else:
                uses.add((places[item.id], number))
    return fresh, uses


def append_data(tx: Transaction, namespace: int, items: Iterable[NewItem]) -> None:
    """Store data items."""
    tx.insert_many(
        "data",
        "sequence, id, namespace, validator, hash, created, datatype_name, datatype_version, value, public, blob, "
        "message",
        [_data_row(sequence, namespace, item, message) for sequence, item, message in items],
    )


def _data_row(sequence: int, namespace: int, item: Data, message: int | None) -> Row:
    datatype = item.datatype
    return (
        sequence, bytes.fromhex(item.id.replace("-", "")), namespace, item.validator, item.hash, item.created,
        None if datatype is None else datatype.name, None if datatype is None else datatype.version,
        item.value, item.public or None, None if item.blob is None else msgspec.json.encode(item.blob).decode(),
        message,
    )  # fmt: skip


DATA = "d.id, d.validator, d.hash, d.created, d.datatype_name, d.datatype_version, d.value, d.public, d.blob"


def read_data(row: Row) -> Data:
    """The data item in a row of the columns `DATA`."""
    id, validator, hash, created, datatype_name, datatype_version, value, public, blob = row
    return Data(
        id=format_uuid(id),
        hash=hash,
        created=created,
        value=value,
        validator=validator,
        datatype=None if datatype_name is None else DatatypeRef(datatype_name, datatype_version or ""),
        blob=None if blob is None else msgspec.json.decode(blob, type=BlobRef),
        public=public or "",
    )


def data_of(tx: Transaction, message: int) -> list[Data]:
    """The data items of a message, in its order."""
    rows = tx.execute(
        f"SELECT {DATA} FROM message_data l JOIN data d ON d.sequence = l.data WHERE l.message = ? ORDER BY l.position",
        (message,),
    )
    return [read_data(row) for row in rows]


def data_between(tx: Transaction, first: int, last: int) -> dict[int, list[Data]]:
    """The data items of the messages with sequences from `first` to `last`, by message."""
    found: dict[int, list[Data]] = {}
    rows = tx.execute(
        f"""
        SELECT l.message, {DATA} FROM message_data l JOIN data d ON d.sequence = l.data
         WHERE l.message BETWEEN ? AND ? ORDER BY l.message, l.position""",
        (first, last),
    )
    for message, *row in rows:
        found.setdefault(message, []).append(read_data(tuple(row)))
    return found


def data_of_all(tx: Transaction, sequences: Sequence[int]) -> dict[int, list[Data]]:
    """The data items of these messages, by message. `sequences` rise; what lies between them is not read."""
    if not sequences or sequences[-1] - sequences[0] + 1 == len(sequences):
        return data_between(tx, sequences[0], sequences[-1]) if sequences else {}
    found: dict[int, list[Data]] = {}
    for at in range(0, len(sequences), LOOKED_UP_MAX):
        some = sequences[at : at + LOOKED_UP_MAX]
        rows = tx.execute(
            f"""
            SELECT l.message, {DATA} FROM message_data l JOIN data d ON d.sequence = l.data
             WHERE l.message IN ({", ".join("?" * len(some))}) ORDER BY l.message, l.position""",
            tuple(some),
        )
        for message, *row in rows:
            found.setdefault(message, []).append(read_data(tuple(row)))
    return found


def needing_more(tx: Transaction, first: int, last: int) -> dict[int, tuple[bool, str | None]]:
    """Of the messages from `first` to `last`, those with a datatype to follow or a blob: (datatype, missing blob).

    The missing blob is the first one, in the message's order, that is not here: its hash in hex; None when all are.
    """
    rows = tx.execute(
        """
        SELECT l.message, d.namespace, d.datatype_name IS NOT NULL AND d.validator <> 'none', d.blob ->> '$.hash'
          FROM message_data l JOIN data d ON d.sequence = l.data
         WHERE l.message BETWEEN ? AND ? AND (d.datatype_name IS NOT NULL OR d.blob IS NOT NULL)
         ORDER BY l.message, l.position""",
        (first, last),
    )
    needs: dict[int, tuple[bool, str | None]] = {}
    for message, namespace, datatype, blob in rows:
        follows, missing = needs.get(message, (False, None))
        if blob and missing is None and blobs.find(tx, namespace, bytes.fromhex(blob)) is None:
            missing = blob
        needs[message] = follows or bool(datatype), missing
    return needs


def find_data(tx: Transaction, namespace: int, id: bytes) -> tuple[int, Data] | None:
    """The data item `id` and its sequence."""
    row = tx.one(f"SELECT d.sequence, {DATA} FROM data d WHERE d.namespace = ? AND d.id = ?", (namespace, id))
    return None if row is None else (row[0], read_data(row[1:]))


def by_idempotency_key(tx: Transaction, namespace: int, key: str) -> bytes | None:
    """The id of the message that used this idempotency key first."""
    found: bytes | None = tx.value(
        "SELECT id FROM messages WHERE namespace = ? AND idempotency_key = ?", (namespace, key)
    )
    return found


def ready_after(tx: Transaction, namespace: int, offset: int, *, limit: int) -> list[ReadyMessage]:
    """The broadcasts past `offset` that wait for a batch, in the order they were accepted."""
    rows = tx.execute(
        """
        SELECT m.sequence, m.id, m.header, m.hash, m.data, m.size
          FROM message_states s JOIN messages m ON m.sequence = s.message
         WHERE s.message > ? AND +s.namespace = ? AND s.state = 'ready' AND s.batch IS NULL AND s.private IS NULL
         ORDER BY s.message LIMIT ?""",
        (offset, namespace, limit),
    )
    return [ReadyMessage(*row) for row in rows]


def private_ready(tx: Transaction, namespace: int, kind: int, *, limit: int) -> list[ReadyMessage]:
    """The first private messages of a kind that wait for a batch, in the order they were accepted."""
    rows = tx.execute(
        """
        SELECT m.sequence, m.id, m.header, m.hash, m.data, m.size, m.pins
          FROM message_states s JOIN messages m ON m.sequence = s.message
         WHERE s.namespace = ? AND s.private = ? AND s.state = 'ready' AND s.batch IS NULL
         ORDER BY s.message LIMIT ?""",
        (namespace, kind, limit),
    )
    return [ReadyMessage(*row) for row in rows]


def private_waiting(tx: Transaction, namespace: int, kind: int) -> int:
    """How many private messages of a kind wait for a batch, at most: whatever came after the first of them counts."""
    first: int | None = tx.value(
        """
        SELECT message FROM message_states
         WHERE namespace = ? AND private = ? AND state = 'ready' AND batch IS NULL
         ORDER BY message LIMIT 1""",
        (namespace, kind),
    )
    return 0 if first is None else last_sequence(tx) - first + 1


def keep_pins(tx: Transaction, pins: Sequence[tuple[str, int]]) -> None:
    """Record the masked pins (`message.pins`, with commas between) of messages, by their sequences."""
    tx.execute_many("UPDATE messages SET pins = ? WHERE sequence = ?", pins)


def put_in_batch(tx: Transaction, sequences: Sequence[int], batch: int) -> None:
    """Record that these messages, and nobody else's between them, travel in `batch`."""
    first, last = sequences[0], sequences[-1]
    if last - first + 1 == len(sequences):
        tx.execute("UPDATE message_states SET batch = ? WHERE message BETWEEN ? AND ?", (batch, first, last))
    else:
        tx.execute_many("UPDATE message_states SET batch = ? WHERE message = ?", [(batch, n) for n in sequences])


def in_batch(tx: Transaction, batch: int, ids: Sequence[bytes], namespace: int) -> list[BatchedMessage | None]:
    """The messages `ids` of a batch, in the order asked; None where one is not here.

    A batch's messages were stored near each other: one range read finds them, others are looked up one by one.
    """
    found: dict[bytes, BatchedMessage] = {}
    between = _range_of(tx, ids, namespace)
    if between is not None:
        rows = tx.execute(
            """
            SELECT m.sequence, m.id, m.header, m.hash, s.state, s.batch
              FROM message_states s JOIN messages m ON m.sequence = s.message
             WHERE s.message BETWEEN ? AND ? AND s.batch = ?""",
            (*between, batch),
        )
        found = {row[1]: BatchedMessage(*row) for row in rows}
    return [found.get(id) or find_batched(tx, namespace, id) for id in ids]


def _range_of(tx: Transaction, ids: Sequence[bytes], namespace: int) -> tuple[int, int] | None:
    """The sequences of the first and last message of a batch, if they are near each other."""
    first, last = sequence_of(tx, namespace, ids[0]), sequence_of(tx, namespace, ids[-1])
    if first is None or last is None or not 0 <= last - first <= len(ids) * NEAR_FACTOR:
        return None
    return first, last


def sequence_of(tx: Transaction, namespace: int, id: bytes) -> int | None:
    """The sequence of a message, if it is here."""
    found: int | None = tx.value("SELECT sequence FROM messages WHERE namespace = ? AND id = ?", (namespace, id))
    return found


def find_batched(tx: Transaction, namespace: int, id: bytes) -> BatchedMessage | None:
    """One message, as the aggregator looks at it."""
    row = tx.one(
        """
        SELECT m.sequence, m.id, m.header, m.hash, s.state, s.batch
          FROM messages m JOIN message_states s ON s.message = m.sequence
         WHERE m.namespace = ? AND m.id = ?""",
        (namespace, id),
    )
    return None if row is None else BatchedMessage(*row)


def sealed_in(tx: Transaction, batch: int, ids: Sequence[bytes], namespace: int) -> list[ReadyMessage]:
    """The messages of a batch that was sealed here, in its order; `ids` are those that its manifest names."""
    sequences = [found for id in ids if (found := sequence_of(tx, namespace, id)) is not None]
    rows: list[ReadyMessage] = []
    for at in range(0, len(sequences), LOOKED_UP_MAX):
        some = sequences[at : at + LOOKED_UP_MAX]
        rows += [
            ReadyMessage(*row)
            for row in tx.execute(
                f"""
                SELECT m.sequence, m.id, m.header, m.hash, m.data, m.size, m.pins
                  FROM message_states s JOIN messages m ON m.sequence = s.message
                 WHERE s.message IN ({", ".join("?" * len(some))}) AND s.batch = ? ORDER BY s.message""",
                (*some, batch),
            )
        ]
    return rows


def confirm(tx: Transaction, sequences: Sequence[int], now: int) -> None:
    """Mark messages as confirmed. `sequences` rise."""
    for first, last in _ranges(sequences):
        tx.execute(
            "UPDATE message_states SET state = 'confirmed', confirmed = ? WHERE message BETWEEN ? AND ?",
            (now, first, last),
        )


def _ranges(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of those that follow each other."""
    if sequences and sequences[-1] - sequences[0] + 1 == len(sequences):
        yield sequences[0], sequences[-1]
        return
    first = 0
    for place in range(1, len(sequences) + 1):
        if place == len(sequences) or sequences[place] != sequences[place - 1] + 1:
            yield sequences[first], sequences[place - 1]
            first = place


def reject(tx: Transaction, sequence: int, reason: str, now: int) -> None:
    """Mark a message as rejected, and say why."""
    tx.execute(
        "UPDATE message_states SET state = 'rejected', confirmed = ?, reject_reason = ? WHERE message = ?",
        (now, reason, sequence),
    )


def cancel(tx: Transaction, namespace: int, id: bytes, author: str, group: str, now: int) -> None:
    """Mark a message as cancelled, unless it is settled, or is not of this author and group (hex)."""
    tx.execute(
        """
        UPDATE message_states SET state = 'cancelled', confirmed = ?
         WHERE state NOT IN ('confirmed', 'rejected', 'cancelled') AND message = (
               SELECT sequence FROM messages
                WHERE id = ? AND namespace = ? AND header ->> '$.author' = ? AND header ->> '$.group' = ?)""",
        (now, id, namespace, author, group),
    )


def note_revived(tx: Transaction, sequence: int) -> None:
    """Let searches look again at a message that was cancelled, and whose pin was on the ledger all the same."""
    tx.execute("INSERT INTO search_changes (collection, sequence) VALUES ('messages', ?)", (sequence,))


def cancel_ready(tx: Transaction, sequences: Sequence[int], now: int) -> None:
    """Mark messages as cancelled that were never sent."""
    tx.execute_many(
        "UPDATE message_states SET state = 'cancelled', confirmed = ? WHERE message = ? AND state = 'ready'",
        [(now, sequence) for sequence in sequences],
    )


def find(tx: Transaction, namespace: int, id: bytes) -> StoredMessage | None:
    """One message as the API shows it."""
    row = tx.one(f"SELECT {SHOWN_COLUMNS} FROM {SHOWN_SOURCE} WHERE m.namespace = ? AND m.id = ?", (namespace, id))
    return None if row is None else StoredMessage(*row)


def exists(tx: Transaction, namespace: int, id: bytes) -> bytes | None:
    """The hash of the message, if it is here."""
    found: bytes | None = tx.value("SELECT hash FROM messages WHERE namespace = ? AND id = ?", (namespace, id))
    return found


def last_sequence(tx: Transaction) -> int:
    """The sequence of the newest message; 0 when there is none."""
    found: int = tx.value("SELECT coalesce(max(sequence), 0) FROM messages")
    return found
