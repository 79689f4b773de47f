"""One node: its store and plugins, the roles on top of them, and the doors on top of those.

What is opened first is closed last. To stop, the doors are closed and drained, then the roles, and then what is under
them; whatever was accepted by then is on disk, and is where the next start begins.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import trio

from ffd import __version__
from ffd.api.desk import Desk
from ffd.daemon.config import Config
from ffd.daemon.doors import Doors, accept_limits, hold_doors, make_desk, serve_doors
from ffd.daemon.host import Ready
from ffd.daemon.parts import Parts, blob_limits, open_parts
from ffd.daemon.registering import registrars_of
from ffd.daemon.roles import Roles
from ffd.daemon.work import roles_of
from ffd.model.errors import FfdError, Full
from ffd.store.offsets import prove_writable
from ffd.world import World

_log = logging.getLogger(__name__)

QUEUE_FULL = "FFD3001"  # said without a look at the disk
QUEUE_LOOK_S = 0.1


async def run_node(
    config: Config, world: World, *, stop: trio.Event, ready: Ready, reload: trio.MemoryReceiveChannel[Config]
) -> None:
    """Run a node until `stop` is set, then drain it. Raises Conflict when another one has the socket.

    Of a new configuration the limits on what is accepted and the rules of the TCP door are taken over; the log level
    the host takes over by itself.
    """
    async with open_parts(config, world) as parts, hold_doors(parts) as entry:
        roles = Roles(world, parts.store, parts.process)
        desk = make_desk(parts, roles, entry.addresses)
        async with trio.open_nursery() as below:
            for name, work in (roles_of(parts) | registrars_of(parts, desk.acceptors)).items():
                below.start_soon(roles.keep, name, work)
            # Not with the doors: who waits for a confirmation is told while they drain.
            below.start_soon(desk.confirmations.run)
            below.start_soon(sweep_blobs, parts)
            async with trio.open_nursery() as doors:
                doors.start_soon(_follow_reloads, parts, reload, desk, entry)
                await doors.start(serve_doors, parts, desk, entry)
                _look_at_the_disk(parts)
                ready(f"ffd {__version__} on {' and '.join(entry.addresses)}", lambda: _do_a_turn(parts))
                await stop.wait()
                doors.cancel_scope.cancel()
            below.cancel_scope.cancel()


def _look_at_the_disk(parts: Parts) -> None:
    """Tell at a start what every sender would be told."""
    free, reserve = parts.world.disk_free(Path(parts.config.state_dir)), parts.config.limits.disk_reserve_bytes
    if free < reserve:
        _log.warning(
            "%d bytes are free on the disk of %s, fewer than limits.disk_reserve_bytes (%d): no message is accepted",
            free, parts.config.state_dir, reserve,
        )  # fmt: skip


async def sweep_blobs(parts: Parts) -> None:
    """Remove what a crash left of blobs. What cannot be removed now will be tried at the next start."""
    try:
        await parts.blobs.sweep()
    except FfdError as failure:
        _log.warning("what is left of blobs was not removed: %s", failure)


async def _follow_reloads(parts: Parts, reload: trio.MemoryReceiveChannel[Config], desk: Desk, entry: Doors) -> None:
    async for config in reload:
        await entry.reload(config, parts.world)
        # Batches stay as they were begun: what is accepted must fit into them.
        limits = accept_limits(replace(config, batch=parts.config.batch))
        for acceptor in desk.acceptors.values():
            acceptor.limits = limits
        desk.blobs.limits = blob_limits(config)


async def _do_a_turn(parts: Parts) -> None:
    """What the watchdog trusts: the loop turns, and the store takes a write to the disk, or says why it cannot.

    A disk without room is an answer: a new start would make none, and what is there is still served.
    """
    now = parts.world.now()
    while True:
        try:
            return await parts.store.write(lambda tx: prove_writable(tx, now))
        except Full as refused:
            if refused.code != QUEUE_FULL:
                return None
        await trio.sleep(QUEUE_LOOK_S)
