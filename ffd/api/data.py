"""Data: what messages carry, by itself."""

from __future__ import annotations

from ffd.api.call import Answer, Call, list_of, listing, object_of, one_of
from ffd.model.canonical import json_string
from ffd.model.data import Data, data_json
from ffd.model.errors import FfdError, NotFound
from ffd.model.ids import parse_hash
from ffd.store import blobs
from ffd.store.search import DATA

SUBPATHS_MAX = 10_000


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
        stream = await call.desk.blobs.open(hash)
    except FfdError as cause:
        # FireFly says so of every failure.
        raise NotFound("FF00164", f"No result found: {cause}") from None
    size = {"x-ff-blob-size": str(stream.size)} if stream.size else {}
    return Answer(200, None, stream, {"x-ff-blob-hash-sha256": hash.hex()} | size)


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
