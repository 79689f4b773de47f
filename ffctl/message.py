"""The messages that ffctl sends: their text from the command line, from lines, from NDJSON objects."""

from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from typing import Any

import msgspec

from ffctl.failure import bad_input
from ffctl.recipients import Recipients


class _Object(msgspec.Struct, forbid_unknown_fields=True):
    """A line of NDJSON: what it does not say is taken from the command line."""

    topic: str | None = None
    topics: list[str] | None = None
    tag: str | None = None
    cid: str | None = None
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: list[msgspec.Raw] | None = None
    header: dict[str, msgspec.Raw] | None = None
    idempotencyKey: str | None = None


_read_object = msgspec.json.Decoder(_Object).decode
_read_value = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the command line says about every message; gives the JSON of a message around a value."""

    topics: tuple[str, ...] = ()
    tag: str | None = None
    cid: str | None = None
    key: str | None = None
    author: str | None = None
    whom: Recipients = Recipients()
    txtype: str | None = None
    type: str | None = None

    def of_text(self, text: str, key: str | None = None) -> str:
        """A message whose value is this text."""
        return self._around(quoted(text), key or self.key)

    def of_json(self, raw: str, key: str | None = None) -> str:
        """A message whose value is this JSON; `Failure` when it is none."""
        try:
            _read_value(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            if not _is_json(raw):
                raise bad_input(f"{_short(raw)} is not JSON: {error}", "leave --json out to send it as text") from None
        return self._around(raw, key or self.key)

    def of_object(self, raw: str, key: str | None = None) -> str:
        """A message from an object like {"topic": "t", "value": 1}, or FireFly's {"header": …, "data": …}."""
        try:
            found = _read_object(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            hint = 'each line is like {"topic": "news", "tag": "x", "value": {"any": "JSON"}}'
            raise bad_input(f"{_short(raw)} is not a message: {error}", hint) from None
        return self._of(found, raw, key or self.key)

    def _of(self, found: _Object, raw: str, key: str | None) -> str:
        if (found.value is msgspec.UNSET) == (found.data is None):
            raise bad_input(f"{_short(raw)} needs one of `value` and `data`")
        topics = found.topics or ([found.topic] if found.topic is not None else list(self.topics))
        header: dict[str, Any] = {}
        if topics:
            header["topics"] = topics
        header |= _header(self) | {name: text for name, text in (("tag", found.tag), ("cid", found.cid)) if text}
        header |= found.header or {}
        message: dict[str, Any] = {"header": header}
        if self.whom.members:
            message["group"] = _group(self.whom)
        message["data"] = found.data if found.data is not None else [{"value": found.value}]
        if key := found.idempotencyKey or key:
            message["idempotencyKey"] = key
        return msgspec.json.encode(message).decode()

    def _around(self, value: str, key: str | None) -> str:
        start, end = _wrap(self)
        return f'{start}{value}{end},"idempotencyKey":{quoted(key)}}}' if key else f"{start}{value}{end}}}"


def _is_json(raw: str) -> bool:
    """Whether it is JSON that msgspec does not read: half a surrogate pair, or great depth."""
    from ffd.model.canonical import canonical_json
    from ffd.model.errors import Invalid

    try:
        canonical_json(raw)
    except Invalid:
        return False
    return True


_wraps: dict[Envelope, tuple[str, str]] = {}


def _wrap(envelope: Envelope) -> tuple[str, str]:
    """What stands before and after the value: made once, since a stream sends a hundred thousand of them."""
    if envelope not in _wraps:
        fields = [f'"topics":[{",".join(map(quoted, envelope.topics))}]'] if envelope.topics else []
        fields += [f'"{name}":{quoted(text)}' for name, text in _header(envelope).items()]
        group = f',"group":{msgspec.json.encode(_group(envelope.whom)).decode()}' if envelope.whom.members else ""
        _wraps[envelope] = (f'{{"header":{{{",".join(fields)}}},"data":[{{"value":', f"}}]{group}")
    return _wraps[envelope]


def _header(envelope: Envelope) -> dict[str, str]:
    """What the command line says in texts."""
    texts = {
        "tag": envelope.tag, "cid": envelope.cid, "author": envelope.author, "group": envelope.whom.group,
        "txtype": envelope.txtype, "type": envelope.type,
    }  # fmt: skip
    return {name: text for name, text in texts.items() if text is not None}


def _group(whom: Recipients) -> dict[str, Any]:
    """FireFly's InputGroup."""
    members = [{"identity": identity} | ({"node": node} if node else {}) for identity, node in whom.members]
    return ({"name": whom.name} if whom.name else {}) | {"members": members}


def _short(raw: str) -> str:
    return repr(raw if len(raw) <= 60 else raw[:57] + "…")
