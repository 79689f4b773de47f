"""A private batch on its way: to each other member's node by data exchange, and its pin, which says nothing, to all.

The pin waits until every node was tried once, and not until it has the batch: one that is off must not hold up the
others, and what it is owed stands in the database (FireFly reference 4.6). An unpinned batch waits just so, and is
confirmed here then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ffd.model.event import MESSAGE_CONFIRMED
from ffd.model.ids import parse_uuid
from ffd.model.manifest import manifest_messages
from ffd.model.message import PRIVATE
from ffd.outbound.assembler import boarding
from ffd.outbound.cancelling import cancel
from ffd.outbound.lanes import Lanes
from ffd.outbound.private_sealing import PrivateSealer, SealedPrivate
from ffd.outbound.sending import Sending
from ffd.outbound.sequencer import Sent
from ffd.store import Transaction, batches, events, messages
from ffd.store.batches import BatchRow
from ffd.store.events import NewEvent


@dataclass(frozen=True, slots=True)
class PrivateCourier:
    """Brings out the private messages of one namespace, those of one kind."""

    sending: Sending
    sealer: PrivateSealer
    lanes: Lanes
    bell: str = messages.PRIVATE_BELL

    @property
    def messages_max(self) -> int:
        return self.sealer.limits.messages_max

    def waiting(self, tx: Transaction) -> int:
        return self.sealer.waiting(tx)

    def seal_page(self, tx: Transaction) -> Sequence[SealedPrivate]:
        return self.sealer.seal_page(tx)

    def unsent(self, tx: Transaction, limit: int) -> Sequence[BatchRow]:
        pinned = self.sealer.kind == messages.MASKED
        return batches.unsent(tx, self.sending.namespace.number, PRIVATE, pinned=pinned, limit=limit)

    def load(self, tx: Transaction, row: BatchRow) -> SealedPrivate:
        return self.sealer.load(tx, row)

    async def send(self, batch: SealedPrivate) -> Sent[SealedPrivate]:
        flushes = self.sending.flushes
        flushes.begin(batch.row.id, self.sending.world.now())
        self.sending.check_wanted(batch.row)
        await self.lanes.bring(batch)
        transaction = ""
        if batch.pin is not None:
            transaction = await self.sending.pin(batch.pin, batch.row, batch.contexts, "")
        flushes.end(messages=batch.messages, items=batch.items, payload_bytes=len(batch.payload))
        return Sent(batch, transaction=transaction)

    def give_up(self, tx: Transaction, batch: SealedPrivate) -> SealedPrivate | None:
        riders = cancel(tx, self.sending.world, batch.row)
        if riders is None:
            return batch
        return self.sealer.seal_instead(tx, riders, batch.row) if riders else None

    def record_sent(self, tx: Transaction, sent: Sent[SealedPrivate]) -> None:
        batch = sent.batch
        if batch.pin is not None:
            self.sending.record_pinned(tx, batch.pin, batch.row, "", sent.transaction)
        else:
            self._confirm(tx, batch.row)

    def _confirm(self, tx: Transaction, row: BatchRow) -> None:
        """An unpinned batch was sent to everybody, which is all that can be said of it (FireFly reference 3.1, 4.5)."""
        if batches.at(tx, row.sequence).sent is not None:
            return  # a step is taken again that is not noted yet: its events are told already
        now = self.sending.world.now()
        batches.mark_sent(tx, row.sequence, "", now)
        ids = [message.raw_id for message in manifest_messages(row.manifest)]
        riders = boarding(messages.sealed_in(tx, row.sequence, ids, row.namespace))
        messages.confirm(tx, [rider.sequence for rider in riders], now)
        told = [
            NewEvent(
                self.sending.world.new_id(), row.namespace, MESSAGE_CONFIRMED, rider.message.id,
                parse_uuid(rider.header.cid) if rider.header.cid else None, row.tx, topic, now,
            )
            for rider in riders
            for topic in rider.header.topics
        ]  # fmt: skip
        events.append(tx, told)
