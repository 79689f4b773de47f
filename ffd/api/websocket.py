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

from ffd.api.desk import Desk
from ffd.api.filters import parse_pairs
from ffd.api.frames import (
    SCOPED_PATH,
    Ack,
    Start,
    SubscriptionRef,
    accepted_frame,
    delivery_frames,
    flag,
    id_of_send,
    kind_of,
    no_match,
    parse_ack,
    parse_start,
    protocol_error_frame,
    refused_frame,
    start_of_query,
)
from ffd.api.sockets import Socket
from ffd.delivery.dispatcher import Dispatcher
from ffd.delivery.matching import compile_filter
from ffd.delivery.subscriptions import EVERY_NAMESPACE
from ffd.model.errors import FfdError, Invalid, NotFound
from ffd.model.ids import format_uuid
from ffd.model.namespace import Namespace
from ffd.model.subscription import Subscription, SubscriptionFilter, SubscriptionOptions, parse_filter, parse_options
from ffd.outbound.accept import Accepting
from ffd.outbound.draft import parse_send
from ffd.ports.transport import Delivery

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


class _Subscribed:
    """One subscription that the connection started, and its end towards the app."""

    def __init__(self, session: Session, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.dispatcher: Dispatcher | None = None
        self._session = session

    def placed(self, dispatcher: Dispatcher | None) -> None:
        self.dispatcher = dispatcher

    async def deliver(self, delivery: Delivery) -> None:
        """Send the events; with autoack they count as done as soon as they are on their way."""
        dispatcher = self.dispatcher
        if dispatcher is None:
            return
        await self._session.say(delivery_frames(dispatcher.subscription, delivery))
        if self._session.autoack:
            self._ack_all(dispatcher)

    def _ack_all(self, dispatcher: Dispatcher) -> None:
        while (oldest := dispatcher.oldest()) is not None:
            dispatcher.ack(oldest)

    def is_meant(self, ref: SubscriptionRef) -> bool:
        """Does an ack name this subscription, by its id or by namespace and name?"""
        if self.dispatcher is None:
            return False
        subscription = self.dispatcher.subscription
        return ref.id == subscription.id or (
            ref.namespace == subscription.namespace and ref.name is not None and ref.name == subscription.name
        )


class Session:
    """One connection, from its first frame to its last."""

    def __init__(self, desk: Desk, limits: SessionLimits, socket: Socket) -> None:
        self.socket = socket
        self.autoack = False
        self._desk = desk
        self._limits = limits
        self._autoack_fixed = False
        self._scope = scoped_namespace(socket.path)
        self._subscribed: list[_Subscribed] = []
        self._outgoing, self._to_write = trio.open_memory_channel[Sequence[str]](WRITES_WAITING_MAX)
        self._unanswered: deque[_Sending] = deque()
        self._room = Room(limits)
        self._sent = trio.Event()

    async def run(self) -> None:
        """Serve the connection until either side closes it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            nursery.start_soon(self._reply)
            await self._start_by_url(nursery)
            try:
                while True:
                    for frame in await self.socket.receive_many():
                        await self._handle(frame, nursery)
            except FfdError as refused:
                await self._protocol_error(refused)
            nursery.cancel_scope.cancel()

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
            self._ack(parse_ack(raw))
        elif kind == "nack":
            self._nack(parse_ack(raw))
        elif kind == "start":
            self._start(parse_start(raw), nursery)
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
        query = {name.lower(): value for name, value in parse_pairs(self.socket.query)}
        if not (flag(query, "ephemeral") or "name" in query):
            return
        try:
            self._start(start_of_query(query), nursery)
        except FfdError as refused:
            await self.say([protocol_error_frame(str(refused))])

    def _start(self, start: Start, nursery: trio.Nursery) -> None:
        self._set_autoack(start.autoack)
        if not (start.namespace or self._scope) or not (start.name or start.ephemeral):
            raise Invalid(
                "FF10178", "A start action must set namespace and either a name or ephemeral=true: it sets less"
            )
        if start.ephemeral:
            subscription = self._ephemeral(start)
            subscribed = self._subscribe(subscription.namespace, subscription.name)
            nursery.start_soon(self._desk.subscriptions.serve_ephemeral, subscription, subscribed, subscribed.placed)
        else:
            namespace = self._namespace(start.namespace)
            subscribed = self._subscribe(namespace.name, start.name or "")
            nursery.start_soon(
                self._desk.subscriptions.serve_durable, namespace, subscribed.name, subscribed, subscribed.placed
            )

    def _set_autoack(self, autoack: bool | None) -> None:
        if autoack is not None and autoack != self.autoack:
            if self._autoack_fixed:
                raise Invalid("FF10179", "Automatic acknowledgement must be set on the first start, and not changed")
            self.autoack = autoack
        self._autoack_fixed = True

    def _subscribe(self, namespace: str, name: str) -> _Subscribed:
        if any(each.namespace == namespace and each.name == name for each in self._subscribed):
            raise Invalid("FFD2401", f"subscription '{name}' was started on this connection before: once is enough")
        if len(self._subscribed) >= self._limits.subscriptions_max:
            raise Invalid("FFD2402", f"a connection can start {self._limits.subscriptions_max} subscriptions, not more")
        subscribed = _Subscribed(self, namespace, name)
        self._subscribed.append(subscribed)
        return subscribed

    def _ephemeral(self, start: Start) -> Subscription:
        id = format_uuid(self._desk.world.new_id())
        everywhere = start.namespace == EVERY_NAMESPACE and not self._scope
        filter = parse_filter(bytes(start.filter)) if bytes(start.filter) != b"null" else SubscriptionFilter()
        compile_filter(filter)
        return Subscription(
            id=id,
            namespace=EVERY_NAMESPACE if everywhere else self._namespace(start.namespace).name,
            name=id,
            transport="websockets",
            filter=filter,
            options=parse_options(bytes(start.options)) if bytes(start.options) != b"null" else SubscriptionOptions(),
            created=self._desk.world.now(),
            ephemeral=True,
        )

    def _namespace(self, name: str | None) -> Namespace:
        """The namespace that a frame is for. Raises Invalid FF10462 off the connection's scope, NotFound FF10187."""
        if self._scope and name and name != self._scope:
            raise Invalid("FF10462", f"this connection is for namespace '{self._scope}', not for '{name[:64]}'")
        chosen = name or self._scope or self._desk.default_namespace
        found = self._desk.namespaces.get(chosen)
        if found is None:
            raise NotFound("FF10187", f"Namespace does not exist: '{chosen[:64]}'")
        return found

    # Acknowledging -----------------------------------------------------------------------------------------------

    def _ack(self, ack: Ack) -> None:
        batch = self._batch_in_flight(ack.id)
        if batch is not None and ack.id:
            batch.ack(ack.id)
            return
        if self.autoack:
            raise Invalid("FF10180", "Automatic acknowledgement is on: this connection must send no acks")
        dispatcher, id = self._meant(ack)
        if not dispatcher.ack(id) and not dispatcher.revoked(id):
            raise no_match(id)

    def _nack(self, nack: Ack) -> None:
        dispatcher, id = self._meant(nack)
        if not dispatcher.nack(id) and not dispatcher.revoked(id):
            raise no_match(id)

    def _meant(self, ack: Ack) -> tuple[Dispatcher, str]:
        """Which delivery an ack or nack speaks of (FireFly reference 9.2). Raises Invalid FF10175."""
        live = [each.dispatcher for each in self._subscribed if each.dispatcher is not None]
        if ack.id is None:
            for dispatcher in live:
                oldest = dispatcher.oldest()
                if oldest is not None:
                    return dispatcher, oldest
            raise no_match("(oldest)")
        if ack.subscription is not None:
            named = [each.dispatcher for each in self._subscribed if each.is_meant(ack.subscription)]
            live = [dispatcher for dispatcher in named if dispatcher is not None]
        elif len(self._subscribed) != 1:
            batch = self._batch_in_flight(ack.id)
            live = [] if batch is None else [batch]
        if not live:
            raise no_match(ack.id)
        return live[0], ack.id

    def _batch_in_flight(self, id: str | None) -> Dispatcher | None:
        """The dispatcher that has a batch of this id in flight: such ids are unique, and need no subscription named."""
        for each in self._subscribed:
            if id and each.dispatcher is not None and each.dispatcher.has_batch(id):
                return each.dispatcher
        return None

    async def _protocol_error(self, error: FfdError) -> None:
        text = str(error) if error.code == "FF10176" else f"FF10176: Invalid data: {error}"
        log.info("connection of %r refused: %s", self.socket, error)
        with trio.move_on_after(FAREWELL_S):  # to a reader that stalls there is nothing more to say
            await self.socket.send_many([protocol_error_frame(text)])


async def serve_websocket(desk: Desk, limits: SessionLimits, socket: Socket) -> None:
    """Serve one WebSocket connection to its end."""
    await Session(desk, limits, socket).run()


def scoped_namespace(path: str) -> str:
    """The namespace that a path fixes; empty when it fixes none."""
    return path.removeprefix(SCOPED_PATH).partition("/")[0] if path.startswith(SCOPED_PATH) else ""
