"""The turns of private messages in one page of the aggregator, and what keeps those that wait.

A context is in the ledger's order (see `ffd.inbound.masked`), and a message goes when it is the first in each of its
contexts: all its topics at once. What a member cannot read it cannot order: the masked pins of other groups cost a look
at whether anybody is expected to look like that, and leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ffd.inbound import rewind
from ffd.inbound.definitions import Office
from ffd.inbound.masked import Line, Lines
from ffd.inbound.order import Cause
from ffd.inbound.pinned import PinnedMessage
from ffd.inbound.verdict import HeaderView
from ffd.model.context import private_context
from ffd.model.errors import Invalid
from ffd.model.group import parse_group
from ffd.model.ids import format_uuid
from ffd.model.message import GROUP_INIT
from ffd.store import batches, groups, messages, nextpins, pins
from ffd.store.groups import GroupRow
from ffd.store.messages import BatchedMessage
from ffd.store.pins import MaskedPin, PinRow, WaitingPin

ABSENT = frozenset({Cause.PAYLOAD, Cause.MISMATCH})
"""The causes of pins whose batch is not here."""
NO_AUTHOR = ""
"""Whose pin it is of which nobody's message can ever be behind."""


class PrivateTurns:
    """Who may go of the private messages of a page; `through` is the last pin that was looked at."""

    def __init__(self, office: Office, through: int, page: Iterable[bytes]) -> None:
        self._office = office
        self._tx = office.tx
        self._number = office.number
        self._through = through
        self._lines = Lines(office.tx, office.number, page)
        self._members: dict[str, frozenset[str]] = {}
        self._own: dict[int, list[Line]] = {}
        self._any_waiting = pins.any_masked_waiting(office.tx, office.number)
        self._any_expected = nextpins.any_in(office.tx, office.number)

    def reach(self, pin: int) -> None:
        """The page has come to this pin."""
        self._through = max(self._through, pin)

    def place(self, each: PinnedMessage, message: BatchedMessage, header: HeaderView) -> None:
        """Find the contexts of a message, and whether its author may use its pins; the cause why not is noted in it."""
        each.cause, each.subject, each.reason, each.idle = None, "", "", False
        group = bytes.fromhex(header.group)
        each.contexts = [
            (private_context(topic, group), pin.sequence) for topic, pin in zip(header.topics, each.pins, strict=True)
        ]
        if header.type == GROUP_INIT:
            self._found_group(each, message, header, group)
        members = self._members_of(header.group, group)
        if not members:
            each.cause, each.subject = Cause.GROUP, header.group
        elif header.author not in members:
            each.cause, each.subject, each.idle = Cause.MEMBER, header.author, True
        else:
            self._check_nonces(each, header, group, members)

    def _found_group(self, each: PinnedMessage, message: BatchedMessage, header: HeaderView, group: bytes) -> None:
        """Know the group that a message founds: its hash says all of it, so nothing is decided by who tells of it."""
        items = messages.data_of(self._tx, message.sequence)
        try:
            told = parse_group(items[0].value or "" if items else "", self._office.namespace.network_name)
        except Invalid as refusal:
            each.reason = f"FF10400: Rejected group definition message '{header.id}' - invalid payload: {refusal}"
            return
        if told.hash != group:
            each.reason = f"FF10400: Rejected group definition message '{header.id}' - it is of another group"
            return
        row = GroupRow(told.hash, told.name, told.members, message.id, told.created or self._office.now)
        if groups.ensure(self._tx, self._number, row):
            self._members.pop(header.group, None)
            rewind.known(self._tx, self._number, Cause.GROUP, header.group)

    def _members_of(self, hex: str, group: bytes) -> frozenset[str]:
        found = self._members.get(hex)
        if found is None:
            listed = groups.members(self._tx, self._number, group)
            found = self._members[hex] = frozenset([member.identity for member in listed])
        return found

    def _check_nonces(self, each: PinnedMessage, header: HeaderView, group: bytes, members: frozenset[str]) -> None:
        lines = [
            self._lines.line(context, topic, group, members)
            for (context, _), topic in zip(each.contexts, header.topics, strict=True)
        ]
        self._own[each.first_pin] = lines
        for line, pin in zip(lines, each.pins, strict=True):
            if line.expected[header.author].hash == pin.hash:
                continue
            if self._can_never_go(pin, line, header.author):
                each.cause, each.subject, each.idle = Cause.NONCE, line.context.hex(), True
                return
            if each.cause is None:
                each.cause, each.subject = Cause.GAP, line.context.hex()

    def _can_never_go(self, pin: PinRow, line: Line, author: str) -> bool:
        """Was the nonce of an unexpected pin used, or is it another member's?"""
        if self._is_spent(pin):
            return True
        expecting = self._lines.expecting(pin.hash)
        return expecting is not None and expecting != (line.context, author)

    def _is_spent(self, pin: PinRow) -> bool:
        """Was another pin dispatched that looks like this one? That is whose batch is here, and which does not wait."""
        for gone in pins.gone_with(self._tx, self._number, pin, self._through):
            batch = batches.find_pinned(self._tx, self._number, gone.batch, gone.batch_hash)
            if batch is not None and batch.hash == gone.batch_hash and (batch.sealed or batch.confirmed is not None):
                return True
        return False

    def wait_turn(self, each: PinnedMessage) -> None:
        """Note the context, if there is one, in which another pin goes first."""
        for line, pin in zip(self._own[each.first_pin], each.pins, strict=True):
            first = self._lines.first(line)
            if first is not None and first.sequence < pin.sequence:
                self._hold(first, line.context)
                each.cause, each.subject = Cause.ORDER, line.context.hex()
                return

    def go(self, each: PinnedMessage, message: BatchedMessage, header: HeaderView) -> list[int]:
        """A message is dispatched: its author's next pins are expected. The waiting pins to look at now."""
        group, freed = bytes.fromhex(header.group), list[int]()
        if self._any_waiting:
            pins.release(self._tx, [pin.sequence for pin in each.pins])
        for line, topic, pin in zip(self._own[each.first_pin], header.topics, each.pins, strict=True):
            if header.type == GROUP_INIT and line.is_new and not line.changed and not each.reason:
                groups.founded_by(self._tx, self._number, group, message.id)
            self._lines.advance(line, topic, group, header.author)
            freed += self._freed(line, header.author, pin)
        self._any_expected = True
        return freed

    def _freed(self, line: Line, author: str, gone: PinRow) -> list[int]:
        """What a dispatched pin held up: those that look like it, and who goes next in its context."""
        next = self._lines.lowest(line, author)
        if not self._any_waiting:
            if next is not None:
                self._hold(next, line.context)
            return []
        freed = self._alike(gone)
        if next is not None and next.cause == Cause.GAP:
            freed.append(next.sequence)
        first = self._lines.first(line)
        if first is not None:
            self._hold(first, line.context)
        return freed if first is None or first.message is None else [*freed, first.sequence]

    def _alike(self, gone: PinRow) -> list[int]:
        """The pins that waited and look like one that was dispatched; those that nobody has read concern nobody now."""
        waiting = [pin for pin in pins.masked_with(self._tx, self._number, gone.hash) if pin.cause is not None]
        pins.release(self._tx, [pin.sequence for pin in waiting if pin.cause in ABSENT])
        return [pin.sequence for pin in waiting if pin.message is not None]

    def _hold(self, pin: MaskedPin, context: bytes) -> None:
        """Of a pin that holds up a context and is not here, say so."""
        if pin.cause is not None or pin.sequence > self._through:
            return
        row = pins.row_of(self._tx, pin.sequence)
        other = batches.find(self._tx, self._number, row.batch)
        self._leave([_absent(row, Cause.PAYLOAD if other is None else Cause.MISMATCH, context)])

    def leave(self, each: PinnedMessage) -> None:
        """Let the pins of a message wait, as far as they are anybody's here."""
        message, header = each.message, each.header
        if message is None or header is None:
            self._leave(self._unread(each))
            return
        rows = [
            WaitingPin(
                pin.sequence, pin.hash if each.idle else context, pin.batch, message.id, topic, str(each.cause),
                each.subject, pin.signer, masked=True, author=NO_AUTHOR if each.idle else header.author,
            )
            for pin, (context, _), topic in zip(each.pins, each.contexts, header.topics, strict=True)
        ]  # fmt: skip
        self._leave(rows)

    def _unread(self, each: PinnedMessage) -> list[WaitingPin]:
        """The pins of a batch that is not here leave something behind if someone is expected to look like that."""
        cause = each.cause or Cause.PAYLOAD
        if each.idle:
            return [_absent(pin, cause, pin.hash, NO_AUTHOR) for pin in each.pins]
        found: list[WaitingPin] = []
        for pin in each.pins:
            expecting = self._lines.expecting(pin.hash) if self._any_expected else None
            if expecting is not None:
                found.append(_absent(pin, cause, expecting[0]))
            elif cause not in ABSENT:
                found.append(_absent(pin, cause, pin.hash))
        return found

    def _leave(self, rows: Sequence[WaitingPin]) -> None:
        if not rows:
            return
        before = {row.pin: pins.waiting_as(self._tx, row.pin) for row in rows} if self._any_waiting else {}
        pins.leave_waiting(self._tx, self._number, rows, self._office.now)
        self._any_waiting = True
        self._lines.look_again()
        for row in rows:
            was = before.get(row.pin)
            if was is not None and was != (row.hash, row.author):
                self._tell_held_up(was[0])

    def _tell_held_up(self, context: bytes) -> None:
        """Something else is known of a pin that held up a context: who waits there looks again."""
        for cause in (Cause.ORDER, Cause.GAP):
            rewind.known(self._tx, self._number, cause, context.hex())

    def write(self) -> None:
        """Keep what is expected now."""
        self._lines.write()


def _absent(pin: PinRow, cause: Cause, context: bytes, author: str | None = None) -> WaitingPin:
    return WaitingPin(
        pin.sequence, context, pin.batch, None, None, str(cause), format_uuid(pin.batch), pin.signer, masked=True,
        author=author,
    )  # fmt: skip
