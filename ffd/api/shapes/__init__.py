"""The shapes of what goes in and comes out, for the description of the API: nothing here reads or writes JSON.

Objects are written by hand elsewhere, in FireFly's order of fields (reference 1.4); a test asks a running node whether
what it says has these shapes and no other field. Loaded when somebody asks for the description, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ffd.api.shapes.events import EnrichedEvent, Event, EventPage, NewSubscription, Subscription
from ffd.api.shapes.identities import (
    DIDDocument,
    Identity,
    IdentityUpdate,
    IdentityWithVerifiers,
    Key,
    NetworkAction,
    NewIdentity,
    Verifier,
    VerifierRef,
)
from ffd.api.shapes.ledger import (
    Batch,
    BlockchainEvent,
    Cancellation,
    ChartHistogram,
    Group,
    NextPin,
    Operation,
    Pin,
    PinRewind,
    Transaction,
    TransactionStatus,
)
from ffd.api.shapes.messages import (
    Blob,
    Data,
    DataForm,
    DataRefOrValue,
    Datatype,
    Message,
    MessageInOut,
    NewDatatype,
    NewMessage,
    NewPrivateMessage,
    PublishRequest,
)
from ffd.api.shapes.node import BatchManagerStatus, Live, MultipartyStatus, Namespace, Ready, Status, WebSocketStatus
from ffd.api.shapes.words import Error, Object

_OBJECTS = (
    Batch, BatchManagerStatus, Blob, BlockchainEvent, Cancellation, ChartHistogram, Data, DataForm, DataRefOrValue,
    Datatype, DIDDocument, EnrichedEvent, Error, Event, EventPage, Group, Identity, IdentityUpdate,
    IdentityWithVerifiers, Key,
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
