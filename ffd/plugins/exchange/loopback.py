"""The exchange of a node alone: it reaches this node and no other, and needs no network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

from ffd.model.errors import Away
from ffd.plugins.exchange.rest import Rest
from ffd.ports.exchange import PeerProfile, Peers, Receiver, Route, Transfer
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Source


class LoopbackExchange:
    """What this node sends to itself, such as from one of its namespaces to another, arrives; nothing else does."""

    plugin = "loopback"

    def __init__(self, name: str, peer: str) -> None:
        self.name = name
        self._peer = peer
        self._receiver: Receiver | None = None

    def profile(self, node: str) -> PeerProfile:
        return PeerProfile(f"{self._peer}/{node}", "", "")

    async def serve(
        self, receiver: Receiver, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        self._receiver = receiver
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self._receiver = None

    async def send_message(self, route: Route, message: bytes) -> None:
        await self._reach(route).take_message(route, message)

    async def send_blob(self, route: Route, transfer: Transfer, source: Source) -> None:
        receiver = self._reach(route)
        offset = await receiver.blob_offset(route, transfer)
        await receiver.take_blob(route, transfer, await Rest.after(offset, source), offset=offset)

    def _reach(self, route: Route) -> Receiver:
        if not route.recipient.startswith(f"{self._peer}/"):
            raise Away(
                "FFD4401",
                f"exchange {self.name} reaches no other node, so {route.recipient[:80]} gets nothing: give this node "
                f"an exchange of the plugin https; it is tried again",
            )
        if self._receiver is None:
            raise Away("FFD4402", f"exchange {self.name} does not take anything in yet: it is tried again")
        return self._receiver


@asynccontextmanager
async def open_loopback_exchange(setting: PluginSetting, peers: Peers) -> AsyncIterator[LoopbackExchange]:
    """An exchange with nobody."""
    setting.check_known()
    yield LoopbackExchange(setting.name, setting.peer)
