"""The frames of the WebSocket protocol: what an app may say, and the texts of the answers (FireFly reference 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from ffd.delivery.dispatcher import READ_AHEAD_MAX, subscription_ref
from ffd.model.canonical import decode_envelope, json_string
from ffd.model.errors import FfdError, Invalid
from ffd.model.subscription import Subscription
from ffd.outbound.accept import Accepted
from ffd.ports.transport import Delivery

T = TypeVar("T")

SCOPED_PATH = "/api/v1/namespaces/"
SEND_START = b'{"type":"send"'


class _Kind(msgspec.Struct):
    type: str | None = None


class Start(msgspec.Struct):
    """`start`: which subscription to serve on this connection; filter and options count for an ephemeral one."""

    namespace: str | None = None
    name: str | None = None
    ephemeral: bool = False
    autoack: bool | None = None
    filter: msgspec.Raw = msgspec.Raw(b"null")
    options: msgspec.Raw = msgspec.Raw(b"null")


class SubscriptionRef(msgspec.Struct):
    """How an ack names the subscription that it is for."""

    id: str | None = None
    namespace: str | None = None
    name: str | None = None


class Ack(msgspec.Struct):
    """`ack` and `nack`: the event or batch, or the oldest in flight when none is named."""

    id: str | None = None
    subscription: SubscriptionRef | None = None


class _SentId(msgspec.Struct):
    id: str = ""


_KIND = msgspec.json.Decoder(_Kind)
_SENT_ID = msgspec.json.Decoder(_SentId)
_START = msgspec.json.Decoder(Start)
_ACK = msgspec.json.Decoder(Ack)


def kind_of(raw: bytes) -> str:
    """What a frame asks for. Raises Invalid FF10176."""
    return "send" if raw.startswith(SEND_START) else _decode(raw, _KIND).type or ""


def parse_start(raw: bytes) -> Start:
    """A start. Raises Invalid FF10176."""
    return _decode(raw, _START)


def parse_ack(raw: bytes) -> Ack:
    """An ack or a nack. Raises Invalid FF10176."""
    return _decode(raw, _ACK)


def id_of_send(raw: bytes) -> str:
    """The text by which the sender knows a `send` frame, also of one that cannot be read otherwise."""
    with suppress(Invalid):
        return decode_envelope(raw, _SENT_ID)[0].id
    return ""


def _decode(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decode_envelope(raw, decoder)[0]
    except Invalid as error:
        raise Invalid("FF10176", f"Invalid data: {error}") from None


def first_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of each name in a URL, in small letters, the value that stands first: it is the one that counts."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values.setdefault(name.lower(), value)
    return values


def start_of_query(query: Mapping[str, str]) -> Start:
    """The start that a URL stands for (FireFly reference 9.1). `firstEvent` cannot be given there."""
    options: dict[str, object] = {"batch": flag(query, "batch")}
    if (read_ahead := _read_ahead(query.get("readahead", ""))) is not None:
        options["readAhead"] = read_ahead
    if query.get("batchtimeout"):
        options["batchTimeout"] = query["batchtimeout"]
    return Start(
        query.get("namespace") or None,
        query.get("name") or None,
        flag(query, "ephemeral"),
        True if flag(query, "autoack") else None,
        msgspec.Raw(msgspec.json.encode(_filter_of_query(query))),
        msgspec.Raw(msgspec.json.encode(options)),
    )


def _read_ahead(text: str) -> int | None:
    """The number in the URL; FireFly passes over one that cannot be read as 16 bits, and so it is here."""
    if not (text.isascii() and text.isdecimal() and len(text.lstrip("0")) <= 5):
        return None
    number = int(text)
    return number if number <= READ_AHEAD_MAX else None


def _filter_of_query(query: Mapping[str, str]) -> dict[str, object]:
    def given(*names: str) -> str:
        return next((query[name] for name in names if query.get(name)), "")

    return {
        "events": given("filter.events"),
        "topic": given("filter.topic", "filter.topics"),
        "message": {
            "tag": given("filter.message.tag", "filter.tag"),
            "group": given("filter.message.group", "filter.group"),
            "author": given("filter.message.author", "filter.author"),
        },
        "transaction": {"type": given("filter.transaction.type")},
        "blockchainevent": {
            "name": given("filter.blockchain.name"),
            "listener": given("filter.blockchain.listener"),
        },
    }


def flag(query: Mapping[str, str], name: str) -> bool:
    """A flag of the URL: set by being there, unless it is `false`."""
    return name in query and query[name] != "false"


def delivery_frames(subscription: Subscription, delivery: Delivery) -> list[str]:
    """A delivery as frames: one for a batch, else one for each event."""
    if delivery.batch is None:
        return [f"{event}\n" for event in delivery.events]
    ref, events = subscription_ref(subscription), ",".join(delivery.events)
    return [f'{{"type":"event_batch","id":"{delivery.batch}","subscription":{ref},"events":[{events}]}}\n']


def accepted_frame(id: str, results: Sequence[Accepted | FfdError]) -> str:
    """The answer to a `send`: for each message, in order, its id and hash, or why it was refused."""
    shown = ",".join([_result_json(result) for result in results])
    return f'{{"type":"accepted","id":{json_string(id)},"messages":[{shown}]}}\n'


def refused_frame(id: str, refusal: FfdError) -> str:
    """The answer to a `send` of which nothing was taken."""
    return f'{{"type":"error","id":{json_string(id)},"error":{json_string(str(refusal))}}}\n'


def _result_json(result: Accepted | FfdError) -> str:
    if isinstance(result, FfdError):
        return f'{{"error":{json_string(str(result))}}}'
    return f'{{"id":"{result.id_text}","hash":"{result.hash.hex()}"}}'


def protocol_error_frame(text: str) -> str:
    """What is said before a connection is closed."""
    return f'{{"type":"protocol_error","error":{json_string(text)}}}\n'


def no_match(id: str) -> Invalid:
    """FF10175: an ack for something that is not in flight."""
    return Invalid("FF10175", f"Acknowledgment does not match an inflight event + subscription: {id[:64]}")
