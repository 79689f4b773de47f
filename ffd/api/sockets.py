"""An app's WebSocket behind three methods, and the one place that knows trio-websocket's inside.

trio-websocket does the protocol; what it lacks is added here: many frames in one write, a farewell that ends, a bound
on fragments, and a cancelled write that does not leave half a frame on an open connection. It answers pings only while
somebody receives, so a handler should always be receiving. Nothing is ever negotiated (no permessage-deflate: wsproto
inflates without bound). trio-websocket is pinned and `tests/api/test_sockets.py` fails when a name that is used here
goes.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import trio
import wsproto
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Ping

from ffd.api import heads
from ffd.api.caller import LOCAL, Caller
from ffd.api.heads import Head
from ffd.api.limits import DoorLimits
from ffd.api.peer import Peer

NORMAL = 1000
GOING_AWAY = 1001
POLICY = 1008
FAILED = 1011

WRITE_BYTES = 256 * 1024
"""Frames are joined up to about this size, so that a catch-up costs one call of the system per thousand events."""
RECEIVE_BYTES = 64 * 1024
REASON_BYTES_MAX = 123
QUEUED_MAX = 16
"""Messages that are read ahead of who handles them: enough for one commit to take many, few enough to hold."""
FRAGMENTS_MAX = 4096
"""Pieces that a message may come in, beside one for each 16 of its bytes: empty ones would be kept without end."""

Identify: TypeAlias = Callable[[Head], Awaitable[Caller]]

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class SocketClosed(Exception):
    """The WebSocket is closed, by either side or by its loss (1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket:
    """An open WebSocket: whose it is, what it was opened with, and its three methods."""

    def __init__(
        self, connection: WebSocketConnection, head: Head, peer: Peer, close_s: float, identify: Identify | None
    ) -> None:
        self.path = head.path
        self.query = head.query
        """The raw query string; `filters.parse_pairs` reads it."""
        self.headers = head.headers
        """Of the request, names in lower case, in order."""
        self.peer = peer
        self._connection = connection
        self._close_s = close_s
        self._identify = identify
        self._head = head

    def __repr__(self) -> str:
        return f"<Socket {self.path} uid={self.peer.uid} {self._connection.closed or 'open'}>"

    async def caller(self) -> Caller:
        """Whose WebSocket it is, as of now. Raises Unauthorised when its credentials have been taken away."""
        return LOCAL if self._identify is None else await self._identify(self._head)

    async def receive(self) -> str | bytes:
        """The next message; raises `SocketClosed`. Pings are answered while this waits."""
        try:
            return await self._connection.get_message()
        except ConnectionClosed as closed:
            raise _closed(closed.reason) from None

    async def receive_many(self) -> list[str | bytes]:
        """The next message, and those that are here behind it: what arrived together can be done together."""
        frames = [await self.receive()]
        with suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
            while len(frames) < QUEUED_MAX:
                frames.append(self._connection._recv_channel.receive_nowait())
        return frames

    async def send_many(self, frames: Sequence[str]) -> None:
        """Send each text as a frame of its own, in order, in few writes; waits while the reader stalls.

        Raises `SocketClosed`. If it is cancelled the connection is cut, since half a frame may be on its way.
        """
        for block in _blocks(frames):
            await self._write(block)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say farewell, and end the connection whether or not the peer answers in time. May be called again."""
        cut = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        with trio.move_on_after(self._close_s, shield=True):
            await self._connection.aclose(code, cut or None)

    async def _write(self, data: bytes) -> None:
        connection = self._connection
        async with connection._stream_lock:
            if connection.closed is not None:
                raise _closed(connection.closed)
            try:
                await connection._stream.send_all(data)
            except _GONE:
                await connection._abort_web_socket()  # noqa: ASYNC120 - the error is replaced below
                raise _closed(connection.closed) from None
            except trio.Cancelled:
                await trio.aclose_forcefully(connection._stream)  # noqa: ASYNC120 - it does not wait
                raise


def text_frame(text: str) -> bytes:
    """One whole text frame of a server (RFC 6455 5.2): final, unmasked."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


@asynccontextmanager
async def open_socket(
    stream: trio.abc.Stream,
    head: Head,
    rest: bytes,
    peer: Peer,
    limits: DoorLimits,
    version: str,
    identify: Identify | None = None,
) -> AsyncGenerator[Socket, None]:
    """Accept the upgrade that `head` asks for (checked by `heads.handshake`); `rest` is what came behind it.

    `identify` says whose it is, where that is asked. No more is read on the way out. Raises `SocketClosed`, in a group,
    if the client goes before it is accepted.
    """
    replay = _Replay(stream, heads.handshake(head), rest)
    connection = _Connection(
        replay,
        wsproto.WSConnection(ConnectionType.SERVER),
        message_queue_size=QUEUED_MAX,
        max_message_size=limits.frame_bytes_max,
        receive_buffer_size=RECEIVE_BYTES,
    )
    async with trio.open_nursery() as reader:
        reader.start_soon(connection._reader_task)
        await _accept(connection, version)
        replay.opened.set()
        try:
            yield Socket(connection, head, peer, limits.close_s, identify)
        finally:
            reader.cancel_scope.cancel()


async def _accept(connection: WebSocketConnection, version: str) -> None:
    request = await connection._get_request()
    try:
        await request.accept(extra_headers=[(b"X-FFD", version.encode("ascii"))])
    except ConnectionClosed as closed:
        raise _closed(closed.reason) from None


class _Connection(WebSocketConnection):
    # After our own farewell trio-websocket would answer what still comes, which wsproto refuses by an exception.

    async def _handle_ping_event(self, event: Ping) -> None:
        if self._close_reason is None:
            await super()._handle_ping_event(event)

    async def _handle_message_event(self, event: Any) -> None:
        if self._close_reason is not None:
            return
        if len(self._message_parts) > FRAGMENTS_MAX + self._message_size // 16:
            self._max_message_size = -1  # any size is too large now: closed with 1009
        await super()._handle_message_event(event)

    async def _handle_close_connection_event(self, event: CloseConnection) -> None:
        if self._wsproto.state is not ConnectionState.OPEN:
            await super()._handle_close_connection_event(event)
            return
        # A broken frame, not a farewell: trio-websocket would only hang up. Told like a message that is too large.
        self._close_reason = CloseReason(event.code, event.reason)
        await self._send(CloseConnection(code=event.code, reason=event.reason))
        await self._recv_channel.aclose()
        self._reader_running = False


class _Replay(trio.abc.Stream):
    """The stream with the head put back before it, and what followed the head held back until the upgrade is accepted.

    trio-websocket loses what it reads between the two.
    """

    def __init__(self, stream: trio.abc.Stream, head: bytes, rest: bytes) -> None:
        self.opened = trio.Event()
        self._stream = stream
        self._head = head
        self._rest = rest

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._head:
            await trio.lowlevel.checkpoint()
            head, self._head = self._head, b""
            return head
        await self.opened.wait()
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _blocks(frames: Sequence[str]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for text in frames:
        frame = text_frame(text)
        block.append(frame)
        size += len(frame)
        if size >= WRITE_BYTES:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)


def _closed(reason: Any) -> SocketClosed:
    return SocketClosed(reason.code, reason.reason or "") if reason is not None else SocketClosed(1006, "")
