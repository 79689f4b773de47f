"""Shapes of how the node is."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct

from ffd.api.shapes.events import SubscriptionFilter
from ffd.api.shapes.identities import VerifierRef
from ffd.api.shapes.words import Count, Object, Time, U, Uuid


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
