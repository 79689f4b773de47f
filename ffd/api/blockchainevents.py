"""Blockchain events: what the ledger said, one object for each of its entries that pins a batch."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.delivery.enrich import blockchain_event_json
from ffd.model.query import Condition
from ffd.store import Transaction, deliveries
from ffd.store.collections import BLOCKCHAINEVENTS, ShownBlockchainEvent


async def list_blockchainevents(call: Call, *, only: Condition | None = None) -> Answer:
    """Find blockchain events."""
    name = call.namespace.name
    return await listing(call, BLOCKCHAINEVENTS, lambda tx, row: shown_json(tx, row, name), only=only)


async def get_blockchainevent(call: Call) -> Answer:
    """One blockchain event."""
    found = one_of(call, BLOCKCHAINEVENTS, "id", "blockchain event")
    return object_of(await call.desk.store.read(lambda tx: shown_json(tx, found, call.namespace.name)))


def shown_json(tx: Transaction, row: ShownBlockchainEvent, namespace: str) -> str:
    """A ledger event with the contexts that it pinned."""
    return blockchain_event_json(row.id, namespace, row.rest, deliveries.contexts(tx, row.rest[0]))
