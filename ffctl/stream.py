"""One WebSocket to the daemon over its Unix socket, driven by one poll loop: no thread, no event loop, no Trio.

wsproto knows the protocol; this file moves its bytes.
"""

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from ffctl.client import connect, lost, not_ffd, refusal
from ffctl.failure import TIMED_OUT, UNREACHABLE, Failure
from ffctl.interrupts import Interrupts

HANDSHAKE_S = 10.0
RECEIVE_BYTES = 1 << 18
OUTBOX_BYTES_MAX = 1 << 20
"""`full` from here on: what the daemon has not taken yet is not added to without bound."""


class Stream:
    """A WebSocket: `send` queues a frame, `wait` moves bytes both ways and gives the text frames that came."""

    def __init__(self, path: str, interrupts: Interrupts) -> None:
        self._path = path
        self._interrupts = interrupts
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._outbox = bytearray()
        self._parts: list[str] = []
        self._ended: Failure | None = None
        self._broken: Failure | None = None
        self._sock = connect(path, HANDSHAKE_S)
        with ExitStack() as undone:
            undone.callback(self._sock.close)
            self._shake_hands()
            self._sock.setblocking(False)
            undone.pop_all()

    def close(self) -> None:
        """Say goodbye if that does not wait, and hang up."""
        try:
            self._outbox += self._ws.send(CloseConnection(1000))
            self._push()
        except (OSError, ProtocolError, Failure):
            pass  # it is over either way
        self._sock.close()

    @property
    def full(self) -> bool:
        """Whether the daemon takes no more now: more than enough waits for it, or it went."""
        return self._gone or len(self._outbox) >= OUTBOX_BYTES_MAX

    def send(self, frame: str) -> None:
        """Queue one text frame, and send what the socket takes at once; nobody hears it when the daemon went."""
        if self._gone:
            return  # `wait` says so, after all that the daemon said before
        self._outbox += self._ws.send(TextMessage(frame))
        self._push()

    def drain(self, deadline_s: float) -> None:
        """Wait until all that was queued is sent."""
        end = time.monotonic() + deadline_s
        while self._outbox and time.monotonic() < end:
            select.select([], [self._sock], [], max(0.0, end - time.monotonic()))
            self._push()
        if self._broken:
            raise self._broken

    def wait(self, timeout_s: float | None, *, also: int | None = None) -> tuple[list[str], bool]:
        """Text frames that came, and whether the file descriptor `also` can be read; empty after `timeout_s`.

        Raises `Failure` 5 when the daemon hung up and all that it said before was given.
        """
        if self._ended:
            raise self._ended
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        if not self._interrupts.asked:
            poll.register(self._interrupts, select.POLLIN)
        if also is not None:
            poll.register(also, select.POLLIN)
        patience_s = 0.0 if self._broken else timeout_s
        ready = dict(poll.poll(None if patience_s is None else max(0.0, patience_s) * 1000))
        state = ready.get(self._sock.fileno(), 0)
        if state & select.POLLOUT:
            self._push()
        frames = list(self._pull()) if state & ~select.POLLOUT else []
        if self._ended and not frames:
            raise self._ended
        if self._broken and not state:
            raise self._broken
        return frames, also is not None and also in ready

    @property
    def _gone(self) -> bool:
        return self._ended is not None or self._broken is not None

    def _push(self) -> None:
        try:
            while self._outbox:
                sent = self._sock.send(memoryview(self._outbox)[:RECEIVE_BYTES])
                del self._outbox[:sent]
        except BlockingIOError:
            pass
        except OSError as error:
            # What the daemon said before it went can still be read.
            self._broken = lost(self._path, error)
            self._outbox.clear()

    def _pull(self) -> Iterator[str]:
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise lost(self._path, error) from None
        if not data:
            raise lost(self._path)
        try:
            self._ws.receive_data(data)
            yield from self._texts()
        except ProtocolError as error:
            raise Failure(UNREACHABLE, "FFD6004", f"{self._path} broke the WebSocket protocol: {error}") from None

    def _texts(self) -> Iterator[str]:
        for event in self._ws.events():
            if isinstance(event, TextMessage):
                self._parts.append(event.data)
                if event.message_finished:
                    yield "".join(self._parts)
                    self._parts.clear()
            elif isinstance(event, Ping):
                self._outbox += self._ws.send(event.response())
                self._push()
            elif isinstance(event, CloseConnection):
                self._ended = self._closed(event)
            elif isinstance(event, BytesMessage):
                raise Failure(UNREACHABLE, "FFD6004", f"{self._path} sent a binary frame: it is not ffd")

    def _closed(self, event: CloseConnection) -> Failure:
        failure = lost(self._path)
        reason = f" ({event.code}{f': {event.reason}' if event.reason else ''})"
        return Failure(failure.exit_code, failure.code, f"the daemon closed the connection{reason}", failure.hint)

    def _shake_hands(self) -> None:
        try:
            self._sock.sendall(self._ws.send(Request(host="ffd", target="/ws")))
        except OSError as error:
            raise lost(self._path, error) from None
        end = time.monotonic() + HANDSHAKE_S
        refused: tuple[int, list[bytes]] | None = None
        while True:
            wanted = [self._sock.fileno(), self._interrupts.fileno()]
            ready, _, _ = select.select(wanted, [], [], max(0.0, end - time.monotonic()))
            if self._interrupts.fileno() in ready:
                raise KeyboardInterrupt
            if not ready:
                hint = "the daemon is there and does not move: see its log"
                raise Failure(TIMED_OUT, "FFD6005", f"no answer from {self._path} in {HANDSHAKE_S:g} s", hint)
            try:
                data = self._sock.recv(RECEIVE_BYTES)
            except OSError as error:
                raise lost(self._path, error) from None
            try:
                self._ws.receive_data(data or None)
                for event in self._ws.events():
                    if isinstance(event, AcceptConnection | RejectConnection):
                        headers = event.extra_headers if isinstance(event, AcceptConnection) else event.headers
                        if not any(name.lower() == b"x-ffd" for name, _ in headers):
                            raise not_ffd(self._path, "its answer has no X-FFD header")
                        if isinstance(event, AcceptConnection):
                            return
                        refused = (event.status_code, [])
                    elif isinstance(event, RejectData) and refused:
                        refused[1].append(event.data)
                        if event.body_finished:
                            raise refusal(refused[0], b"".join(refused[1]))
            except ProtocolError:
                raise not_ffd(self._path, "it does not speak WebSocket") from None
            if not data or time.monotonic() > end:
                raise lost(self._path)
