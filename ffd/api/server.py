"""The sockets and their nursery: an upgrade goes to the WebSocket handler, the rest to the ASGI app.

One connection is one task tree; what fails in it is logged there, and no other one notices. A stop closes the
WebSockets with 1001 and lets requests in flight finish, both within a deadline.
"""

import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import trio

from ffd import __version__
from ffd.api import heads, refusals
from ffd.api.caller import Unauthorised
from ffd.api.doorkeeper import Doorkeeper, Rules, Visitor
from ffd.api.gate import Bodies, Gate, linger, send_quietly
from ffd.api.heads import Head
from ffd.api.hypercorn_door import ASGIApp, HttpDoor
from ffd.api.limits import DoorLimits
from ffd.api.origins import Headers
from ffd.api.peer import Peer, peer_of
from ffd.api.sockets import FAILED, GOING_AWAY, POLICY, Socket, SocketClosed, open_socket
from ffd.api.tls import Handshakes, NotSecured, say_goodbye
from ffd.model.errors import Away, FfdError, Full, Invalid

log = logging.getLogger(__name__)

TURNED_AWAY_MAX = 64
"""Connections beyond the limit that are told so at one time; the next ones are closed without a word."""

DEFAULTS = DoorLimits()

Handler = Callable[[Socket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Entrance:
    """One listener, and who keeps it; nobody keeps a Unix socket, whose mode has decided already."""

    listener: trio.abc.Listener[trio.abc.Stream]
    keeper: Doorkeeper | None = None


async def serve(
    entrances: Sequence[Entrance],
    app: ASGIApp,
    websocket: Handler,
    *,
    limits: DoorLimits = DEFAULTS,
    version: str = __version__,
    new_id: Callable[[], str] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve all connections of the listeners, which are closed at the end, until cancelled; then drain.

    `websocket` is called with each accepted `Socket`; when it returns or raises, that socket is closed. `app` finds
    `peer`, `caller` and `request_id` in its scope's `state`; `new_id` makes the ids of requests that bring none.
    """
    door = _Door(app, websocket, limits, version, new_id or _counted_ids())
    async with trio.open_nursery() as nursery:
        connections = await nursery.start(door.hold_connections)
        try:
            async with trio.open_nursery() as listening:
                for each in entrances:
                    await listening.start(door.listen, each, connections)
                task_status.started()
        finally:
            door.stopping.set()
    raise AssertionError("unreachable: listeners are served until cancelled")


class _Guest:
    """One connection: `gate` once it may ask, `scope` ends it."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope
        self.gate: Gate | None = None
        self.since = trio.current_time()

    def stop(self) -> None:
        """End it, unless it waits for an answer."""
        if self.gate is None:
            self.scope.cancel()
        else:
            self.gate.stop()


class _Door:
    def __init__(
        self, app: ASGIApp, websocket: Handler, limits: DoorLimits, version: str, new_id: Callable[[], str]
    ) -> None:
        self.stopping = trio.Event()
        self._websocket = websocket
        self._limits = limits
        self._version = version
        self._http = HttpDoor(app, limits, version, new_id)
        self._bodies = Bodies(limits.bodies_bytes_max, limits.uploads_max)
        self._handshakes = Handshakes(limits)
        self._open: dict[trio.abc.Stream, _Guest] = {}
        self._strangers: dict[trio.abc.Stream, _Guest] = {}
        self._turned_away = 0
        self._empty = trio.Event()

    async def hold_connections(self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED) -> None:
        """The nursery of the connections, shielded, so that a stop is a farewell and not an interruption."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as connections:
                task_status.started(connections)
                await self.stopping.wait()
                await self._http.stop()
                for guest in self._open.values():
                    guest.stop()
                await self._drain()
                connections.cancel_scope.cancel()

    async def _drain(self) -> None:
        with trio.move_on_after(self._limits.drain_s):
            if self._open:
                await self._empty.wait()
        for stream in list(self._open):
            # Hypercorn shields its writes: only the loss of its stream ends one that nobody reads.
            await trio.aclose_forcefully(stream)

    async def listen(  # noqa: ASYNC128 - serve_listeners() says when
        self,
        entrance: Entrance,
        connections: trio.Nursery,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve each connection of one listener."""
        serve_one = partial(self.serve_connection, entrance.keeper)
        await trio.serve_listeners(serve_one, [entrance.listener], handler_nursery=connections, task_status=task_status)

    async def serve_connection(self, keeper: Doorkeeper | None, stream: trio.abc.Stream) -> None:
        """One connection to its end; the caller closes the stream."""
        if self.stopping.is_set() or not self._make_room():
            if keeper is None or keeper.rules.tls is None:
                await self._turn_away(stream)
            return
        try:
            with trio.CancelScope() as scope:
                self._open[stream] = self._strangers[stream] = guest = _Guest(scope)
                await self._welcome(stream, guest, keeper)
        except Exception:
            log.exception("a connection failed")
        finally:
            del self._open[stream]
            self._strangers.pop(stream, None)
            if self.stopping.is_set() and not self._open:
                self._empty.set()

    def _make_room(self) -> bool:
        """Is there a place? The oldest connection that has not said who it is may have to leave its own."""
        if len(self._open) < self._limits.connections_max:
            return True
        if not self._strangers:
            return False
        stream, guest = next(iter(self._strangers.items()))
        if trio.current_time() - guest.since < self._limits.stranger_s:
            return False
        del self._strangers[stream]
        guest.scope.cancel()
        return True

    async def _welcome(self, stream: trio.abc.Stream, guest: _Guest, keeper: Doorkeeper | None) -> None:
        """Behind TLS where the door has it: let the guest ask."""
        rules = keeper.rules if keeper is not None else None
        if rules is None or rules.tls is None:
            await self._talk(stream, stream, guest, keeper, rules)
            return
        try:
            secured = await self._handshakes.secure(stream, rules.tls)
        except NotSecured as why:
            log.debug("no TLS: %s", why, extra={"address": peer_of(stream).address})
            if why.plain_http:
                await self._refuse_plain(stream)
            return
        await self._talk(secured, stream, guest, keeper, rules)
        await say_goodbye(secured, self._limits)

    async def _talk(
        self,
        stream: trio.abc.Stream,
        wire: trio.abc.Stream,
        guest: _Guest,
        keeper: Doorkeeper | None,
        rules: Rules | None,
    ) -> None:
        peer = peer_of(stream)
        visitor = Visitor(keeper, rules, stream, peer) if keeper is not None and rules is not None else None

        def known() -> None:
            self._strangers.pop(wire, None)

        gate = guest.gate = Gate(stream, self._limits, self._bodies, self._answer, visitor, known)
        upgrade = await self._talk_http(gate, peer)
        if upgrade is not None:
            await self._talk_websocket(stream, gate, upgrade, peer, visitor)
        await gate.linger()

    async def _talk_http(self, gate: Gate, peer: Peer) -> Head | None:
        """Requests and answers; returns the request for a WebSocket that ends them, if one does."""
        try:
            if await gate.begin_next(first=True):
                await self._http.serve(gate, peer)
        except trio.ClosedResourceError:
            return None  # stopped before it asked anything
        finally:
            gate.end()
        return gate.upgrade

    async def _talk_websocket(
        self, stream: trio.abc.Stream, gate: Gate, head: Head, peer: Peer, visitor: Visitor | None
    ) -> None:
        try:
            heads.handshake(head)
        except FfdError as error:
            await gate.refuse(error)
            return
        try:
            identify = visitor.identify if visitor is not None else None
            async with open_socket(stream, head, gate.rest(), peer, self._limits, self._version, identify) as socket:
                await self._handle(socket, visitor)
        except* SocketClosed:
            log.debug("a client went before its WebSocket was open")
        await linger(stream, self._limits)

    async def _handle(self, socket: Socket, visitor: Visitor | None) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_at_stop, socket)
            if visitor is not None:
                nursery.start_soon(_close_when_unknown, socket, visitor)
            code = await self._run_handler(socket)
            await socket.close(code)
            nursery.cancel_scope.cancel()

    async def _run_handler(self, socket: Socket) -> int:
        """The handler to its end, and the code to close with."""
        failure: BaseException | None = None
        try:
            await self._websocket(socket)
        except* SocketClosed:
            pass
        except* Exception as group:  # noqa: BLE001  # a connection ends here
            failure = group
        if failure is None:
            return 1000
        log.error("the handler of %r failed", socket, exc_info=failure)
        return FAILED

    async def _close_at_stop(self, socket: Socket) -> None:
        await self.stopping.wait()
        await socket.close(GOING_AWAY, "ffd is stopping")

    async def _refuse_plain(self, stream: trio.abc.Stream) -> None:
        error = Invalid(refusals.NOT_PLAIN, "This port speaks TLS: use https or wss")
        await send_quietly(stream, self._answer(error), self._limits)
        await linger(stream, self._limits)

    async def _turn_away(self, stream: trio.abc.Stream) -> None:
        if self._turned_away >= TURNED_AWAY_MAX:
            return
        self._turned_away += 1
        try:
            most = self._limits.connections_max
            error = Away(
                refusals.CONNECTIONS, f"All {most} connections of ffd are in use: close some, or raise the limit"
            )
            await send_quietly(stream, self._answer(error), self._limits)
            await linger(stream, self._limits)
        finally:
            self._turned_away -= 1

    def _answer(self, error: FfdError, headers: Headers = ()) -> bytes:
        return refusals.raw_answer(error, self._version, headers)


async def _close_when_unknown(socket: Socket, visitor: Visitor) -> None:
    """Whose credentials are taken away is told to go, and not only at its next request."""
    while True:
        await visitor.changed()
        try:
            await socket.caller()
        except Unauthorised as gone:
            await socket.close(POLICY, gone.text)
            return
        except Full:  # it is asked again at its next start
            continue


def _counted_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"r{next(numbers)}"
