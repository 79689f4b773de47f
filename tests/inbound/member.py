"""The inbound half of one node on a simulated disk: things arrive in any order, and it settles what it can."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ffd.inbound import rewind
from ffd.inbound.aggregator import PAGE_PINS, Aggregator
from ffd.inbound.arrivals import Arrivals, ReadPayload, read_payload
from ffd.inbound.exchange import ExchangeReceiver
from ffd.model.batch import BatchHead, batch_json, manifest_json
from ffd.model.context import broadcast_context
from ffd.model.data import Data, data_hash, data_json
from ffd.model.identity import DX_VERIFIER, NODE
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.message import Header, Sealed, message_json, seal
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, node_did, org_did
from ffd.ports.exchange import Route
from ffd.ports.ledger import BATCH_PIN_ACTION
from ffd.store import Store, Transaction, blobs, identities, namespaces, open_store
from ffd.store.blobfiles import BlobFiles
from ffd.store.blobs import BlobRow
from ffd.store.identities import ORG, IdentityRow
from ffd.store.leadership import lead
from ffd.store.pins import PinnedBatch
from ffd.world import World
from tests.simulation.disk import Disk
from tests.simulation.surroundings import EPOCH_NS, SimWorld

NETWORK = "default"
PAYLOAD_MAX = 1 << 20


def uid(name: str) -> bytes:
    """The id of what a test calls `name`."""
    return sha256(name.encode())[:16]


def key_of(name: str) -> str:
    """The key of an organisation."""
    return sha256(f"key of {name}".encode()).hex()


def peer_of(node: str) -> str:
    """What the data exchange of a node is called."""
    return f"peer of {node}/{node}"


def organisation(did: str) -> IdentityRow:
    """Somebody, of whom nothing but the name is known."""
    return IdentityRow(uid(did), did, ORG, None, did.rpartition("/")[2], None, EPOCH_NS)


class Told(NamedTuple):
    """A message event, as apps would hear it; `message` is the id text."""

    type: str
    message: str
    topic: str


@dataclass(frozen=True)
class Parcel:
    """A batch as its author makes it: its id, its hash, the bytes on shared storage, the contexts on the ledger."""

    id: bytes
    hash: bytes
    content: bytes
    contexts: tuple[bytes, ...]
    key: str

    @property
    def payload(self) -> ReadPayload:
        return read_payload(self.content, NETWORK, PAYLOAD_MAX)


@dataclass
class Member:
    """A member of the network that takes things in."""

    world: World
    store: Store
    namespace: Namespace
    arrivals: Arrivals
    aggregator: Aggregator
    receiver: ExchangeReceiver
    pinned: int = 0

    async def pin(self, *events: PinnedBatch) -> None:
        """The ledger says these, in this order."""
        await self.store.write(lambda tx: self.arrivals.record_pins(tx, events))

    async def see(self, parcel: Parcel, **other: Any) -> None:
        """The ledger pins a batch; `other` is what is wrong with the pin."""
        await self.pin(self.event(parcel, **other))

    def event(self, parcel: Parcel, **other: Any) -> PinnedBatch:
        """The next ledger event, which pins a batch."""
        fields = {
            "signer": parcel.key, "batch": parcel.id, "batch_hash": parcel.hash, "contexts": parcel.contexts
        } | other  # fmt: skip
        return self.next_event(**fields)

    def next_event(self, **fields: Any) -> PinnedBatch:
        """The next ledger event, whatever it pins."""
        self.pinned += 1
        return ledger_event(self.world, self.pinned, **fields)

    async def bring(self, batch: bytes, hash: bytes, payload: ReadPayload) -> bool:
        """A payload comes for a batch that was pinned with `hash`; whether it was taken."""
        return await self.store.write(lambda tx: self.arrivals.record_payload(tx, payload, batch, hash))

    async def receive(self, *parcels: Parcel) -> None:
        """The payloads of batches come."""
        for parcel in parcels:
            assert await self.bring(parcel.id, parcel.hash, parcel.payload)

    async def take(self, node: str, wrapper: str) -> None:
        """A node, whose id this is, brings what a data exchange carries. Raises what refuses it."""
        await self.receiver.take_message(Route(NETWORK, peer_of(node), "peer of me/my node"), wrapper.encode())

    async def appoint(self, node: str, owner: str) -> None:
        """The node of this id is known as that of an identity from now on, which may have no key."""

        def unit(tx: Transaction) -> None:
            number = self.namespace.number
            parent = identities.register(tx, number, organisation(owner))
            row = IdentityRow(parse_uuid(node), node_did(node), NODE, parent, node, None, EPOCH_NS)
            identities.register(tx, number, row)
            identities.add_verifier(tx, number, self.namespace.name, row.id, DX_VERIFIER, peer_of(node), EPOCH_NS)

        await self.store.write(unit)

    async def know(self, key: str, did: str) -> None:
        """An identity is known from now on."""

        def unit(tx: Transaction) -> None:
            found = identities.register(tx, self.namespace.number, organisation(did))
            identities.add_verifier(
                tx, self.namespace.number, self.namespace.name, found, LEDGER_VERIFIER, key, EPOCH_NS
            )
            rewind.key_known(tx, self.namespace.number, key)

        await self.store.write(unit)

    async def meet(self, *names: str) -> None:
        """Organisations are known from now on."""
        for name in names:
            await self.know(key_of(name), org_did(name))

    async def take_blob(self, hash: bytes) -> None:
        """A blob has come; nobody here reads it."""

        def unit(tx: Transaction) -> None:
            blobs.record(tx, self.namespace.number, BlobRow(hash, 0, EPOCH_NS))
            rewind.blob_here(tx, self.namespace.number, hash)

        await self.store.write(unit)

    async def settle(self) -> list[int]:
        """Let the aggregator do what can be done; how many events each of its transactions wrote."""
        told, pages, more = len(self.told()), [], True
        while more:
            more = await self.store.write(self.aggregator.aggregate_page)
            pages.append(len(self.told()) - told)
            told += pages[-1]
        return pages

    def told(self) -> list[Told]:
        """The message events so far."""
        rows = self.rows("SELECT type, reference, topic FROM events WHERE type LIKE 'message_%' ORDER BY sequence")
        return [Told(type, format_uuid(reference), topic) for type, reference, topic in rows]

    def waiting(self) -> list[tuple[str, str]]:
        """Cause and subject of each waiting pin, in ledger order."""
        return [
            (cause, subject) for cause, subject in self.rows("SELECT cause, subject FROM waiting_pins ORDER BY pin")
        ]

    def reasons(self) -> dict[str, str]:
        """Why messages were rejected, by id."""
        rows = self.rows(
            """
            SELECT m.id, s.reject_reason FROM message_states s JOIN messages m ON m.sequence = s.message
             WHERE s.state = 'rejected'"""
        )
        return {format_uuid(id): reason for id, reason in rows}

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement reads."""
        return self.store.peek(lambda tx: list(tx.execute(statement, values)))


def ledger_event(
    world: World, position: int, *, signer: str, batch: bytes, batch_hash: bytes, contexts: Sequence[bytes],
    payload_ref: str = "somewhere",
) -> PinnedBatch:  # fmt: skip
    """A pin on the ledger; one without a reference is masked."""
    return PinnedBatch(
        world.new_id(), "local", f"{position:012d}", f"0x{position}", EPOCH_NS, signer, BATCH_PIN_ACTION,
        uid(f"tx of {batch.hex()}"), batch, batch_hash, payload_ref, contexts,
    )  # fmt: skip


@asynccontextmanager
async def open_member(folder: Path, seed: int, *, page_pins: int = PAGE_PINS) -> AsyncGenerator[Member, None]:
    """A member on an empty disk; everything of it is closed afterwards."""
    world = SimWorld(Disk(folder, Random(seed)), Random(seed))
    try:
        async with open_store(world, folder / "ffd.db") as store:
            number, created = await store.write(lambda tx: namespaces.ensure(tx, "default", NETWORK, EPOCH_NS))
            namespace = Namespace(
                number=number, name="default", network_name=NETWORK, created=created, org_id=uid("me"), org_name="me",
                node_id=uid("my node"), node_name="my node", author=org_did("me"), key=key_of("me"),
            )  # fmt: skip
            async with lead(world, store, "aggregator:default", process="test") as leadership:
                aggregator = Aggregator(world, store, namespace, leadership, page_pins)
                arrivals = Arrivals(world, namespace, "storage")
                files = BlobFiles(world, store, folder / "blobs")
                receiver = ExchangeReceiver(store, files, [arrivals], message_bytes_max=PAYLOAD_MAX)
                yield Member(world, store, namespace, arrivals, aggregator, receiver)
    finally:
        world.end()


def sealed(
    name: str, topics: Sequence[str], *, author: str, value: str = '"tea"', **header: Any
) -> tuple[Sealed, Data]:
    """A message with one data item, sealed by an organisation."""
    item = Data(id=format_uuid(uid(f"data of {name}")), hash=data_hash(value, None), created=EPOCH_NS, value=value)
    fields = {"author": org_did(author), "key": key_of(author), "type": "broadcast"} | header
    header_ = Header(
        id=format_uuid(uid(name)), txtype="batch_pin", created="2024-03-01T12:00:00Z", namespace=NETWORK,
        topics=tuple(topics), **fields,
    )  # fmt: skip
    return seal(header_, [item.ref]), item


def pack(name: str, messages: Sequence[tuple[Sealed, Data]], *, type: str = "broadcast") -> Parcel:
    """A batch of messages of one author."""
    first = messages[0][0].header
    id, tx = format_uuid(uid(name)), format_uuid(uid(f"tx of {name}"))
    listed = [(each.header.id, each.hash.hex(), len(each.header.topics)) for each, _ in messages]
    hash = sha256(manifest_json(id, "batch_pin", tx, listed, [item.ref for _, item in messages]).encode())
    head = BatchHead(
        id, type, NETWORK, None, None, EPOCH_NS, first.author, first.key, hash, "batch_pin", tx
    )  # fmt: skip
    content = batch_json(
        head,
        [message_json(each.header_json, each.hash, each.refs_json) for each, _ in messages],
        [data_json(item, form="broadcast") for _, item in messages],
    )
    contexts = tuple([broadcast_context(topic) for each, _ in messages for topic in each.header.topics])
    return Parcel(uid(name), hash, content, contexts, first.key)


def parcel(name: str, *topics: str, author: str = "alice", **header: Any) -> Parcel:
    """A batch of one message for each text of `topics`: the message has a topic for each letter of it."""
    return pack(name, [sealed(f"{name}/{n}", letters, author=author, **header) for n, letters in enumerate(topics)])


def message(name: str) -> str:
    """The id of a message that `parcel` made: `batch/number`."""
    return format_uuid(uid(name))
