"""The doors of a node: its socket, its TCP port if it has one, and who serves what comes through them."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trio

from ffd.api.app import build_app
from ffd.api.desk import Desk, RequestLimits
from ffd.api.doorkeeper import Doorkeeper
from ffd.api.limits import DoorLimits
from ffd.api.server import Entrance, serve
from ffd.api.websocket import SessionLimits, serve_websocket
from ffd.daemon.config import Config
from ffd.daemon.facts import NodeFacts
from ffd.daemon.http import HttpConfig, exposed
from ffd.daemon.parts import Parts, usable
from ffd.daemon.roles import Roles
from ffd.daemon.rules import load_rules
from ffd.daemon.work import publisher_of
from ffd.delivery.confirmations import Confirmations
from ffd.delivery.subscriptions import Subscriptions
from ffd.model.errors import Broken, Conflict, FfdError, Invalid
from ffd.model.ids import format_uuid
from ffd.outbound.accept import AcceptLimits, Acceptor
from ffd.world import World

log = logging.getLogger(__name__)

LOCK_SUFFIX = ".lock"
DRAIN_SHARE = 0.8
"""How much of the time for a stop the doors may take; the rest is for the roles and the store beneath them."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The listeners of a node: those on Unix sockets, and those on TCP, which a keeper keeps."""

    local: Sequence[trio.SocketListener]
    distant: Sequence[trio.SocketListener]
    keeper: Doorkeeper | None
    open_loopback: bool

    @property
    def addresses(self) -> list[str]:
        """Where the node can be reached: its Unix sockets first, then the URLs of its TCP ports."""
        scheme = "https" if self.keeper is not None and self.keeper.rules.tls is not None else "http"
        return [address_of(each) for each in self.local] + [f"{scheme}://{address_of(each)}" for each in self.distant]

    def entrances(self) -> list[Entrance]:
        """For the server."""
        return [Entrance(each) for each in self.local] + [Entrance(each, self.keeper) for each in self.distant]

    async def reload(self, config: Config, world: World) -> None:
        """Take over the rules as they are on disk now; when they are wrong the old ones stay, and the log says why."""
        if self.keeper is None:
            return
        # What a new configuration says of another address must not open this one.
        http = replace(config.http, open_loopback=self.open_loopback)
        try:
            _check_exposure(http, self.distant)
            self.keeper.take(await load_rules(http, world))
        except FfdError as wrong:
            log.error("the rules of http stay as they were: %s", wrong)


@asynccontextmanager
async def hold_doors(parts: Parts) -> AsyncIterator[Doors]:
    """The node's listeners, which no other process has, and their rules. Raises Conflict when one has them.

    What the service manager opened is taken as it is, of either kind instead of our own: it outlives this process, and
    nobody is refused meanwhile. A TCP listener of its has to keep the rules of `http`, or is refused: Invalid FFD1109.
    """
    inherited = parts.world.inherited_listeners()
    local = [each for each in inherited if is_local(each)]
    distant = [each for each in inherited if not is_local(each)]
    async with AsyncExitStack() as stack:
        if not local:
            local = [await stack.enter_async_context(_hold_socket(parts))]
        http = parts.config.http
        distant = distant or await _listen_tcp(parts)
        _check_exposure(http, distant)
        keeper = Doorkeeper(await load_rules(http, parts.world)) if distant else None
        yield Doors(local, distant, keeper, http.open_loopback)


@asynccontextmanager
async def _hold_socket(parts: Parts) -> AsyncIterator[trio.SocketListener]:
    """The node's own Unix socket, while its lock is held."""
    path, world = Path(parts.config.socket.path), parts.world
    with usable(path.parent):
        world.make_directory(path.parent)
        lock = world.try_lock(path.with_name(path.name + LOCK_SUFFIX))
    if lock is None:
        raise Conflict("FFD1103", f"another ffd already listens on {path}: stop it, or give --socket PATH")
    try:
        with usable(path):
            listener = await _listen(parts, path)
        try:
            yield listener
        finally:
            world.remove_file(path)
    finally:
        lock.release()


async def serve_doors(  # noqa: ASYNC128 - serve() says when
    parts: Parts,
    desk: Desk,
    doors: Doors,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the API at the doors until cancelled."""
    limits = parts.config.limits
    session = SessionLimits(
        frames_in_flight_max=limits.frames_in_flight_max, subscriptions_max=limits.subscriptions_max
    )
    await serve(
        doors.entrances(),
        build_app(desk),
        partial(serve_websocket, desk, session),
        limits=door_limits(parts.config),
        new_id=lambda: format_uuid(parts.world.new_id()),
        task_status=task_status,
    )


async def _listen_tcp(parts: Parts) -> list[trio.SocketListener]:
    wanted = parts.config.http
    return [await parts.world.listen_tcp(wanted.address, wanted.port)] if wanted.address else []


def _check_exposure(http: HttpConfig, listeners: Sequence[trio.SocketListener]) -> None:
    """May each of these be open as `http` is configured? Raises Invalid FFD1109."""
    for listener in listeners:
        if fault := exposed(http, listener.socket.getsockname()[0]):
            raise Invalid("FFD1109", f"{address_of(listener)} is not served: {fault}")


async def _listen(parts: Parts, path: Path) -> trio.SocketListener:
    """The node's own listener. Raises Broken when its socket may not be given to the group that was asked for."""
    wanted = parts.config.socket
    try:
        return await parts.world.listen_unix(path, mode=wanted.mode, group=wanted.group)
    except PermissionError as error:
        if error.errno != errno.EPERM or not wanted.group:
            raise
        parts.world.remove_file(path)
        raise Broken(
            "FFD1106",
            f"this user may not give {path} to the group {wanted.group}: add it to that group, or name another in "
            "socket.group",
        ) from error


def is_local(listener: trio.SocketListener) -> bool:
    """Does it listen on a Unix socket?"""
    return listener.socket.family.name == "AF_UNIX"


def address_of(listener: trio.SocketListener) -> str:
    """Where the node can be reached: not always where it was told to listen, if the service manager listens for it."""
    name = listener.socket.getsockname()
    if isinstance(name, bytes):  # an abstract one
        return "@" + name.removeprefix(b"\0").decode("utf-8", "replace")
    if isinstance(name, str):
        return name
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def make_desk(parts: Parts, roles: Roles, addresses: Sequence[str] = ()) -> Desk:
    """What the handlers of this node are given; `addresses` are where it is reached, its Unix socket first."""
    config, world, store = parts.config, parts.world, parts.store
    accept = accept_limits(config)
    namespaces = {name: member.namespace for name, member in parts.members.items()}
    subscriptions = Subscriptions(
        world, store, namespaces,
        process=parts.process,
        recent_bytes_max=config.delivery.recent_bytes_max,
        page_events=config.delivery.page_events,
        read_ahead_max=config.delivery.readahead_max,
        subscriptions_max=config.limits.subscriptions_max,
        starts_max=config.limits.starts_max,
    )  # fmt: skip
    return Desk(
        world=world,
        store=store,
        blobs=parts.blobs,
        namespaces=namespaces,
        acceptors={
            name: Acceptor(world, store, member.namespace, member.ledger, accept)
            for name, member in parts.members.items()
        },
        publishers={name: publisher_of(parts, member) for name, member in parts.members.items()},
        wallet=parts.wallet,
        subscriptions=subscriptions,
        confirmations=Confirmations(store, subscriptions.recent),
        status=NodeFacts(
            roles,
            {name: member.ledger for name, member in parts.members.items()},
            {name: member.storage for name, member in parts.members.items()},
            {name: member.exchange for name, member in parts.members.items()},
            {name: member.flushes for name, member in parts.members.items()},
            socket=addresses[0] if addresses else config.socket.path,
            http=[each for each in addresses if each.startswith("http")],
            started=world.now(),
        ),
        limits=RequestLimits(config.limits.request_bytes_max, config.timeouts.request_s, config.timeouts.request_max_s),
        default_namespace=config.node.default_namespace,
        descriptions={name: each.description for name, each in config.namespaces.items()},
    )


def accept_limits(config: Config) -> AcceptLimits:
    """The bounds of what is accepted. A message that no batch could take is refused at the door."""
    limits = config.limits
    return AcceptLimits(
        min(limits.message_bytes_max, config.batch.bytes_max),
        limits.unsent_messages_max,
        limits.disk_reserve_bytes,
    )


def door_limits(config: Config) -> DoorLimits:
    """The bounds of the door, as far as they are configured."""
    limits = config.limits
    return DoorLimits(
        connections_max=limits.connections_max,
        header_timeout_s=limits.header_timeout_s,
        idle_s=limits.idle_timeout_s,
        body_bytes_max=limits.request_bytes_max,
        frame_bytes_max=limits.request_bytes_max,
        drain_s=config.timeouts.stop_s * DRAIN_SHARE,
    )
