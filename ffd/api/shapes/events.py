"""Shapes of events, and of the interest in them."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct

from ffd.api.shapes.identities import Identity
from ffd.api.shapes.ledger import BlockchainEvent, Operation, Transaction
from ffd.api.shapes.messages import Datatype, Message
from ffd.api.shapes.words import Count, Name, Object, Pattern, Time, U, Uuid


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
