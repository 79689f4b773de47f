"""A client as lean as can be, since it shares the machine with the daemon that it measures.

Frames to send are made before the clock runs, and masked with zeros, which RFC 6455 allows and costs the server the
same. What comes is cut into frames and read with msgspec, no more of it than a measurement needs.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import trio

RECEIVE_BYTES = 256 * 1024
TEXT, CLOSE, PING = 0x1, 0x8, 0x9
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: ffd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
BODY_BYTES = 256
TOPICS = 8


class Failed(Exception):
    """A measurement that cannot go on: one sentence that says why."""


class Reply(msgspec.Struct, gc=False):
    """An id of an `accepted` frame; `error` when the message was refused."""

    id: str = ""
    error: str = ""


class Frame(msgspec.Struct, gc=False):
    """Of any frame from the daemon, what is looked at."""

    type: str
    id: str = ""
    error: str = ""
    messages: list[Reply] = []
    events: list[Event] = []


class Event(msgspec.Struct, gc=False):
    """Of a delivered event, what is looked at; `reference` is the id of its message."""

    sequence: int
    reference: str


_FRAME = msgspec.json.Decoder(Frame)


def text_frame(text: bytes) -> bytes:
    """A client's text frame, whole, masked with zeros."""
    size = len(text)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = b"\x81\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\x81\xff" + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + text


def message(number: int, group: str = "") -> dict[str, object]:
    """A message whose value has 256 bytes as JSON, to all or to a group; topics take turns."""
    value = {"order": number, "item": f"part-{number % 997:03d}", "note": ""}
    value["note"] = "x" * (BODY_BYTES - len(json.dumps(value, separators=(",", ":"))))
    header: dict[str, object] = {"tag": "bench", "topics": [f"topic-{number % TOPICS}"]}
    return {"header": header | ({"group": group} if group else {}), "data": [{"value": value}]}


def send_frames(count: int, per_frame: int, first: int = 0, group: str = "") -> list[bytes]:
    """`count` messages in `send` frames of `per_frame` messages each, ready for the wire."""
    return [
        text_frame(
            msgspec.json.encode(
                {
                    "type": "send",
                    "id": str(start),
                    "messages": [message(first + n, group) for n in range(start, min(start + per_frame, count))],
                }
            )
        )
        for start in range(0, count, per_frame)
    ]


def cut(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole frames off the front of a buffer: (opcode, payload)."""
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(buffer)
    while end - at >= 2:
        size, start = buffer[at + 1], at + 2
        if size == 126:
            start += 2
        elif size == 127:
            start += 8
        if start > end:
            break
        if size >= 126:
            size = int.from_bytes(buffer[at + 2 : start], "big")
        if start + size > end:
            break
        found.append((buffer[at] & 0x0F, bytes(buffer[start : start + size])))
        at = start + size
    del buffer[:at]
    return found


def read(opcode: int, payload: bytes) -> Frame:
    """The frame in a payload. Raises Failed for what no measurement expects."""
    if opcode != TEXT:
        raise Failed(f"the daemon sent {payload[:200]!r} in a frame of type {opcode}: look at its log")
    frame = _FRAME.decode(payload)
    if frame.error:
        raise Failed(f"the daemon answered {frame.error}")
    return frame


class WebSocket:
    """A connection to the daemon; close it by leaving the block."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    @classmethod
    async def open(cls, path: Path) -> WebSocket:
        """Connect and shake hands. Raises OSError while nobody listens, Failed when it is refused."""
        made = cls(await trio.open_unix_socket(path))
        await made._stream.send_all(HANDSHAKE)
        while b"\r\n\r\n" not in made._buffer:
            await made._more()
        head, _, rest = bytes(made._buffer).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Failed(f"the daemon refused a WebSocket: {head.partition(bytes((13,)))[0].decode()}")
        made._buffer = bytearray(rest)
        return made

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await trio.aclose_forcefully(self._stream)

    async def say(self, value: Mapping[str, object]) -> None:
        """Send one frame made from a value."""
        await self._stream.send_all(text_frame(msgspec.json.encode(value)))

    async def send(self, frames: Sequence[bytes]) -> None:
        """Send frames that were made before."""
        await self._stream.send_all(frames[0] if len(frames) == 1 else b"".join(frames))

    async def receive(self) -> list[Frame]:
        """All whole frames that are there, at least one."""
        while not (found := cut(self._buffer)):
            await self._more()
        frames = []
        for opcode, payload in found:
            if opcode == PING:
                await self._stream.send_all(b"\x8a" + bytes((0x80 | len(payload),)) + b"\0\0\0\0" + payload)
            else:
                frames.append(read(opcode, payload))
        return frames

    async def _more(self) -> None:
        came = await self._stream.receive_some(RECEIVE_BYTES)
        if not came:
            raise Failed("the daemon closed a connection: look at its log")
        self._buffer += came


class Rest:
    """REST over one connection that is kept open; it blocks."""

    def __init__(self, path: Path, timeout_s: float = 30) -> None:
        self._connection = _UnixConnection(path, timeout_s)

    def __enter__(self) -> Rest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of an answer. Raises OSError while nobody listens."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, target, body=body, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, target: str) -> Any:
        """The JSON behind a path. Raises Failed for any other answer than 200."""
        return self._checked("GET", target, None, 200)

    def post(self, target: str, value: object, *, expected: int) -> Any:
        """The JSON of the answer. Raises Failed for another status."""
        return self._checked("POST", target, msgspec.json.encode(value), expected)

    def _checked(self, method: str, target: str, body: bytes | None, expected: int) -> Any:
        status, answer = self.ask(method, target, body)
        if status != expected:
            raise Failed(f"{method} {target} was answered by {status}: {answer[:200].decode(errors='replace').strip()}")
        return msgspec.json.decode(answer)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("ffd", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(self.timeout)
        try:
            sock.connect(self._path)
        except OSError:
            sock.close()
            raise
        self.sock = sock
