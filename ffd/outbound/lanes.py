"""Lanes: what each node of other members is owed is brought to it in its order, past whatever holds up the others.

A lane tries for as long as its node is away, and gives up only what the node refuses; then the operation has failed,
and somebody may have it tried once more. All that is owed stands in the database: a lane that ends, with its process or
because nothing is left, is taken up again from there.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import msgspec
import trio

from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.identity import peer_of
from ffd.model.ids import format_uuid, parse_hash, parse_uuid
from ffd.model.message import UNPINNED
from ffd.outbound.private_sealing import PrivateSealer, SealedPrivate
from ffd.outbound.sending import Sending
from ffd.ports.exchange import Exchange, Route, Transfer
from ffd.ports.retry import Backoff
from ffd.store import Transaction, batches, identities, messages, operations, owed
from ffd.store.bells import wait_rung
from ffd.store.blobfiles import BlobFiles
from ffd.store.operations import FAILED, SUCCEEDED, OperationRow
from ffd.store.owed import Owed

log = logging.getLogger(__name__)

POLL_S = 5.0  # the fallback for what another process was asked
# A try costs little, and what a node lacks that came back holds up its groups there.
BACKOFF = Backoff(first_s=0.25, max_s=5.0)
LANE_PAGE = 16
IDLE_S = 30.0
"""How long a lane waits for more before it ends."""
FIRST_TRY_S = 10.0
"""The most that a batch waits for its first try at a node: a blob before it may take longer."""
PAYLOADS_BYTES_MAX = 8 * 1024 * 1024


class Payloads:
    """The documents of the latest batches, which several lanes send: others are built again from their rows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0

    def keep(self, batch: int, payload: bytes) -> None:
        """Keep a document, in the place of the oldest ones."""
        if batch in self._kept:
            return
        self._kept[batch] = payload
        self._size += len(payload)
        while self._size > PAYLOADS_BYTES_MAX:
            self._size -= len(self._kept.popitem(last=False)[1])

    def find(self, batch: int) -> bytes | None:
        """The document of a batch, if it is kept."""
        return self._kept.get(batch)


@dataclass(slots=True)
class Lane:
    """The way to one node: how far it is done, and whether it lags, since the node was away or is slow."""

    node: bytes
    done: int = 0
    lagging: bool = False
    roused: trio.Event = field(default_factory=trio.Event)
    moved: trio.Event = field(default_factory=trio.Event)

    def rouse(self) -> None:
        """There is more to bring."""
        self.roused.set()

    def move(self, *, done: int | None = None, lagging: bool | None = None) -> None:
        """It has come further, or lags; whoever waits for that looks again."""
        self.done = self.done if done is None else done
        self.lagging = self.lagging if lagging is None else lagging
        self.moved.set()
        self.moved = trio.Event()

    async def wait_tried(self, operation: int) -> None:
        """Until that operation was tried, or what comes before it fails."""
        while self.done < operation and not self.lagging:
            await self.moved.wait()


class Lanes:
    """The lanes of one namespace; each is a task of `nursery` while there is anything to bring."""

    def __init__(
        self, nursery: trio.Nursery, sending: Sending, sealer: PrivateSealer, exchange: Exchange, blobs: BlobFiles
    ) -> None:
        self._nursery = nursery
        self._sending = sending
        self._store = sending.store
        self._number = sending.namespace.number
        self._sealer = sealer
        self._exchange = exchange
        self._blobs = blobs
        self._payloads = Payloads()
        self._lanes: dict[bytes, Lane] = {}

    async def run(self) -> NoReturn:
        """Bring everybody what they are owed, until cancelled."""
        bell = self._store.bell(owed.BELL)
        while True:
            ticket = bell.ticket()
            for node in self._store.peek(lambda tx: list(owed.nodes(tx, self._number))):
                self._lane(node).rouse()
            await wait_rung(ticket, at_most_s=POLL_S)

    async def bring(self, batch: SealedPrivate) -> None:
        """Let each node have a batch that was just sealed; returns when every one was tried."""
        if not batch.owed:
            return
        self._payloads.keep(batch.row.sequence, batch.payload)
        async with trio.open_nursery() as nursery:
            for node, last in batch.owed.items():
                lane = self._lane(node)
                lane.rouse()
                nursery.start_soon(_wait_tried, lane, last)

    def _lane(self, node: bytes) -> Lane:
        lane = self._lanes.get(node)
        if lane is None:
            lane = self._lanes[node] = Lane(node)
            self._nursery.start_soon(self._run_lane, lane)
        return lane

    async def _run_lane(self, lane: Lane) -> None:
        """Bring a node what it is owed, until there was nothing more for a while."""
        while True:
            lane.roused = trio.Event()
            rows = self._store.peek(lambda tx: owed.first(tx, self._number, lane.node, limit=LANE_PAGE))
            for row in rows:
                await self._bring_one(lane, row)
            if rows:
                continue
            if lane.lagging:
                lane.move(lagging=False)
            with trio.move_on_after(IDLE_S):
                await lane.roused.wait()
            if not lane.roused.is_set():
                del self._lanes[lane.node]
                return

    async def _bring_one(self, lane: Lane, row: Owed) -> None:
        """One operation, however long it takes."""
        failures, told = 0, ""
        while True:
            try:
                await self._send(lane.node, row)
            except (Away, Full) as error:
                failures += 1
                lane.move(lagging=True)
                if str(error) != told:
                    told = str(error)
                    log.warning("node %s gets nothing for now: %s", format_uuid(lane.node), error)
                    await self._store.write(partial(self._sending.note_failure, operation=row.id, error=error))
            except (Invalid, NotFound) as refusal:
                log.error("node %s will not get what it was to: %s", format_uuid(lane.node), refusal)
                lane.move(done=row.operation)
                await self._store.write(partial(self._settle, row=row, error=refusal))
                return
            else:
                lane.move(done=row.operation)
                await self._store.write(partial(self._settle, row=row))
                return
            await trio.sleep(BACKOFF.delay_s(failures))
            if not self._store.peek(lambda tx: owed.is_owed(tx, row.operation)):
                return  # its batch was given up

    def _settle(self, tx: Transaction, row: Owed, error: FfdError | None = None) -> None:
        self._sending.leadership.check(tx)
        status = SUCCEEDED if error is None else FAILED
        operations.settle(tx, row.id, status, self._sending.world.now(), error=None if error is None else str(error))
        owed.settle(tx, row.operation)

    async def _send(self, node: bytes, row: Owed) -> None:
        """Raises Away, Full when it can be tried again, Invalid when the node refuses it, NotFound when it is gone."""
        route = self._route(node)
        if row.data is not None:
            await self._send_blob(route, row.data)
            return
        payload = self._payloads.find(row.batch)
        await self._exchange.send_message(
            route, await self._store.read(partial(self._wrapper, row=row, payload=payload))
        )

    def _wrapper(self, tx: Transaction, row: Owed, payload: bytes | None) -> bytes:
        batch = batches.at(tx, row.batch)
        if payload is None:
            payload = self._sealer.load(tx, batch).payload
        with_group = batch.tx_type == UNPINNED or operations.is_retry(tx, row.tx, row.id)
        return self._sealer.wrapper(tx, batch, payload, with_group=with_group)

    async def _send_blob(self, route: Route, id: bytes) -> None:
        found = self._store.peek(lambda tx: messages.find_data(tx, self._number, id))
        blob = None if found is None else found[1].blob
        if blob is None:
            raise NotFound("FF10204", f"data {format_uuid(id)} has no blob any more: it was deleted here")
        hash = parse_hash(blob.hash)
        async with aclosing(await self._blobs.open(hash)) as source:
            await self._exchange.send_blob(route, Transfer(id, hash, blob.size), source)

    def _route(self, node: bytes) -> Route:
        found = self._store.peek(lambda tx: identities.find_by_id(tx, self._number, node))
        recipient = "" if found is None else peer_of(found.profile or "")
        if not recipient:
            raise Away(
                "FFD2507",
                f"node {format_uuid(node)} has said nowhere where its data exchange is: it has to be registered with "
                f"a profile, and is tried again",
            )
        namespace = self._sending.namespace
        return Route(namespace.network_name, self._exchange.profile(namespace.node_name).id, recipient)


def owe_again(tx: Transaction, operation: OperationRow, sequence: int) -> None:
    """Owe a node once more what another operation brought it, or could not. Raises NotFound FFD2503.

    The operation of this `sequence` is to bring it, behind all that the node is owed.
    """
    input = msgspec.json.decode(operation.input or "{}")
    batch = batches.of_tx(tx, operation.namespace, operation.tx)
    if batch is None or not batch.sealed:
        raise NotFound("FFD2503", f"operation {format_uuid(operation.id)} is of no batch that was sealed here")
    data = parse_uuid(input["dataId"]) if "dataId" in input else None
    owed.add(tx, operation.namespace, parse_uuid(input["node"]), sequence, batch.sequence, data)
    tx.ring(owed.BELL)


async def _wait_tried(lane: Lane, operation: int) -> None:
    with trio.move_on_after(FIRST_TRY_S) as scope:
        await lane.wait_tried(operation)
    if scope.cancelled_caught:
        lane.move(lagging=True)
