"""The aggregator: pins in ledger order, joined with their payloads, become events in the node's one local sequence.

One leader for each namespace. A page of pins is one transaction: events, message states, what is left waiting, the
offset. What waits is looked at again when a rewind row says that something it waited for has come; the rewind was
written in the transaction of the arrival, so no crash forgets it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from ffd.inbound import rewind
from ffd.inbound.definitions import Office, claims_its_key, define
from ffd.inbound.definitions.datatypes import judge_data
from ffd.inbound.order import Cause, Turn, blocked_by, take_turns
from ffd.inbound.verdict import CONFIRM, HeaderView, judge
from ffd.model.context import broadcast_context
from ffd.model.event import MESSAGE_CONFIRMED, MESSAGE_REJECTED
from ffd.model.identity import TAG_CLAIM
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.manifest import manifest_messages
from ffd.model.message import DEFINITION
from ffd.model.namespace import LEDGER_VERIFIER, Namespace
from ffd.store import Store, Transaction, batches, events, identities, messages, offsets, pins
from ffd.store.bells import wait_rung
from ffd.store.events import NewEvent
from ffd.store.leadership import Leadership
from ffd.store.messages import FINAL_STATES, BatchedMessage
from ffd.store.pins import PinRow, WaitingPin
from ffd.world import World

POLL_S = 1.0  # the fallback for pins that another process recorded
PAGE_PINS = 500
REWINDS_PER_PAGE = 20
DISPATCH_PER_PAGE_MAX = 1000
NOBODY = -1  # the owner of a pin for which the batch has no message

_VIEW = msgspec.json.Decoder(HeaderView)


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

    @property
    def first_pin(self) -> int:
        return self.pins[0].sequence


class Aggregator:
    """Aggregates one namespace, for as long as it leads."""

    def __init__(
        self, world: World, store: Store, namespace: Namespace, leadership: Leadership, page_pins: int = PAGE_PINS
    ) -> None:
        self._world = world
        self._store = store
        self._namespace = namespace
        self._leadership = leadership
        self._page_pins = page_pins

    async def run(self) -> NoReturn:
        """Turn pins into events, in ledger order, until cancelled."""
        bell = self._store.bell("pins")
        with self._store.following("pins", self.aggregate_page, bool):
            while True:
                ticket = bell.ticket()
                while self._store.peek(self._has_work) and await self._store.write(self.aggregate_page):
                    pass
                await wait_rung(ticket, at_most_s=POLL_S)

    def _has_work(self, tx: Transaction) -> bool:
        """Is there anything to look at? A look is cheaper than a transaction that finds nothing."""
        offset = offsets.read(tx, offsets.AGGREGATOR, self._namespace.name) or 0
        return pins.last_sequence(tx) > offset or pins.any_rewind(tx, self._namespace.number)

    def aggregate_page(self, tx: Transaction) -> bool:
        """Look again at what a rewind names, then turn the next page of pins; say whether there may be more."""
        self._leadership.check(tx)
        page = _Page(tx, self._world, self._namespace)
        page.look_again(pins.take_rewinds(tx, self._namespace.number, limit=REWINDS_PER_PAGE))
        turned = self._turn_page(tx, page)
        page.write_events()
        return turned or pins.any_rewind(tx, self._namespace.number)

    def _turn_page(self, tx: Transaction, page: _Page) -> bool:
        number, name = self._namespace.number, self._namespace.name
        offset = offsets.read(tx, offsets.AGGREGATOR, name) or 0
        rows = pins.after(tx, number, offset, limit=self._page_pins)
        if rows:
            page.turn(rows)
            offsets.move(tx, offsets.AGGREGATOR, name, to=rows[-1].sequence)
        return len(rows) >= self._page_pins


class _Page:
    """One transaction of the aggregator: what it has looked up, and what it is going to write."""

    def __init__(self, tx: Transaction, world: World, namespace: Namespace) -> None:
        self._tx = tx
        self._world = world
        self._namespace = namespace
        self._number = namespace.number
        self._now = world.now()
        self._any_waiting = pins.any_waiting(tx, namespace.number)
        self._first_waiting: dict[bytes, int | None] = {}
        self._authors: dict[str, tuple[str, str] | None] = {}
        self._sound: set[tuple[str, str, str, str]] = set()
        self._waited_for: dict[Cause, bool] = {}
        self._settled: set[int] = set()
        self._events: list[NewEvent] = []
        self._office = Office(tx, world, namespace, self._now, self._events.append, self._forget_authors)

    def turn(self, rows: Sequence[PinRow]) -> None:
        """Dispatch what may be dispatched of pins that nobody has looked at, and leave the rest waiting."""
        for run in _runs(self._messages_behind(rows)):
            if run[0].defined:
                self._look_at(run[0])
                continue
            for each in run:
                self._judge(each)
            dispatched, waiting = take_turns(run, self._first_waiting_on)
            self._finalise(dispatched)
            self._leave(waiting)

    def look_again(self, batch_ids: Iterable[bytes]) -> None:
        """Dispatch what has become ready of the waiting pins of these batches, and then of whatever waited behind it.

        In ledger order, always the lowest pin first. Beyond a page the rest is left to the next rewind.
        """
        loaded: dict[bytes, dict[int, PinnedMessage]] = {}
        heap: list[int] = []
        for batch in batch_ids:
            heap.extend(self._load_waiting(batch, loaded))
        heap = sorted(set(heap))
        before = len(self._events)
        while heap and len(self._events) - before < DISPATCH_PER_PAGE_MAX:
            message = self._waiting_message(heapq.heappop(heap), loaded)
            if message is not None:
                for freed in self._look_at(message):
                    heapq.heappush(heap, freed)
        for batch in {pins.batch_of(self._tx, pin) for pin in heap if pins.is_waiting(self._tx, pin)}:
            pins.rewind(self._tx, self._number, batch)

    def write_events(self) -> None:
        """Write the events of all that was dispatched, in the order it was."""
        events.append(self._tx, self._events)

    def _look_at(self, message: PinnedMessage) -> list[int]:
        """Dispatch one message if its turn has come; the pins that it leaves first on their contexts."""
        self._judge(message)
        context = blocked_by(message, lambda context: pins.first_waiting(self._tx, self._number, context))
        if message.cause is None and context is not None:
            message.cause, message.subject = Cause.ORDER, context.hex()
        if message.cause is None and message.defined and not message.reason:
            self._judge_meaning(message)
        contexts = {context for context, _ in message.contexts}
        self._tell_claimants(message)
        if message.cause is not None:
            self._leave([message])
            return []
        pins.release(self._tx, [pin.sequence for pin in message.pins])
        self._finalise([message])
        if self._is_waited_for(Cause.DEFINITION):
            for context in contexts:
                rewind.known(self._tx, self._number, Cause.DEFINITION, context.hex())
        freed = [pins.first_waiting(self._tx, self._number, context) for context in contexts]
        return [pin for pin in freed if pin is not None]

    def _tell_claimants(self, message: PinnedMessage) -> None:
        """Let claims of a key look again when an earlier pin of it turns out to be none, or is settled."""
        if not self._is_waited_for(Cause.CLAIM):
            return
        over = message.cause is None or not self._may_claim(message)
        if over and pins.may_claim(self._tx, message.first_pin):
            rewind.known(self._tx, self._number, Cause.CLAIM, message.pins[0].signer)

    def _may_claim(self, each: PinnedMessage) -> bool:
        """May this be a claim of the key that signed it? What can never be read is none."""
        message, header = each.message, each.header
        if message is None or header is None:
            return each.cause is not Cause.CONTENT
        if header.tag != TAG_CLAIM or header.type != DEFINITION:
            return False
        return claims_its_key(messages.data_of(self._tx, message.sequence))

    def _is_waited_for(self, cause: Cause) -> bool:
        if cause not in self._waited_for:
            self._waited_for[cause] = pins.is_any_waiting_for(self._tx, self._number, cause)
        return self._waited_for[cause]

    def _load_waiting(self, batch: bytes, loaded: dict[bytes, dict[int, PinnedMessage]]) -> list[int]:
        """The first pins of the waiting messages of a batch."""
        if batch not in loaded:
            found = self._messages_behind(pins.waiting_of_batch(self._tx, self._number, batch))
            loaded[batch] = {pin.sequence: message for message in found for pin in message.pins}
        return [message.first_pin for message in loaded[batch].values()]

    def _waiting_message(self, pin: int, loaded: dict[bytes, dict[int, PinnedMessage]]) -> PinnedMessage | None:
        """The waiting message that owns a pin; None when it was dispatched meanwhile."""
        if not pins.is_waiting(self._tx, pin):
            return None
        batch = pins.batch_of(self._tx, pin)
        self._load_waiting(batch, loaded)
        return loaded[batch][pin]

    def _messages_behind(self, rows: Sequence[PinRow]) -> list[PinnedMessage]:
        """The messages that own these pins, in the order of their first pin."""
        by_batch: dict[tuple[bytes, bytes], list[PinRow]] = {}
        for row in rows:
            by_batch.setdefault((row.batch, row.batch_hash), []).append(row)
        found = [message for group in by_batch.values() for message in self._messages_of(group)]
        found.sort(key=lambda message: message.first_pin)
        return found

    def _messages_of(self, rows: list[PinRow]) -> list[PinnedMessage]:
        """The messages of one pinned batch; while the batch is not here, one for each of its pins."""
        first = rows[0]
        batch = batches.find(self._tx, self._number, first.batch)
        if batch is None or batch.confirmed is None:
            return [_absent(row, Cause.PAYLOAD) for row in rows]
        if batch.hash != first.batch_hash:
            return [_absent(row, Cause.MISMATCH) for row in rows]
        listed = manifest_messages(batch.manifest)
        owners = [index for index, entry in enumerate(listed) for _ in range(entry.topics)]
        by_message: dict[tuple[int, int], list[PinRow]] = {}
        for row in rows:
            index = owners[row.position] if row.position < len(owners) else NOBODY
            by_message.setdefault((index, row.event), []).append(row)
        stored = messages.in_batch(self._tx, batch.sequence, [entry.raw_id for entry in listed], self._number)
        # An id says nothing: whoever heard of a message can list its id in a batch of its own.
        mine = [m if m is not None and m.hash.hex() == e.hash else None for m, e in zip(stored, listed, strict=True)]
        needs = self._needs(mine)
        return [
            self._pinned(group, None if index == NOBODY else mine[index], needs)
            for (index, _), group in by_message.items()
        ]

    def _needs(self, stored: Sequence[BatchedMessage | None]) -> dict[int, tuple[bool, str | None]]:
        sequences = [message.sequence for message in stored if message is not None]
        return messages.needing_more(self._tx, min(sequences), max(sequences)) if sequences else {}

    def _pinned(
        self, rows: list[PinRow], message: BatchedMessage | None, needs: dict[int, tuple[bool, str | None]]
    ) -> PinnedMessage:
        """The message behind pins of one ledger event.

        Pins without a message, or others than those of its topics, hold up their contexts for ever, as they did before
        the batch came: else its arrival would decide the order.
        """
        header = None if message is None else _VIEW.decode(message.header)
        if message is None or header is None or not _are_pins_of(rows, header.topics):
            return PinnedMessage(_pin_contexts(rows), Cause.CONTENT, format_uuid(rows[0].batch), rows)
        datatype, blob = needs.get(message.sequence, (False, None)) if needs else (False, None)
        defined = datatype or header.type == DEFINITION
        return PinnedMessage(_pin_contexts(rows), None, "", rows, message, header, blob, defined)

    def _judge(self, each: PinnedMessage) -> None:
        """Who signed it, and is all of it here? What could not be read stays as it is."""
        header, signer = each.header, each.pins[0].signer
        if header is None:
            return
        # Nearly all messages of a page agree in these, and a confirmation says nothing of the one message.
        like = (header.type, header.author, header.key, signer)
        if each.missing_blob is None and like in self._sound and not each.defined:
            each.cause, each.subject, each.reason = None, "", ""
            return
        verdict = judge(header, signer, self._author_of, self._claimant_of, missing_blob=each.missing_blob)
        each.cause, each.subject, each.reason = verdict.cause, verdict.subject, verdict.reason
        if verdict == CONFIRM and not each.defined:
            self._sound.add(like)

    def _judge_meaning(self, each: PinnedMessage) -> None:
        """Take what a message defines, or check that it follows what is defined; its turn has come."""
        message, header = each.message, each.header
        if message is None or header is None or self._is_settled(message):
            return
        items = messages.data_of(self._tx, message.sequence)
        if header.type == DEFINITION:
            verdict = define(self._office, header, message, items, each.pins[0])
        else:
            verdict = judge_data(self._office, header.id, items, each.first_pin)
        each.cause, each.subject, each.reason = verdict.cause, verdict.subject, verdict.reason

    def _author_of(self, key: str) -> tuple[str, str] | None:
        if key not in self._authors:
            found = identities.author_of(self._tx, self._number, LEDGER_VERIFIER, key)
            self._authors[key] = None if found is None else (found[0], format_uuid(found[1]))
        return self._authors[key]

    def _claimant_of(self, key: str) -> tuple[str, str] | None:
        found = identities.owner_of(self._tx, self._number, LEDGER_VERIFIER, key)
        return None if found is None or found.claim is None else (found.did, format_uuid(found.id))

    def _forget_authors(self) -> None:
        self._authors.clear()
        self._sound.clear()

    def _first_waiting_on(self, context: bytes) -> int | None:
        if not self._any_waiting:
            return None
        if context not in self._first_waiting:
            self._first_waiting[context] = pins.first_waiting(self._tx, self._number, context)
        return self._first_waiting[context]

    def _leave(self, waiting: Sequence[PinnedMessage]) -> None:
        left = [
            WaitingPin(
                pin.sequence, pin.hash, pin.batch, None if each.message is None else each.message.id,
                _topic(each, pin), str(each.cause), each.subject, pin.signer, self._may_claim(each),
            )
            for each in waiting
            for pin in each.pins
        ]  # fmt: skip
        if left:
            pins.leave_waiting(self._tx, self._number, left, self._now)
            self._any_waiting = True
            self._waited_for.clear()
            self._first_waiting.clear()

    def _finalise(self, dispatched: Sequence[PinnedMessage]) -> None:
        """Settle messages and tell of them. One that was settled by an earlier pin is passed over in silence."""
        confirmed: list[int] = []
        for each in dispatched:
            message, header = each.message, each.header
            if message is None or header is None or self._is_settled(message):
                continue
            self._settled.add(message.sequence)
            if each.reason:
                messages.reject(self._tx, message.sequence, each.reason, self._now)
            else:
                confirmed.append(message.sequence)
            self._tell(each, message, header)
        if confirmed:
            messages.confirm(self._tx, sorted(confirmed), self._now)

    def _is_settled(self, message: BatchedMessage) -> bool:
        # A message may travel in two batches, both of which were read before the first one's turn came.
        return message.state in FINAL_STATES or message.sequence in self._settled

    def _tell(self, each: PinnedMessage, message: BatchedMessage, header: HeaderView) -> None:
        """One event for each topic, in header order."""
        kind = MESSAGE_REJECTED if each.reason else MESSAGE_CONFIRMED
        correlator = parse_uuid(header.cid) if header.cid else None
        for topic in header.topics:
            self._events.append(
                NewEvent(
                    self._world.new_id(), self._number, kind, message.id, correlator, each.pins[0].tx, topic, self._now
                )
            )


def _runs(messages: Sequence[PinnedMessage]) -> Iterator[Sequence[PinnedMessage]]:
    """The messages in their order: those that are judged together, and each that is judged in its turn by itself."""
    first = 0
    for place, each in enumerate(messages):
        if each.defined:
            if first < place:
                yield messages[first:place]
            yield messages[place : place + 1]
            first = place + 1
    if first < len(messages):
        yield messages[first:] if first else messages


def _absent(row: PinRow, cause: Cause) -> PinnedMessage:
    return PinnedMessage(_pin_contexts([row]), cause, format_uuid(row.batch), [row])


def _pin_contexts(rows: Sequence[PinRow]) -> list[tuple[bytes, int]]:
    first: dict[bytes, int] = {}
    for row in rows:
        first.setdefault(row.hash, row.sequence)
    return list(first.items())


def _are_pins_of(rows: Sequence[PinRow], topics: Sequence[str]) -> bool:
    return [row.hash for row in rows] == [broadcast_context(topic) for topic in topics]


def _topic(each: PinnedMessage, pin: PinRow) -> str | None:
    if each.header is None:
        return None
    place = pin.position - each.pins[0].position
    return each.header.topics[place] if place < len(each.header.topics) else None
