"""Data exchanges of several nodes that know each other, whatever their kind: how a contract test opens them."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from ffd.model.errors import Away, FfdError
from ffd.model.ids import sha256
from ffd.plugins.exchange import memory
from ffd.plugins.registry import exchange_opener
from ffd.ports.exchange import Exchange, PeerProfile, Route, Transfer
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Source
from ffd.ports.wallet import Wallet
from ffd.world import RealWorld
from tests.plugins.ledgers import key_of

NETWORK = "default"
PATIENCE_S = 30.0
PIECE_BYTES = 50_000


@dataclass
class Register:
    """The node identities that one node knows, by namespace and id."""

    profiles: dict[tuple[str, str], PeerProfile] = field(default_factory=dict)

    def find(self, namespace: str, id: str) -> PeerProfile | None:
        return self.profiles.get((namespace, id))

    def all(self) -> Sequence[PeerProfile]:
        return list(self.profiles.values())

    def learn(self, profile: PeerProfile, namespace: str = NETWORK) -> None:
        self.profiles[namespace, profile.id] = profile


class Mailbox:
    """Who takes in what comes; `refusal` is raised instead of taking. What it keeps of broken blobs outlives it."""

    def __init__(self) -> None:
        self.messages: list[tuple[Route, bytes]] = []
        self.blobs: list[tuple[Route, Transfer, bytes]] = []
        self.kept: dict[tuple[Route, bytes], bytes] = {}
        self.offsets: list[int] = []
        self.refusal: Callable[[], FfdError] | None = None
        self.grown = trio.Event()

    async def take_message(self, route: Route, message: bytes) -> None:
        self._refuse()
        self.messages.append((route, message))
        self._ring()

    async def blob_offset(self, route: Route, transfer: Transfer) -> int:
        await trio.lowlevel.checkpoint()
        return len(self.kept.get((route, transfer.data), b""))

    async def take_blob(self, route: Route, transfer: Transfer, source: Source, *, offset: int) -> None:
        self._refuse()
        content = bytearray(self.kept.pop((route, transfer.data), b""))
        assert len(content) == offset
        self.offsets.append(offset)
        try:
            while piece := await source.read():
                content += piece
        except Away:
            self.kept[route, transfer.data] = bytes(content)
            self._ring()
            raise
        self.blobs.append((route, transfer, bytes(content)))
        self._ring()

    async def wait(self, enough: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not enough():
                await self.grown.wait()

    def _ring(self) -> None:
        self.grown.set()
        self.grown = trio.Event()

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal()


@dataclass
class Blob:
    """A blob as a stream; `fails_at` is where it breaks off, and `read_bytes` how much of it was read."""

    content: bytes
    fails_at: int | None = None
    read_bytes: int = 0

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.fails_at is not None and self.read_bytes >= self.fails_at:
            raise Away("FFD9999", "the disk went away")
        piece = self.content[self.read_bytes : self.read_bytes + PIECE_BYTES]
        self.read_bytes += len(piece)
        return piece


@dataclass
class Node:
    """A node with an exchange: whom it knows, what it got, and whether it listens."""

    name: str
    exchange: Exchange
    register: Register
    mailbox: Mailbox
    nursery: trio.Nursery
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def profile(self) -> PeerProfile:
        return self.exchange.profile(self.name)

    def route(self, to: Node, namespace: str = NETWORK) -> Route:
        return Route(namespace, self.profile.id, to.profile.id)

    async def listen(self) -> None:
        await self.nursery.start(self._listen)

    async def _listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope() as self.scope:
            await self.exchange.serve(self.mailbox, task_status=task_status)

    async def deafen(self) -> None:
        """Stop to listen, as a node that is stopped."""
        self.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()

    async def send(self, to: Node, text: str, namespace: str = NETWORK) -> None:
        await self.exchange.send_message(self.route(to, namespace), wrapper(text, namespace))

    async def send_blob(self, to: Node, source: Blob, data: bytes = b"d" * 16) -> None:
        transfer = Transfer(data, sha256(source.content), len(source.content))
        await self.exchange.send_blob(self.route(to), transfer, source)

    def got(self) -> list[bytes]:
        return [message for _, message in self.mailbox.messages]


def wrapper(text: str, namespace: str = NETWORK) -> bytes:
    """A message as it travels, as far as an exchange looks into it."""
    return f'{{"batch":{{"id":"{text}","namespace":"{namespace}"}}}}'.encode()


class Exchanges(ABC):
    """Exchanges of one kind, of nodes below `root`."""

    plugin: str

    def __init__(self, root: Path, lasting: AsyncExitStack, nursery: trio.Nursery) -> None:
        self.root = root
        self.nodes: dict[str, Node] = {}
        self._lasting = lasting
        self._nursery = nursery

    @abstractmethod
    def options(self, name: str) -> Mapping[str, object]:
        """What a node writes in its configuration."""

    @asynccontextmanager
    async def visit(self, name: str, register: Register, **more: object) -> AsyncGenerator[Exchange, None]:
        """The exchange of a node that closes it again."""
        setting = PluginSetting(
            RealWorld(), "local", {**self.options(name), **more}, self.root / name, Wallet(key_of(name)), name, name
        )
        async with exchange_opener(self.plugin)(setting, register) as exchange:
            yield exchange

    async def node(self, name: str, *, listens: bool = True, known: bool = True, **more: object) -> Node:
        """A node that stays; all that are `known` are registered with one another."""
        register = Register()
        exchange = await self._lasting.enter_async_context(self.visit(name, register, **more))
        node = Node(name, exchange, register, Mailbox(), self._nursery)
        if known:
            self.nodes[name] = node
            self.introduce()
        if listens:
            await node.listen()
        return node

    def introduce(self) -> None:
        """Everybody knows what everybody publishes now."""
        for node in self.nodes.values():
            for other in self.nodes.values():
                node.register.learn(other.profile)


class MemoryExchanges(Exchanges):
    plugin = "memory"

    def options(self, name: str) -> Mapping[str, object]:
        return {"mesh": str(self.root)}

    def forget(self) -> None:
        memory.MESHES.pop(str(self.root), None)


class HttpsExchanges(Exchanges):
    plugin = "https"

    def options(self, name: str) -> Mapping[str, object]:
        return {"port": free_port()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_certificates(profile: PeerProfile, texts: str) -> PeerProfile:
    """The profile as it would be with these."""
    return replace(profile, certificates=texts)


EXCHANGES: Mapping[str, type[Exchanges]] = {"memory": MemoryExchanges, "https": HttpsExchanges}
