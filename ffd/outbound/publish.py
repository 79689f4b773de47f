"""Publish data on shared storage: a blob before the batch that carries it, or whatever an app asks to have published.

A blob's reference is written once and then stays, so that a batch is always built to the same bytes. Each upload is an
operation row: after a crash it is made again, and gives the same reference, since storages name what they hold by its
content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from ffd.model.data import Data
from ffd.model.errors import Conflict, FfdError, Invalid, NotFound
from ffd.model.event import TRANSACTION_SUBMITTED
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.message import DATA_PUBLISH
from ffd.outbound.draft import check_idempotency_key
from ffd.ports.sharedstorage import SharedStorage
from ffd.store import Store, Transaction, data, events, messages, operations
from ffd.store.blobfiles import BlobFiles
from ffd.store.events import NewEvent
from ffd.store.operations import INITIALIZED, SUCCEEDED, UPLOAD_BLOB, UPLOAD_VALUE, OperationRow
from ffd.world import World


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the data of one namespace, whose number is `namespace`."""

    world: World
    store: Store
    blobs: BlobFiles
    storage: SharedStorage
    namespace: int

    async def upload_blob(self, id: bytes) -> str:
        """The reference of a data item's blob: its own, or that of the upload which is made now. Raises Away, Full."""
        item = self._find(id)
        if item.blob is None:
            raise NotFound("FF10241", f"Data '{item.id}' has no blob")
        if item.blob.public:
            return item.blob.public
        return await self._put_blob(item.blob.hash)

    async def upload_again(self, operation: OperationRow) -> str:
        """Do an upload once more, whatever became of it: what shared storage lost is there again."""
        item = self._find(_data_of(operation))
        if operation.type == UPLOAD_VALUE:
            return await self.storage.put((item.value or "null").encode())
        if item.blob is None:
            raise NotFound("FF10241", f"Data '{item.id}' has no blob")
        return await self._put_blob(item.blob.hash)

    def record_again(self, tx: Transaction, operation: OperationRow, output: str) -> None:
        """Note what came of `upload_again`; of another operation nothing."""
        if operation.type in (UPLOAD_BLOB, UPLOAD_VALUE):
            reference = msgspec.json.decode(output)["payloadRef"]
            self.record(tx, operation.id, operation.type, _data_of(operation), reference)

    async def _put_blob(self, hash: str) -> str:
        async with aclosing(await self.blobs.open(parse_hash(hash))) as blob:
            return await self.storage.put_stream(blob)

    async def publish_blob(self, id: bytes, key: str | None) -> Data:
        """Publish a data item's blob, because an app asks for it. Raises as `publish_value`."""
        if self._find(id).blob is None:
            raise NotFound("FF10241", f"Data '{format_uuid(id)}' has no blob")
        operation = await self._begin(UPLOAD_BLOB, id, key)
        return await self._finish(operation, id, lambda: self.upload_blob(id))

    async def publish_value(self, id: bytes, key: str | None) -> Data:
        """Publish a data item's value, because an app asks for it; the item with its reference.

        Raises NotFound, Invalid FF10199 without a value, Conflict FF10431 for a key that was used, Away, Full. The same
        key again goes on with an upload that was cut off.
        """
        value = self._find(id).value
        if value is None:
            raise Invalid("FF10199", f"Data value is null: data '{format_uuid(id)}' has none to publish")
        operation = await self._begin(UPLOAD_VALUE, id, key)
        return await self._finish(operation, id, lambda: self.storage.put(value.encode()))

    async def _finish(self, operation: OperationRow, id: bytes, upload: Callable[[], Awaitable[str]]) -> Data:
        reference = await _try(upload)
        if isinstance(reference, FfdError):
            await self._note(operation, str(reference))
            raise reference
        await self.store.write(lambda tx: self.record(tx, operation.id, operation.type, id, reference))
        return self._find(id)

    async def _note(self, operation: OperationRow, error: str) -> None:
        now = self.world.now()
        await self.store.write(lambda tx: operations.settle(tx, operation.id, INITIALIZED, now, error=error))

    def record(self, tx: Transaction, operation: bytes, type: str, id: bytes, reference: str) -> None:
        """Note where a blob or a value is published, and that its operation is done."""
        publish = data.publish_blob if type == UPLOAD_BLOB else data.publish_value
        published = publish(tx, self.namespace, id, reference)
        output = msgspec.json.encode({"payloadRef": published}).decode()
        operations.settle(tx, operation, SUCCEEDED, self.world.now(), output=output)

    def _find(self, id: bytes) -> Data:
        found = self.store.peek(lambda tx: messages.find_data(tx, self.namespace, id))
        if found is None:
            raise NotFound("FF10109", f"Not found: no data {format_uuid(id)} in this namespace")
        return found[1]

    async def _begin(self, type: str, id: bytes, key: str | None) -> OperationRow:
        """A new transaction with its operation, or the operation that an earlier try with the key left undone."""
        check_idempotency_key(key)
        return await self.store.write(lambda tx: self._go_on(tx, type, id, key) or self._start(tx, type, id, key))

    def _go_on(self, tx: Transaction, type: str, id: bytes, key: str | None) -> OperationRow | None:
        used = operations.transaction_of_key(tx, self.namespace, key) if key else None
        if used is None:
            return None
        for made in operations.of_tx(tx, used):
            if (made.type, made.status, made.input) == (type, INITIALIZED, _input(id)):
                return made
        raise Conflict("FF10431", f"Idempotency key '{key}' already used for transaction '{format_uuid(used)}'")

    def _start(self, tx: Transaction, type: str, id: bytes, key: str | None) -> OperationRow:
        now, transaction = self.world.now(), self.world.new_id()
        operations.add_transaction(tx, self.namespace, transaction, DATA_PUBLISH, now, key=key)
        told = NewEvent(
            self.world.new_id(), self.namespace, TRANSACTION_SUBMITTED, transaction, None, transaction, DATA_PUBLISH,
            now,
        )  # fmt: skip
        events.append(tx, [told])
        row = OperationRow(
            self.world.new_id(), self.namespace, transaction, type, INITIALIZED, self.storage.name, _input(id),
            None, None, now, now, None,
        )  # fmt: skip
        operations.insert(tx, row)
        return row


async def _try(upload: Callable[[], Awaitable[str]]) -> str | FfdError:
    try:
        return await upload()
    except FfdError as error:
        return error


def _data_of(operation: OperationRow) -> bytes:
    return parse_uuid(msgspec.json.decode(operation.input or "{}")["dataId"])


def _input(id: bytes) -> str:
    return msgspec.json.encode({"dataId": format_uuid(id)}).decode()
