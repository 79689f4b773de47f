"""Shapes of messages, and of what they carry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, field

from ffd.api.shapes.words import Count, Hash, Name, Object, TagName, Time, Topics, U, Uuid


class TransactionRef(Struct):
    """A FireFly transaction, by its type and id."""

    type: str
    id: Uuid | U = UNSET


class MessageHeader(Struct):
    """The part of a message that is hashed."""

    id: Uuid
    type: str
    created: Time
    topics: list[Name]
    datahash: Hash
    cid: Uuid | U = UNSET
    txtype: str | U = UNSET
    author: str | U = UNSET
    key: str | U = UNSET
    namespace: str | U = UNSET
    group: Hash | U = UNSET
    tag: str | U = UNSET
    txparent: TransactionRef | U = UNSET


class DataRef(Struct):
    """A data item, by id and hash."""

    id: Uuid
    hash: Hash


class _MessageFields(Struct):
    header: MessageHeader
    localNamespace: str
    hash: Hash
    state: Literal["staged", "ready", "sent", "pending", "confirmed", "rejected", "cancelled"]
    batch: Uuid | U = UNSET
    txid: Uuid | U = UNSET
    confirmed: Time | U = UNSET
    rejectReason: str | U = UNSET
    pins: list[str] | U = UNSET
    idempotencyKey: str | U = UNSET


class Message(_MessageFields, kw_only=True):
    """A message, with references to its data."""

    data: list[DataRef]


class DatatypeRef(Struct):
    """A datatype, by name and version."""

    name: str
    version: str | U = UNSET


class BlobRef(Struct):
    """A blob: what it is, what it is called, and where it is published."""

    hash: Hash
    size: Count
    name: str
    path: str | U = UNSET
    public: str | U = UNSET


class DataWithValue(Struct):
    """A data item inside a message."""

    id: Uuid
    hash: Hash
    validator: str
    datatype: DatatypeRef | U = UNSET
    value: Any | U = UNSET
    blob: BlobRef | U = UNSET


class MessageInOut(_MessageFields, kw_only=True):
    """A message, with its data inside."""

    data: list[DataWithValue] | U = UNSET


class NewHeader(Struct):
    """What a sender may say of a message: other fields are ignored."""

    topics: Topics | U = UNSET
    tag: TagName | U = UNSET
    cid: Uuid | U = UNSET
    author: str | U = UNSET
    key: str | U = UNSET
    txtype: Literal["batch_pin", "contract_invoke_pin", "unpinned"] | U = UNSET


class DataRefOrValue(Struct):
    """A value, or the id of a data item that is stored already, or both parts of one."""

    value: Any | U = UNSET
    id: Uuid | U = UNSET
    hash: Hash | U = UNSET
    validator: Literal["json", "none"] | U = UNSET
    datatype: DatatypeRef | U = UNSET


class NewMessage(Struct):
    """A message to send."""

    data: list[DataRefOrValue]
    header: NewHeader | U = UNSET
    idempotencyKey: Annotated[str, Meta(max_length=256)] | U = UNSET


class NewPrivateHeader(NewHeader, kw_only=True):
    """What a sender may say of a private message, or of a request (`type` is `broadcast` for one to everybody)."""

    group: Hash | U = UNSET
    type: Literal["private", "broadcast"] | U = UNSET


class NewMember(Struct):
    """A recipient: an identity, and perhaps the node that receives for it."""

    identity: str
    node: str | U = UNSET


class NewGroup(Struct):
    """The recipients of a private message."""

    members: list[NewMember]
    name: Name | U = UNSET


class NewPrivateMessage(Struct):
    """A private message, or a request, to send."""

    data: list[DataRefOrValue] | U = UNSET
    header: NewPrivateHeader | U = UNSET
    group: NewGroup | U = UNSET
    idempotencyKey: Annotated[str, Meta(max_length=256)] | U = UNSET


class Data(Struct):
    """A data item: a value, a blob, or both."""

    id: Uuid
    validator: str
    namespace: str
    hash: Hash
    created: Time
    value: Any
    datatype: DatatypeRef | U = UNSET
    public: str | U = UNSET
    blob: BlobRef | U = UNSET


class Blob(Struct):
    """A blob that is here."""

    namespace: str
    hash: Hash
    size: Count
    created: Time


class DataForm(Struct):
    """An upload: options first, and the file last."""

    file: Annotated[str, Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]
    autometa: Literal["true", "false"] | U = UNSET
    metadata: Annotated[str, Meta(description="JSON, beside which `autometa` puts what is known of the file")] | U = (
        UNSET
    )
    validator: Literal["json", "none"] | U = UNSET
    datatype_name: str | U = field(default=UNSET, name="datatype.name")
    datatype_version: str | U = field(default=UNSET, name="datatype.version")


class PublishRequest(Struct):
    """What may be said of a publication."""

    idempotencyKey: Annotated[str, Meta(max_length=256)] | U = UNSET


class NewDatatype(Struct):
    """A datatype to define: a JSON Schema under a name and a version."""

    name: Name
    version: Name
    value: Object
    validator: Literal["json"] | U = UNSET


class Datatype(Struct):
    """A datatype: what values that name it must be like."""

    id: Uuid
    validator: str
    namespace: str
    name: str
    version: str
    hash: Hash
    created: Time
    value: Any
    message: Uuid | U = UNSET
