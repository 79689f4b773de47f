"""Pinned messages: the pins of a page, each with the message that it stands for, as far as that is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ffd.inbound.order import Cause, Turn
from ffd.inbound.verdict import HeaderView
from ffd.model.context import broadcast_context
from ffd.model.ids import format_uuid, stand_in_id
from ffd.model.manifest import ManifestMessage, manifest_messages
from ffd.model.message import DEFINITION, PRIVATE_TYPES
from ffd.store import Transaction, batches, messages
from ffd.store.batches import BatchRow
from ffd.store.messages import BatchedMessage
from ffd.store.pins import PinRow

NOBODY = -1  # the owner of a pin for which the batch has no message

_VIEW = msgspec.json.Decoder(HeaderView)
Needs = dict[int, tuple[bool, str | None]]


@dataclass(slots=True)
class PinnedMessage(Turn):
    """A message behind its pins; `message` and `header` are None while it is not here."""

    pins: list[PinRow] = field(default_factory=list)
    message: BatchedMessage | None = None
    header: HeaderView | None = None
    missing_blob: str | None = None
    defined: bool = False
    """Does it define something, or follow what others defined? Then it is judged when all before it is done."""
    reason: str = ""
    masked: bool = False
    """Is it private? Then its contexts are not what its pins look like: see `ffd.inbound.masked`."""
    idle: bool = False
    """Can a masked pin never be dispatched, whatever comes? Then it blocks nobody."""

    @property
    def first_pin(self) -> int:
        return self.pins[0].sequence


def messages_behind(tx: Transaction, namespace: int, rows: Sequence[PinRow]) -> list[PinnedMessage]:
    """The messages that own these pins, in the order of their first pin."""
    by_batch: dict[tuple[bytes, bytes, int], list[PinRow]] = {}
    for row in rows:
        by_batch.setdefault((row.batch, row.batch_hash, row.masked), []).append(row)
    found = [message for group in by_batch.values() for message in _messages_of(tx, namespace, group)]
    found.sort(key=lambda message: message.first_pin)
    return found


def _messages_of(tx: Transaction, namespace: int, rows: list[PinRow]) -> list[PinnedMessage]:
    """The messages of one pinned batch; while the batch is not here, one for each of its pins."""
    first = rows[0]
    batch = batches.find_pinned(tx, namespace, first.batch, first.batch_hash)
    if batch is None or not _is_here(batch, first):
        return [_absent(row, Cause.PAYLOAD) for row in rows]
    if batch.hash != first.batch_hash:
        return [_absent(row, Cause.MISMATCH) for row in rows]
    listed = manifest_messages(batch.manifest)
    owners = [index for index, entry in enumerate(listed) for _ in range(entry.topics)]
    by_message: dict[tuple[int, int], list[PinRow]] = {}
    for row in rows:
        index = owners[row.position] if row.position < len(owners) else NOBODY
        by_message.setdefault((index, row.event), []).append(row)
    stored = messages.in_batch(tx, batch.sequence, [entry.raw_id for entry in listed], namespace)
    mine = [_with_hash(tx, namespace, m, e) for m, e in zip(stored, listed, strict=True)]
    needs = _needs(tx, mine)
    pinned = _masked if first.masked else _broadcast
    return [
        pinned(group, None if index == NOBODY else mine[index], needs, index)
        for (index, _), group in by_message.items()
    ]


def _with_hash(
    tx: Transaction, namespace: int, found: BatchedMessage | None, listed: ManifestMessage
) -> BatchedMessage | None:
    """The message that a manifest means: whoever heard of another one's id can list it in a batch of its own."""
    if found is None or found.hash.hex() == listed.hash:
        return found
    hash = bytes.fromhex(listed.hash)
    again = messages.find_batched(tx, namespace, stand_in_id(listed.raw_id, hash))
    return again if again is not None and again.hash == hash else None


def _is_here(batch: BatchRow, pin: PinRow) -> bool:
    """A broadcast that was sealed here counts once it was read from where all read it, a private batch at once."""
    return batch.confirmed is not None or bool(pin.masked and batch.sealed)


def _needs(tx: Transaction, stored: Sequence[BatchedMessage | None]) -> Needs:
    sequences = [message.sequence for message in stored if message is not None]
    return messages.needing_more(tx, min(sequences), max(sequences)) if sequences else {}


def _broadcast(rows: list[PinRow], message: BatchedMessage | None, needs: Needs, index: int) -> PinnedMessage:
    """The message behind pins of one ledger event.

    Pins without a message, or others than those of its topics, hold up their contexts for ever, as they did before
    the batch came: else its arrival would decide the order. So do the pins of what was never meant for everybody.
    """
    header = None if message is None else _VIEW.decode(message.header)
    if message is None or header is None or not _are_pins_of(rows, header):
        return PinnedMessage(_pin_contexts(rows), Cause.CONTENT, format_uuid(rows[0].batch), rows)
    datatype, blob = needs.get(message.sequence, (False, None)) if needs else (False, None)
    defined = datatype or header.type == DEFINITION
    return PinnedMessage(_pin_contexts(rows), None, "", rows, message, header, blob, defined)


def _masked(rows: list[PinRow], message: BatchedMessage | None, needs: Needs, index: int) -> PinnedMessage:
    """The message behind masked pins of one ledger event.

    The batch is here, and is the one that was pinned: what is no private message with a pin for each topic can never be
    dispatched, and all who have the batch know it.
    """
    header = None if message is None else _VIEW.decode(message.header)
    fits = header is not None and _is_private(header) and len(rows) == len(header.topics)
    if message is None or header is None or not fits:
        idle = index == NOBODY or message is not None
        return PinnedMessage([], Cause.CONTENT, format_uuid(rows[0].batch), rows, masked=True, idle=idle)
    datatype, blob = needs.get(message.sequence, (False, None)) if needs else (False, None)
    return PinnedMessage([], None, "", rows, message, header, blob, datatype, masked=True)


def _is_private(header: HeaderView) -> bool:
    return header.type in PRIVATE_TYPES and header.group != ""


def _absent(row: PinRow, cause: Cause) -> PinnedMessage:
    contexts = [] if row.masked else _pin_contexts([row])
    return PinnedMessage(contexts, cause, format_uuid(row.batch), [row], masked=bool(row.masked))


def _pin_contexts(rows: Sequence[PinRow]) -> list[tuple[bytes, int]]:
    first: dict[bytes, int] = {}
    for row in rows:
        first.setdefault(row.hash, row.sequence)
    return list(first.items())


def _are_pins_of(rows: Sequence[PinRow], header: HeaderView) -> bool:
    if header.type in PRIVATE_TYPES:
        return False
    return [row.hash for row in rows] == [broadcast_context(topic) for topic in header.topics]
