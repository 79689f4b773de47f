"""The stream between a client and Hypercorn: one request at a time, each head checked, each wait bounded.

Hypercorn sees whole heads and never a byte beyond the request that it is answering. So each later request of a
connection is checked like the first one, its upgrade to WebSocket is noticed, and what is refused is refused here.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from ffd.api import heads, refusals
from ffd.api.caller import LOCAL, NOBODY, Caller
from ffd.api.heads import Body, Head
from ffd.api.limits import DoorLimits
from ffd.api.origins import Greeting, Headers
from ffd.model.errors import Away, FfdError, Full, Invalid

_UNGREETED = Greeting()
RECEIVE_BYTES = 64 * 1024
PIPELINED_BYTES_MAX = 64 * 1024
"""What is read ahead while a request is being answered, so that the client's going is noticed."""
LINGER_BYTES_MAX = 16 * 1024 * 1024

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Bodies:
    """The bytes of request bodies in flight on all connections together, and the uploads, which are not held."""

    def __init__(self, most: int, uploads_max: int) -> None:
        self._most = most
        self._held = 0
        self._uploads_max = uploads_max
        self._uploads = 0

    def hold(self, size: int) -> None:
        """Count `size` more bytes; raises FFD2013, and counts none, when there are too many."""
        if self._held + size > self._most:
            raise Away(refusals.BODIES, "Too many request bodies are in flight at once: send it again later")
        self._held += size

    def release(self, size: int) -> None:
        self._held -= size

    def begin_upload(self) -> None:
        """Count one more; raises FFD2015, and counts none, when there are too many."""
        if self._uploads >= self._uploads_max:
            raise Away(refusals.UPLOADS, f"{self._uploads} uploads are under way at once: send it again later")
        self._uploads += 1

    def end_upload(self) -> None:
        self._uploads -= 1


class Asked(Protocol):
    """Who connected where not everybody may come in; see `ffd.api.doorkeeper.Visitor`."""

    def greet(self, head: Head) -> Greeting:
        """What a request is told of its origin. Raises what refuses it."""

    async def identify(self, head: Head) -> Caller:
        """Whose request it is. Raises what refuses it."""


class Gate(trio.abc.HalfCloseableStream):
    """What Hypercorn takes for its client's stream. Closing it ends the talk; the stream itself is its maker's."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        limits: DoorLimits,
        bodies: Bodies,
        answer: Callable[[FfdError, Headers], bytes],
        asked: Asked | None = None,
        on_known: Callable[[], None] = lambda: None,
    ) -> None:
        """`asked` checks each request, if anybody does; `on_known` is called at each one whose caller is known."""
        self.upgrade: Head | None = None
        """The request for a WebSocket at which the talk ended."""
        self.caller = LOCAL
        """Who asked for what is in hand."""
        self.greeting = _UNGREETED
        """What the request in hand is told of its origin."""
        self._asked = asked
        self._on_known = on_known
        self._stream = stream
        self._limits = limits
        self._bodies = bodies
        self._answer = answer
        self._buffer = bytearray()
        self._first = b""
        self._pending = b""
        self._body: Body | None = None
        self._held = 0
        self._upload = False
        self._length: int | None = 0
        self._waited_s = 0.0
        self._ended = False  # the client will send no more
        self._closed = False  # Hypercorn shall hear and say no more
        self._refused = False
        self._reading: trio.CancelScope | None = None
        self._writing = trio.Lock()
        self._answering = False
        self._answered = trio.Event()
        self._answered.set()

    # The connection's side

    async def begin_next(self, *, first: bool = False) -> bool:
        """Wait for the next request, when the one before is answered, and let Hypercorn have it; False if none comes.

        None comes when the client ends, asks for a WebSocket (`upgrade`), or is refused, and then has its answer. The
        head has `header_timeout_s` from now when it is the first, else from its first byte: how long a connection may
        be idle is Hypercorn's business.
        """
        try:
            raw = await self._next_raw_head(first)
            if raw is None:
                return False
            head = heads.parse_head(raw, self._limits)
            if self._asked is not None:
                await self._ask(self._asked, head)
            if self.caller is not NOBODY:
                self._on_known()
            return self._begin(head, raw)
        except FfdError as error:
            await self.refuse(error)
            return False

    async def _ask(self, asked: Asked, head: Head) -> None:
        self._answered = trio.Event()  # a stop waits for the answer from here on
        self.greeting = _UNGREETED
        self.greeting = asked.greet(head)
        self.caller = NOBODY if self.greeting.preflight else await asked.identify(head)

    def end(self) -> None:
        """The request that was begun has its answer."""
        self._bodies.release(self._held)
        self._held = 0
        if self._upload:
            self._bodies.end_upload()
            self._upload = False
        self._answering = False
        self._answered.set()
        self._interrupt()

    def rest(self) -> bytes:
        """What the client sent beyond the last head."""
        return bytes(self._buffer)

    @property
    def holds_much_back(self) -> bool:
        """Is most of a large upload still to come? Whoever does not want it must not wait for its end."""
        small = self._length is not None and self._length <= self._limits.body_bytes_max
        return self._upload and not small and self._body is not None and not self._body.done

    async def refuse(self, error: FfdError) -> None:
        """Answer with a refusal, unless another answer has begun, and close the gate."""
        await self.cut_off(self._answer(error, self.greeting.headers))

    async def cut_off(self, answer: bytes) -> None:
        """Give the last answer, unless another one has begun, and close the gate."""
        async with self._writing:
            begun, self._closed, self._refused = self._answering, True, True
            if not begun:
                await send_quietly(self._stream, answer, self._limits)
        self._interrupt()

    def stop(self) -> None:
        """Close the gate if the client has asked nothing that is still to be answered."""
        if self._answered.is_set() and not self._buffer:
            self._close()

    async def linger(self) -> None:
        """Hear out a client that was answered before it had finished: it shall read why before a reset reaches it."""
        if self._refused or not (self._body is None or self._body.done):
            await linger(self._stream, self._limits)

    # Hypercorn's side

    @property
    def socket(self) -> "_NoSocket":
        """Hypercorn asks for the addresses: it is told none, the peer is known by better means."""
        return _NO_SOCKET

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next piece of the request in hand, or the head of the next one; nothing when there is none."""
        await trio.lowlevel.checkpoint()
        try:
            while not self._first:
                if self._body is not None and not self._body.done:
                    return await self._receive_body(self._body)
                if not await self.begin_next():
                    return b""
        except FfdError as error:
            await self.refuse(error)
            return b""
        first, self._first = self._first, b""
        return first

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send in order; an answer's head waits for the first piece of its body, or its end, to go in one write."""
        async with self._writing:
            if self._closed:
                raise trio.BrokenResourceError("the gate is closed")
            whole = self._pending + data
            self._pending = b""
            if bytes(data[:9]) == b"HTTP/1.1 " and data[9:10] != b"1":  # Hypercorn always sends something behind it
                self._pending = whole
            elif whole:
                await self._send(whole)

    async def _send(self, data: bytes) -> None:
        self._answering = self._answering or not data.startswith(b"HTTP/1.1 1")  # a 100 is no answer yet
        with trio.move_on_after(self._limits.send_timeout_s):
            await self._stream.send_all(data)
            return
        await trio.aclose_forcefully(self._stream)
        raise trio.BrokenResourceError("the client does not read its answer")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self._close()
        await trio.lowlevel.checkpoint()

    # Requests

    def _begin(self, head: Head, raw: bytes) -> bool:
        if head.upgrades:
            self.upgrade = head
            return False
        self._answered = trio.Event()
        self._answering = False
        self._waited_s = 0.0
        self._body = heads.body_of(head)
        self._length = head.length
        if heads.is_upload(head):
            self._bodies.begin_upload()
            self._upload = True
        self._check_size(head.length or 0)
        self._hold(head.length or 0)
        self._first = heads.forwarded(head, raw)
        return True

    async def _next_raw_head(self, first: bool) -> bytes | None:
        await self._wait_answered()
        if not self._buffer and not first:
            await self._receive()
        with trio.move_on_after(self._limits.header_timeout_s):
            return await self._receive_head()
        if not self._buffer:
            return None
        raise refusals.late("the head of the request is not complete", self._limits.header_timeout_s)

    async def _receive_head(self) -> bytes | None:
        searched, blank = 0, False
        while True:
            if not blank and self._buffer.startswith(b"\r\n"):  # RFC 9112 2.2: one empty line is ignored
                blank, searched = True, 0
                del self._buffer[:2]
            end = heads.find_end(self._buffer, searched, self._limits)
            if end is not None:
                raw = bytes(self._buffer[:end])
                del self._buffer[:end]
                return raw
            searched = len(self._buffer)
            if self._ended:
                return None
            await self._receive()

    async def _receive_body(self, body: Body) -> bytes:
        while True:
            before = body.size
            taken = body.take(self._buffer)
            self._check_size(body.size)
            self._hold(max(0, body.size - max(before, self._held)))
            if self._ended and not taken and not body.done:
                raise Invalid(refusals.CUT_OFF, f"The body ended after {body.size} bytes, in the middle: send it again")
            if taken or self._ended:
                piece = bytes(self._buffer[:taken])
                del self._buffer[:taken]
                return piece
            await self._receive_in_time(body)

    def _check_size(self, size: int) -> None:
        most = self._limits.upload_bytes_max if self._upload else self._limits.body_bytes_max
        if size > most:
            raise Full(refusals.BODY_TOO_LARGE, f"The body is larger than {most} bytes: send less in one request")

    def _hold(self, size: int) -> None:
        if self._upload:
            return
        self._bodies.hold(size)
        self._held += size

    # The stream

    async def _wait_answered(self) -> None:
        """Until the request before has its answer; what comes meanwhile is kept. Returns early when nothing will."""
        while not self._answered.is_set():
            if len(self._buffer) >= PIPELINED_BYTES_MAX or (self._ended and self._buffer):
                await self._answered.wait()
            elif self._ended:
                return
            else:
                await self._receive()

    async def _receive_in_time(self, body: Body) -> None:
        """Read once, if the body has come fast enough so far; only time spent waiting for it counts."""
        limits = self._limits
        begun = trio.current_time()
        with trio.move_on_after(limits.body_grace_s + body.size / limits.body_rate_min - self._waited_s) as late:
            await self._receive()
        self._waited_s += trio.current_time() - begun
        if late.cancelled_caught:
            raise refusals.late(f"its body stopped at {body.size} bytes", self._waited_s)

    async def _receive(self) -> None:
        """Read once. Nothing may have come: because the client ended, or the request before was answered."""
        if self._closed:
            raise trio.ClosedResourceError("the gate is closed")
        with trio.CancelScope() as self._reading:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except _GONE:
                data = b""
            self._ended = not data
            self._buffer += data
        if self._closed:
            raise trio.ClosedResourceError("the gate is closed")

    def _close(self) -> None:
        self._closed = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self._reading is not None:
            self._reading.cancel()


async def linger(stream: trio.abc.Stream, limits: DoorLimits) -> None:
    """Say no more, and throw away what still comes, for a bounded while."""
    heard = 0
    with trio.move_on_after(limits.linger_s):
        try:
            if isinstance(stream, trio.abc.HalfCloseableStream):
                await stream.send_eof()
            while heard < LINGER_BYTES_MAX and (data := await stream.receive_some(RECEIVE_BYTES)):
                heard += len(data)
        except (*_GONE, trio.BusyResourceError):
            return


async def send_quietly(stream: trio.abc.Stream, data: bytes, limits: DoorLimits) -> None:
    """Send to a client that may be gone, or may not read."""
    with trio.move_on_after(limits.linger_s):
        try:
            await stream.send_all(data)
        except _GONE:
            return


class _NoSocket:
    """A socket of a family that has no addresses: a Unix one."""

    family = 1

    def getpeername(self) -> str:
        return ""

    def getsockname(self) -> str:
        return ""


_NO_SOCKET = _NoSocket()
