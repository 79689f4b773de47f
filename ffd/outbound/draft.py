"""What an app sends: the envelope is read strictly typed, the values stay the sender's own text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from ffd.model.canonical import ValueText, decode_envelope
from ffd.model.data import WireBlob, WireDatatype
from ffd.model.errors import Invalid
from ffd.model.message import PRIVATE, WireHeader

IDEMPOTENCY_KEY_MAX = 256
"""Characters of an idempotency key: FireFly's column."""
LARGE_BYTES = 256 * 1024
"""What is longer is counted before it is read: eight megabytes of `{},` would become a gigabyte of objects."""
ITEMS_MAX = 10_000
"""Messages in a frame, data items in a request or a frame, recipients of a message: none of any sense has more."""


class WireItem(msgspec.Struct):
    """A data item of a message being sent: a reference by `id`, or a value (FireFly's DataRefOrValue)."""

    id: str | None = None
    hash: str | None = None
    validator: str | None = None
    datatype: WireDatatype | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    blob: WireBlob | None = None


class WireMessage(msgspec.Struct):
    """A message being sent (FireFly's MessageInOut); what the sender may not set is dropped."""

    header: WireHeader | None = None
    data: list[WireItem] | None = None
    idempotencyKey: str | None = None


class WireMember(msgspec.Struct):
    """A recipient: an identity by its look-up string, and perhaps the node that receives for it."""

    identity: str | None = None
    node: str | None = None


class WireGroup(msgspec.Struct):
    """The recipients of a private message (FireFly's InputGroup)."""

    name: str | None = None
    members: list[WireMember] | None = None


class WirePrivate(WireMessage):
    """A private message being sent."""

    group: WireGroup | None = None


class WireSend(msgspec.Struct, tag_field="type", tag="send"):
    """A `send` frame: a list of messages for one namespace, and a text that its answer carries."""

    messages: list[WirePrivate]
    id: str = ""
    namespace: str = ""


class Draft(msgspec.Struct):
    """One message as it was sent, with the way to its values' texts; `large` when its size is in doubt.

    `to` are the recipients of a private one, who may also be named by `header.group`; a broadcast has none.
    """

    header: WireHeader
    items: Sequence[WireItem]
    idempotency_key: str | None
    value_text: ValueText
    large: bool = False
    to: WireGroup | None = None


def parse_message(raw: bytes) -> Draft:
    """The message in a request body. Raises Invalid, as `decode_envelope` does."""
    large = _counted(raw, _MESSAGE_SHAPE)
    wire, value_text = decode_envelope(raw, _MESSAGE)
    return _draft(wire, value_text, large)


def parse_private(raw: bytes) -> Draft:
    """The private message in a request body. Raises Invalid, as `decode_envelope` does."""
    large = _counted(raw, _MESSAGE_SHAPE)
    wire, value_text = decode_envelope(raw, _PRIVATE)
    return _draft(wire, value_text, large, wire.group or WireGroup())


def parse_item(raw: bytes) -> tuple[WireItem, ValueText]:
    """A data item by itself, and the way to its value's text. Raises Invalid, as `decode_envelope` does."""
    return decode_envelope(raw, _ITEM)


def parse_send(raw: bytes) -> tuple[WireSend, list[Draft]]:
    """A `send` frame and its messages, of which those with recipients are private.

    Raises Invalid, and then nothing of the frame was taken.
    """
    large = _counted(raw, _SEND_SHAPE)
    wire, value_text = decode_envelope(raw, _SEND)
    if large and sum(len(message.data or ()) for message in wire.messages) > ITEMS_MAX:
        raise Invalid("FFD2037", f"The frame has more than {ITEMS_MAX} data items: send them in several frames")
    return wire, [_draft(message, value_text, large, _recipients(message)) for message in wire.messages]


def _draft(wire: WireMessage, value_text: ValueText, large: bool, to: WireGroup | None = None) -> Draft:
    return Draft(wire.header or WireHeader(), wire.data or (), wire.idempotencyKey or None, value_text, large, to)


def _recipients(wire: WirePrivate) -> WireGroup | None:
    """Whoever says anything of a group, or of a private message, does not mean everybody."""
    header = wire.header
    if wire.group is not None or header is None:
        return wire.group
    private = header.group or (header.type or "").lower() == PRIVATE
    return WireGroup() if private else None


def _counted(raw: bytes, shape: msgspec.json.Decoder[Any]) -> bool:
    """Is it a large one? Then its lists are counted. Raises Invalid FFD2104 when one has more than `ITEMS_MAX`."""
    if len(raw) <= LARGE_BYTES:
        return False
    decode_envelope(raw, shape)
    return True


class _Thing(msgspec.Struct, gc=False):
    """Anything that is an object, at the cost of two words."""


_Things = Annotated[list[_Thing], msgspec.Meta(max_length=ITEMS_MAX)]


class _GroupShape(msgspec.Struct):
    members: _Things | None = None


class _MessageShape(msgspec.Struct):
    data: _Things | None = None
    group: _GroupShape | None = None


class _SendShape(msgspec.Struct):
    messages: Annotated[list[_MessageShape], msgspec.Meta(max_length=ITEMS_MAX)] | None = None


def check_idempotency_key(key: str | None) -> None:
    """Raises Invalid when the key is too long to be kept."""
    if key is not None and len(key) > IDEMPOTENCY_KEY_MAX:
        raise Invalid("FF00135", f"Field 'idempotencyKey' has {len(key)} characters: {IDEMPOTENCY_KEY_MAX} at most")


_MESSAGE = msgspec.json.Decoder(WireMessage)
_PRIVATE = msgspec.json.Decoder(WirePrivate)
_ITEM = msgspec.json.Decoder(WireItem)
_SEND = msgspec.json.Decoder(WireSend)
_MESSAGE_SHAPE = msgspec.json.Decoder(_MessageShape)
_SEND_SHAPE = msgspec.json.Decoder(_SendShape)
