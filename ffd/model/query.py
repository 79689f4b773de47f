"""What a list route was asked for: a tree of conditions, an order and a page; and which fields each collection has.

Values only: `ffd/api/filters.py` makes them from a query string, the store turns them into bound SQL. The fields are
FireFly's ([reference 10.3], `pkg/database/plugin.go`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal, TypeAlias


class Kind(Enum):
    """How the text of a condition becomes a value, and which comparisons a field allows.

    `UUID` and `HASH` values stay the text that was asked for, since parts of them may be matched: a text that is no id
    equals nothing. `NAMES` is the list joined by commas, and `JSON` the stored text. `TIME` is integer nanoseconds.
    """

    TEXT = "String"
    UUID = "UUID"
    HASH = "Byte-Array"
    NAMES = "String-array"
    JSON = "JSON-blob"
    INT = "Integer"
    TIME = "Date-time"
    BOOL = "Boolean"

    @property
    def textual(self) -> bool:
        """Is the value of a condition text, so that parts of it and either case can be matched?"""
        return self not in (Kind.INT, Kind.TIME, Kind.BOOL)


Op: TypeAlias = Literal[
    "eq", "neq", "ieq", "nieq", "gt", "gte", "lt", "lte",
    "contains", "not_contains", "icontains", "not_icontains",
    "starts_with", "not_starts_with", "istarts_with", "not_istarts_with",
    "ends_with", "not_ends_with", "iends_with", "not_iends_with",
]  # fmt: skip
"""A comparison: `n` or `not_` negates, `i` ignores case."""

Value: TypeAlias = str | int | bool | None
"""Text, a number or nanoseconds, a truth, or null (only with `eq`, `neq` and `nieq`)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a field of the collection with a value."""

    op: Op
    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all (`and`) or any (`or`) must hold; an empty `and` holds always."""

    op: Literal["and", "or"]
    conditions: tuple["Condition | Group", ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """One step of an order; `nulls_first` says where rows without a value go, else it is the store's habit."""

    field: str
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """The whole of what was asked: `limit` 0 is no limit, an empty `sort` the collection's own (`default_sort`)."""

    where: Group
    sort: tuple[Sort, ...] = ()
    skip: int = 0
    limit: int = 25
    count: bool = False


def default_sort(collection: str) -> tuple[Sort, ...]:
    """The newest first: messages by when they were confirmed (the waiting ones lead), the rest by sequence.

    A collection whose rows have no sequence in the API has one in the store: FireFly's tables all do.
    """
    if collection == "messages":
        return (Sort("confirmed", descending=True, nulls_first=True), Sort("created", descending=True))
    return (Sort("sequence", descending=True),)


def _fields(**names: str) -> Mapping[str, Kind]:
    return MappingProxyType({name: Kind[kind.upper()] for kind, text in names.items() for name in text.split()})


_IDENTITIES = _fields(
    uuid="id parent messages.claim messages.verification messages.update",
    text="did type name description",
    json="profile",
    time="created updated",
)

COLLECTIONS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "messages": _fields(
            uuid="id cid batch txid txparent.id",
            text="type author key tag idempotencykey state rejectreason txtype txparent.type",
            hash="group datahash hash",
            names="topics pins",
            time="created confirmed",
            int="sequence",
        ),
        "data": _fields(
            uuid="id",
            text="validator datatype.name datatype.version blob.public blob.name blob.path public",
            hash="hash blob.hash",
            int="blob.size",
            time="created",
            json="value",
        ),
        "blobs": _fields(hash="hash", int="size", time="created"),
        "events": _fields(uuid="id reference correlator tx", text="type topic", int="sequence", time="created"),
        "batches": _fields(
            uuid="id tx.id node",
            text="type author key payloadref tx.type",
            hash="group hash",
            time="created confirmed",
        ),
        "pins": _fields(int="sequence index", bool="masked dispatched", hash="hash", uuid="batch", time="created"),
        "nextpins": _fields(hash="context hash", text="identity", int="nonce"),
        "subscriptions": _fields(uuid="id", text="name transport events options", json="filters", time="created"),
        "transactions": _fields(uuid="id", text="type idempotencykey", time="created", names="blockchainids"),
        "operations": _fields(
            uuid="id tx retry", text="type status error plugin", json="input output", time="created updated"
        ),
        "groups": _fields(hash="hash", uuid="message ledger", text="description", time="created"),
        "identities": _IDENTITIES,
        "nodes": _IDENTITIES,
        "organizations": _IDENTITIES,
        "verifiers": _fields(hash="hash", uuid="identity", text="type value", time="created"),
        "datatypes": _fields(uuid="id message", text="validator name version", time="created"),
        "blockchainevents": _fields(
            uuid="id tx.id", text="source name protocolid listener tx.type tx.blockchainid", time="timestamp"
        ),
    }
)
"""The fields of each collection that may be filtered and sorted by, and nothing else ever reaches the store."""
