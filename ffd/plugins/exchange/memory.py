"""A data exchange in memory, for several nodes of one process: every promise of the port, and faults on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import trio

from ffd.model.errors import Away, Broken, NotFound
from ffd.plugins.exchange.rest import Rest
from ffd.ports.exchange import PeerProfile, Peers, Receiver, Route, Transfer
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Source

T = TypeVar("T")


@dataclass
class MemoryMesh:
    """Who can be reached, by peer."""

    served: dict[str, tuple[Receiver, Peers]] = field(default_factory=dict)


@dataclass
class Faults:
    """What is wrong with the exchange as one node sees it.

    `cut` are the peers that it does not reach; of the next `lose_answers` things that it sends nobody hears whether
    they arrived; the next blob breaks off after `break_after` bytes.
    """

    away: bool = False
    cut: set[str] = field(default_factory=set)
    lose_answers: int = 0
    break_after: int | None = None
    delay_s: float = 0.0


class MemoryExchange:
    """One node's place in a `MemoryMesh`. What it says of its `endpoint` leads nowhere, and may change."""

    plugin = "memory"

    def __init__(self, name: str, mesh: MemoryMesh, peer: str, peers: Peers) -> None:
        self.name = name
        self.faults = Faults()
        self.endpoint = "memory"
        self._mesh = mesh
        self._peer = peer
        self._peers = peers

    def profile(self, node: str) -> PeerProfile:
        return PeerProfile(f"{self._peer}/{node}", self.endpoint, "")

    async def serve(
        self, receiver: Receiver, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        mine = self._mesh.served[self._peer] = receiver, self._peers
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            if self._mesh.served.get(self._peer) is mine:
                del self._mesh.served[self._peer]

    async def send_message(self, route: Route, message: bytes) -> None:
        receiver = await self._reach(route)
        await _taken_by(route, receiver.take_message(route, message))
        self._answer(route)

    async def send_blob(self, route: Route, transfer: Transfer, source: Source) -> None:
        receiver = await self._reach(route)
        offset = await _taken_by(route, receiver.blob_offset(route, transfer))
        rest: Source = await Rest.after(offset, source)
        if self.faults.break_after is not None:
            rest = Breaking(rest, self.faults.break_after)
            self.faults.break_after = None
        await _taken_by(route, receiver.take_blob(route, transfer, rest, offset=offset))
        self._answer(route)

    async def _reach(self, route: Route) -> Receiver:
        await trio.sleep(self.faults.delay_s)
        peer, _, _ = route.recipient.rpartition("/")
        if self._peers.find(route.namespace, route.recipient) is None:
            raise Away("FFD4404", f"no registered node is {route.recipient[:80]}: it is tried again")
        if self.faults.away or peer in self.faults.cut or peer not in self._mesh.served:
            raise Away("FFD4405", f"{route.recipient[:80]} does not answer: it is tried again")
        receiver, known_there = self._mesh.served[peer]
        if not route.sender.startswith(f"{self._peer}/") or known_there.find(route.namespace, route.sender) is None:
            raise Away("FFD4406", f"{route.recipient[:80]} does not know {route.sender[:80]}: it is tried again")
        return receiver

    def _answer(self, route: Route) -> None:
        if self.faults.lose_answers:
            self.faults.lose_answers -= 1
            raise Away("FFD4405", f"{route.recipient[:80]} did not answer: it is tried again")


class Breaking:
    """A stream that breaks off after so many bytes."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._left = size

    async def read(self) -> bytes:
        if self._left <= 0:
            raise Away("FFD4405", "the connection broke off: it is tried again")
        piece = (await self._source.read())[: self._left]
        self._left -= len(piece)
        return piece


async def _taken_by(route: Route, taking: Awaitable[T]) -> T:
    try:
        return await taking
    except NotFound as error:
        raise Away("FFD4407", f"{route.recipient[:80]} is not there yet ({error}): it is tried again") from error
    except Broken as error:
        raise Away("FFD4405", f"{route.recipient[:80]} ended meanwhile ({error}): it is tried again") from error


MESHES: dict[str, MemoryMesh] = {}
"""The meshes of this process that were opened by name; a test makes its own instead."""


@asynccontextmanager
async def open_memory_exchange(setting: PluginSetting, peers: Peers) -> AsyncIterator[MemoryExchange]:
    """An exchange that lives as long as the process; nodes that name the same option `mesh` share it."""
    setting.check_known("mesh")
    mesh = MESHES.setdefault(setting.text("mesh", setting.name), MemoryMesh())
    yield MemoryExchange(setting.name, mesh, setting.peer, peers)
