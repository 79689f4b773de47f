"""Data: what a message carries. A value, a blob, or both; its hash; and its texts (FireFly reference 1.4, 2.2)."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from ffd.model.canonical import canonical_json, clean_text, decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.ids import normal_hash, normal_uuid, parse_hash, sha256
from ffd.model.times import ZERO_TIME, parse_stored_time, time_json

VALIDATORS = frozenset({"json", "none", "definition"})
Form = Literal["stored", "broadcast", "private"]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class DatatypeRef(msgspec.Struct, frozen=True):
    """The datatype that a value claims to follow; either part may be empty."""

    name: str = ""
    version: str = ""


class BlobRef(msgspec.Struct, frozen=True):
    """A blob that belongs to a data item: its SHA-256 in hex, its size in bytes, what it is called.

    `path` is the folder part of `name`; `public` its reference in shared storage, once it is published.
    """

    hash: str
    size: int
    name: str = ""
    path: str = ""
    public: str = ""


class DataRef(msgspec.Struct, frozen=True):
    """How a message names a data item: its id (lower-case UUID) and the hex of its hash."""

    id: str
    hash: str


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """One data item. `hash` is 32 bytes, `created` nanoseconds (0: the sender gave none), `value` canonical JSON."""

    id: str
    hash: bytes
    created: int
    value: str | None = None
    validator: str = "json"
    datatype: DatatypeRef | None = None
    blob: BlobRef | None = None
    public: str = ""

    @property
    def ref(self) -> DataRef:
        """How messages and manifests name it."""
        return DataRef(self.id, self.hash.hex())


def data_hash(value: str | None, blob_hash: bytes | None) -> bytes:
    """The hash of a data item from its canonical value, its blob's hash, or both; `Invalid` FF00109 with neither."""
    if value is None or value == "null":
        if blob_hash is None:
            raise Invalid("FF00109", "Data value is null: give a value or a blob")
        return blob_hash
    value_hash = sha256(value.encode())
    return value_hash if blob_hash is None else sha256((value_hash.hex() + blob_hash.hex()).encode())


def seal_data(
    id: str,
    created: int,
    value: bytes | str | None,
    *,
    validator: str = "",
    datatype: DatatypeRef | None = None,
    blob: BlobRef | None = None,
) -> Data:
    """A data item as its sender makes it: value canonical, blob named after the value, hashed.

    Raises `Invalid` as `canonical_json`, FF00108 for an unknown validator, FF00109 without value and blob.
    """
    text = None if value is None else canonical_json(value)
    if text == "null":
        text = None
    if blob is not None:
        name = "" if text is None else blob_name(text)
        blob = BlobRef(blob.hash, blob.size, name, blob_path(name), blob.public)
    return Data(
        id=id,
        hash=data_hash(text, None if blob is None else parse_hash(blob.hash)),
        created=created,
        value=text,
        validator=check_validator(validator),
        datatype=datatype,
        blob=blob,
    )


def check_validator(text: str) -> str:
    """The validator in lower case, `json` when empty; `Invalid` FF00108 when it is not one of `VALIDATORS`."""
    if not text or text == "json":
        return "json"
    validator = text.lower()
    if validator not in VALIDATORS:
        raise Invalid("FF00108", f"Unknown validator type: {text[:80]!r}, use json, none or definition")
    return validator


def data_json(data: Data, *, namespace: str | None = None, form: Form = "stored") -> str:
    """The JSON of a data item: as `stored` and shown by REST (with the local `namespace`), or as it is in a batch.

    Batches leave out namespace and `public`; private ones also reduce the blob to hash, size and name.
    """
    parts = [f'{{"id":"{data.id}","validator":"{data.validator}"']
    if namespace and form == "stored":
        parts.append(f',"namespace":{json_string(namespace)}')
    parts.append(f',"hash":"{data.hash.hex()}"')
    if data.created:
        parts.append(f',"created":{time_json(data.created)}')
    if data.datatype is not None:
        parts.append(f',"datatype":{_datatype_json(data.datatype)}')
    parts.append(f',"value":{"null" if data.value is None else data.value}')
    if data.public and form == "stored":
        parts.append(f',"public":{json_string(data.public)}')
    if data.blob is not None:
        parts.append(f',"blob":{_blob_json(data.blob, form)}')
    parts.append("}")
    return "".join(parts)


def refs_json(refs: Iterable[DataRef]) -> str:
    """The JSON array of data references that `header.datahash` is the hash of."""
    return "[" + ",".join([f'{{"id":"{ref.id}","hash":"{ref.hash}"}}' for ref in refs]) + "]"


def check_refs(refs: Sequence[DataRef]) -> Sequence[DataRef]:
    """`refs` back if each has id and hash (else FF00128) and no id comes twice (FF00129)."""
    for index, ref in enumerate(refs):
        if not ref.id or not ref.hash:
            raise Invalid("FF00128", f"Null reference in message data: data[{index}] needs both id and hash")
    if len(refs) > 1 and len({ref.id for ref in refs}) < len(refs):
        raise Invalid("FF00129", "Duplicate data ID in message: reference each data item once")
    return refs


def parse_refs(raw: bytes | str) -> tuple[DataRef, ...]:
    """Data references from their JSON array, normalised but not checked: an absent id or hash is empty."""
    return read_refs(decode_envelope(raw, _REFS)[0])


def parse_data(raw: bytes | str) -> Data:
    """A data item from its JSON, in any of its forms; its value is made canonical, its hash is not compared.

    Raises `Invalid` for what is not JSON, has wrong types, no id or no hash, or an unknown validator.
    """
    wire, value_text = decode_envelope(raw, _DATA)
    return read_data(wire, value_text(wire.value))


def blob_name(value: str) -> str:
    """What a blob is called by the value beside it: `name`, else `path`/`filename`, else `filename`, else nothing.

    Numbers and booleans count by their text; a value with half of a surrogate pair names nothing.
    """
    try:
        fields = _NAMING.decode(value)
    except msgspec.DecodeError:
        return ""
    except RecursionError:  # how deep it takes depends on the Python
        try:
            fields, _ = decode_envelope(value, _NAMING)
        except Invalid:
            return ""
    name, path, filename = _text_of(fields.name), _text_of(fields.path), _text_of(fields.filename)
    if name:
        return name
    return f"{path}/{filename}" if path and filename else filename


def blob_path(name: str) -> str:
    """The folder of a blob's name, rooted: `a/b/f` is in `/a/b`, `f` in `/`; nothing for no name."""
    if not name:
        return ""
    return ("/" + name.removeprefix("/")).rpartition("/")[0] or "/"


class WireRef(msgspec.Struct):
    """A data reference as it arrives."""

    id: str | None = None
    hash: str | None = None


class WireBlob(msgspec.Struct):
    """A blob reference as it arrives."""

    hash: str | None = None
    size: Int64 = 0
    name: str | None = None
    path: str | None = None
    public: str | None = None


class WireDatatype(msgspec.Struct):
    """A datatype reference as it arrives."""

    name: str | None = None
    version: str | None = None


class WireData(msgspec.Struct):
    """A data item as it arrives, its value still a piece of the text it came in."""

    id: str | None = None
    validator: str | None = None
    hash: str | None = None
    created: str | None = None
    datatype: WireDatatype | None = None
    value: msgspec.Raw = msgspec.Raw(b"null")
    public: str | None = None
    blob: WireBlob | None = None


def read_refs(wire: Iterable[WireRef | None] | None) -> tuple[DataRef, ...]:
    """References in normal form; an absent id or hash is empty."""
    return tuple([_read_ref(ref) for ref in wire or ()])


def read_data(wire: WireData, value: str) -> Data:
    """A data item in normal form, from what arrived and its canonical value."""
    if wire.id is None or wire.hash is None:
        raise Invalid("FF00128", "Null reference in message data: a data item needs both id and hash")
    created = 0 if wire.created is None else parse_stored_time(wire.created)
    return Data(
        id=normal_uuid(wire.id),
        hash=parse_hash(wire.hash),
        created=0 if created == ZERO_TIME else created,
        value=None if value == "null" else value,
        validator=check_validator(wire.validator or ""),
        datatype=None if wire.datatype is None else _read_datatype(wire.datatype),
        blob=None if wire.blob is None else _read_blob(wire.blob),
        public=wire.public or "",
    )


def _read_ref(wire: WireRef | None) -> DataRef:
    if wire is None:
        return DataRef("", "")
    return DataRef(
        "" if wire.id is None else normal_uuid(wire.id),
        "" if wire.hash is None else normal_hash(wire.hash),
    )


def _read_blob(wire: WireBlob) -> BlobRef:
    hash_text = "" if wire.hash is None else normal_hash(wire.hash)
    return BlobRef(hash_text, wire.size, wire.name or "", wire.path or "", wire.public or "")


def _read_datatype(wire: WireDatatype) -> DatatypeRef:
    return DatatypeRef(wire.name or "", wire.version or "")


def _datatype_json(datatype: DatatypeRef) -> str:
    parts = []
    if datatype.name:
        parts.append(f'"name":{json_string(datatype.name)}')
    if datatype.version:
        parts.append(f'"version":{json_string(datatype.version)}')
    return f"{{{','.join(parts)}}}"


def _blob_json(blob: BlobRef, form: Form) -> str:
    hash_text = f'"{blob.hash}"' if blob.hash else "null"
    text = f'{{"hash":{hash_text},"size":{blob.size},"name":{json_string(blob.name)}'
    if form != "private":
        if blob.path:
            text += f',"path":{json_string(blob.path)}'
        if blob.public:
            text += f',"public":{json_string(blob.public)}'
    return text + "}"


def _text_of(value: Any) -> str:
    """Go's text of a JSON field (`JSONObject.GetString`): numbers are float64, written without an exponent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{Decimal(repr(float(value))).normalize():f}"
    return clean_text(value) if isinstance(value, str) else ""


class _Naming(msgspec.Struct):
    name: Any = None
    path: Any = None
    filename: Any = None


_DATA = msgspec.json.Decoder(WireData)
_REFS = msgspec.json.Decoder(list[WireRef | None])
_NAMING = msgspec.json.Decoder(_Naming)
