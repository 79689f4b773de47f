"""Shapes of what is asked of the ledger and the storage, and of what the ledger said."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct

from ffd.api.shapes.messages import TransactionRef
from ffd.api.shapes.words import Count, Hash, Object, Time, U, Uuid


class Transaction(Struct):
    """What was asked of the outside under one name."""

    id: Uuid
    namespace: str
    type: str
    created: Time
    idempotencyKey: str | U = UNSET
    blockchainIds: list[str] | U = UNSET


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


class Cancellation(Struct):
    """What giving up a batch would do to its messages; `delivered` are the nodes that have it already."""

    batch: Uuid
    cancelled: list[Uuid]
    filled: list[Uuid]
    kept: list[Uuid]
    delivered: list[Uuid]


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
