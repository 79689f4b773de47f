"""Data: what messages carry, by itself."""

from __future__ import annotations

from ffd.api.call import Answer, Call, list_of, listing, not_found, object_of, one_of
from ffd.api.messages import stored_json
from ffd.model.canonical import json_string
from ffd.model.data import Data, data_json
from ffd.model.errors import Conflict, FfdError, NotFound
from ffd.model.ids import format_uuid, parse_hash
from ffd.model.times import format_time
from ffd.store import Transaction, blobs, collections, data, messages
from ffd.store.blobs import BlobRow
from ffd.store.collections import BLOBS, DATA

SUBPATHS_MAX = 10_000
TOO_MANY_READ = "FFD3105"


async def list_data(call: Call) -> Answer:
    """Find data items."""
    return await listing(call, DATA, lambda _tx, item: data_json(item, namespace=call.namespace.name))


async def get_data(call: Call) -> Answer:
    """One data item."""
    return object_of(data_json(one_of(call, DATA, "id", "data"), namespace=call.namespace.name))


async def get_data_blob(call: Call) -> Answer:
    """The blob of a data item, as its bytes."""
    try:
        item = one_of(call, DATA, "id", "data")
        hash = _blob_here(call, item)
        return await _stream(call, hash)
    except FfdError as cause:
        if cause.code == TOO_MANY_READ:
            raise
        # FireFly says so of every failure.
        raise NotFound("FF00164", f"No result found: {cause}") from None


async def _stream(call: Call, hash: bytes) -> Answer:
    stream = await call.desk.blobs.open(hash)
    size = {"x-ff-blob-size": str(stream.size)} if stream.size else {}
    return Answer(200, None, stream, {"x-ff-blob-hash-sha256": hash.hex()} | size)


async def get_data_messages(call: Call) -> Answer:
    """Find messages that use a data item."""
    id, number, name = call.id("id"), call.namespace.number, call.namespace.name
    sequence = call.desk.store.peek(lambda tx: data.sequence_of(tx, number, id))
    if sequence is None:
        raise not_found(call, "data", format_uuid(id))
    return await listing(call, collections.messages_using(sequence), lambda _tx, message: stored_json(message, name))


async def delete_data(call: Call) -> Answer:
    """Delete a data item, and its blob unless other data needs it. 409 while a message with it is not settled."""
    id, number = call.id("id"), call.namespace.number

    def unit(tx: Transaction) -> bytes | None:
        found = messages.find_data(tx, number, id)
        if found is None:
            raise not_found(call, "data", format_uuid(id))
        return _delete(tx, number, *found)

    hash = await call.desk.store.write(unit)
    if hash is not None:
        await call.desk.blobs.drop_unneeded(hash)
    return Answer(204, None)


def _delete(tx: Transaction, namespace: int, sequence: int, item: Data) -> bytes | None:
    """Delete an item; the hash of its blob when nothing in the namespace needs that any more. Raises Conflict."""
    user = data.unsettled_user(tx, sequence)
    if user is not None:
        raise Conflict(
            "FFD2030",
            f"Data '{item.id}' is needed by message '{format_uuid(user)}', which is neither confirmed nor rejected "
            f"yet: delete it then",
        )
    data.delete(tx, sequence)
    hash = parse_hash(item.blob.hash) if item.blob is not None and item.blob.hash else None
    if hash is None or blobs.is_needed(tx, namespace, hash):
        return None
    blobs.forget(tx, namespace, hash)
    return hash


async def list_blobs(call: Call) -> Answer:
    """Find the blobs that are here."""
    return await listing(call, BLOBS, lambda _tx, blob: _blob_json(blob, call.namespace.name))


async def get_blob(call: Call) -> Answer:
    """A blob by its hash, as its bytes."""
    hash = parse_hash(call.path["hash"])
    if call.desk.store.peek(lambda tx: blobs.find(tx, call.namespace.number, hash)) is None:
        raise NotFound("FF10239", f"No blob with hash '{hash.hex()}' is here")
    return await _stream(call, hash)


def _blob_json(blob: BlobRow, namespace: str) -> str:
    return (
        f'{{"namespace":{json_string(namespace)},"hash":"{blob.hash.hex()}","size":{blob.size},'
        f'"created":"{format_time(blob.created)}"}}'
    )


async def get_subpaths(call: Call) -> Answer:
    """The folders of blobs below a folder, by the names that blobs were given."""
    parent = call.path["parent"].strip("/")
    found = await call.desk.store.read(
        lambda tx: blobs.subpaths(tx, call.namespace.number, f"/{parent}" if parent else "", limit=SUBPATHS_MAX)
    )
    return list_of([json_string(path) for path in found])


def _blob_here(call: Call, item: Data) -> bytes:
    """The hash of an item's blob. Raises NotFound FF10241 when it has none, FF10239 when it is not here."""
    if item.blob is None or not item.blob.hash:
        raise NotFound("FF10241", f"Data '{item.id}' has no blob")
    hash = parse_hash(item.blob.hash)
    if call.desk.store.peek(lambda tx: blobs.find(tx, call.namespace.number, hash)) is None:
        raise NotFound("FF10239", f"No blob with hash '{item.blob.hash}' is here yet")
    return hash


async def get_data_value(call: Call) -> Answer:
    """The value of a data item: the sender's own text."""
    value = one_of(call, DATA, "id", "data").value
    return object_of("null" if value is None else value)
