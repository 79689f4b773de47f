"""The doors of a node: its socket, its TCP port if it has one, and who serves what comes through them."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from ffd.api.app import build_app
from ffd.api.desk import Desk, RequestLimits
from ffd.api.limits import DoorLimits
from ffd.api.server import serve
from ffd.api.websocket import SessionLimits, serve_websocket
from ffd.daemon.config import Config
from ffd.daemon.facts import NodeFacts
from ffd.daemon.http import exposed
from ffd.daemon.parts import Parts, usable
from ffd.daemon.roles import Roles
from ffd.daemon.work import publisher_of
from ffd.delivery.confirmations import Confirmations
from ffd.delivery.subscriptions import Subscriptions
from ffd.model.errors import Broken, Conflict, Invalid
from ffd.model.ids import format_uuid
from ffd.outbound.accept import AcceptLimits, Acceptor

LOCK_SUFFIX = ".lock"
FORM_BYTES = 2 * 1024 * 1024
"""What a form may have beside its file; what it has is checked field by field."""
DRAIN_SHARE = 0.8
"""How much of the time for a stop the doors may take; the rest is for the roles and the store beneath them."""


@asynccontextmanager
async def hold_doors(parts: Parts) -> AsyncIterator[list[trio.SocketListener]]:
    """The node's listeners, which no other process has, those of Unix sockets first. Raises Conflict when one has.

    What the service manager opened is taken as it is, of either kind instead of our own: it outlives this process, and
    nobody is refused meanwhile. A TCP listener of its has to keep the rules of `http`, or is refused: Invalid FFD1109.
    """
    inherited = parts.world.inherited_listeners()
    local = [each for each in inherited if is_local(each)]
    distant = [each for each in inherited if not is_local(each)]
    async with AsyncExitStack() as stack:
        if not local:
            local = [await stack.enter_async_context(_hold_socket(parts))]
        yield local + (_permitted(parts, distant) if distant else await _listen_tcp(parts))


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
    listeners: list[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the API on the listeners until cancelled."""
    limits = parts.config.limits
    session = SessionLimits(
        frames_in_flight_max=limits.frames_in_flight_max, subscriptions_max=limits.subscriptions_max
    )
    await serve(
        listeners,
        build_app(desk),
        partial(serve_websocket, desk, session),
        limits=door_limits(parts.config),
        new_id=lambda: format_uuid(parts.world.new_id()),
        task_status=task_status,
    )


async def _listen_tcp(parts: Parts) -> list[trio.SocketListener]:
    wanted = parts.config.http
    return [await parts.world.listen_tcp(wanted.address, wanted.port)] if wanted.address else []


def _permitted(parts: Parts, inherited: list[trio.SocketListener]) -> list[trio.SocketListener]:
    """The service manager's TCP listeners, if each may be open as `http` is configured. Raises Invalid FFD1109."""
    for listener in inherited:
        if fault := exposed(parts.config.http, listener.socket.getsockname()[0]):
            raise Invalid("FFD1109", f"the service manager's {address_of(listener)} is not served: {fault}")
    return inherited


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
    return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"


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
        subscriptions=subscriptions,
        confirmations=Confirmations(store, subscriptions.recent),
        status=NodeFacts(
            roles,
            {name: member.ledger for name, member in parts.members.items()},
            {name: member.storage for name, member in parts.members.items()},
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
        upload_bytes_max=limits.blob_bytes_max + FORM_BYTES,
        frame_bytes_max=limits.request_bytes_max,
        drain_s=config.timeouts.stop_s * DRAIN_SHARE,
    )
