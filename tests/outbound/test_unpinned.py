"""An unpinned batch at its sender: its messages are confirmed when everybody was tried, and once."""

from __future__ import annotations

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.outbound.accept import Accepted
from ffd.outbound.draft import parse_private
from ffd.outbound.flushes import FlushRecord
from ffd.outbound.lanes import Lanes
from ffd.outbound.private import PrivateCourier
from ffd.outbound.private_sealing import PrivateSealer
from ffd.outbound.sending import Sending
from ffd.plugins.exchange.loopback import LoopbackExchange
from ffd.plugins.ledger.memory import MemoryChain, MemoryLedger
from ffd.ports.wallet import Wallet
from ffd.store import Transaction
from ffd.store.blobfiles import BlobFiles, BlobLimits
from ffd.store.leadership import lead
from ffd.store.messages import UNMASKED
from tests.outbound.author import BATCHES, Author
from tests.simulation.disk import Disk

UNPINNED = b"""{"header": {"txtype": "unpinned", "topics": ["a", "b"]}, "group": {"members": [{"identity": "me"}]},
                "data": [{"value": "tea"}]}"""


async def test_a_batch_that_is_recorded_again_is_told_of_once(
    autojump_clock: object, author: Author, disk: Disk
) -> None:
    """The sequencer may take a step twice in one transaction: it learns of the first at the commit."""
    world, store = author.world, author.store
    (accepted,) = await author.acceptor.accept([parse_private(UNPINNED)])
    assert isinstance(accepted, Accepted)
    wallet = Wallet(Ed25519PrivateKey.generate(), world, disk.root / "keys")
    ledger = MemoryLedger("ledger", MemoryChain(world.now), wallet)
    sealer = PrivateSealer(world, author.namespace, BATCHES, "exchange", "ledger", UNMASKED)
    async with lead(world, store, "sequencer", process="test") as leadership, trio.open_nursery() as nursery:
        sending = Sending(world, store, author.namespace, ledger, leadership, FlushRecord())
        exchange = LoopbackExchange("exchange", "peer")
        blobs = BlobFiles(world, store, disk.root / "blobs", BlobLimits(1 << 20, 0))
        courier = PrivateCourier(sending, sealer, Lanes(nursery, sending, sealer, exchange, blobs))
        (*_, batch) = await store.write(courier.seal_page)
        sent = await courier.send(batch)

        def twice(tx: Transaction) -> None:
            courier.record_sent(tx, sent)
            courier.record_sent(tx, sent)

        await store.write(twice)
    assert author.rows("SELECT topic FROM events WHERE type = 'message_confirmed' ORDER BY 1") == [("a",), ("b",)]
