"""Ids and hashes: how they are made, read and printed. Raw bytes inside (16 and 32), lower-case text in JSON."""

import hashlib
import re
from functools import lru_cache

from ffd.model.errors import Invalid

HASH_BYTES = 32

_NORMAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NORMAL_HASH = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_HEX32 = re.compile(r"[0-9a-fA-F]{32}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def sha256(data: bytes) -> bytes:
    """The 32 bytes of SHA-256 over `data`."""
    return hashlib.sha256(data).digest()


def stand_in_id(id: bytes, hash: bytes) -> bytes:
    """The 16 bytes under which a node keeps what has this hash, when it has something else under its own id already.

    An id is what its sender chose, and who has heard of one can use it again. So nobody's content is kept out by that.
    """
    return sha256(id + hash)[:16]


def format_uuid(raw: bytes) -> str:
    """The lower-case 8-4-4-4-12 text of 16 bytes."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@lru_cache(maxsize=512)
def format_shared_uuid(raw: bytes) -> str:
    """`format_uuid` for the id of something that many things name, like a batch or a transaction."""
    return format_uuid(raw)


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of a UUID, in every spelling that FireFly's Go library takes; else `Invalid` FF00138.

    These are 8-4-4-4-12 digits of any case; the same behind `urn:uuid:`; the same between any two characters (meant
    for braces, which the library does not look at); and 32 digits.
    """
    if _UUID.fullmatch(text):
        return bytes.fromhex(text.replace("-", ""))
    inner = _uuid_inside(text)
    if inner is None:
        raise Invalid("FF00138", f"Invalid UUID supplied: {_shown(text)}, write 8-4-4-4-12 hex digits")
    return bytes.fromhex(inner.replace("-", ""))


def parse_hash(text: str) -> bytes:
    """The 32 bytes of 64 hex digits of any case, `0x` allowed; else `Invalid` FF00106 (not hex), FF00107 (length)."""
    if _NORMAL_HASH.fullmatch(text):
        return bytes.fromhex(text)
    digits = text.removeprefix("0x")
    if not _HEX.fullmatch(digits):
        raise Invalid("FF00106", f"Invalid hex supplied: {_shown(text)} must be 64 hex digits")
    if len(digits) != 2 * HASH_BYTES:
        raise Invalid("FF00107", f"Byte length must be 32 (64 hex digits): {_shown(text)} has {len(digits)} digits")
    return bytes.fromhex(digits)


def normal_uuid(text: str) -> str:
    """The lower-case text of any spelling that `parse_uuid` takes."""
    return text if _NORMAL_UUID.fullmatch(text) else format_uuid(parse_uuid(text))


def normal_hash(text: str) -> str:
    """The lower-case hex of any spelling that `parse_hash` takes."""
    return text if _NORMAL_HASH.fullmatch(text) else parse_hash(text).hex()


def _uuid_inside(text: str) -> str | None:
    if len(text) == 45 and text[:9].lower() == "urn:uuid:":
        inner = text[9:]
    elif len(text) == 38 and text.isascii():
        inner = text[1:37]
    else:
        return text if _HEX32.fullmatch(text) else None
    return inner if _UUID.fullmatch(inner) else None


def _shown(text: str) -> str:
    """`text` quoted for an error, cut when it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
