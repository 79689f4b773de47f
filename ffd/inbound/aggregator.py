"""The aggregator: pins in ledger order, joined with their payloads, become events in the node's one local sequence.

One leader for each namespace. A page of pins is one transaction: events, message states, what is left waiting, the
offset. What waits is looked at again when a rewind row says that something it waited for has come; the rewind was
written in the transaction of the arrival, so no crash forgets it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from ffd.inbound import rewind
from ffd.inbound.definitions import Office, claims_its_key, define
from ffd.inbound.definitions.claims import undecided
from ffd.inbound.definitions.datatypes import judge_data
from ffd.inbound.order import Cause, blocked_by, take_turns
from ffd.inbound.pinned import PinnedMessage, messages_behind
from ffd.inbound.private import PrivateTurns
from ffd.inbound.verdict import CONFIRM, HeaderView, Verdict, judge, judge_private
from ffd.model.event import MESSAGE_CONFIRMED, MESSAGE_REJECTED
from ffd.model.identity import TAG_CLAIM
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.message import CANCELLED, CONFIRMED, DEFINITION, REJECTED, TAG_GAP_FILL
from ffd.model.namespace import LEDGER_VERIFIER, Namespace
from ffd.store import Store, Transaction, events, identities, messages, offsets, pins
from ffd.store.bells import wait_rung
from ffd.store.events import NewEvent
from ffd.store.identities import KeyOwner
from ffd.store.leadership import Leadership
from ffd.store.messages import BatchedMessage
from ffd.store.pins import PinRow, WaitingPin
from ffd.world import World

POLL_S = 1.0  # the fallback for pins that another process recorded
PAGE_PINS = 500
REWINDS_PER_PAGE = 20
DISPATCH_PER_PAGE_MAX = 1000
SETTLED_STATES = frozenset({CONFIRMED, REJECTED})
"""What became of a message on the ledger. One that was cancelled is confirmed all the same when it shows up there."""


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
        offset = offsets.read(tx, offsets.AGGREGATOR, self._namespace.name) or 0
        page = _Page(tx, self._world, self._namespace, offset)
        page.look_again(pins.take_rewinds(tx, self._namespace.number, limit=REWINDS_PER_PAGE))
        turned = self._turn_page(tx, page, offset)
        page.write()
        return turned or pins.any_rewind(tx, self._namespace.number)

    def _turn_page(self, tx: Transaction, page: _Page, offset: int) -> bool:
        number, name = self._namespace.number, self._namespace.name
        rows = pins.after(tx, number, offset, limit=self._page_pins)
        if rows:
            page.turn(rows)
            offsets.move(tx, offsets.AGGREGATOR, name, to=rows[-1].sequence)
        return len(rows) >= self._page_pins


class _Page:
    """One transaction of the aggregator: what it has looked up, and what it is going to write."""

    def __init__(self, tx: Transaction, world: World, namespace: Namespace, offset: int) -> None:
        self._tx = tx
        self._world = world
        self._offset = offset
        self._number = namespace.number
        self._now = world.now()
        self._any_waiting = pins.any_waiting(tx, namespace.number)
        self._first_waiting: dict[bytes, int | None] = {}
        self._authors: dict[str, tuple[str, str] | None] = {}
        self._owners: dict[str, KeyOwner | None] = {}
        self._sound: set[tuple[str, str, str, str]] = set()
        self._waited_for: dict[Cause, bool] = {}
        self._loaded: dict[bytes, dict[int, PinnedMessage]] = {}
        self._settled: set[int] = set()
        self._confirmed: list[int] = []
        self._events: list[NewEvent] = []
        self._office = Office(tx, world, namespace, self._now, self._events.append, self._forget_authors)
        self._private: PrivateTurns | None = None
        self._masked: Sequence[bytes] = ()

    def turn(self, rows: Sequence[PinRow]) -> None:
        """Dispatch what may be dispatched of pins that nobody has looked at, and leave the rest waiting."""
        self._masked = [row.hash for row in rows if row.masked]
        for run in _runs(messages_behind(self._tx, self._number, rows)):
            if run[0].masked:
                self._look_at_all(self._look_at_private(run[0]))
                continue
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
        found: list[int] = []
        for batch in batch_ids:
            found.extend(self._load_waiting(batch))
        self._look_at_all(found)

    def _look_at_all(self, waiting: Sequence[int]) -> None:
        """As `look_again`, for the waiting pins themselves."""
        if not waiting:
            return
        heap = sorted(set(waiting))
        while heap and len(self._events) < DISPATCH_PER_PAGE_MAX:
            message = self._waiting_message(heapq.heappop(heap))
            if message is not None:
                look_at = self._look_at_private if message.masked else self._look_at
                for freed in look_at(message):
                    heapq.heappush(heap, freed)
        for batch in {pins.batch_of(self._tx, pin) for pin in heap if pins.is_waiting(self._tx, pin)}:
            pins.rewind(self._tx, self._number, batch)

    def write(self) -> None:
        """Write the events of all that was dispatched, in the order it was, and what is expected now."""
        if self._private is not None:
            self._private.write()
        if self._confirmed:
            messages.confirm(self._tx, sorted(self._confirmed), self._now)
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

    def _look_at_private(self, each: PinnedMessage) -> list[int]:
        """Dispatch one private message if its turn has come; the pins that it leaves first on their contexts."""
        private = self._private = self._private or PrivateTurns(self._office, self._offset, self._masked)
        private.reach(each.pins[-1].sequence)
        message, header = each.message, each.header
        if message is None or header is None:
            private.leave(each)
            return []
        private.place(each, message, header)
        if each.cause is None and not each.reason:
            self._note(each, self._judge_private(each, header))
        if each.cause is None:
            private.wait_turn(each)
        if each.cause is None and each.defined and not each.reason:
            self._judge_meaning(each)
        if each.cause is not None:
            private.leave(each)
            return []
        freed = private.go(each, message, header)
        self._finalise([each])
        return freed

    def _judge_private(self, each: PinnedMessage, header: HeaderView) -> Verdict:
        signer, blob = each.pins[0].signer, each.missing_blob
        return judge_private(header, signer, each.first_pin, self._owner_of, self._undecided_at, missing_blob=blob)

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

    def _load_waiting(self, batch: bytes) -> list[int]:
        """The first pins of the waiting messages of a batch."""
        if batch not in self._loaded:
            rows = pins.waiting_of_batch(self._tx, self._number, batch)
            found = messages_behind(self._tx, self._number, rows)
            self._loaded[batch] = {pin.sequence: message for message in found for pin in message.pins}
        return [message.first_pin for message in self._loaded[batch].values()]

    def _waiting_message(self, pin: int) -> PinnedMessage | None:
        """The waiting message that owns a pin; None when it was dispatched meanwhile."""
        if not pins.is_waiting(self._tx, pin):
            return None
        batch = pins.batch_of(self._tx, pin)
        self._load_waiting(batch)
        if pin not in self._loaded[batch]:  # left behind since, by the page itself
            del self._loaded[batch]
            self._load_waiting(batch)
        return self._loaded[batch][pin]

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
        self._note(each, verdict)
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
        self._note(each, verdict)

    @staticmethod
    def _note(each: PinnedMessage, verdict: Verdict) -> None:
        each.cause, each.subject, each.reason = verdict.cause, verdict.subject, verdict.reason

    def _author_of(self, key: str) -> tuple[str, str] | None:
        if key not in self._authors:
            found = identities.author_of(self._tx, self._number, LEDGER_VERIFIER, key)
            self._authors[key] = None if found is None else (found[0], format_uuid(found[1]))
        return self._authors[key]

    def _claimant_of(self, key: str) -> tuple[str, str] | None:
        found = identities.owner_of(self._tx, self._number, LEDGER_VERIFIER, key)
        return None if found is None or found.claim is None else (found.did, format_uuid(found.id))

    def _owner_of(self, key: str) -> KeyOwner | None:
        if key not in self._owners:
            self._owners[key] = identities.key_owner(self._tx, self._number, LEDGER_VERIFIER, key)
        return self._owners[key]

    def _undecided_at(self, key: str, pin: int) -> Verdict | None:
        return undecided(self._office, key, pin)

    def _forget_authors(self) -> None:
        self._authors.clear()
        self._owners.clear()
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
        for each in dispatched:
            message, header = each.message, each.header
            if message is None or header is None or self._is_settled(message):
                continue
            self._settled.add(message.sequence)
            if message.state == CANCELLED:
                messages.note_revived(self._tx, message.sequence)
            if each.reason:
                messages.reject(self._tx, message.sequence, each.reason, self._now)
            else:
                self._confirmed.append(message.sequence)
            self._tell(each, message, header)
            if each.masked and header.tag == TAG_GAP_FILL and header.cid:
                messages.cancel(self._tx, self._number, parse_uuid(header.cid), header.author, header.group, self._now)

    def _is_settled(self, message: BatchedMessage) -> bool:
        # A message may travel in two batches, both of which were read before the first one's turn came.
        return message.state in SETTLED_STATES or message.sequence in self._settled

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
        if each.defined or each.masked:
            if first < place:
                yield messages[first:place]
            yield messages[place : place + 1]
            first = place + 1
    if first < len(messages):
        yield messages[first:] if first else messages


def _topic(each: PinnedMessage, pin: PinRow) -> str | None:
    if each.header is None:
        return None
    place = pin.position - each.pins[0].position
    return each.header.topics[place] if place < len(each.header.topics) else None
