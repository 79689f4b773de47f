"""What only the wiring knows of the node: its process, its roles, how its plugins are."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence

import trio

from ffd.api.desk import PluginFacts, ProcessFacts, RoleFacts
from ffd.daemon.roles import FAILING, Roles
from ffd.model.errors import FfdError
from ffd.outbound.flushes import FlushRecord, FlushStatistics
from ffd.ports.exchange import Exchange
from ffd.ports.ledger import Ledger
from ffd.ports.sharedstorage import SharedStorage

PLUGIN_ANSWER_S = 1.0


class NodeFacts:
    """The node's answers about itself; see `ffd.api.desk.NodeStatus`."""

    def __init__(
        self,
        roles: Roles,
        ledgers: Mapping[str, Ledger],
        storages: Mapping[str, SharedStorage],
        exchanges: Mapping[str, Exchange],
        flushes: Mapping[str, Mapping[str, FlushRecord]],
        *,
        socket: str,
        http: Sequence[str],
        started: int,
    ) -> None:
        self._roles = roles
        self._ledgers = ledgers
        self._storages = storages
        self._exchanges = exchanges
        self._flushes = flushes
        self._socket = socket
        self._http = http
        self._started = started
        self._began = trio.current_time()

    def process(self) -> ProcessFacts:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return ProcessFacts(
            pid=os.getpid(), started=self._started, uptime_s=trio.current_time() - self._began, socket=self._socket,
            http=self._http, memory={"peakBytes": peak},
        )  # fmt: skip

    def roles(self) -> Sequence[RoleFacts]:
        return [
            RoleFacts(state.name, state.state, state.since, state.epoch, state.error) for state in self._roles.states()
        ]

    def unready(self) -> Sequence[str]:
        return [f"role {state.name}: {state.error}" for state in self._roles.states() if state.state == FAILING]

    def flushes(self, namespace: str) -> Mapping[str, FlushStatistics]:
        return {name: record.statistics() for name, record in self._flushes[namespace].items()}

    async def ledger(self, namespace: str) -> PluginFacts:
        ledger = self._ledgers[namespace]
        try:
            with trio.fail_after(PLUGIN_ANSWER_S):
                status = await ledger.status()
        except (FfdError, trio.TooSlowError) as error:
            return PluginFacts(ledger.name, ledger.plugin, error=str(error) or "it does not answer")
        return PluginFacts(ledger.name, ledger.plugin, {"height": status.height, "head": status.head, **status.detail})

    async def storage(self, namespace: str) -> PluginFacts:
        storage = self._storages[namespace]
        await trio.lowlevel.checkpoint()
        return PluginFacts(storage.name, storage.plugin)

    async def exchange(self, namespace: str) -> PluginFacts:
        exchange = self._exchanges[namespace]
        await trio.lowlevel.checkpoint()
        return PluginFacts(exchange.name, exchange.plugin)
