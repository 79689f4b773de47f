"""Messages: the header that is hashed, sealing, verifying, and the texts (FireFly reference 1.4, 2.3).

A header's text is the one thing that every member must write alike: field order, omission and escaping are Go's.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from ffd.model.canonical import decode_envelope, json_string
from ffd.model.data import DataRef, check_refs, refs_json
from ffd.model.errors import Invalid
from ffd.model.ids import normal_hash, normal_uuid, sha256
from ffd.model.names import DEFAULT_TOPICS, check_tag, check_topics
from ffd.model.times import format_time, normal_time

BROADCAST, PRIVATE, DEFINITION, GROUP_INIT = "broadcast", "private", "definition", "groupinit"
MESSAGE_TYPES = (
    DEFINITION, BROADCAST, PRIVATE, GROUP_INIT,
    "transfer_broadcast", "transfer_private", "approval_broadcast", "approval_private",
)  # fmt: skip
"""What a message can be; the last four are deprecated and still accepted on the wire."""
PRIVATE_TYPES = frozenset({PRIVATE, GROUP_INIT, "transfer_private", "approval_private"})
"""What only goes to the members of a group."""
STAGED, READY, SENT, PENDING, CONFIRMED, REJECTED, CANCELLED = MESSAGE_STATES = (
    "staged", "ready", "sent", "pending", "confirmed", "rejected", "cancelled",
)  # fmt: skip
BATCH_PIN, UNPINNED, CONTRACT_INVOKE_PIN = SEALABLE_TX_TYPES = ("batch_pin", "unpinned", "contract_invoke_pin")
"""Transaction types that may carry a message."""
NONE = "none"
"""Another name for `unpinned`, where an app sends a private message; no sealed header has it."""
DATA_PUBLISH = "data_publish"
TAG_GAP_FILL = "ff_gap_fill"
"""Of a message without content that takes the place of a private one, named by its `cid`, that can never be sent."""

_KEPT_LENGTH_MAX = 1024


class TxParent(msgspec.Struct, frozen=True):
    """The FireFly transaction that a message belongs to, such as a token transfer; `id` may be empty."""

    type: str
    id: str = ""


class Header(msgspec.Struct, frozen=True):
    """The hashed part of a message, its fields in the order of the text, each in normal form, empty when absent.

    Ids are lower-case UUIDs, hashes (`group`, `datahash`) 64 hex digits, `created` is `format_time`'s text.
    """

    id: str = ""
    cid: str = ""
    type: str = BROADCAST
    txtype: str = ""
    author: str = ""
    key: str = ""
    created: str = ""
    namespace: str = ""
    group: str = ""
    topics: tuple[str, ...] = ()
    tag: str = ""
    datahash: str = ""
    txparent: TxParent | None = None


class Sealed(msgspec.Struct, frozen=True):
    """A message whose content is fixed: complete header, the two texts that were hashed, and the 32-byte hash."""

    header: Header
    header_json: str
    refs_json: str
    hash: bytes


class WireTxParent(msgspec.Struct):
    """`txparent` as it arrives."""

    type: str | None = None
    id: str | None = None


class WireHeader(msgspec.Struct):
    """A header as it arrives: any spelling, `null` for absent, unknown keys dropped."""

    id: str | None = None
    cid: str | None = None
    type: str | None = None
    txtype: str | None = None
    author: str | None = None
    key: str | None = None
    created: str | None = None
    namespace: str | None = None
    group: str | None = None
    topics: list[str | None] | None = None
    tag: str | None = None
    datahash: str | None = None
    txparent: WireTxParent | None = None


def seal(header: Header, refs: Sequence[DataRef]) -> Sealed:
    """Complete the header (transaction type `batch_pin`, topic `default`, data hash), check it, and hash it.

    Raises `Invalid` FF00128, FF00129 (data), FF00130 (transaction type), FF00133 to FF00135 (topics), FF00140 (names).
    """
    topics = check_topics(header.topics) or DEFAULT_TOPICS
    txtype = header.txtype or BATCH_PIN
    _check_fields(header, txtype)
    refs_text = refs_json(check_refs(refs))
    sealed = Header(
        header.id, header.cid, header.type, txtype, header.author, header.key, header.created, header.namespace,
        header.group, topics, header.tag, sha256(refs_text.encode()).hex(), header.txparent,
    )  # fmt: skip
    text = header_json(sealed)
    return Sealed(sealed, text, refs_text, sha256(text.encode()))


def verify(header: Header, refs: Sequence[DataRef], hash: bytes) -> None:
    """Refuse a received message that its sender may not have sealed so (reference 2.3).

    Raises what `seal` raises; FF00131 when `hash` or `datahash` is missing, FF00132 when one of them is wrong.
    """
    check_verified(header, header_json(header), refs, refs_json(refs), hash)


def check_verified(header: Header, header_text: str, refs: Sequence[DataRef], refs_text: str, hash: bytes) -> None:
    """`verify` for a caller that has the two texts already."""
    check_topics(header.topics)
    _check_fields(header, header.txtype)
    check_refs(refs)
    if not hash or not header.datahash:
        raise Invalid("FF00131", f"Invalid message '{header.id}': hash and datahash are required")
    if sha256(header_text.encode()) != hash:
        raise Invalid("FF00132", f"Invalid message '{header.id}': its hash is not that of its header")
    if sha256(refs_text.encode()).hex() != header.datahash:
        raise Invalid("FF00132", f"Invalid message '{header.id}': its datahash is not that of its data")


def header_json(header: Header) -> str:
    """The text of a header: the bytes that are hashed."""
    h = header
    id_and_cid = f'"id":"{h.id}",' if h.id else ""
    if h.cid:
        id_and_cid += f'"cid":"{h.cid}",'
    created = f',"created":"{h.created}"' if h.created else ""
    datahash = f',"datahash":"{h.datahash}"' if h.datahash else ""
    txparent = "" if h.txparent is None else _txparent_json(h.txparent)
    signer = _signer_json(h.type, h.txtype, h.author, h.key)
    line = _line_json(h.namespace, h.group, h.topics, h.tag)
    return f"{{{id_and_cid}{signer}{created}{line}{datahash}{txparent}}}"


def parse_header(raw: bytes | str) -> Header:
    """A header from JSON in any spelling that FireFly takes, in normal form; not checked any further.

    Raises `Invalid` for what is not JSON or has wrong types, FF00138 (id), FF00106/7 (hash), FF00136 (time).
    """
    wire, _ = decode_envelope(raw, _HEADER)
    return read_header(wire)


def read_header(wire: WireHeader) -> Header:
    """A header in normal form: enums in lower case, ids, hashes and times respelled."""
    return Header(
        "" if wire.id is None else normal_uuid(wire.id),
        "" if wire.cid is None else normal_uuid(wire.cid),
        (wire.type or "").lower(),
        (wire.txtype or "").lower(),
        wire.author or "",
        wire.key or "",
        "" if wire.created is None else normal_time(wire.created),
        wire.namespace or "",
        "" if wire.group is None else normal_hash(wire.group),
        _read_topics(wire.topics),
        wire.tag or "",
        "" if wire.datahash is None else normal_hash(wire.datahash),
        None if wire.txparent is None else _read_txparent(wire.txparent),
    )


def message_json(
    header_text: str,
    hash: bytes,
    refs_text: str,
    *,
    local_namespace: str = "",
    batch: str = "",
    txid: str = "",
    state: str = "",
    confirmed: int | None = None,
    reject_reason: str = "",
    pins: Sequence[str] = (),
    idempotency_key: str = "",
    data_last: bool = False,
) -> str:
    """The JSON of a message from its stored texts. With nothing but `pins` (and `txid`) it is the form in a batch.

    `data_last` puts the data where FireFly's MessageInOut has it: at the end, and not at all when there is none.
    """
    parts = [f'{{"header":{header_text}']
    if local_namespace:
        parts.append(f',"localNamespace":{_namespace_string(local_namespace)}')
    parts.append(f',"hash":"{hash.hex()}"')
    if batch:
        parts.append(f',"batch":"{batch}"')
    if txid:
        parts.append(f',"txid":"{txid}"')
    if state:
        parts.append(f',"state":"{state}"')
    if confirmed is not None:
        parts.append(f',"confirmed":"{format_time(confirmed)}"')
    if reject_reason:
        parts.append(f',"rejectReason":{json_string(reject_reason)}')
    if not data_last:
        parts.append(f',"data":{refs_text}')
    if pins:
        parts.append(f',"pins":{strings_json(pins)}')
    if idempotency_key:
        parts.append(f',"idempotencyKey":{json_string(idempotency_key)}')
    if data_last and refs_text != "[]":
        parts.append(f',"data":{refs_text}')
    parts.append("}")
    return "".join(parts)


_namespace_string = lru_cache(maxsize=256)(json_string)


def strings_json(texts: Sequence[str]) -> str:
    """A JSON array of strings."""
    return f"[{','.join([json_string(text) for text in texts])}]"


def id_of(header_text: str) -> str:
    """The id in the text of a sealed header, which always comes first in it."""
    return header_text[7:43]


def _check_fields(header: Header, txtype: str) -> None:
    if txtype not in SEALABLE_TX_TYPES:
        raise Invalid(
            "FF00130", f"Invalid transaction type for sending a message: {txtype[:80]!r}, use batch_pin or unpinned"
        )
    check_tag(header.tag)


# Most messages share these two parts with those before, so they are kept; but not what a stranger made very long.


def _signer_json(type: str, txtype: str, author: str, key: str) -> str:
    try:
        return _kept_signer_json(type, txtype, author, key)
    except _TooLongToKeep as long:
        return long.text


@lru_cache(maxsize=1024)
def _kept_signer_json(type: str, txtype: str, author: str, key: str) -> str:
    parts = [f'"type":{json_string(type)}']
    if txtype:
        parts.append(f'"txtype":{json_string(txtype)}')
    if author:
        parts.append(f'"author":{json_string(author)}')
    if key:
        parts.append(f'"key":{json_string(key)}')
    return _keep(",".join(parts))


def _line_json(namespace: str, group: str, topics: tuple[str, ...], tag: str) -> str:
    try:
        return _kept_line_json(namespace, group, topics, tag)
    except _TooLongToKeep as long:
        return long.text


@lru_cache(maxsize=4096)
def _kept_line_json(namespace: str, group: str, topics: tuple[str, ...], tag: str) -> str:
    parts = []
    if namespace:
        parts.append(f',"namespace":{json_string(namespace)}')
    if group:
        parts.append(f',"group":"{group}"')
    if topics:
        parts.append(f',"topics":{strings_json(topics)}')
    if tag:
        parts.append(f',"tag":{json_string(tag)}')
    return _keep("".join(parts))


class _TooLongToKeep(Exception):
    """Leaves a cache with its result but without a trace in it."""

    def __init__(self, text: str) -> None:
        self.text = text


def _keep(text: str) -> str:
    if len(text) > _KEPT_LENGTH_MAX:
        raise _TooLongToKeep(text)
    return text


def _read_topics(topics: Sequence[str | None] | None) -> tuple[str, ...]:
    return tuple([topic or "" for topic in topics]) if topics else ()


def _read_txparent(wire: WireTxParent) -> TxParent:
    return TxParent((wire.type or "").lower(), "" if wire.id is None else normal_uuid(wire.id))


def _txparent_json(parent: TxParent) -> str:
    id_part = f',"id":"{parent.id}"' if parent.id else ""
    return f',"txparent":{{"type":{json_string(parent.type)}{id_part}}}'


_HEADER = msgspec.json.Decoder(WireHeader)
