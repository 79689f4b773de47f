"""What every handler is given: the node's parts, and what the node knows of itself beyond its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from ffd.api.sessions import Sessions
from ffd.delivery.confirmations import Confirmations
from ffd.delivery.subscriptions import Subscriptions
from ffd.model.errors import NotFound
from ffd.model.namespace import Namespace
from ffd.outbound.accept import Acceptor
from ffd.outbound.flushes import FlushStatistics
from ffd.outbound.publish import Publisher
from ffd.ports.wallet import Wallet
from ffd.store import Store
from ffd.store.blobfiles import BlobFiles
from ffd.world import World

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How large one request may be, and how long it may take; `request_s` when it does not say."""

    request_bytes_max: int = 8 * 1024 * 1024
    request_s: float = 120
    request_max_s: float = 600


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """This process: `started` in nanoseconds since 1970, `memory` in bytes by what it is of.

    `socket` is the path of its Unix socket, `http` the URLs at which it is reached over TCP.
    """

    pid: int
    started: int
    uptime_s: float
    socket: str
    memory: Mapping[str, int]
    http: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """One role of this process: `state` is a word (leading, standing by, failing), `since` in nanoseconds.

    `epoch` is None while somebody else leads; `error` is the latest failure, until the role runs again.
    """

    name: str
    state: str
    since: int
    epoch: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class PluginFacts:
    """One plugin in use: its name in the configuration, what it is, what it says of itself; `error` when it is away."""

    name: str
    plugin: str
    detail: Mapping[str, str | int] = field(default_factory=dict)
    error: str = ""


class NodeStatus(Protocol):
    """What only the node's wiring knows. Nothing here waits for long or raises: a plugin that is away says so."""

    def process(self) -> ProcessFacts:
        """This process, now."""

    def roles(self) -> Sequence[RoleFacts]:
        """The roles that this process leads, stands by for, or cannot run."""

    def unready(self) -> Sequence[str]:
        """Why the node is not ready, a sentence each; empty when it is."""

    def flushes(self, namespace: str) -> Mapping[str, FlushStatistics]:
        """How the batches of a namespace have left so far, in this process, by their kind (`flushes.DISPATCHERS`)."""

    async def ledger(self, namespace: str) -> PluginFacts:
        """The ledger of a namespace."""

    async def storage(self, namespace: str) -> PluginFacts:
        """The shared storage of a namespace."""

    async def exchange(self, namespace: str) -> PluginFacts:
        """The data exchange of a namespace."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts that handlers work with; mappings are by the local name of the namespace."""

    world: World
    store: Store
    blobs: BlobFiles
    namespaces: Mapping[str, Namespace]
    acceptors: Mapping[str, Acceptor]
    wallet: Wallet
    publishers: Mapping[str, Publisher]
    subscriptions: Subscriptions
    confirmations: Confirmations
    status: NodeStatus
    limits: RequestLimits = RequestLimits()
    default_namespace: str = DEFAULT_NAMESPACE
    descriptions: Mapping[str, str] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    charting: trio.Lock = field(default_factory=trio.Lock)
    """Held for a histogram, which may walk a whole table: they must not keep all readers from the lists."""

    def namespace(self, name: str) -> Namespace:
        """The namespace of that local name. Raises NotFound FF10436."""
        found = self.namespaces.get(name)
        if found is None:
            raise NotFound("FF10436", f"Unknown namespace '{name[:80]}': see GET /api/v1/namespaces")
        return found
