"""The shapes of what goes in and comes out, for the description of the API: nothing here reads or writes JSON.

Objects are written by hand elsewhere, in FireFly's order of fields (reference 1.4); a test asks a running node whether
what it says has these shapes and no other field. A field that may be left out is `U`; one that may be null says so.
Loaded when somebody asks for the description, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

U = UnsetType
Uuid = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", extra_json_schema={"format": "uuid"}
    ),
]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, as 64 hex digits")]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339 in UTC, to the nanosecond")]
Name = Annotated[str, Meta(pattern="^[0-9a-zA-Z]([0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?$")]
TagName = Annotated[str, Meta(pattern="^([0-9a-zA-Z]([0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?)?$")]
Topics = Annotated[list[Name], Meta(max_length=10, extra_json_schema={"uniqueItems": True})]
Count = Annotated[int, Meta(ge=0)]
Pattern = Annotated[str, Meta(description="a regular expression of RE2, not anchored; empty matches everything")]
Object = dict[str, Any]


class Error(Struct):
    """Why a request was refused: a code, and a sentence with what is wrong and what to do."""

    error: Annotated[str, Meta(pattern="^FFD?[0-9]+: ")]


# Messages and data ----------------------------------------------------------------------------------------------------


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


# Events and subscriptions ---------------------------------------------------------------------------------------------


class Event(Struct):
    """What happened, in the order in which it happened on this node."""

    id: Uuid
    sequence: Count
    type: str
    namespace: str
    reference: Uuid
    created: Time
    correlator: Uuid | U = UNSET
    tx: Uuid | U = UNSET
    topic: str | U = UNSET


class Transaction(Struct):
    """What was asked of the outside under one name."""

    id: Uuid
    namespace: str
    type: str
    created: Time
    idempotencyKey: str | U = UNSET
    blockchainIds: list[str] | U = UNSET


class LedgerTransactionRef(Struct):
    """A FireFly transaction, and what the ledger calls it."""

    type: str
    id: Uuid
    blockchainId: str


class BlockchainEvent(Struct):
    """What the ledger said."""

    id: Uuid
    source: str
    namespace: str
    name: str
    protocolId: str
    output: Object
    timestamp: Time
    tx: LedgerTransactionRef


class IdentityMessages(Struct):
    """The messages by which an identity came to be; null where there was none."""

    claim: Uuid | None
    verification: Uuid | None
    update: Uuid | None


class Identity(Struct):
    """An organisation, a node, or another who takes part."""

    id: Uuid
    did: str
    type: Literal["org", "node", "custom"]
    namespace: str
    messages: IdentityMessages
    parent: Uuid | U = UNSET
    name: str | U = UNSET
    description: str | U = UNSET
    profile: Object | U = UNSET
    created: Time | U = UNSET
    updated: Time | U = UNSET


class VerifierRef(Struct):
    """A key, or another thing that proves an identity."""

    value: str
    type: str | U = UNSET


class IdentityWithVerifiers(Identity, kw_only=True):
    """An identity, with what proves it."""

    verifiers: list[VerifierRef]


class Operation(Struct):
    """One thing asked of the outside, and what came of it."""

    id: Uuid
    namespace: str
    tx: Uuid
    type: str
    status: Literal["Initialized", "Pending", "Succeeded", "Failed"]
    plugin: str
    created: Time
    updated: Time
    input: Object | U = UNSET
    output: Object | U = UNSET
    error: str | U = UNSET
    retry: Uuid | U = UNSET
    detail: Object | U = UNSET


class EnrichedEvent(Event, kw_only=True):
    """An event, with what it speaks of."""

    message: Message | U = UNSET
    transaction: Transaction | U = UNSET
    blockchainEvent: BlockchainEvent | U = UNSET
    datatype: Datatype | U = UNSET
    identity: Identity | U = UNSET
    operation: Operation | U = UNSET


class EventPage(Struct):
    """Events, and how many they are."""

    count: Count
    total: Count
    items: list[EnrichedEvent]


class MessageFilter(Struct):
    """Which messages: of what tag, group or author."""

    tag: Pattern | U = UNSET
    group: Pattern | U = UNSET
    author: Pattern | U = UNSET


class TransactionFilter(Struct):
    """Which transactions: of what type."""

    type: Pattern | U = UNSET


class BlockchainEventFilter(Struct):
    """Which blockchain events: of what name or listener."""

    name: Pattern | U = UNSET
    listener: Pattern | U = UNSET


class SubscriptionFilter(Struct):
    """Which events are heard: all expressions must match."""

    message: MessageFilter | U = UNSET
    transaction: TransactionFilter | U = UNSET
    blockchainevent: BlockchainEventFilter | U = UNSET
    events: Pattern | U = UNSET
    topic: Pattern | U = UNSET


class NewSubscription(Struct):
    """A durable subscription to create or to change."""

    name: Name
    transport: Literal["websockets", "webhooks"] | U = UNSET
    filter: SubscriptionFilter | U = UNSET
    options: Object | U = UNSET


class SubscriptionStatus(Struct):
    """How far a subscription has come; all but the offset is of ffd."""

    currentOffset: int
    active: bool
    lag: Count
    inFlight: Count


class Subscription(Struct):
    """The durable interest of an app."""

    id: Uuid
    namespace: str
    name: str
    transport: str
    filter: SubscriptionFilter
    options: Object
    created: Time
    updated: Time | None
    ephemeral: bool | U = UNSET
    status: SubscriptionStatus | U = UNSET


# Batches, pins, the ledger --------------------------------------------------------------------------------------------


class Batch(Struct):
    """Messages that travel together."""

    id: Uuid
    type: str
    namespace: str
    created: Time | None
    hash: Hash
    manifest: Object
    tx: TransactionRef
    confirmed: Time | None
    node: Uuid | U = UNSET
    group: Hash | U = UNSET
    author: str | U = UNSET
    key: str | U = UNSET


class Pin(Struct):
    """A batch's mark on the ledger for one context."""

    sequence: Count
    namespace: str
    hash: Hash
    batch: Uuid
    batchHash: Hash
    index: Count
    signer: str
    created: Time
    masked: bool | U = UNSET
    dispatched: bool | U = UNSET


class PinRewind(Struct):
    """Where to look again: a pin by its sequence, or a batch."""

    sequence: Annotated[int, Meta(ge=0, le=2**63 - 1)] | U = UNSET
    batch: Uuid | U = UNSET


class NextPin(Struct):
    """The pin that is expected next of a member of a group."""

    namespace: str
    context: Hash
    identity: str
    hash: Hash
    nonce: Count


class Member(Struct):
    """A member of a group: an identity, and the node that receives for it."""

    identity: str
    node: Uuid


class Group(Struct):
    """Those to whom private messages go together."""

    namespace: str
    name: str
    members: list[Member]
    localNamespace: str
    hash: Hash
    created: Time
    message: Uuid | U = UNSET


class TransactionDetail(Struct):
    """One thing that a transaction is made of."""

    type: str
    status: str
    subtype: str | U = UNSET
    timestamp: Time | U = UNSET
    id: Uuid | U = UNSET
    error: str | U = UNSET
    info: Object | U = UNSET


class TransactionStatus(Struct):
    """How a transaction stands."""

    status: Literal["Succeeded", "Pending", "Failed"]
    details: list[TransactionDetail]


class ChartCount(Struct):
    """How many there are of a type."""

    count: str
    type: str


class ChartHistogram(Struct):
    """How many things came to be within one bucket of time."""

    count: str
    timestamp: Time
    types: list[ChartCount]
    isCapped: bool


# Identities -----------------------------------------------------------------------------------------------------------


class NewIdentity(Struct):
    """An identity to claim."""

    name: Name
    type: Literal["org", "node", "custom"] | U = UNSET
    parent: str | U = UNSET
    key: str | U = UNSET
    description: Annotated[str, Meta(max_length=4096)] | U = UNSET
    profile: Object | U = UNSET


class IdentityUpdate(Struct):
    """What is to change of an identity."""

    profile: Object
    description: Annotated[str, Meta(max_length=4096)] | U = UNSET


class Verifier(Struct):
    """What proves an identity."""

    hash: Hash
    type: str
    value: str
    identity: Uuid | U = UNSET
    namespace: str | U = UNSET
    created: Time | U = UNSET


class Key(Struct):
    """A signing key, by its public half."""

    key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class DIDDocument(Struct):
    """An identity as DID documents show it (https://www.w3.org/TR/did-core/)."""

    context: list[str] = field(name="@context")
    id: str
    authentication: list[str]
    verificationMethod: list[Object]


class NetworkAction(Struct):
    """What the whole network is to do."""

    type: Literal["terminate"]


# How the node is ------------------------------------------------------------------------------------------------------


class Namespace(Struct):
    """A network that the node takes part in, under its local name."""

    name: str
    networkName: str
    description: str
    created: Time
    initializing: bool | U = UNSET
    initializationError: str | U = UNSET


class NodeRef(Struct):
    """The node itself."""

    name: str
    registered: bool
    id: Uuid | U = UNSET


class OrgRef(Struct):
    """The organisation of the node."""

    name: str
    registered: bool
    did: str | U = UNSET
    id: Uuid | U = UNSET
    verifiers: list[VerifierRef] | U = UNSET


class PluginRef(Struct):
    """A plugin: its name in the configuration, and what it is."""

    pluginType: str
    name: str | U = UNSET


class Plugins(Struct):
    """The plugins of a namespace, by what they do."""

    blockchain: list[PluginRef]
    database: list[PluginRef]
    dataExchange: list[PluginRef]
    events: list[PluginRef]
    identity: list[PluginRef]
    sharedStorage: list[PluginRef]
    tokens: list[PluginRef]


class Multiparty(Struct):
    """Whether the namespace is that of a network."""

    enabled: bool


class Status(Struct):
    """How the node does in a namespace; `ffd` is all that FireFly has not."""

    namespace: Namespace
    plugins: Plugins
    multiparty: Multiparty
    ffd: Object
    node: NodeRef | U = UNSET
    org: OrgRef | U = UNSET


class FlushStatus(Struct):
    """How the batches of one processor have left so far."""

    lastFlushStartTime: Time | None
    cancelled: bool
    blocked: bool
    averageBatchBytes: Count
    averageBatchMessages: float
    averageBatchData: float
    averageFlushTimeMS: Count
    totalBatches: Count
    totalErrors: Count
    flushing: Uuid | U = UNSET
    lastFlushError: str | U = UNSET
    lastFlushErrorTime: Time | U = UNSET


class BatchProcessor(Struct):
    """What brings out the batches of a namespace."""

    dispatcher: str
    name: str
    status: FlushStatus


class BatchManagerStatus(Struct):
    """What brings out batches."""

    processors: list[BatchProcessor]


class Registration(Struct):
    """Whether somebody is registered in the network."""

    status: Literal["registered", "registering", "unregistered", "unknown"]
    pendingRegistrationMessageId: Uuid | U = UNSET


class MultipartyStatus(Struct):
    """The node's place in the network."""

    enabled: bool
    org: Registration
    node: Registration


class WebSocketSubscription(Struct):
    """A subscription that a connection has started."""

    startTime: Time
    ephemeral: bool
    namespace: str
    filter: SubscriptionFilter
    name: str | U = UNSET


class WebSocketConnection(Struct):
    """An open WebSocket."""

    id: Uuid
    remoteAddress: str
    userAgent: str
    subscriptions: list[WebSocketSubscription]


class WebSocketStatus(Struct):
    """The WebSockets that are open."""

    enabled: bool
    connections: list[WebSocketConnection]


class Live(Struct):
    """The event loop turns."""

    live: Literal[True]


class Ready(Struct):
    """Whether the node is ready, and if not, why."""

    ready: bool
    reasons: list[str] | U = UNSET


_OBJECTS = (
    Batch, BatchManagerStatus, Blob, BlockchainEvent, ChartHistogram, Data, DataForm, DataRefOrValue, Datatype,
    DIDDocument, EnrichedEvent, Error, Event, EventPage, Group, Identity, IdentityUpdate, IdentityWithVerifiers, Key,
    Live, Message, MessageInOut, MultipartyStatus, Namespace, NetworkAction, NewDatatype, NewIdentity, NewMessage,
    NewPrivateMessage, NewSubscription, NextPin, Operation, Pin, PinRewind, PublishRequest, Ready, Status,
    Subscription, Transaction, TransactionStatus, Verifier, VerifierRef, WebSocketStatus,
)  # fmt: skip
SHAPES: Mapping[str, Any] = {shape.__name__: shape for shape in _OBJECTS} | {
    "Bytes": Annotated[str, Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})],
    "Nothing": Annotated[Object, Meta(description="`{}`: nothing need be said")],
    "Text": str,
    "Value": Annotated[Any, Meta(description="any JSON, as it was sent")],
}
"""What a route may name, by name."""


def schemas(names: list[str], ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of each of these shapes, and of those that they refer to."""
    found, components = msgspec.json.schema_components([SHAPES[name] for name in names], ref_template=ref_template)
    return dict(zip(names, found, strict=True)), components
