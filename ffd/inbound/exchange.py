"""What other members' nodes bring through a data exchange: private batches, and blobs.

Whatever is taken is checked first, stored in one transaction with all that follows from it, and only then answered: the
sender's queue is the only one. A batch that cannot be taken leaves no trace but the reason, so that it can still come
as it should have been.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ffd.inbound import rewind
from ffd.inbound.arrivals import Arrivals, StoredBatch
from ffd.inbound.order import Cause
from ffd.model.batch import Batch, ReceivedMessage, Wrapper, parse_wrapper, verify_batch
from ffd.model.errors import Away, Invalid, NotFound
from ffd.model.event import MESSAGE_CONFIRMED
from ffd.model.group import GroupDefinition, parse_group
from ffd.model.identity import DX_VERIFIER, NODE
from ffd.model.ids import format_uuid, parse_uuid, sha256
from ffd.model.message import PRIVATE, PRIVATE_TYPES, UNPINNED
from ffd.ports.exchange import Route, Transfer
from ffd.ports.sharedstorage import Source
from ffd.store import (
    Store,
    Transaction,
    batches,
    blobs,
    data,
    events,
    groups,
    identities,
    messages,
    operations,
    pins,
    refusals,
)
from ffd.store.batches import BatchRow
from ffd.store.blobfiles import BlobFiles, Incoming
from ffd.store.events import NewEvent
from ffd.store.groups import GroupRow
from ffd.store.identities import IdentityRow

_log = logging.getLogger(__name__)

CHAIN_MAX = 100
"""How many parents an identity may have, one above the other."""

BROUGHT_MAX = 10_000
"""Of how many blobs it is remembered who brought them."""


class ExchangeReceiver:
    """Takes in what comes for the namespaces of this node; `message_bytes_max` is how long a wrapper may be."""

    def __init__(self, store: Store, files: BlobFiles, arrivals: Iterable[Arrivals], *, message_bytes_max: int) -> None:
        self._store = store
        self._files = files
        self._bytes_max = message_bytes_max
        self._brought: dict[bytes, None] = {}
        self._at = {(each.namespace.network_name, each.namespace.node_name): each for each in arrivals}

    async def take_message(self, route: Route, message: bytes) -> None:
        """Take a private batch. Raises as `Receiver` says."""
        arrivals = self._recipient(route)
        wrapper = parse_wrapper(message, self._bytes_max)
        refusal = await self._receive(arrivals, route, wrapper)
        if refusal is not None:
            await self._keep(refusal, arrivals, route, wrapper.batch)
            raise refusal

    async def blob_offset(self, route: Route, transfer: Transfer) -> int:
        """How much of a blob is here: all of it, or what came before a try broke off. Raises NotFound, Away."""
        whole = self._size_known(self._recipient(route), route, transfer)
        return await self._files.kept(_key(route, transfer)) if whole is None else whole

    async def take_blob(self, route: Route, transfer: Transfer, source: Source, *, offset: int) -> None:
        """Take the rest of a blob, and look again at what waited for it. Raises as `Receiver` says."""
        arrivals = self._recipient(route)
        if self._size_known(arrivals, route, transfer) is not None:
            while await source.read():
                pass
            return
        most = self._files.limits.blob_bytes_max
        if transfer.size is not None and transfer.size > most:
            raise Invalid("FFD4230", f"the blob is {transfer.size} bytes long: {most} are taken here at the most")
        async with self._files.resume(_key(route, transfer), offset=offset, hash=transfer.hash) as incoming:
            while piece := await source.read():
                if incoming.size + len(piece) > most:
                    raise Invalid("FFD4230", f"the blob is longer than {most} bytes: no more are taken here")
                await incoming.write(piece)
            hash = await incoming.finish()
            async with incoming.placed(hash):
                await self._store.write(lambda tx: _record_blob(tx, arrivals, transfer, incoming, hash))
        self._remember(route, transfer)

    def _size_known(self, arrivals: Arrivals, route: Route, transfer: Transfer) -> int | None:
        """The size of a blob that is here whole, if its sender brought it, or knows the data item that has it.

        Whoever knows nothing but its hash is told nothing: any member could ask what this node has from others.
        """
        hash, number = transfer.hash, arrivals.namespace.number
        if hash is None:
            return None
        if _key(route, transfer) not in self._brought:
            wanted = self._store.peek(lambda tx: data.blob_of(tx, number, transfer.data))
            if wanted != hash:
                return None
        found = self._store.peek(lambda tx: blobs.find(tx, number, hash))
        return None if found is None else found.size

    def _remember(self, route: Route, transfer: Transfer) -> None:
        """Remember who brought a blob, until many others came: after that, or a restart, it may come once more."""
        self._brought[_key(route, transfer)] = None
        while len(self._brought) > BROUGHT_MAX:
            del self._brought[next(iter(self._brought))]

    def _recipient(self, route: Route) -> Arrivals:
        """Who is meant: a node may be in several namespaces, and two of them in one network."""
        found = self._at.get((route.namespace, route.recipient.rpartition("/")[2]))
        if found is None:
            raise NotFound(
                "FFD4220", f"no node of namespace {route.namespace[:80]!r} is called {route.recipient[:80]!r} here"
            )
        return found

    async def _receive(self, arrivals: Arrivals, route: Route, wrapper: Wrapper) -> Invalid | None:
        """Take a batch, or say what it is refused for."""
        try:
            _check_private(wrapper.batch, arrivals.namespace.network_name)
            await self._store.write(lambda tx: _Reception(tx, arrivals, route, wrapper).take())
        except Invalid as refusal:
            return refusal
        return None

    async def _keep(self, refusal: Invalid, arrivals: Arrivals, route: Route, batch: Batch) -> None:
        """Keep why a batch was refused: its pins may make others wait."""
        _log.warning("batch %s from %s was refused: %s", batch.head.id, route.sender, refusal)
        if not batch.head.id:
            return
        number, id, now = arrivals.namespace.number, parse_uuid(batch.head.id), arrivals.world.now()
        await self._store.write(lambda tx: refusals.note(tx, number, id, route.sender, str(refusal), now))


class _Reception:
    """One transaction: a batch that came is checked against what is known here, and taken."""

    def __init__(self, tx: Transaction, arrivals: Arrivals, route: Route, wrapper: Wrapper) -> None:
        self._tx = tx
        self._arrivals = arrivals
        self._namespace = arrivals.namespace
        self._number = arrivals.namespace.number
        self._sender = route.sender
        self._batch = wrapper.batch
        self._group = wrapper.group
        self._now = arrivals.world.now()

    def take(self) -> None:
        """Take the batch, unless it is here. Raises Away, Invalid."""
        id, hash = parse_uuid(self._batch.head.id), self._batch.head.hash
        self._check_sender()
        found = batches.find_pinned(self._tx, self._number, id, hash)
        if found is not None and found.hash == hash:
            return
        unpinned = self._batch.head.tx_type == UNPINNED
        self._know_group(needed=unpinned)
        stored = self._arrivals.store_batch(self._tx, self._batch)
        refusals.forget(self._tx, self._number, id)
        if unpinned:
            self._confirm(stored)
        else:
            pins.rewind(self._tx, self._number, id)

    def _check_sender(self) -> None:
        """Is the sender the node that the batch names, and may that node speak for its author (reference 6.4)?"""
        head = self._batch.head
        node = identities.owner_of(self._tx, self._number, DX_VERIFIER, self._sender)
        if node is None or node.type != NODE or node.parent is None:
            raise Away("FFD4221", f"no registered node is {self._sender[:80]} here: it is to be registered first")
        if head.node != format_uuid(node.id):
            raise Invalid("FFD4222", f"batch {head.id} is of node {head.node}, and {node.did} has sent it")
        author = identities.find_identity(self._tx, self._number, head.author)
        if author is None:
            raise Away("FFD4223", f"nobody is {head.author[:80]!r} here: it is to be registered first")
        if not self._descends(author, node.parent):
            raise Invalid("FFD4224", f"node {node.did} belongs to others than {author.did}, and may not speak for it")

    def _descends(self, identity: IdentityRow | None, ancestor: bytes) -> bool:
        for _ in range(CHAIN_MAX):
            if identity is None or identity.id == ancestor:
                return identity is not None
            parent = identity.parent
            identity = None if parent is None else identities.find_by_id(self._tx, self._number, parent)
        return False

    def _know_group(self, *, needed: bool) -> None:
        """Know the group that comes with a batch. One without a pin is confirmed at once: its group must be known."""
        head = self._batch.head
        told = self._told_group(needed=needed)
        if told is not None and told.hash.hex() == head.group and told.has(head.author, head.node or ""):
            row = GroupRow(told.hash, told.name, told.members, None, told.created or self._now)
            groups.ensure(self._tx, self._number, row)
            rewind.known(self._tx, self._number, Cause.GROUP, told.hash.hex())
        if not needed:
            return
        known = groups.find(self._tx, self._number, bytes.fromhex(head.group or ""))
        if known is None or not known.has(head.author, head.node or ""):
            raise Invalid(
                "FFD4229", f"batch {head.id} has no pin, and its author on that node is in no known group {head.group}"
            )

    def _told_group(self, *, needed: bool) -> GroupDefinition | None:
        if self._group is None:
            return None
        try:
            return parse_group(self._group, self._namespace.network_name)
        except Invalid:
            if needed:
                raise
            return None

    def _confirm(self, stored: StoredBatch) -> None:
        """Confirm messages that have no pin: in the order in which their author's node sent them."""
        row, first, last = stored.row, stored.first, stored.first + len(stored.messages) - 1
        operations.ensure_transaction(self._tx, self._number, row.tx, row.tx_type, self._now)
        for _, blob in messages.needing_more(self._tx, first, last).values():
            if blob is not None:
                raise Away("FFD4226", f"blob {blob} of batch {self._batch.head.id} is not here: send it first")
        messages.confirm(self._tx, range(first, last + 1), self._now)
        for id, received in stored.messages.items():
            events.append(self._tx, self._told(id, received, row))

    def _told(self, id: bytes, received: ReceivedMessage, row: BatchRow) -> list[NewEvent]:
        """One event for each topic of a message, in header order."""
        header, world = received.header, self._arrivals.world
        correlator = parse_uuid(header.cid) if header.cid else None
        return [
            NewEvent(world.new_id(), self._number, MESSAGE_CONFIRMED, id, correlator, row.tx, topic, self._now)
            for topic in header.topics
        ]


def _record_blob(tx: Transaction, arrivals: Arrivals, transfer: Transfer, incoming: Incoming, hash: bytes) -> None:
    """The blob is here, and whoever waits for it is looked at again: all in one transaction."""
    number = arrivals.namespace.number
    wanted = data.blob_of(tx, number, transfer.data)
    if wanted is not None and wanted != hash:
        id = format_uuid(transfer.data)
        raise Invalid("FFD4231", f"data {id} has the blob {wanted.hex()}, and {hash.hex()} came for it")
    incoming.record(tx, number, hash, arrivals.world.now())
    rewind.blob_here(tx, number, hash)


def _key(route: Route, transfer: Transfer) -> bytes:
    """What a blob is called until it is whole: two senders, or two versions, are not mixed."""
    names = [route.namespace, route.sender, route.recipient, transfer.data.hex(), (transfer.hash or b"").hex()]
    return sha256("\n".join(names).encode())


def _check_private(batch: Batch, network_name: str) -> None:
    """Refuse what no member may send so: its parts do not verify (reference 6.3), or it is nothing private."""
    verify_batch(batch, network_name)
    head = batch.head
    if head.type != PRIVATE or not head.group or not head.node:
        raise Invalid("FFD4225", f"batch {head.id} of the type {head.type[:80]!r} names no group, or no node")
    for received in batch.messages:
        header = received.header
        if header.type not in PRIVATE_TYPES or header.group != head.group or not header.id:
            raise Invalid("FFD4227", f"message '{header.id}' of batch {head.id} is not of its group {head.group}")
        if header.txtype != head.tx_type:
            raise Invalid(
                "FFD4228",
                f"message '{header.id}' is of the transaction type {header.txtype}, its batch of {head.tx_type}",
            )
