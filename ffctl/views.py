"""How each kind of object is shown: the columns of its table, what identifies it, and short names for `--format`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ffctl.output import Column, View
from ffctl.plain import lookup, text_of


def value(row: Any) -> Any:
    """The first data value of a message, or of the message that an event brings."""
    found = lookup(row, "message.data.0") or lookup(row, "data.0")
    return found.get("value") if isinstance(found, dict) else None


def values(row: Any) -> Any:
    """All data values of a message, or of the message that an event brings."""
    data = lookup(row, "message.data") or lookup(row, "data")
    return [item.get("value") for item in data if isinstance(item, dict)] if isinstance(data, list) else None


def _topics(row: Any) -> str:
    return ",".join(lookup(row, "header.topics") or [])


def _filter(row: Any) -> str:
    """A filter as `--filter` takes it: `events=^message_ topic=^news$ message.tag=^a$`."""
    return " ".join(f"{key}={text_of(item)}" for key, item in _leaves(row.get("filter") or {}, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{path}{key}.")
        elif item:
            yield f"{path}{key}", item


def _messages_in(row: Any) -> str:
    messages = lookup(row, "manifest.messages")
    return str(len(messages)) if isinstance(messages, list) else ""


def _members(row: Any) -> str:
    """Whose group it is: the DIDs without what all have in common."""
    members = lookup(row, "members") or []
    return ",".join(text_of(member.get("identity")).removeprefix("did:firefly:") for member in members)


def _batch_of(row: Any) -> Any:
    """The batch that an operation is about, as far as it is about one: what is uploaded is called `id`."""
    return lookup(row, "input.id" if row.get("type") == "sharedstorage_upload_batch" else "input.batch")


def _key(row: Any) -> Any:
    return lookup(row, "verifiers.0.value")


_TIME = 30  # cells: a time with nine digits

_MESSAGE_NAMES = (
    ("id", "header.id"),
    ("topics", _topics),
    ("topic", "header.topics.0"),
    ("tag", "header.tag"),
    ("author", "header.author"),
    ("cid", "header.cid"),
    ("group", "header.group"),
    ("type", "header.type"),
    ("created", "header.created"),
    ("value", value),
    ("values", values),
)

MESSAGE = View(
    (
        Column("CREATED", "header.created", _TIME, time=True),
        Column("STATE", "state", 9),
        Column("TOPICS", _topics, 16),
        Column("TAG", "header.tag", 8),
        Column("ID", "header.id", 36),
        Column("AUTHOR", "header.author", 16),
    ),
    id="header.id",
    names=_MESSAGE_NAMES,
)

MESSAGE_WITH_DATA = View(
    (*MESSAGE.columns[:-2], Column("VALUE", value, 20), *MESSAGE.columns[-2:]), id="header.id", names=_MESSAGE_NAMES
)

EVENT = View(
    (
        Column("SEQUENCE", "sequence", 8),
        Column("CREATED", "created", _TIME, time=True),
        Column("TYPE", "type", 17),
        Column("TOPIC", "topic", 12),
        Column("REFERENCE", "reference", 36),
        Column("ID", "id", 36),
    ),
    names=(("tag", "message.header.tag"), ("author", "message.header.author"), ("cid", "message.header.cid")),
)

DELIVERY = View(
    (
        Column("SEQUENCE", "sequence", 8, 6),
        Column("CREATED", "created", _TIME, time=True),
        Column("TYPE", "type", 17),
        Column("TOPIC", "topic", 12, 8),
        Column("TAG", "message.header.tag", 8, 4),
        Column("VALUE", value, 10),
    ),
    names=(
        ("tag", "message.header.tag"),
        ("author", "message.header.author"),
        ("cid", "message.header.cid"),
        ("group", "message.header.group"),
        ("value", value),
        ("values", values),
    ),
)


def spanning(view: View, namespace: str) -> View:
    """A view of events; where these may be of any namespace, it says of which."""
    if namespace != "*":
        return view
    first, second, *others = view.columns
    return replace(view, columns=(first, second, Column("NAMESPACE", "namespace", 12, 9), *others))


BATCH = View(
    (
        Column("CREATED", "created", _TIME, time=True),
        Column("TYPE", "type", 9),
        Column("MESSAGES", _messages_in),
        Column("ID", "id", 36),
        Column("CONFIRMED", "confirmed", _TIME, time=True),
        Column("AUTHOR", "author", 16),
    ),
)

CANCELLATION = View((), id="batch")

PIN = View(
    (
        Column("SEQUENCE", "sequence", 8),
        Column("DISPATCHED", lambda row: row.get("dispatched", False), 10),
        Column("BATCH", "batch", 36),
        Column("INDEX", "index", 5),
        Column("CREATED", "created", _TIME, time=True),
        Column("SIGNER", "signer", 16),
        Column("HASH", "hash", 64),
    ),
    id="sequence",
)

SUBSCRIPTION = View(
    (
        Column("NAME", "name", 16),
        Column("FROM", "options.firstEvent", 6),
        Column("CREATED", "created", _TIME, time=True),
        Column("ID", "id", 36),
        Column("FILTER", _filter, 8),
    ),
)

OPERATION = View(
    (
        Column("CREATED", "created", _TIME, time=True),
        Column("TYPE", "type", 24),
        Column("STATUS", "status", 11),
        Column("UPDATED", "updated", _TIME, time=True),
        Column("ID", "id", 36),
        Column("ERROR", "error", 16),
    ),
    names=(("node", "input.node"), ("batch", _batch_of)),
)

GROUP = View(
    (
        Column("CREATED", "created", _TIME, time=True),
        Column("NAME", "name", 12),
        Column("HASH", "hash", 64, 12),
        Column("MEMBERS", _members, 16),
    ),
    id="hash",
)

IDENTITY = View(
    (
        Column("CREATED", "created", _TIME, time=True),
        Column("TYPE", "type", 6),
        Column("NAME", "name", 12),
        Column("DID", "did", 24),
        Column("CLAIMED", lambda row: lookup(row, "messages.claim") is not None, 7),
        Column("ID", "id", 36),
        Column("DESCRIPTION", "description", 16),
    ),
    names=(("claim", "messages.claim"), ("key", _key)),
)

MEMBER = View(
    (
        Column("MEMBER", "member", 12),
        Column("SOCKET", "socket", 24),
        Column("CONFIG", "config", 24),
        Column("HTTP", "http", 24),
    ),
    id="member",
)

MEMBER_STATUS = View(
    (
        Column("MEMBER", "member", 12),
        Column("STATE", "state", 9),
        Column("PID", "pid", 7),
        Column("KNOWS", lambda row: len(row.get("knows") or []), 5),
        Column("EVENTS", "events", 8),
        Column("UNSENT", "unsent", 6),
        Column("BLOCKED", "blocked", 7),
        Column("SOCKET", "socket", 24),
    ),
    id="member",
)

LOG = View(
    (
        Column("TIME", "time", 27, time=True),
        Column("MEMBER", "member", 12, 8),
        Column("LEVEL", "level", 7),
        Column("MESSAGE", "message", 20),
    ),
    id="member",
)

SENT = View(
    (
        Column("LINE", "line", 8),
        Column("STATE", "state", 9),
        Column("ID", "id", 36),
        Column("HASH", "hash", 64),
        Column("ERROR", "error", 10),
    ),
)

STATUS = View((), id=lambda row: lookup(row, "node.id") or lookup(row, "node.name") or lookup(row, "namespace.name"))
READY = View((), id=lambda row: "ready" if row.get("ready") else "")
VERSION = View((), id="ffctl")
EXIT_CODE = View((Column("CODE", "code", 4), Column("NAME", "name", 11), Column("MEANING", "meaning")), id="code")
