"""Data by itself: a value as JSON, or a blob as a form, which is published with the first message that uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from ffd.api.call import Answer, Call, object_of
from ffd.api.form import Form
from ffd.inbound import rewind
from ffd.model.canonical import canonical_json, decode_envelope, json_string
from ffd.model.data import BlobRef, Data, DatatypeRef, data_json, seal_data
from ffd.model.errors import Full, Invalid
from ffd.model.ids import format_uuid
from ffd.outbound.draft import parse_item
from ffd.outbound.items import check_kind
from ffd.store import Transaction, data
from ffd.store.blobfiles import Incoming

FORM_BYTES = 2 * 1024 * 1024
"""What a form may have beside its file; what it has is checked field by field."""


class _Wish(msgspec.Struct):
    idempotencyKey: str | None = None


_WISH = msgspec.json.Decoder(_Wish)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def post_data(call: Call) -> Answer:
    """Store data: a value or a known blob as JSON, or a new blob as a form whose last part is its file."""
    kind = call.content_type.partition(";")[0].strip().lower()
    item = await (_take_blob(call) if kind == "multipart/form-data" else _take_json(call))
    return Answer(201, data_json(item, namespace=call.namespace.name))


async def publish_value(call: Call) -> Answer:
    """Publish the value of a data item on shared storage; the same key again goes on with what was cut off."""
    return await _publish(call, call.desk.publishers[call.namespace.name].publish_value)


async def publish_blob(call: Call) -> Answer:
    """Publish the blob of a data item on shared storage; the same key again goes on with what was cut off."""
    return await _publish(call, call.desk.publishers[call.namespace.name].publish_blob)


async def _publish(call: Call, publish: Callable[[bytes, str | None], Awaitable[Data]]) -> Answer:
    id = call.id("id")
    body = await call.body()
    wish = decode_envelope(body, _WISH)[0] if body else _Wish()
    return object_of(data_json(await publish(id, wish.idempotencyKey or None), namespace=call.namespace.name))


async def _take_json(call: Call) -> Data:
    item, value_text = parse_item(await call.body())
    return await call.desk.acceptors[call.namespace.name].keep(item, value_text)


async def _take_blob(call: Call) -> Data:
    number = call.namespace.number
    form = Form(call.content_type)
    _check_length(call)
    async with call.desk.blobs.receive() as incoming:

        async def take(piece: bytes) -> None:
            for content in form.feed(piece):
                if not incoming.size:
                    check_kind(form.fields.get("validator", ""), _datatype(form), with_blob=True)
                await incoming.write(content)

        await call.pieces(take)
        form.finish()
        hash = await incoming.finish()
        item = _sealed(call, form, BlobRef(hash.hex(), incoming.size))
        async with incoming.placed(hash):
            await call.desk.store.write(lambda tx: record_blob(tx, number, incoming, hash, item))
    return item


def _check_length(call: Call) -> None:
    """Refuse at once what could not be taken to its end. Raises Full FFD3101."""
    most = call.desk.blobs.limits.blob_bytes_max
    if call.content_length > most + FORM_BYTES:
        raise Full("FFD3101", f"The blob is larger than {most} bytes: send a smaller one, or raise the limit")


def record_blob(tx: Transaction, namespace: int, incoming: Incoming, hash: bytes, item: Data) -> None:
    """Store a data item with its blob, which is placed, and look again at whatever waited for it."""
    incoming.record(tx, namespace, hash, item.created)
    data.keep(tx, namespace, item)
    rewind.blob_here(tx, namespace, hash)


def _sealed(call: Call, form: Form, blob: BlobRef) -> Data:
    world = call.desk.world
    return seal_data(
        format_uuid(world.new_id()), world.now(), _value(form),
        validator=form.fields.get("validator", ""), datatype=_datatype(form), blob=blob,
    )  # fmt: skip


def _datatype(form: Form) -> DatatypeRef | None:
    name, version = form.fields.get("datatype.name", ""), form.fields.get("datatype.version", "")
    return DatatypeRef(name, version) if name else None


def _value(form: Form) -> str | None:
    """The value beside the blob: the metadata, which is a JSON string if it is no JSON; with `autometa` an object."""
    metadata = form.fields.get("metadata", "")
    try:
        text = canonical_json(metadata) if metadata else None
    except Invalid:
        text = json_string(metadata)
    return _with_file(form, text) if form.fields.get("autometa", "").lower() == "true" else text


def _with_file(form: Form, metadata: str | None) -> str:
    """The metadata as an object, keys sorted, with the file's name and type; what is no object counts for nothing."""
    file = form.finish()
    members: dict[str, str] = {}
    if metadata is not None and metadata.startswith("{"):
        fields, value_text = decode_envelope(metadata, _OBJECT)
        members = {key: value_text(value) for key, value in fields.items()}
    members |= {"filename": json_string(file.filename), "mimetype": json_string(file.mimetype)}
    return f"{{{','.join(f'{json_string(key)}:{members[key]}' for key in sorted(members, key=str.encode))}}}"
