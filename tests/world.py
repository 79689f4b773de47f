"""A cast of nodes in one simulated world, with verbs that read like a story.

Every node is a real one: the parts, roles and desk that `ffd.daemon` puts together, over a world of seeded time, files
and databases. The nodes share a ledger and a storage in memory, or each has the embedded ones on its own disk. All that
is random comes from one seed, and so does the order in which Trio runs its tasks: a seed replays exactly.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import apsw
import trio
import trio._core._run as trio_run
from trio.testing import MockClock

from ffd.api.desk import Desk
from ffd.api.uploads import record_blob
from ffd.daemon.config import Config, ExchangeConfig, LedgerConfig, StorageConfig, default_config
from ffd.daemon.doors import make_desk
from ffd.daemon.node import sweep_blobs
from ffd.daemon.parts import Parts, open_parts
from ffd.daemon.registering import registrars_of
from ffd.daemon.roles import Roles
from ffd.daemon.work import roles_of
from ffd.delivery.dispatcher import Dispatcher
from ffd.inbound.rewind import key_known
from ffd.model.data import BlobRef, seal_data
from ffd.model.errors import Conflict, FfdError
from ffd.model.identity import DX_VERIFIER, peer_of
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, node_did, org_did
from ffd.model.subscription import parse_subscription
from ffd.outbound.draft import Draft, parse_message, parse_private
from ffd.plugins.exchange import memory as memory_exchange
from ffd.plugins.exchange.memory import MemoryExchange, MemoryMesh
from ffd.plugins.ledger import memory as memory_ledger
from ffd.plugins.ledger.memory import MemoryChain, MemoryLedger
from ffd.plugins.sharedstorage import memory as memory_storage
from ffd.plugins.sharedstorage.memory import MemoryShelf, MemoryStorage
from ffd.ports.exchange import profile_json
from ffd.ports.transport import Delivery
from ffd.store import Store, Transaction, backlog, identities
from ffd.store.backlog import Blocked
from ffd.store.identities import NODE, ORG, IdentityRow
from tests.simulation.disk import Disk, Loss, deaf_to_the_dead
from tests.simulation.surroundings import EPOCH_NS, SimWorld

NAMESPACE = "default"
PATIENCE_S = 1800.0  # of virtual time, which costs nothing
SKEW_S = 3600
PIECE_BYTES = 3000
DEFAULT_APP: Mapping[str, object] = {"firstEvent": "oldest", "withData": True, "readAhead": 10}
MESSAGE_CONFIRMED, MESSAGE_REJECTED = "message_confirmed", "message_rejected"
_CASTS = itertools.count()


def seed_scheduler(seed: int) -> None:
    """Let Trio run its tasks in an order that the seed decides (https://github.com/python-trio/trio/pull/890)."""
    if not hasattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING") or not hasattr(trio_run, "_r"):
        raise RuntimeError("this Trio has no deterministic scheduling under the names that we know")
    setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # noqa: B010 - Trio calls it final
    trio_run._r.seed(seed)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as an app heard it. `values` are those of its message's data; `reason` is why it was rejected."""

    id: str
    sequence: int
    type: str
    reference: str
    topic: str
    values: tuple[object, ...] = ()
    reason: str = ""
    author: str = ""


class App:
    """An app with one durable subscription. What it knows outlives its node, as an app's knowledge does.

    `slow_s` is how long it takes over an event. `refuses` says of an event whether it is nacked this time.
    """

    def __init__(
        self, name: str, options: Mapping[str, object], filter: Mapping[str, object], *, slow_s: float = 0.0
    ) -> None:
        self.name = name
        self.slow_s = slow_s
        self.acks = True
        self.refuses: Callable[[Heard], bool] = lambda event: False
        self.log: list[list[Heard]] = []
        """What was delivered, in order, a list for each time that it was connected."""
        self.acknowledged: set[int] = set()
        self.request = parse_subscription(
            json.dumps({"name": name, "transport": "websockets", "options": dict(options), "filter": dict(filter)})
        )
        self._window = 1 + int(str(options.get("readAhead", 0)))
        self._dispatcher: Dispatcher | None = None
        self._inbox: trio.MemorySendChannel[tuple[list[Heard], str | None]] | None = None
        self._news = trio.Event()

    @property
    def window(self) -> int:
        """How many events may be in flight."""
        return self._window

    def heard(self, *types: str) -> list[Heard]:
        """The events of these types (of all), each once, in the order in which they came first."""
        first: dict[str, Heard] = {}
        for event in itertools.chain.from_iterable(self.log):
            if not types or event.type in types:
                first.setdefault(event.id, event)
        return list(first.values())

    async def wait_heard(self, enough: Callable[[], bool], what: str) -> None:
        """Until `enough` holds, looked at whenever something was delivered."""
        with trio.move_on_after(PATIENCE_S):
            while not enough():
                await self._news.wait()
            return
        raise AssertionError(f"app {self.name} did not hear {what}; it heard {self.heard()}")

    async def run(self, desk: Desk) -> None:
        """Be connected until cancelled."""
        namespace = desk.namespace(NAMESPACE)
        with suppress(Conflict):
            await desk.subscriptions.create(namespace, self.request)
        self.log.append([])
        send, receive = trio.open_memory_channel[tuple[list[Heard], str | None]](math.inf)
        self._inbox = send
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._work, receive)
            await desk.subscriptions.serve_durable(namespace, self.name, self, self._placed)

    def _placed(self, dispatcher: Dispatcher | None) -> None:
        self._dispatcher = dispatcher

    async def deliver(self, delivery: Delivery) -> None:
        events = [read_event(json.loads(text)) for text in delivery.events]
        self.log[-1].extend(events)
        self._news.set()
        self._news = trio.Event()
        assert self._inbox is not None
        self._inbox.send_nowait((events, delivery.batch))
        await trio.lowlevel.checkpoint()

    async def _work(self, inbox: trio.MemoryReceiveChannel[tuple[list[Heard], str | None]]) -> None:
        async for events, batch in inbox:
            for pack, id in [(events, batch)] if batch else [([event], event.id) for event in events]:
                await trio.sleep(self.slow_s)
                self._answer(pack, id)

    def _answer(self, events: Sequence[Heard], id: str) -> None:
        dispatcher = self._dispatcher
        if dispatcher is None or not self.acks or dispatcher.revoked(id):
            return
        if any(self.refuses(event) for event in events):
            assert dispatcher.nack(id)
        else:
            assert dispatcher.ack(id), f"{self.name} acknowledged {id}, and nobody knew it"
            self.acknowledged.update(event.sequence for event in events)


def read_event(raw: dict[str, Any]) -> Heard:
    """The event in a delivery's JSON."""
    message = raw.get("message", {})
    return Heard(
        raw["id"], raw["sequence"], raw["type"], raw["reference"], raw.get("topic", ""),
        tuple(item.get("value") for item in message.get("data", ())), message.get("rejectReason", ""),
        message.get("header", {}).get("author", ""),
    )  # fmt: skip


class Node:
    """One node of the cast, in one of its lives or between two."""

    def __init__(self, cast: Cast, name: str, disk: Disk, config: Config) -> None:
        self.name = name
        self.disk = disk
        self.config = config
        self.lives = 0
        self.failure: BaseException | None = None
        """What the node ended with, when it ended by itself."""
        self.ledger_faults = memory_ledger.Faults()
        self.storage_faults = memory_storage.Faults()
        self.exchange_faults = memory_exchange.Faults()
        self.endpoint = "memory"
        """Where its exchange says that it is."""
        self.apps: dict[str, App] = {}
        self.accepted: dict[str, object] = {}
        """The value of every message that was accepted, by its id, in that order."""
        self._cast = cast
        self._rng = Random(cast.rng.getrandbits(64))
        self._skew_ns = cast.rng.randrange(-SKEW_S, SKEW_S) * 1_000_000_000
        self._world: SimWorld | None = None
        self._roles: Roles | None = None
        self._desk: Desk | None = None
        self._scope = trio.CancelScope()
        self._stop = trio.Event()
        self._started = trio.Event()
        self._ended = trio.Event()
        self._ended.set()
        self._nursery: trio.Nursery | None = None
        self.app("app")

    @property
    def running(self) -> bool:
        return self._desk is not None

    @property
    def desk(self) -> Desk:
        assert self._desk is not None, f"{self.name} is not running"
        return self._desk

    @property
    def store(self) -> Store:
        return self.desk.store

    @property
    def roles(self) -> Roles:
        assert self._roles is not None
        return self._roles

    @property
    def namespace(self) -> Namespace:
        return self.desk.namespace(NAMESPACE)

    # Its lives

    async def start(self) -> bool:
        """Begin a life; whether the node came up. It did not when its power was cut meanwhile."""
        assert self._ended.is_set(), f"{self.name} is running"
        self._started, self._ended, self._stop = trio.Event(), trio.Event(), trio.Event()
        self._scope = trio.CancelScope()
        self.failure = None
        self.lives += 1
        self._cast.nursery.start_soon(self._live)
        with trio.CancelScope(shield=True):
            await self._started.wait()
        return self.running

    async def stop(self) -> None:
        """End as after SIGTERM: doors first, then roles, then what is under them."""
        self._stop.set()
        await self._ended.wait()

    async def kill(self) -> None:
        """End as after SIGKILL: nothing more reaches the disk, and what was written is there."""
        assert self._world is not None
        self._world.kill()
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()

    async def crash(self, *, lose_unsynced: bool, loss: Loss = Loss.ANY) -> None:
        """The process ends where it is; the machine loses its power with it when `lose_unsynced`."""
        if not lose_unsynced:
            await self.kill()
            return
        self.disk.lose_power()
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()
        self.disk.come_back(loss)

    def cut_power_after(self, operations: int) -> None:
        """Let the power fail after so many more operations of the disk."""
        self.disk.cut_after(operations, lambda: self._scope.cancel())

    async def wait_ended(self) -> None:
        """Until the node's life is over."""
        await self._ended.wait()

    async def _live(self) -> None:
        world = SimWorld(self.disk, self._rng, skew_ns=self._skew_ns)
        self._world = world
        with self._scope:
            try:
                await self._run(world)
            except BaseException as failure:  # noqa: BLE001 - a life ends here, however it ends
                self._note(failure, world)
        self._desk = self._roles = self._nursery = None
        world.end()
        self._started.set()
        self._ended.set()

    def _note(self, failure: BaseException, world: SimWorld) -> None:
        """Keep what the node ended with; a node without power ends with anything, and nobody is told."""
        cancelled, other = _split(failure)
        if other is not None and not world.dead:
            self.failure = other
        if cancelled is not None:
            raise cancelled

    async def _run(self, world: SimWorld) -> None:
        """The nesting of `ffd.daemon.node`, with apps in the place of doors."""
        async with open_parts(self.config, world) as parts:
            roles = self._roles = Roles(world, parts.store, parts.process)
            self._give_faults(parts)
            desk = make_desk(parts, roles)
            await self._meet(parts)
            async with trio.open_nursery() as below:
                below.start_soon(desk.confirmations.run)
                below.start_soon(sweep_blobs, parts)
                for name, work in (roles_of(parts) | registrars_of(parts, desk.acceptors)).items():
                    below.start_soon(roles.keep, name, work)
                async with trio.open_nursery() as doors:
                    self._nursery, self._desk = doors, desk
                    for app in self.apps.values():
                        doors.start_soon(app.run, desk)
                    self._started.set()
                    await self._stop.wait()
                    doors.cancel_scope.cancel()
                below.cancel_scope.cancel()

    def _give_faults(self, parts: Parts) -> None:
        for member in parts.members.values():
            if isinstance(member.ledger, MemoryLedger):
                member.ledger.faults = self.ledger_faults
            if isinstance(member.storage, MemoryStorage):
                member.storage.faults = self.storage_faults
            if isinstance(member.exchange, MemoryExchange):
                member.exchange.faults = self.exchange_faults
                member.exchange.endpoint = self.endpoint

    async def _meet(self, parts: Parts) -> None:
        """Tell the others who this node is, and learn who they are."""
        member, cast = parts.members[NAMESPACE], self._cast
        if self.name not in cast.strangers:
            cast.keys[self.name] = member.namespace.key
            profile = profile_json(member.exchange.profile(member.namespace.node_name))
            cast.machines[self.name] = Machine(member.namespace.node_id, member.namespace.node_name, profile)
        await introduce(parts.store, member.namespace, cast.keys, cast.machines)
        for node in cast.cast.values():
            if node.running and node is not self:
                await introduce(node.store, node.namespace, cast.keys, cast.machines)

    # What it says

    def app(
        self, name: str, *, slow_s: float = 0.0, filter: Mapping[str, object] | None = None, **options: object
    ) -> App:
        """An app of this node, connected from now on, whenever the node runs."""
        app = self.apps[name] = App(name, {**DEFAULT_APP, **options}, filter or {}, slow_s=slow_s)
        if self._nursery is not None:
            self._nursery.start_soon(app.run, self.desk)
        return app

    async def upload(self, content: bytes, value: object = None, **more: Any) -> str:
        """Store a blob with a data item for it; the id of that."""
        desk, number, world = self.desk, self.namespace.number, self.desk.world
        async with desk.blobs.receive() as incoming:
            for at in range(0, len(content), PIECE_BYTES):
                await incoming.write(content[at : at + PIECE_BYTES])
            hash = await incoming.finish()
            text = None if value is None else json.dumps(value)
            blob = BlobRef(hash.hex(), len(content))
            item = seal_data(format_uuid(world.new_id()), world.now(), text, blob=blob, **more)
            async with incoming.placed(hash):
                await desk.store.write(lambda tx: record_blob(tx, number, incoming, hash, item))
        return item.id

    async def send_data(self, id: str, *, topic: str = "house") -> str:
        """Broadcast a data item that is stored; the message's id."""
        shown = {"header": {"topics": [topic]}, "data": [{"id": id}]}
        (sent,) = await self.desk.acceptors[NAMESPACE].accept([parse_message(json.dumps(shown).encode())])
        if isinstance(sent, FfdError):
            raise sent
        self.accepted[sent.id_text] = id
        return sent.id_text

    async def blob(self, hash: bytes) -> bytes:
        """The content of a blob. Raises Away."""
        async with aclosing(await self.desk.blobs.open(hash)) as outgoing:
            content = b""
            while piece := await outgoing.read():
                content += piece
            return content

    def blob_files(self) -> list[str]:
        """The hashes that files of blobs are named by, and what else lies there."""
        folder = self.disk.root / "blobs"
        return sorted("".join(path.relative_to(folder).parts) for path in folder.rglob("*") if path.is_file())

    async def broadcast(self, *values: object, topic: str = "house", **more: Any) -> list[str]:
        """Broadcast each value as a message; the ids, once they are accepted. Raises the first refusal."""
        return await self.send([draft(value, topics=[topic], **more) for value in values])

    async def whisper(self, *values: object, to: Sequence[str] = (), topic: str = "house", **more: Any) -> list[str]:
        """Send each value as a private message to the organisations `to`, or to the group whose hash is `group`.

        The ids, once they are accepted. Raises the first refusal.
        """
        return await self.send([letter(value, to, topics=[topic], **more) for value in values])

    async def send(self, drafts: Sequence[Draft]) -> list[str]:
        """Send messages in one piece. Raises the first refusal."""
        results = await self.desk.acceptors[NAMESPACE].accept(drafts)
        for each, wanted in zip(results, drafts, strict=True):
            if not isinstance(each, FfdError):
                self.accepted[each.id_text] = json.loads(wanted.value_text(wanted.items[0].value))
        for each in results:
            if isinstance(each, FfdError):
                raise each
        return [each.id_text for each in results if not isinstance(each, FfdError)]

    # What it hears

    async def heard(self, count: int, app: str = "app") -> list[object]:
        """The values of the first `count` confirmed messages that an app of this node hears, in its order."""
        who = self.apps[app]
        await who.wait_heard(lambda: len(who.heard(MESSAGE_CONFIRMED)) >= count, f"{count} messages")
        return [event.values[0] for event in who.heard(MESSAGE_CONFIRMED)[:count]]

    async def settled(self, ids: Sequence[str]) -> dict[str, Heard]:
        """The first event of each of these messages, once the app has heard of all of them."""
        who = self.apps["app"]

        def found() -> dict[str, Heard]:
            events = who.heard(MESSAGE_CONFIRMED, MESSAGE_REJECTED)
            return {event.reference: event for event in reversed(events) if event.reference in ids}

        await who.wait_heard(lambda: len(found()) == len(set(ids)), f"of {ids}")
        return found()

    def blocked(self) -> list[Blocked]:
        """The contexts that wait, and for what."""
        return self.store.peek(lambda tx: backlog.blocked(tx, self.namespace.number, limit=100))

    async def wait_blocked(self, count: int = 1) -> list[Blocked]:
        """Until so many contexts wait."""
        with trio.move_on_after(PATIENCE_S):
            while len(self.blocked()) != count:  # noqa: ASYNC110 - no bell tells of this
                await trio.sleep(0.05)
            return self.blocked()
        raise AssertionError(f"{self.name}: not {count} contexts wait, but {self.blocked()}")

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement reads in the node's database."""
        return self.store.peek(lambda tx: list(tx.execute(statement, values)))


def draft(value: object, *, topics: Sequence[str] | None = None, key: str = "", blob: str = "", **header: Any) -> Draft:
    """A message to send, with one value, and a stored data item behind it; `key` is its idempotency key."""
    items = [{"value": value}, *([{"id": blob}] if blob else [])]
    shown = {"header": {"topics": topics, **header}, "data": items, "idempotencyKey": key}
    return parse_message(json.dumps(shown).encode())


def letter(value: object, to: Sequence[str], *, key: str = "", blob: str = "", **header: Any) -> Draft:
    """A private message to send, as `draft`; `to` are organisations."""
    items = [{"value": value}, *([{"id": blob}] if blob else [])]
    members = [{"identity": name} for name in to]
    shown = {"header": header, "data": items, "idempotencyKey": key, "group": {"members": members}}
    return parse_private(json.dumps(shown).encode())


def _split(failure: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """The part of a failure that is cancellation, and the rest."""
    if isinstance(failure, BaseExceptionGroup):
        return failure.split(trio.Cancelled)
    return (failure, None) if isinstance(failure, trio.Cancelled) else (None, failure)


@dataclass(frozen=True, slots=True)
class Machine:
    """The node of an organisation, as the network knows it: its id, its name, and where its data exchange is."""

    id: bytes
    name: str
    profile: str


async def introduce(
    store: Store, namespace: Namespace, keys: Mapping[str, str], machines: Mapping[str, Machine] = MappingProxyType({})
) -> None:
    """Let a node know the organisations that own these keys, and their machines, as identity broadcasts will.

    What waited for them goes on.
    """

    def unit(tx: Transaction) -> None:
        for number, (name, key) in enumerate(sorted(keys.items())):
            id = bytes([0xA0 + number]) * 16
            row = IdentityRow(id, org_did(name), ORG, None, name, None, EPOCH_NS)
            found = identities.register(tx, namespace.number, row)
            identities.add_verifier(tx, namespace.number, namespace.name, found, LEDGER_VERIFIER, key, EPOCH_NS)
            key_known(tx, namespace.number, key)
            if name in machines:
                _introduce_machine(tx, namespace, found, machines[name])

    await store.write(unit)


def _introduce_machine(tx: Transaction, namespace: Namespace, owner: bytes, machine: Machine) -> None:
    did, claim = node_did(machine.name), sha256(machine.id)[:16]
    row = IdentityRow(machine.id, did, NODE, owner, machine.name, None, EPOCH_NS, machine.profile, claim)
    if identities.register(tx, namespace.number, row) == machine.id:
        identities.confirm(tx, namespace.number, row)
        peer = peer_of(machine.profile)
        identities.add_verifier(tx, namespace.number, namespace.name, machine.id, DX_VERIFIER, peer, EPOCH_NS)


def named(config: Config, org: str, node: str) -> Config:
    """The configuration of a node of this name and organisation, in each of its namespaces."""
    config = replace(config, org=replace(config.org, name=org), node=replace(config.node, name=node))
    own = {space: replace(each, org=org, node=node) for space, each in config.namespaces.items()}
    return replace(config, namespaces=own)


@dataclass
class Cast:
    """All nodes of one story, and what they share."""

    seed: int
    root: Path
    nursery: trio.Nursery
    rng: Random
    chain: MemoryChain
    shelf: MemoryShelf
    shared: str
    cast: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    """Nodes whose keys nobody knows."""

    async def node(self, name: str, *, embedded: bool = False, **settings: object) -> Node:
        """A running node; see `make_node`."""
        node = self.make_node(name, embedded=embedded, **settings)
        await node.start()
        return node

    async def nodes(self, *names: str) -> list[Node]:
        """Running nodes that know each other."""
        return [await self.node(name) for name in names]

    def make_node(self, name: str, *, embedded: bool = False, **settings: object) -> Node:
        """A node on a disk of its own; `embedded` has its ledger and its storage there too.

        `settings` are of its `Config`.
        """
        disk = Disk(self.root / name, Random(self.rng.getrandbits(64)))
        config = default_config({"FFD_STATE_DIR": str(disk.root), "FFD_SOCKET": str(disk.root / "ffd.sock")})
        config = named(config, name, f"{name}-node")
        if not embedded:
            ledger = LedgerConfig("memory", {"chain": self.shared})
            storage = StorageConfig("memory", {"shelf": self.shared})
            exchange = ExchangeConfig("memory", {"mesh": self.shared})
            config = replace(
                config, ledgers={"local": ledger}, storages={"local": storage}, exchanges={"local": exchange}
            )
        node = self.cast[name] = Node(self, name, disk, replace(config, **settings))  # type: ignore[arg-type]  # by name
        return node

    def introduce_strangers(self) -> None:
        """From now on every node that starts knows everybody."""
        self.strangers.clear()


@asynccontextmanager
async def open_cast(seed: int, scratch: Path) -> AsyncIterator[Cast]:
    """A world for one story; all of it is gone afterwards."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock), (
        "a story has to name the fixture autojump_clock: pytest-trio looks for it there"
    )
    seed_scheduler(seed)
    root = scratch / f"cast-{next(_CASTS)}"
    shared = str(root)
    chain, shelf = MemoryChain(lambda: EPOCH_NS + int(trio.current_time() * 1e9)), MemoryShelf()
    memory_ledger.CHAINS[shared], memory_storage.SHELVES[shared] = chain, shelf
    memory_exchange.MESHES[shared] = MemoryMesh()
    try:
        with deaf_to_the_dead():
            async with trio.open_nursery() as nursery:
                cast = Cast(seed, root, nursery, Random(seed), chain, shelf, shared)
                yield cast
                for node in cast.cast.values():
                    if node.running:
                        await node.stop()
                nursery.cancel_scope.cancel()
    finally:
        del memory_ledger.CHAINS[shared], memory_storage.SHELVES[shared], memory_exchange.MESHES[shared]
        shutil.rmtree(root, ignore_errors=True)


def raw_id(text: str) -> bytes:
    """The 16 bytes of an id."""
    return parse_uuid(text)


def inspect(path: Path) -> apsw.Connection:
    """A node's database while the node is not running."""
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
