"""What a batch of any kind needs on its way out: stubborn tries that show in its operations, and the pin at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import trio

from ffd.model.errors import Away, Full
from ffd.model.message import CONTRACT_INVOKE_PIN
from ffd.model.namespace import Namespace
from ffd.outbound.flushes import FlushRecord
from ffd.ports.ledger import BATCH_PIN_ACTION, CONTRACT_INVOKE_PIN_ACTION, BatchPin, Ledger
from ffd.ports.retry import Backoff, stubbornly
from ffd.store import Store, Transaction, batches, operations
from ffd.store.batches import BatchRow
from ffd.store.leadership import Leadership
from ffd.store.operations import INITIALIZED, SUCCEEDED
from ffd.world import World

T = TypeVar("T")

BACKOFF = Backoff(first_s=0.25, max_s=30.0)  # FireFly's batch.retry


class GivenUp(Exception):
    """Somebody asked to give up a batch, and no try of it is under way."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends batches of one namespace, for as long as `leadership` lasts."""

    world: World
    store: Store
    namespace: Namespace
    ledger: Ledger
    leadership: Leadership
    flushes: FlushRecord

    async def attempt(self, row: BatchRow, operation: bytes, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, however often it takes; its latest failure shows in the operation. Raises GivenUp."""

        async def note(error: Exception) -> None:
            await self.store.write(lambda tx: self.note_failure(tx, operation, error))

        async def attempt() -> T:
            try:
                return await call()
            except (Away, Full) as error:
                self.flushes.fail(str(error), self.world.now())
                raise

        async def pause(delay_s: float) -> None:
            await self._pause(row, delay_s)

        what = f"{what} of a batch of {self.namespace.name}"
        return await stubbornly(what, attempt, backoff=BACKOFF, failed=note, pause=pause)

    async def _pause(self, row: BatchRow, delay_s: float) -> None:
        """Wait until the next try. Raises GivenUp."""
        bell = self.store.bell(batches.CANCEL_BELL)
        with trio.move_on_after(delay_s):
            while True:
                ticket = bell.ticket()
                self.check_wanted(row)
                await ticket.wait()
        self.check_wanted(row)

    def check_wanted(self, row: BatchRow) -> None:
        """Raises GivenUp when somebody asked for that."""
        if self.store.peek(lambda tx: batches.is_cancel_asked(tx, row.sequence)):
            raise GivenUp

    async def pin(self, operation: bytes, row: BatchRow, contexts: Sequence[bytes], reference: str) -> str:
        """Pin a batch; what the ledger calls the transaction."""
        pin = batch_pin(self.namespace, row, contexts, reference)
        request = operation.hex()
        return await self.attempt(row, operation, "pin", lambda: self.ledger.submit(pin, request=request, key=row.key))

    def note_failure(self, tx: Transaction, operation: bytes, error: Exception) -> None:
        """Show why a try failed; there will be another."""
        self.leadership.check(tx)
        operations.settle(tx, operation, INITIALIZED, self.world.now(), error=str(error))

    def record_pinned(self, tx: Transaction, operation: bytes, row: BatchRow, reference: str, transaction: str) -> None:
        """The batch is on the ledger: its messages are `sent`."""
        now = self.world.now()
        batches.mark_sent(tx, row.sequence, reference, now)
        receipt = msgspec.json.encode({"transactionHash": transaction}).decode()
        operations.settle(tx, operation, SUCCEEDED, now, output=receipt)
        operations.ensure_transaction(tx, row.namespace, row.tx, row.tx_type, now, blockchain_id=transaction)


def batch_pin(namespace: Namespace, row: BatchRow, contexts: Sequence[bytes], reference: str) -> BatchPin:
    """What the ledger is asked to record of a batch; the payload of a private one lies behind no `reference`."""
    action = CONTRACT_INVOKE_PIN_ACTION if row.tx_type == CONTRACT_INVOKE_PIN else BATCH_PIN_ACTION
    return BatchPin(namespace.network_name, action, row.tx, row.id, row.hash, reference, contexts)
