"""Raw bytes over TCP and Unix sockets, for clients that no library would be."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.processes.node import PATIENCE_S

Where = Path | tuple[str, int]
"""A Unix socket, or a TCP port."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n")


@dataclass(frozen=True)
class Heard:
    """All that came back before the other side closed, or was silent for too long (`open`)."""

    raw: bytes
    open: bool = False

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers in it, in order."""
        return [int(found) for found in _STATUS.findall(self.raw)]

    @property
    def status(self) -> int:
        """The status of the first answer; 0 for a close without a word."""
        return next((each for each in self.statuses if each != 100), 0)

    @property
    def code(self) -> str:
        """The code of the error in the first answer."""
        found = re.search(rb'"error":"(FF[D0-9]+)', self.raw)
        return found[1].decode() if found else ""

    @property
    def json(self) -> object:
        """The body of the first answer."""
        return json.loads(self.raw.partition(b"\r\n\r\n")[2])


def connect(where: Where) -> socket.socket:
    end = socket.socket(socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET)
    end.settimeout(PATIENCE_S)
    end.connect(str(where) if isinstance(where, Path) else where)
    return end


def hear(end: socket.socket, within_s: float = PATIENCE_S) -> Heard:
    """Everything until the other side closes; what has come by then when it does not."""
    heard = bytearray()
    deadline = time.monotonic() + within_s
    while (left := deadline - time.monotonic()) > 0:
        end.settimeout(left)
        try:
            block = end.recv(65_536)
        except TimeoutError:
            break
        except OSError:
            return Heard(bytes(heard))
        if not block:
            return Heard(bytes(heard))
        heard += block
    return Heard(bytes(heard), open=True)


def hear_until(end: socket.socket, mark: bytes) -> bytes:
    """All that comes until this is in it."""
    heard = b""
    while mark not in heard:
        block = end.recv(65_536)
        assert block, heard[-500:]
        heard += block
    return heard


def ask(where: Where, data: bytes, *, within_s: float = PATIENCE_S, eof: bool = True) -> Heard:
    """What comes back for these bytes, after which the client (`eof`) says no more."""
    with connect(where) as end:
        with suppress(OSError):  # it may be refused before it is read to its end
            end.sendall(data)
            if eof:
                end.shutdown(socket.SHUT_WR)
        return hear(end, within_s)


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """A request; with a body it is JSON unless a header says otherwise."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
        if not any(header.lower().startswith("content-type:") for header in headers):
            lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def upgrade(target: str = "/ws", *headers: str) -> bytes:
    """A request for a WebSocket."""
    fixed = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
    return request("GET", target, *fixed, *headers)


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, mask: bool = True, reserved: int = 0) -> bytes:
    """A WebSocket frame as a client sends it, with the mask that changes nothing."""
    size = len(payload)
    first = bytes([opcode | 0x80 * final | reserved << 4])
    bit = 0x80 * mask
    if size < 126:
        length = bytes([bit | size])
    elif size < 65_536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    return first + length + bytes(4 * mask) + payload


def close_code(raw: bytes) -> int | None:
    """The code of the close frame that a server's frames end with; None when there is none."""
    at = 0
    while at + 2 <= len(raw):
        opcode, size = raw[at] & 0x0F, raw[at + 1] & 0x7F
        at += 2
        if size == 126:
            size, at = int.from_bytes(raw[at : at + 2], "big"), at + 2
        elif size == 127:
            size, at = int.from_bytes(raw[at : at + 8], "big"), at + 8
        if opcode == 8:
            return int.from_bytes(raw[at : at + 2], "big") if size >= 2 else 1005
        at += size
    return None
