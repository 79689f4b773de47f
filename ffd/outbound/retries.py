"""Once more: uploads and pins that somebody asks for again, beside those that the sequencer makes by itself.

Both are safe to repeat: an upload by its content, a pin by the name of its first request. Each is tried once and then
succeeded or failed, since whoever asked can ask again; after a crash it is tried by the next leader.
"""

from __future__ import annotations

from functools import partial
from typing import NoReturn

import msgspec

from ffd.model.errors import FfdError, NotFound
from ffd.model.ids import parse_uuid
from ffd.outbound.publish import Publisher
from ffd.outbound.sealing import Sealer
from ffd.outbound.sending import Sending, batch_pin
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Transaction, batches, operations
from ffd.store.batches import BatchRow
from ffd.store.bells import wait_rung
from ffd.store.operations import FAILED, PIN_BATCH, SUCCEEDED, UPLOAD_BATCH, UPLOAD_BLOB, UPLOAD_VALUE, OperationRow

RETRIED = (UPLOAD_BATCH, PIN_BATCH, UPLOAD_BLOB, UPLOAD_VALUE)
PAGE = 50
POLL_S = 5.0  # the fallback for what another process was asked


class Retries:
    """Does once more what is asked for in one namespace, for as long as it leads."""

    def __init__(self, sending: Sending, sealer: Sealer, storage: SharedStorage, publisher: Publisher) -> None:
        self._sending = sending
        self._store = sending.store
        self._sealer = sealer
        self._storage = storage
        self._publisher = publisher

    async def run(self) -> NoReturn:
        """Do what is asked for, in the order it was, until cancelled."""
        bell, number = self._store.bell(operations.RETRIES_BELL), self._sealer.namespace.number
        while True:
            ticket = bell.ticket()
            rows = await self._store.read(lambda tx: operations.open_retries(tx, number, RETRIED, limit=PAGE))
            for row in rows:
                await self._store.write(partial(self._settle, row=row, outcome=await self._try(row)))
            if not rows:
                await wait_rung(ticket, at_most_s=POLL_S)

    async def _try(self, row: OperationRow) -> str | FfdError:
        try:
            return await self._do(row)
        except FfdError as error:
            return error

    async def _do(self, row: OperationRow) -> str:
        """Do what a row says; its output. Raises Away, Full, Invalid of the outside, NotFound."""
        if row.type in (UPLOAD_BLOB, UPLOAD_VALUE):
            return _output(payloadRef=await self._publisher.upload_again(row))
        batch, input = self._batch(row), msgspec.json.decode(row.input or "{}")
        if row.type == UPLOAD_BATCH:
            sealed = await self._store.read(lambda tx: self._sealer.reload(tx, batch))
            return _output(payloadRef=await self._storage.put(sealed.payload))
        contexts = [bytes.fromhex(each) for each in input["contexts"]]
        pin = batch_pin(self._sealer.namespace, batch, contexts, batch.payload_ref or "")
        request = self._store.peek(lambda tx: operations.first_of(tx, batch.tx, PIN_BATCH))
        return _output(transactionHash=await self._sending.ledger.submit(pin, request=request.hex(), key=batch.key))

    def _batch(self, row: OperationRow) -> BatchRow:
        wanted = msgspec.json.decode(row.input or "{}")
        id, number = parse_uuid(str(wanted.get("batch", wanted.get("id", "")))), self._sealer.namespace.number
        found = self._store.peek(lambda tx: batches.find(tx, number, id))
        if found is None or not found.sealed or found.sent is None:
            raise NotFound("FFD2503", f"batch {id.hex()} was not sealed and sent here: nothing can be done once more")
        return found

    def _settle(self, tx: Transaction, row: OperationRow, outcome: str | FfdError) -> None:
        self._sending.leadership.check(tx)
        now = self._sending.world.now()
        if isinstance(outcome, FfdError):
            operations.settle(tx, row.id, FAILED, now, error=str(outcome))
        else:
            self._publisher.record_again(tx, row, outcome)
            operations.settle(tx, row.id, SUCCEEDED, now, output=outcome)


def _output(**values: str) -> str:
    return msgspec.json.encode(values).decode()
