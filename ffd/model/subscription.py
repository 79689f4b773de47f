"""Subscriptions: which events an app hears, from where, and how (FireFly reference 1.4, 8.4, 8.6).

Filters are kept as the text of regular expressions in Go's dialect; google-re2 compiles them where events are matched.
One rule of FireFly is relaxed, as an extension of ffd: WebSocket subscriptions may ask for `withData`, in batches too.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ffd.model.canonical import decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.names import check_name_not_uuid
from ffd.model.times import parse_duration, time_json

WEBSOCKETS, WEBHOOKS = TRANSPORTS = ("websockets", "webhooks")
OLDEST, NEWEST = "oldest", "newest"
READ_AHEAD_MAX = 65_535

ReadAhead = Annotated[int, msgspec.Meta(ge=0, le=READ_AHEAD_MAX)]


class SubscriptionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Regular expressions that must all match; empty is not applied. What an event has not got counts as empty text.

    `tag`, `group` and `author` are of the message; `group` is matched against the hex of the hash.
    """

    events: str = ""
    topic: str = ""
    tag: str = ""
    group: str = ""
    author: str = ""
    transaction_type: str = ""
    blockchain_name: str = ""
    blockchain_listener: str = ""


class SubscriptionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How events are delivered. None and empty mean that the key was not given.

    `first_event` is `oldest`, `newest` or a number as text: events with a greater sequence are delivered. In flight are
    at most 1 + `read_ahead` events; `batch_timeout` is a duration. `other` holds all other keys, with canonical JSON.
    """

    first_event: str = ""
    read_ahead: int | None = None
    with_data: bool | None = None
    batch: bool | None = None
    batch_timeout: str = ""
    other: Mapping[str, str] = {}


class SubscriptionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request to create or update a durable subscription."""

    name: str
    transport: str
    filter: SubscriptionFilter
    options: SubscriptionOptions


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription. `id` is UUID text, times are nanoseconds, `updated` is None until it is."""

    id: str
    namespace: str
    name: str
    transport: str
    filter: SubscriptionFilter
    options: SubscriptionOptions
    created: int
    updated: int | None = None
    ephemeral: bool = False


def parse_subscription(raw: bytes | str) -> SubscriptionRequest:
    """The body of a create or update request, checked by 8.6.

    Raises `Invalid` FF00140/1 (name), FF10172/FF10266 (transport), FF10191/2 (firstEvent), FF00137 (batchTimeout),
    FF10242/3/FF10460 (webhooks), FFD2104 for a wrong type.
    """
    wire, value_text = decode_envelope(raw, _REQUEST)
    transport = check_transport(wire.transport or "")
    options = parse_options(value_text(wire.options), transport=transport)
    return SubscriptionRequest(
        name=check_name_not_uuid(wire.name or "", "name"),
        transport=transport,
        filter=parse_filter(value_text(wire.filter)),
        options=options,
    )


def parse_filter(raw: bytes | str, *, strict: bool = False) -> SubscriptionFilter:
    """A filter from its JSON object (`null` is an empty one).

    FireFly's deprecated keys `topics`, `tag`, `group` and `author` mean `topic` and `message.*`; the new key wins.
    Unknown keys are ignored, as FireFly does, or refused with FFD2110 when `strict`.
    """
    wire, _ = decode_envelope(raw, _FILTER)
    if wire is None:
        return SubscriptionFilter()
    if strict:
        _refuse_unknown(raw)
    message, transaction = wire.message or _WireMessageFilter(), wire.transaction or _WireTransactionFilter()
    blockchain = wire.blockchainevent or _WireBlockchainFilter()
    return SubscriptionFilter(
        events=wire.events or "",
        topic=wire.topic or wire.topics or "",
        tag=message.tag or wire.tag or "",
        group=message.group or wire.group or "",
        author=message.author or wire.author or "",
        transaction_type=transaction.type or "",
        blockchain_name=blockchain.name or "",
        blockchain_listener=blockchain.listener or "",
    )


def filter_json(filter: SubscriptionFilter) -> str:
    """The JSON of a filter, in FireFly's order, the three sub-objects always there."""
    message = _object_json({"tag": filter.tag, "group": filter.group, "author": filter.author})
    blockchain = _object_json({"name": filter.blockchain_name, "listener": filter.blockchain_listener})
    events = f'"events":{json_string(filter.events)},' if filter.events else ""
    topic = f',"topic":{json_string(filter.topic)}' if filter.topic else ""
    transaction = _object_json({"type": filter.transaction_type})
    return f'{{{events}"message":{message},"transaction":{transaction},"blockchainevent":{blockchain}{topic}}}'


def parse_options(raw: bytes | str, *, transport: str = WEBSOCKETS) -> SubscriptionOptions:
    """Options from their JSON object (`null` is none); unknown keys are kept.

    Raises `Invalid` FF10191/2 (firstEvent), FF00137 (batchTimeout), FFD2104 for a wrong type, and for webhooks
    FF10242 (no url), FF10243 (a header or query value is not text), FF10460 (batch with data).
    """
    wire, value_text = decode_envelope(raw, _OBJECT)
    fields = {} if wire is None else {key: value_text(value) for key, value in wire.items()}
    known = _convert({key: fields.pop(key) for key in _KNOWN if fields.get(key) is not None})
    options = SubscriptionOptions(
        first_event=check_first_event(known.firstEvent),
        read_ahead=known.readAhead,
        with_data=known.withData,
        batch=known.batch,
        batch_timeout=_check_batch_timeout(known.batchTimeout),
        other=fields,
    )
    if transport == WEBHOOKS:
        _check_webhook(options)
    return options


def options_json(options: SubscriptionOptions) -> str:
    """The JSON of options: one object, keys sorted by bytes, absent ones left out."""
    fields = dict(options.other)
    if options.first_event:
        fields["firstEvent"] = json_string(options.first_event)
    if options.read_ahead is not None:
        fields["readAhead"] = str(options.read_ahead)
    if options.with_data is not None:
        fields["withData"] = "true" if options.with_data else "false"
    if options.batch is not None:
        fields["batch"] = "true" if options.batch else "false"
    if options.batch_timeout:
        fields["batchTimeout"] = json_string(options.batch_timeout)
    pairs = sorted(fields.items(), key=lambda pair: pair[0].encode())
    return f"{{{','.join([f'{json_string(key)}:{value}' for key, value in pairs])}}}"


def subscription_json(subscription: Subscription) -> str:
    """The JSON of a subscription."""
    s = subscription
    ephemeral = ',"ephemeral":true' if s.ephemeral else ""
    return (
        f'{{"id":"{s.id}","namespace":{json_string(s.namespace)},"name":{json_string(s.name)}'
        f',"transport":{json_string(s.transport)},"filter":{filter_json(s.filter)},"options":{options_json(s.options)}'
        f'{ephemeral},"created":{time_json(s.created)},"updated":{time_json(s.updated)}}}'
    )


def check_transport(transport: str) -> str:
    """The transport, `websockets` when empty; `Invalid` FF10266 for `system`, FF10172 for an unknown one."""
    if not transport:
        return WEBSOCKETS
    if transport == "system":
        raise Invalid("FF10266", "Transport 'system' is for the node itself: use websockets or webhooks")
    if transport not in TRANSPORTS:
        raise Invalid("FF10172", f"Unknown transport {transport[:80]!r}: use websockets or webhooks")
    return transport


def check_first_event(text: str) -> str:
    """`text` back if it is empty, `oldest`, `newest` or a number from -1; else `Invalid` FF10191, FF10192."""
    if text in ("", OLDEST, NEWEST):
        return text
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and int(text) < 2**63):
        raise Invalid("FF10191", f"Invalid firstEvent {text[:80]!r}: must be 'oldest', 'newest' or a sequence number")
    if int(text) < -1:
        raise Invalid("FF10192", f"firstEvent must be -1 or above, not {text}")
    return text


class _WireMessageFilter(msgspec.Struct):
    tag: str | None = None
    group: str | None = None
    author: str | None = None


class _WireTransactionFilter(msgspec.Struct):
    type: str | None = None


class _WireBlockchainFilter(msgspec.Struct):
    name: str | None = None
    listener: str | None = None


class _WireFilter(msgspec.Struct):
    events: str | None = None
    message: _WireMessageFilter | None = None
    transaction: _WireTransactionFilter | None = None
    blockchainevent: _WireBlockchainFilter | None = None
    topic: str | None = None
    topics: str | None = None
    tag: str | None = None
    group: str | None = None
    author: str | None = None


class _WireRequest(msgspec.Struct):
    name: str | None = None
    transport: str | None = None
    filter: msgspec.Raw = msgspec.Raw(b"null")
    options: msgspec.Raw = msgspec.Raw(b"null")


class _WireOptions(msgspec.Struct):
    firstEvent: str = ""
    readAhead: ReadAhead | None = None
    withData: bool | None = None
    batch: bool | None = None
    batchTimeout: str = ""


class _WireWebhook(msgspec.Struct):
    url: str | None = None
    headers: dict[str, Any] | None = None
    query: dict[str, Any] | None = None


_REQUEST = msgspec.json.Decoder(_WireRequest)
_FILTER = msgspec.json.Decoder(_WireFilter | None)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_KNOWN = ("firstEvent", "readAhead", "withData", "batch", "batchTimeout")
_FILTER_KEYS: dict[str, tuple[str, ...]] = {
    "": _WireFilter.__struct_fields__,
    "message": _WireMessageFilter.__struct_fields__,
    "transaction": _WireTransactionFilter.__struct_fields__,
    "blockchainevent": _WireBlockchainFilter.__struct_fields__,
}


def _convert(fields: dict[str, str]) -> _WireOptions:
    """The known options from their texts; a number is taken for `firstEvent` and `batchTimeout` too."""
    for key in ("firstEvent", "batchTimeout"):
        if key in fields and fields[key].lstrip("-").isdigit():
            fields[key] = f'"{fields[key]}"'
    text = ",".join([f'"{key}":{value}' for key, value in fields.items() if value != "null"])
    return decode_envelope(f"{{{text}}}", _WIRE_OPTIONS)[0]


def _check_batch_timeout(text: str) -> str:
    if text and parse_duration(text) < 0:
        raise Invalid("FF00137", f"batchTimeout must not be negative, as {text[:80]!r} is")
    return text


def _check_webhook(options: SubscriptionOptions) -> None:
    text = ",".join([f'"{key}":{options.other[key]}' for key in ("url", "headers", "query") if key in options.other])
    webhook, _ = decode_envelope(f"{{{text}}}", _WEBHOOK)
    if not webhook.url:
        raise Invalid("FF10242", "Webhook subscription option 'url' cannot be empty: say where to deliver")
    for kind, values in (("headers", webhook.headers), ("query", webhook.query)):
        for key, value in (values or {}).items():
            if not isinstance(value, str):
                raise Invalid("FF10243", f"Webhook subscription option '{kind}' must be text values, {key!r} is not")
    if options.batch and options.with_data:
        raise Invalid("FF10460", "Webhook subscriptions cannot have both batch and withData: choose one")


def _refuse_unknown(raw: bytes | str, path: str = "") -> None:
    fields, value_text = decode_envelope(raw, _OBJECT)
    for key, value in (fields or {}).items():
        if key not in _FILTER_KEYS[path]:
            where = f"{path}.{key}" if path else key
            known = ", ".join(_FILTER_KEYS[path])
            raise Invalid("FFD2110", f"Unknown filter key {where[:80]!r}: known are {known}")
        if key in _FILTER_KEYS and not path:
            _refuse_unknown(value_text(value), key)


def _object_json(fields: Mapping[str, str]) -> str:
    return "{" + ",".join([f'"{key}":{json_string(text)}' for key, text in fields.items() if text]) + "}"


_WIRE_OPTIONS = msgspec.json.Decoder(_WireOptions)
_WEBHOOK = msgspec.json.Decoder(_WireWebhook)
