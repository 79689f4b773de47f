"""The one module that knows Hypercorn's inside: one connection served with an ASGI app.

Hypercorn offers a whole server; one connection of it is `TCPServer`, which is not documented, so Hypercorn is pinned,
and `tests/api/test_hypercorn_door.py` fails when a name that is used here goes. Around each request stands our own
`_Exchange`: it answers what the app raises, and takes in the rest of a body before the answer. Without that Hypercorn
waits for itself: its queue of ten pieces of a body is full, and the app that should empty it is the one that waits.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, TypeAlias, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from ffd.api import heads, origins, refusals
from ffd.api.gate import Gate
from ffd.api.limits import DoorLimits
from ffd.api.peer import Peer
from ffd.model.errors import FfdError, Invalid

log = logging.getLogger(__name__)

REQUESTS_MAX = 100_000
"""Requests on one connection before it is closed."""
REQUEST_ID = b"x-firefly-request-id"
REQUEST_ID_CHARS_MAX = 128

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class HttpDoor:
    """Serves connections with one app; `X-FFD` with the version is on every answer.

    The app finds in its scope's `state`: `peer`, `caller` and `request_id`.
    """

    def __init__(self, app: ASGIApp, limits: DoorLimits, version: str, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id
        self._config = _config(limits, version)
        self._context = WorkerContext(None)

    async def serve(self, gate: Gate, peer: Peer) -> None:
        """Answer the requests of one connection until it ends, or asks for a WebSocket (`gate.upgrade`)."""
        exchanges = _Exchanges(self._app, gate, peer, self._new_id, self._config)
        await _Connection(exchanges, self._config, self._context, cast(Any, {}), cast(Any, gate)).run()

    async def stop(self) -> None:
        """From now on a connection ends when it has no request in flight."""
        await self._context.terminated.set()


class _Config(Config):
    version: str

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        return [*super().response_headers(protocol), (b"x-ffd", self.version.encode("ascii"))]


def _config(limits: DoorLimits, version: str) -> Config:
    config = _Config()
    config.version = version
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = log
    config.keep_alive_timeout = limits.idle_s
    config.keep_alive_max_requests = REQUESTS_MAX
    config.h11_max_incomplete_size = limits.head_bytes_max + 1024
    return config


class _Connection(TCPServer):
    async def _read_data(self) -> None:
        # Hypercorn's own leaves its idle timer running when the client goes, and the connection waits for it.
        try:
            await super()._read_data()
        finally:
            with trio.CancelScope(shield=True):
                await self.idle_task.stop()  # noqa: ASYNC102 - it cancels a timer and waits for nobody


class _Exchanges(ASGIWrapper):
    """What Hypercorn calls for each request of one connection."""

    def __init__(self, app: ASGIApp, gate: Gate, peer: Peer, new_id: Callable[[], str], config: Config) -> None:
        super().__init__(cast(Any, app))
        self._config = config
        self._gate = gate
        self._peer = peer
        self._new_id = new_id

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        request_id = _given_id(scope) or self._new_id()
        scope["state"] = {"peer": self._peer, "caller": self._gate.caller, "request_id": request_id}
        try:
            always = partial(self._config.response_headers, "h11")
            await _Exchange(cast(Any, self.app), self._gate, receive, send, always).run(scope, request_id)
        finally:
            self._gate.end()


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, gate: Gate, receive: Receive, send: Send, always: Callable[[], Headers]) -> None:
        self._app = app
        self._always = always
        self._gate = gate
        self._receive = receive
        self._send = send
        self._received = False  # the whole request
        self._left = False  # the client has gone
        self._started = False  # the answer
        self._early: Message | None = None  # its head, when it comes in the middle of a large upload
        self._draining = trio.CancelScope()
        self._name: list[tuple[bytes, bytes]] = []  # what the request is called, as a header

    async def run(self, scope: MutableMapping[str, Any], request_id: str) -> None:
        self._name = [(REQUEST_ID, request_id.encode("ascii"))]
        try:
            if self._gate.greeting.preflight:
                return await self._say(204, [])
            if heads.is_websocket_path(scope["path"]):
                raise Invalid(refusals.UPGRADE_NEEDED, "Only WebSocket is spoken here: ask with Upgrade: websocket")
            await self._app(scope, self.receive, self.send)
            if not self._started:
                raise RuntimeError("the app gave no answer")
        except FfdError as error:
            await self._answer(error)
        except Exception as error:  # noqa: BLE001  # a request ends here
            if not self._left:
                await self._answer(refusals.unknown(error, request_id))

    async def receive(self) -> Message:
        message = await self._receive()
        self._left = self._left or message["type"] == "http.disconnect"
        if self._left or not message.get("more_body", False):
            self._received = True
            self._draining.cancel()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *self._name, *_raw(self._gate.greeting.headers)]
        if self._early is not None:
            await self._cut_off(self._early, message)
        elif not self._started and not self._received and self._gate.holds_much_back:
            self._started, self._early = True, message
        else:
            if not self._started:
                await self._drain()
            self._started = True
            await self._send(message)

    async def _cut_off(self, head: Message, message: Message) -> None:
        """Answer at once and for the last time, past Hypercorn, and let it find that the client has gone."""
        if not self._received:
            headers = [*head["headers"], *self._always()]
            await self._gate.cut_off(refusals.last_answer(head["status"], headers, message.get("body", b"")))
            await self._drain()

    async def _drain(self) -> None:
        """Take in the rest of the request, which the gate bounds; whoever else receives may take the last piece."""
        with self._draining:
            while not self._received:
                await self.receive()

    async def _answer(self, error: FfdError) -> None:
        """Refuse, unless the answer has begun: then it is cut off when Hypercorn finds it unfinished."""
        if self._started:
            return
        status, body = refusals.refusal(error)
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await self._say(status, [*headers, *refusals.extra_headers(error)], body)

    async def _say(self, status: int, headers: origins.Headers, body: bytes = b"") -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": _raw(headers)})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _raw(headers: origins.Headers) -> Headers:
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers]


def _given_id(scope: MutableMapping[str, Any]) -> str | None:
    """The id that the client gave its request, if it is one that a log can show."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            text = str(value.decode("latin-1"))
            return text if text.isascii() and text.isprintable() and 0 < len(text) <= REQUEST_ID_CHARS_MAX else None
    return None
