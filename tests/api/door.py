"""A door on a Unix socket with a small app behind it, and clients that speak raw bytes."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ffd.api.limits import DoorLimits
from ffd.api.refusals import HANDLERS
from ffd.api.server import Entrance, Handler, serve
from ffd.api.sockets import Socket
from ffd.model.errors import Conflict

LIMITS = replace(DoorLimits(), drain_s=2, close_s=0.3, linger_s=0.3)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])

    @property
    def code(self) -> str:
        return self.error.partition(":")[0]


@dataclass
class Client:
    """A raw connection to the door."""

    stream: trio.abc.HalfCloseableStream
    buffer: bytearray = field(default_factory=bytearray)

    async def say(self, data: str | bytes) -> None:
        await self.stream.send_all(data.encode() if isinstance(data, str) else data)

    async def get(self, target: str, *headers: str) -> Answer:
        await self.say(request("GET", target, *headers))
        return await self.answer()

    async def answer(self) -> Answer:
        """The next answer, its interim ones skipped."""
        while True:
            head = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ")[1])
            if status != 100:
                break
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        return Answer(status, headers, await self._body(status, headers))

    async def ended(self) -> bool:
        """Wait for the door to close the connection, with nothing left unread, and close it here too."""
        try:
            more = self.buffer or await self.stream.receive_some()
        except trio.BrokenResourceError:
            more = b""
        await self.stream.aclose()
        return not more

    async def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in (101, 204):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int((await self._until(b"\r\n"))[:-2], 16):
                body += (await self._exactly(size + 2))[:-2]
            await self._until(b"\r\n")
            return body
        return await self._exactly(int(headers["content-length"]))

    async def _until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            await self._more()
        return await self._exactly(self.buffer.index(end) + len(end))

    async def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            await self._more()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        assert data, f"the door closed after {bytes(self.buffer)!r}"
        self.buffer += data


@dataclass
class Door:
    """An open door: who may connect, and what its app has seen."""

    path: Path
    nursery: trio.Nursery
    clients: list[Client]

    async def connect(self) -> Client:
        self.clients.append(Client(await trio.open_unix_socket(str(self.path))))
        return self.clients[-1]

    def stop(self) -> None:
        self.nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_door(
    tmp_path: Path, *, app: Any = None, websocket: Handler | None = None, limits: DoorLimits = LIMITS
) -> AsyncGenerator[Door, None]:
    """Serve on a Unix socket until the block ends, then stop and drain."""
    path = tmp_path / "ffd.sock"
    listener = await unix_listener(path)
    clients: list[Client] = []
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_until_cancelled, listener, app or small_app(), websocket or echo, limits)
            door = Door(path, nursery, clients)
            yield door
            door.stop()
    finally:
        for client in clients:
            await trio.aclose_forcefully(client.stream)


async def serve_until_cancelled(
    listener: trio.SocketListener,
    app: Any,
    websocket: Handler,
    limits: DoorLimits,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await serve([Entrance(listener)], app, websocket, limits=limits, version="1.2.3", task_status=task_status)


async def unix_listener(path: Path) -> trio.SocketListener:
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await sock.bind(str(path))
    sock.listen(100)
    return trio.SocketListener(sock)


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: ffd", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def upgrade(target: str = "/ws", *headers: str) -> bytes:
    return request(
        "GET",
        target,
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    )


async def echo(socket: Socket) -> None:
    while True:
        await socket.send_many([str(await socket.receive())])


class Pieces:
    """So many large pieces of a body, then perhaps a failure. No generator: one that is left half-way warns."""

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.left = count
        self.failure = failure

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise self.failure or StopAsyncIteration
        self.left -= 1
        return b"x" * 65_536


def small_app() -> Starlette:
    async def hello(_request: Request) -> Response:
        return JSONResponse("hello")

    async def length(request: Request) -> Response:
        return JSONResponse(len(await request.body()))

    async def deaf(_request: Request) -> Response:
        return JSONResponse("no need to read that", 202)

    async def slow(request: Request) -> Response:
        await trio.sleep(float(request.query_params["s"]))
        return JSONResponse("at last")

    async def stream(request: Request) -> Response:
        return StreamingResponse(Pieces(int(request.query_params["n"])))

    async def who(request: Request) -> Response:
        peer = request.state.peer
        caller = request.state.caller.name
        return JSONResponse({"uid": peer.uid, "pid": peer.pid, "id": request.state.request_id, "caller": caller})

    async def refuses(_request: Request) -> Response:
        raise Conflict("FF10430", "Idempotency key 'k' already used")

    async def fails(_request: Request) -> Response:
        raise ZeroDivisionError("secret")

    async def breaks_off(_request: Request) -> Response:
        return StreamingResponse(Pieces(2, ZeroDivisionError("secret")))

    routes = [
        Route("/", hello),
        Route("/length", length, methods=["POST"]),
        Route("/deaf", deaf, methods=["POST"]),
        *(Route(f"/{f.__name__.replace('_', '-')}", f) for f in (slow, stream, who, refuses, fails, breaks_off)),
    ]
    return Starlette(routes=routes, exception_handlers=dict(HANDLERS))
