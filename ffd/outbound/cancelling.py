"""Give up a batch that cannot leave, and fill the gap that its masked pins would be (FireFly reference 4.8).

Its messages are cancelled. The nonces of private ones are used up, and their authors' next messages would wait for them
on every member for ever: so a message that says nothing goes out in the place of each, with its pins. What founds a
group goes out as it is, since all that is sent to the group later needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ffd.model.ids import format_uuid
from ffd.model.manifest import manifest_messages
from ffd.model.message import BATCH_PIN, GROUP_INIT, PRIVATE, TAG_GAP_FILL, UNPINNED, Header, parse_header, seal
from ffd.model.times import format_time
from ffd.outbound.accept import MESSAGE_SIZE_BASE
from ffd.outbound.assembler import Passenger, boarding
from ffd.store import Transaction, batches, messages, operations, owed, pins
from ffd.store.batches import BatchRow
from ffd.store.messages import NewMessage, ReadyMessage
from ffd.world import World


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What giving up a batch does to its messages: whether the pins of the cancelled are `filled`; `kept` still go out.

    `on_ledger` says that the ledger has the batch, and that it cannot be given up any more.
    """

    cancelled: Sequence[ReadyMessage]
    kept: Sequence[ReadyMessage]
    filled: bool
    on_ledger: bool


def cancellation(tx: Transaction, row: BatchRow) -> Cancellation:
    """What giving up a batch would do now; nothing is changed."""
    ids = [message.raw_id for message in manifest_messages(row.manifest)]
    riders = messages.sealed_in(tx, row.sequence, ids, row.namespace)
    filled = row.type == PRIVATE and row.tx_type != UNPINNED
    kept = [each for each in riders if filled and parse_header(each.header).type == GROUP_INIT]
    cancelled = [each for each in riders if each not in kept]
    return Cancellation(cancelled, kept, filled, pins.is_pinned(tx, row.namespace, row.id))


def cancel(tx: Transaction, world: World, row: BatchRow) -> list[Passenger] | None:
    """Give up a batch; the messages that have to leave in its place. None when it is on the ledger already."""
    now, what = world.now(), cancellation(tx, row)
    if what.on_ledger:
        batches.drop_cancel(tx, row.sequence)
        return None
    batches.mark_cancelled(tx, row.sequence, now)
    messages.cancel_ready(tx, [each.sequence for each in what.cancelled], now)
    owed.forget_batch(tx, row.sequence)
    operations.give_up(tx, row.tx, f"FFD2508: batch {format_uuid(row.id)} was cancelled", now)
    if not what.filled:
        return []
    fillers = [_filler(world, each, now) for each in what.cancelled]
    first = messages.append(tx, row.namespace, fillers, state=messages.READY, known={}) if fillers else 0
    ready = [
        ReadyMessage(sequence, each.id, each.header, each.hash, each.data, each.size, each.pins)
        for sequence, each in enumerate(fillers, first)
    ]
    return boarding([*what.kept, *ready])


def _filler(world: World, message: ReadyMessage, now: int) -> NewMessage:
    """A message that says nothing but which one it stands for, with that one's pins."""
    id, header = world.new_id(), parse_header(message.header)
    new = Header(
        format_uuid(id), header.id, header.type, BATCH_PIN, header.author, header.key, format_time(now),
        header.namespace, header.group, header.topics, TAG_GAP_FILL,
    )  # fmt: skip
    sealed = seal(new, [])
    return NewMessage(
        id, sealed.header_json, sealed.hash, sealed.refs_json, MESSAGE_SIZE_BASE, [], pins=message.pins,
        private=messages.MASKED,
    )  # fmt: skip
