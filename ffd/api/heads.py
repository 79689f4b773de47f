"""The head of an HTTP/1.1 request, taken strictly, and where its body ends. No I/O.

h11, below Hypercorn, is lenient where two parsers can disagree: bare line feeds, both `Content-Length` and
`Transfer-Encoding`, folded lines. Such a request is refused here (RFC 9112 2.2, 5, 6.1), so no other reading of it
matters, and no byte of one request is ever taken for the next.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from ffd.api import refusals
from ffd.api.limits import DoorLimits
from ffd.model.errors import FfdError, Full, Invalid

WEBSOCKET_VERSION = "13"

_END = b"\r\n\r\n"
_TLS_HANDSHAKE = 0x16
_FIRST = frozenset(b"!#$%&'*+.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-\r\n")
_BARE_FEED = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_BAD_PATH = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])|%(?![0-9A-Fa-f]{2})")
_HIDDEN_SLASH = re.compile(r"/api/v1/namespaces/[^/]*%2[Ff]")
_WEBSOCKET_PATH = re.compile(r"/ws|/api/v1/namespaces/[^/]+/ws")
_UPLOAD_PATH = re.compile(r"/api/v1/(?:namespaces/[^/]+/)?data")
_WEBSOCKET_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_CHUNK_LINE_MAX = 10
_NOT_FORWARDED = ("upgrade", "http2-settings")


@dataclass(frozen=True, slots=True)
class Head:
    """One request's head: names of headers in lower case, values as text (latin-1), `length` None when chunked."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    length: int | None

    @property
    def path(self) -> str:
        """The target up to the query, as it was sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The raw query string, without its `?`."""
        return self.target.partition("?")[2]

    def values(self, name: str) -> list[str]:
        """The values of all headers of that (lower-case) name, in order."""
        return [value for header, value in self.headers if header == name]

    @property
    def upgrades(self) -> bool:
        """Does it ask for a WebSocket where there is one?"""
        options = {option.strip().lower() for value in self.values("connection") for option in value.split(",")}
        return (
            "upgrade" in options
            and [value.lower() for value in self.values("upgrade")] == ["websocket"]
            and is_websocket_path(self.path)
        )


def is_websocket_path(path: str) -> bool:
    """Is it `/ws`, or the same of one namespace?"""
    return _WEBSOCKET_PATH.fullmatch(path) is not None


def is_upload(head: Head) -> bool:
    """Is its body one that is taken in piece by piece?"""
    kinds = [value.partition(";")[0].strip().lower() for value in head.values("content-type")]
    return head.method == "POST" and kinds == ["multipart/form-data"] and _UPLOAD_PATH.fullmatch(head.path) is not None


def find_end(buffer: bytearray, searched: int, limits: DoorLimits) -> int | None:
    """Where the head that starts the buffer ends, or None if more must come; `searched` bytes were looked at before.

    Raises at a first byte that begins no request, at the first bare line feed and beyond `head_bytes_max`, without
    waiting for the end.
    """
    if not searched and buffer:
        _check_first(buffer[0])
    found = buffer.find(_END, max(0, searched - len(_END) + 1))
    end = found + len(_END) if found >= 0 else len(buffer)
    if _BARE_FEED.search(buffer, searched, end):
        raise Invalid(refusals.MALFORMED, "The head of the request has a bare line feed: end its lines with CR LF")
    if end > limits.head_bytes_max:
        raise Full(
            refusals.HEAD_TOO_LARGE, f"The head of the request is longer than {limits.head_bytes_max} bytes: shorten it"
        )
    return end if found >= 0 else None


def _check_first(byte: int) -> None:
    """Who speaks another protocol often waits for our answer before it says more."""
    if byte == _TLS_HANDSHAKE:
        raise Invalid(refusals.NOT_TLS, "No TLS is spoken at this port: use http or ws")
    if byte not in _FIRST:
        raise _malformed(f"it begins with byte 0x{byte:02x}")


def parse_head(raw: bytes, limits: DoorLimits) -> Head:
    """The head in `raw`, which ends with its empty line; raises what refuses it."""
    first, *lines = raw[: -len(_END)].split(b"\r\n")
    method, target, version = _request_line(first, limits)
    if len(lines) > limits.headers_max:
        raise Full(
            refusals.HEAD_TOO_LARGE, f"The request has {len(lines)} headers: {limits.headers_max} are the most taken"
        )
    headers = tuple(_header(line) for line in lines)
    head = Head(method, target, version, headers, None)
    if len(head.values("host")) != 1 and version == "1.1":
        raise _malformed("it needs one Host header")
    return Head(method, target, version, headers, _body_length(head))


def forwarded(head: Head, raw: bytes) -> bytes:
    """The head for Hypercorn: as it came, but for offers to change the protocol, which HTTP lets a server ignore."""
    if not any(name in _NOT_FORWARDED for name, _ in head.headers):
        return raw
    first, *lines = raw[: -len(_END)].split(b"\r\n")
    kept = [line for line, (name, _) in zip(lines, head.headers, strict=True) if name not in _NOT_FORWARDED]
    return b"\r\n".join([first, *kept]) + _END


def handshake(head: Head) -> bytes:
    """A WebSocket request for trio-websocket with what it needs and no more (so nothing is ever negotiated).

    Raises FFD2010 for what is no handshake (RFC 6455 4.2.1), FFD2009 for another version.
    """
    if head.values("sec-websocket-version") != [WEBSOCKET_VERSION]:
        raise Invalid(refusals.UPGRADE_NEEDED, f"Sec-WebSocket-Version must be {WEBSOCKET_VERSION}")
    keys = head.values("sec-websocket-key")
    if head.method != "GET" or head.version != "1.1" or head.length != 0:
        raise Invalid(refusals.HANDSHAKE, "A WebSocket is opened by GET in HTTP/1.1 without a body")
    if len(keys) != 1 or not _WEBSOCKET_KEY.fullmatch(keys[0]):
        raise Invalid(refusals.HANDSHAKE, "Sec-WebSocket-Key must be 16 bytes in base64")
    return (
        f"GET {head.target} HTTP/1.1\r\nHost: ffd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: {WEBSOCKET_VERSION}\r\nSec-WebSocket-Key: {keys[0]}\r\n\r\n"
    ).encode("ascii")


class Body(Protocol):
    """Where a body ends: `take` says how many leading bytes of the buffer belong to it and may go on now."""

    done: bool
    size: int
    """Bytes of content that were taken so far."""

    def take(self, buffer: bytearray) -> int: ...


def body_of(head: Head) -> Body:
    """The body that follows a head."""
    return Chunks() if head.length is None else Counted(head.length)


class Counted:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.size = 0
        self.done = length == 0

    def take(self, buffer: bytearray) -> int:
        taken = min(self._length - self.size, len(buffer))
        self.size += taken
        self.done = self.size == self._length
        return taken


class Chunks:
    """A chunked body (RFC 9112 7.1), without extensions and trailers, which nobody we serve sends."""

    def __init__(self) -> None:
        self.size = 0
        self.done = False
        self._left = 0
        self._closing: bytes = b""
        self._last = False

    def take(self, buffer: bytearray) -> int:
        taken = 0
        while not self.done and (step := self._step(buffer, taken)):
            taken += step
        return taken

    def _step(self, buffer: bytearray, at: int) -> int:
        """Bytes of the next part of the framing that is there, 0 if more must come."""
        if self._left:
            step = min(self._left, len(buffer) - at)
            self._left -= step
            self.size += step
            return step
        return self._end_chunk(buffer, at) if self._closing else self._start_chunk(buffer, at)

    def _start_chunk(self, buffer: bytearray, at: int) -> int:
        end = buffer.find(b"\r\n", at, at + _CHUNK_LINE_MAX)
        if end < 0 and len(buffer) - at < _CHUNK_LINE_MAX and b"\n" not in buffer[at:]:
            return 0
        line = bytes(buffer[at:end]) if end >= 0 else b""
        if not _CHUNK_SIZE.fullmatch(line):
            raise Invalid(refusals.AMBIGUOUS, "A chunk of the body has no plain size in hex: send no chunk extensions")
        self._left = int(line, 16)
        self._last = self._left == 0
        self._closing = b"\r\n"
        return len(line) + 2

    def _end_chunk(self, buffer: bytearray, at: int) -> int:
        found = bytes(buffer[at : at + 2])
        if not self._closing.startswith(found):
            raise Invalid(refusals.AMBIGUOUS, "A chunk of the body does not end after its size: send no trailers")
        if len(found) < 2:
            return 0
        self._closing = b""
        self.done = self._last
        return 2


def _request_line(line: bytes, limits: DoorLimits) -> tuple[str, str, str]:
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise _malformed("its first line is not METHOD TARGET HTTP/1.1")
    method, target, version = (part.decode("ascii") for part in found.groups())
    if version not in ("1.0", "1.1"):
        raise Invalid(refusals.HTTP_VERSION, f"HTTP/{version} is not spoken here: use HTTP/1.1")
    if len(target) > limits.target_bytes_max:
        raise Full(
            refusals.TARGET_TOO_LONG,
            f"The path and query are longer than {limits.target_bytes_max} bytes: ask for less",
        )
    if not target.startswith("/") and (method, target) != ("OPTIONS", "*"):
        raise _malformed("its target does not start with /")
    if _BAD_PATH.search(target.partition("?")[0]):
        raise _malformed("its path has a control character or a broken % escape")
    if _HIDDEN_SLASH.match(target):  # whoever guards us by path would read another namespace than we do
        raise _malformed("the namespace in its path has an escaped slash")
    return method, target, version


def _header(line: bytes) -> tuple[str, str]:
    found = _HEADER.fullmatch(line)
    if found is None:
        raise _malformed(f"a header line is not NAME: VALUE: {line[:40].decode('latin-1')!r}")
    return found[1].decode("ascii").lower(), found[2].decode("latin-1").rstrip(" \t")


def _body_length(head: Head) -> int | None:
    lengths, codings = head.values("content-length"), head.values("transfer-encoding")
    if codings:
        if lengths or head.version == "1.0":
            raise Invalid(
                refusals.AMBIGUOUS, "Transfer-Encoding beside Content-Length, or in HTTP/1.0: send one of them"
            )
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise Invalid(refusals.TRANSFER_CODING, "Transfer-Encoding can only be chunked")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Invalid(refusals.AMBIGUOUS, f"Content-Length must be one number, not {', '.join(lengths)[:40]!r}")
    return int(lengths[0])


def _malformed(why: str) -> FfdError:
    return Invalid(refusals.MALFORMED, f"The request is not HTTP/1.1: {why}")
