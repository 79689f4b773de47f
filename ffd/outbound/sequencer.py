"""The outbound sequencer: ready messages, in the order they were accepted, into batches, and these onto the ledger.

One leader for each namespace and kind. It seals what is ready as soon as the batch before is on the ledger: idle, a
message leaves at once; under load the next batch grows while the last one travels. Every step is an operation row, so a
crash at any point resumes the same batch under the same names. How a batch leaves is its courier's: broadcasts over
shared storage, private messages past it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, NoReturn, Protocol, TypeVar

import trio

from ffd.outbound.sending import GivenUp
from ffd.store import Store, Transaction
from ffd.store.batches import BatchRow
from ffd.store.bells import wait_rung
from ffd.store.leadership import Leadership

B = TypeVar("B")

POLL_S = 1.0  # the fallback for messages that another process accepted
UNSENT_PAGE = 50
LINGER_FROM = 4
LINGER_S = 0.01


@dataclass(frozen=True, slots=True)
class Sent(Generic[B]):
    """A batch that has left, which the database does not know yet.

    `reference` is where its payload lies and `transaction` what the ledger calls its pin; empty where there is none.
    """

    batch: B
    reference: str = ""
    transaction: str = ""


class Courier(Protocol[B]):
    """How the batches of one kind are sealed and leave."""

    @property
    def bell(self) -> str:
        """Rung when messages of this kind become ready."""

    @property
    def messages_max(self) -> int:
        """The most messages in one batch."""

    def waiting(self, tx: Transaction) -> int:
        """How many messages wait for a batch, at most."""

    def seal_page(self, tx: Transaction) -> Sequence[B]:
        """Put the next ready messages into batches."""

    def unsent(self, tx: Transaction, limit: int) -> Sequence[BatchRow]:
        """The batches that were sealed and have not left, in their order."""

    def load(self, tx: Transaction, row: BatchRow) -> B:
        """A sealed batch again: the same bytes."""

    async def send(self, batch: B) -> Sent[B]:
        """Bring a batch out, however often it has to be tried. Raises GivenUp."""

    def give_up(self, tx: Transaction, batch: B) -> B | None:
        """Cancel a batch; what has to leave in its place: itself when it turns out to be on the ledger, or nothing."""

    def record_sent(self, tx: Transaction, sent: Sent[B]) -> None:
        """Record that a batch has left."""


@dataclass(frozen=True, slots=True)
class Step(Generic[B]):
    """What one transaction did: batches recorded as sent, batches sealed."""

    recorded: Sequence[Sent[B]] = ()
    sealed: Sequence[B] = field(default_factory=tuple)


class Sequencer(Generic[B]):
    """Sends what one courier seals, for as long as it leads."""

    def __init__(self, store: Store, leadership: Leadership, courier: Courier[B]) -> None:
        self._store = store
        self._leadership = leadership
        self._courier = courier
        self._idle = False
        self._sent: list[Sent[B]] = []
        self._sealed: list[B] = []

    async def run(self) -> NoReturn:
        """Bring out what was sealed before, then whatever becomes ready, until cancelled."""
        await self._resume()
        with (
            self._store.following(self._courier.bell, self._seal_if_idle, self._note),
            self._store.following("pins", self._record_if_idle, self._note),
        ):
            while True:
                for batch in await self._next():
                    sent = await self._send(batch)
                    if sent is not None:
                        self._sent.append(sent)
                if LINGER_FROM <= self._store.peek(self._courier.waiting) < self._courier.messages_max // 2:
                    # More came while this batch travelled: the pipe is busy. A batch costs what some hundred messages
                    # cost, so a moment in which the next one grows is won back. Whoever sends and waits never sees it.
                    await trio.sleep(LINGER_S)

    async def _send(self, batch: B) -> Sent[B] | None:
        """Bring out a batch, or what takes its place when somebody asks to give it up."""
        while True:
            try:
                return await self._courier.send(batch)
            except GivenUp:
                instead = await self._store.write(partial(self._give_up, batch=batch))
                if instead is None:
                    return None
                batch = instead

    def _give_up(self, tx: Transaction, batch: B) -> B | None:
        self._leadership.check(tx)
        return self._courier.give_up(tx, batch)

    async def _next(self) -> list[B]:
        """The next batches, sealed as soon as there are messages."""
        bell, late = self._store.bell(self._courier.bell), False
        while True:
            ticket = bell.ticket()
            if self._store.peek(self._courier.waiting) > 0 or (late and self._sent):
                self._note(await self._store.write(self._go_on))
            if self._sealed:
                sealed = self._sealed[:]
                self._sealed.clear()
                return sealed
            self._idle = True
            try:
                late = not await wait_rung(ticket, at_most_s=POLL_S)
            finally:
                self._idle = False

    def _seal_if_idle(self, tx: Transaction) -> Step[B]:
        """While there is nothing else to do, go on in the very transaction that makes messages ready."""
        return self._go_on(tx) if self._idle and not self._sealed else Step()

    def _record_if_idle(self, tx: Transaction) -> Step[B]:
        """A batch is recorded as sent with its pins: it is no more urgent than that."""
        return self._seal_if_idle(tx) if self._sent else Step()

    def _go_on(self, tx: Transaction) -> Step[B]:
        """One transaction from the end of some batches to the beginning of the next."""
        self._leadership.check(tx)
        for each in self._sent:
            self._courier.record_sent(tx, each)
        return Step(tuple(self._sent), self._courier.seal_page(tx))

    def _note(self, step: Step[B]) -> None:
        # Steps are noted in the order of their transactions: one that was taken for us is told at its commit.
        del self._sent[: len(step.recorded)]
        self._sealed += step.sealed

    async def _resume(self) -> None:
        courier = self._courier
        while rows := await self._store.read(partial(courier.unsent, limit=UNSENT_PAGE)):
            for row in rows:
                sent = await self._send(await self._store.read(partial(courier.load, row=row)))
                if sent is not None:
                    await self._store.write(partial(self._record, sent=sent))

    def _record(self, tx: Transaction, sent: Sent[B]) -> None:
        self._leadership.check(tx)
        self._courier.record_sent(tx, sent)
