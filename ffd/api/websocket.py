"""An app's WebSocket: FireFly's protocol (reference 9), and what ffd adds to it: `send`, `nack`, `withData`.

One connection may start many subscriptions and pipeline many sends. It is always receiving, so that pings are answered;
what it may have unanswered is bounded, and a reader that stalls holds up nobody but itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import trio

from ffd.api.acks import Started, acknowledge, refuse
from ffd.api.caller import NOBODY
from ffd.api.desk import Desk
from ffd.api.envelope import check_names
from ffd.api.filters import parse_pairs
from ffd.api.frames import (
    SCOPED_PATH,
    Start,
    accepted_frame,
    first_values,
    flag,
    id_of_send,
    kind_of,
    parse_ack,
    parse_start,
    protocol_error_frame,
    refused_frame,
    start_of_query,
)
from ffd.api.sessions import SessionFacts
from ffd.api.sockets import Socket
from ffd.delivery.matching import compile_filter
from ffd.model.errors import FfdError, Invalid, NotFound
from ffd.model.ids import format_uuid
from ffd.model.namespace import EVERY_NAMESPACE, EVERYWHERE, Namespace
from ffd.model.subscription import Subscription, SubscriptionFilter, SubscriptionOptions, parse_filter, parse_options
from ffd.outbound.accept import Accepting
from ffd.outbound.draft import parse_send

log = logging.getLogger(__name__)

WRITES_WAITING_MAX = 4
FAREWELL_S = 2.0


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What one connection may have: `send` frames not answered yet and their bytes, subscriptions started."""

    frames_in_flight_max: int = 64
    bytes_in_flight_max: int = 16 * 1024 * 1024
    subscriptions_max: int = 500


@dataclass(slots=True)
class _Sending:
    """A `send` frame on its way to the disk, or why it was refused whole."""

    id: str
    size: int
    accepting: Accepting | None
    refusal: FfdError | None

    @property
    def settled(self) -> bool:
        return self.accepting is None or self.accepting.settled


class Room:
    """What may be unanswered on one connection; a frame has room when it is the only one, however large."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._frames = 0
        self._bytes = 0
        self._waiting = trio.lowlevel.ParkingLot()

    async def take(self, size: int) -> None:
        """Wait until one more frame may go unanswered; without a pause while there is room: many join one commit."""
        while self._frames and not self._has(size):
            await self._waiting.park()
        self._frames += 1
        self._bytes += size

    def _has(self, size: int) -> bool:
        limits = self._limits
        return self._frames < limits.frames_in_flight_max and self._bytes + size <= limits.bytes_in_flight_max

    def give_back(self, size: int) -> None:
        """A frame of this size is answered."""
        self._frames -= 1
        self._bytes -= size
        self._waiting.unpark_all()


class Session:
    """One connection, from its first frame to its last."""

    def __init__(self, desk: Desk, limits: SessionLimits, socket: Socket) -> None:
        self.socket = socket
        self.autoack = False
        self._id = format_uuid(desk.world.new_id())
        self._desk = desk
        self._limits = limits
        self._scope = scoped_namespace(socket.path)
        self._caller = NOBODY
        self._started: list[Started] = []
        self._outgoing, self._to_write = trio.open_memory_channel[Sequence[str]](WRITES_WAITING_MAX)
        self._unanswered: deque[_Sending] = deque()
        self._room = Room(limits)
        self._sent = trio.Event()

    def facts(self) -> SessionFacts:
        """Who is connected, and what they have started."""
        agent = next((value for name, value in self.socket.headers if name == "user-agent"), "")
        return SessionFacts(self._id, str(self.socket.peer), agent, [each.facts() for each in self._started])

    async def run(self) -> None:
        """Serve the connection until either side closes it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._reply)
                await self._listen(nursery)
                nursery.cancel_scope.cancel()
        finally:
            self._desk.subscriptions.places.give_back(len(self._started))

    async def _listen(self, nursery: trio.Nursery) -> None:
        """Do what the app says, in its URL first, until it says what ends the connection."""
        try:
            self._caller = await self.socket.caller()
            await self._start_by_url(nursery)
            while True:
                for frame in await self.socket.receive_many():
                    await self._handle(frame, nursery)
        except FfdError as refused:
            await self._protocol_error(refused)

    async def say(self, frames: Sequence[str]) -> None:
        """Queue frames for the one task that writes: who says something may be cancelled, a half-written frame may not.

        Waits while the reader stalls.
        """
        await self._outgoing.send(frames)

    async def _write(self) -> NoReturn:
        while True:
            await self.socket.send_many(await self._to_write.receive())

    async def _handle(self, frame: str | bytes, nursery: trio.Nursery) -> None:
        """Do what one frame asks for. Raises what ends the connection."""
        raw = frame.encode() if isinstance(frame, str) else frame
        kind = kind_of(raw)
        if kind == "send":
            await self._room.take(len(raw))
            self._unanswered.append(self._send(raw))
            self._sent.set()
        elif kind == "ack":
            acknowledge(self._started, parse_ack(raw), autoack=self.autoack)
        elif kind == "nack":
            refuse(self._started, parse_ack(raw))
        elif kind == "start":
            check_names(raw)
            start = parse_start(raw)
            self._caller = await self.socket.caller()  # FireFly reference 9.4: asked again at each start
            self._start(start, nursery)
        else:
            raise Invalid("FF10177", f"Unknown action type '{kind[:40]}': start, ack, nack and send are known")

    # Sending -----------------------------------------------------------------------------------------------------

    def _send(self, raw: bytes) -> _Sending:
        try:
            wire, drafts = parse_send(raw)
            acceptor = self._desk.acceptors[self._namespace(wire.namespace or None).name]
            return _Sending(wire.id, len(raw), acceptor.begin(drafts), None)
        except FfdError as refusal:
            return _Sending(id_of_send(raw), len(raw), None, refusal)

    async def _reply(self) -> NoReturn:
        """Answer every `send` in the order they came, each when its messages are on disk."""
        while True:
            await self._sent.wait()
            self._sent = trio.Event()
            while self._unanswered:
                answered = [self._unanswered.popleft()]
                frames = [await self._answer(answered[0])]
                # One commit often settles several frames: their answers leave together.
                while self._unanswered and self._unanswered[0].settled:
                    answered.append(self._unanswered.popleft())
                    frames.append(await self._answer(answered[-1]))
                await self.say(frames)
                for sending in answered:
                    self._room.give_back(sending.size)

    async def _answer(self, sending: _Sending) -> str:
        if sending.accepting is None:
            return refused_frame(sending.id, sending.refusal or Invalid("FF10176", "Invalid data"))
        try:
            return accepted_frame(sending.id, await sending.accepting.wait())
        except FfdError as refusal:
            return refused_frame(sending.id, refusal)

    # Subscribing -------------------------------------------------------------------------------------------------

    async def _start_by_url(self, nursery: trio.Nursery) -> None:
        """The subscription that the URL asks for, if it asks for one; its errors are told and do not end anything."""
        try:
            query = first_values(parse_pairs(self.socket.query))
            if flag(query, "ephemeral") or "name" in query:
                self._start(start_of_query(query), nursery)
        except FfdError as refused:
            await self.say([protocol_error_frame(str(refused))])

    def _start(self, start: Start, nursery: trio.Nursery) -> None:
        if not (start.namespace or self._scope) or not (start.name or start.ephemeral):
            raise Invalid(
                "FF10178", "A start action must set namespace and either a name or ephemeral=true: it sets less"
            )
        if start.autoack is not None and start.autoack != self.autoack and self._started:
            raise Invalid("FF10179", "Automatic acknowledgement must be set on the first start, and not changed")
        if start.ephemeral:
            self._start_ephemeral(self._ephemeral(start), nursery)
        else:
            self._start_durable(self._spanned(start.namespace), start.name or "", nursery)
        if start.autoack is not None:
            self.autoack = start.autoack

    def _start_ephemeral(self, subscription: Subscription, nursery: trio.Nursery) -> None:
        started = self._take_place(subscription.namespace, subscription.name, ephemeral=subscription)
        nursery.start_soon(self._desk.subscriptions.serve_ephemeral, subscription, started, started.placed)

    def _start_durable(self, namespace: Namespace, name: str, nursery: trio.Nursery) -> None:
        """Serve a durable subscription; what was started before, by the URL for one, goes on as it is."""
        if any((each.namespace, each.name) == (namespace.name, name) for each in self._started):
            return
        started = self._take_place(namespace.name, name)
        nursery.start_soon(self._desk.subscriptions.serve_durable, namespace, name, started, started.placed)

    def _take_place(self, namespace: str, name: str, *, ephemeral: Subscription | None = None) -> Started:
        if len(self._started) >= self._limits.subscriptions_max:
            raise Invalid("FFD2402", f"a connection can start {self._limits.subscriptions_max} subscriptions, not more")
        self._desk.subscriptions.places.take()
        self._started.append(Started(self, namespace, name, since=self._desk.world.now(), ephemeral=ephemeral))
        return self._started[-1]

    def _ephemeral(self, start: Start) -> Subscription:
        id = format_uuid(self._desk.world.new_id())
        filter = parse_filter(bytes(start.filter)) if bytes(start.filter) != b"null" else SubscriptionFilter()
        compile_filter(filter)
        return Subscription(
            id=id,
            namespace=self._spanned(start.namespace).name,
            name=id,
            transport="websockets",
            filter=filter,
            options=parse_options(bytes(start.options)) if bytes(start.options) != b"null" else SubscriptionOptions(),
            created=self._desk.world.now(),
            ephemeral=True,
        )

    def _spanned(self, name: str | None) -> Namespace:
        """The namespace that a start is for, or all of them as `*`. Raises as `_namespace`."""
        if (name or self._scope) == EVERY_NAMESPACE and self._in_scope(name):
            self._caller.check_node()
            return EVERYWHERE
        return self._namespace(name)

    def _in_scope(self, name: str | None) -> bool:
        return not (self._scope and name) or name == self._scope

    def _namespace(self, name: str | None) -> Namespace:
        """The namespace that a frame is for.

        Raises Invalid FF10462 off the connection's scope, FF00170 off the caller's namespaces; NotFound FF10187.
        """
        if not self._in_scope(name):
            raise Invalid("FF10462", f"this connection is for namespace '{self._scope}', not for '{(name or '')[:64]}'")
        chosen = name or self._scope or self._desk.default_namespace
        self._caller.check(chosen)
        found = self._desk.namespaces.get(chosen)
        if found is None:
            raise NotFound("FF10187", f"Namespace does not exist: '{chosen[:64]}'")
        return found

    async def _protocol_error(self, error: FfdError) -> None:
        text = str(error) if error.code == "FF10176" else f"FF10176: Invalid data: {error}"
        log.info("connection of %r refused: %s", self.socket, error)
        with trio.move_on_after(FAREWELL_S):  # to a reader that stalls there is nothing more to say
            await self.socket.send_many([protocol_error_frame(text)])


async def serve_websocket(desk: Desk, limits: SessionLimits, socket: Socket) -> None:
    """Serve one WebSocket connection to its end."""
    session = Session(desk, limits, socket)
    with desk.sessions.holding(session):
        await session.run()


def scoped_namespace(path: str) -> str:
    """The namespace that a path fixes; empty when it fixes none."""
    return path.removeprefix(SCOPED_PATH).partition("/")[0] if path.startswith(SCOPED_PATH) else ""
