"""A store with events in it, written as the roles would write them, and nothing running on it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ffd.model.data import Data, DatatypeRef, data_hash
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import Header, seal
from ffd.model.times import parse_time
from ffd.store import Store, Transaction, batches, events, messages, namespaces, open_store, operations, pins
from ffd.store.batches import BatchRow
from ffd.store.events import NewEvent
from ffd.store.messages import NewMessage
from ffd.store.pins import PinnedBatch
from tests.simulation.disk import Disk
from tests.simulation.surroundings import SimWorld

NOON = parse_time("2024-03-01T12:00:00Z")


def uid(name: str) -> bytes:
    """The id of what a test calls `name`."""
    return sha256(name.encode())[:16]


def text(name: str) -> str:
    """That id as text."""
    return format_uuid(uid(name))


@dataclass
class EventLog:
    """A namespace `local` of the network `net`, and ways to fill it."""

    store: Store
    number: int

    async def tell(self, count: int, type: str = "transaction_submitted") -> None:
        """So many events that speak of nothing that is here."""

        def unit(tx: Transaction) -> None:
            first = events.last_sequence(tx) + 1
            names = [f"event {n}" for n in range(first, first + count)]
            events.append(tx, [self._event(type, name, name) for name in names])

        await self.store.write(unit)

    async def finish(
        self, name: str, *, reason: str = "", cid: str = "", key: str | None = None, data: bool = True
    ) -> None:
        """A message is confirmed or, with a `reason`, rejected; it has two topics, and one event for each."""
        message = _message(name, cid, key, data)

        def unit(tx: Transaction) -> None:
            batches.insert(tx, _batch(f"batch of {name}", batches.next_sequence(tx), self.number))
            row = batches.next_sequence(tx) - 1
            sequence = messages.append(tx, self.number, [message], state=messages.PENDING, known={}, batch=row)
            if reason:
                messages.reject(tx, sequence, reason, NOON + 7_400_000_000)
            else:
                messages.confirm(tx, [sequence], NOON + 7_400_000_000)
            kind = "message_rejected" if reason else "message_confirmed"
            correlator = uid(cid) if cid else None
            told = [
                self._event(kind, f"{name} on {topic}", name, topic=topic, tx=f"tx of batch of {name}", cid=correlator)
                for topic in ("widgets", "a.b")
            ]
            events.append(tx, told)

        await self.store.write(unit)

    async def submit(self, name: str, *ledger_ids: str) -> None:
        """A transaction is made, and the ledger gives it names."""

        def unit(tx: Transaction) -> None:
            operations.ensure_transaction(tx, self.number, uid(name), "batch_pin", NOON)
            for id in ledger_ids:
                operations.ensure_transaction(tx, self.number, uid(name), "batch_pin", NOON, blockchain_id=id)
            events.append(
                tx, [self._event("transaction_submitted", f"{name} is made", name, topic="batch_pin", tx=name)]
            )

        await self.store.write(unit)

    async def pin(self, name: str, action: str, *contexts: bytes) -> None:
        """The ledger says that a batch was pinned."""
        pinned = PinnedBatch(
            uid(f"pin of {name}"), "ledger0", "000000000041", "ab" * 32, NOON + 5_000_000_000, "0xsigner", action,
            uid(f"tx of {name}"), uid(name), sha256(name.encode()), "payload/<ref>", contexts,
        )  # fmt: skip

        def unit(tx: Transaction) -> None:
            pins.record(tx, self.number, [pinned], NOON)
            told = self._event(
                "blockchain_event_received",
                f"{name} is pinned",
                f"pin of {name}",
                topic="ff_batch_pin",
                tx=f"tx of {name}",
            )
            events.append(tx, [told])

        await self.store.write(unit)

    def _event(
        self, type: str, name: str, reference: str, *, topic: str | None = None, tx: str = "", cid: bytes | None = None
    ) -> NewEvent:
        created = NOON + 7_500_000_000
        return NewEvent(uid(name), self.number, type, uid(reference), cid, uid(tx) if tx else None, topic, created)


def _message(name: str, cid: str, key: str | None, data: bool) -> NewMessage:
    value = '{"b":1.50,"a":"\\u003c"}'
    item = Data(id=text(f"data of {name}"), hash=data_hash(value, None), created=NOON, value=value)
    plain = Data(
        id=text(f"more data of {name}"), hash=data_hash("7", None), created=NOON, value="7", validator="none",
        datatype=DatatypeRef("tea", "1.0"),
    )  # fmt: skip
    header = Header(
        id=text(name), cid=text(cid) if cid else "", txtype="batch_pin", author="did:firefly:org/o", key="0xkey",
        created="2024-03-01T12:00:00Z", namespace="net", topics=("widgets", "a.b"), tag="t",
    )  # fmt: skip
    items = [item, plain] if data else []
    sealed = seal(header, [each.ref for each in items])
    return NewMessage(uid(name), sealed.header_json, sealed.hash, sealed.refs_json, 1, items, key)


def _batch(name: str, sequence: int, number: int) -> BatchRow:
    return BatchRow(
        sequence=sequence, id=uid(name), namespace=number, type="broadcast", node=None, group_hash=None, author="o",
        key="0xkey", created=NOON, hash=sha256(name.encode()), manifest="{}", tx=uid(f"tx of {name}"),
        tx_type="batch_pin", sealed=0, payload_hash=None, payload_ref=None, sent=None, confirmed=NOON,
    )  # fmt: skip


@asynccontextmanager
async def open_log(folder: Path, seed: int) -> AsyncGenerator[EventLog, None]:
    """An empty log on a simulated disk."""
    world = SimWorld(Disk(folder, Random(seed)), Random(seed))
    try:
        async with open_store(world, folder / "ffd.db") as store:
            number, _ = await store.write(lambda tx: namespaces.ensure(tx, "local", "net", NOON))
            yield EventLog(store, number)
    finally:
        world.end()
