"""A ledger: pin a batch, signed; read everybody's pins back in the one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

BATCH_PIN_ACTION = "firefly:batch_pin"
CONTRACT_INVOKE_PIN_ACTION = "firefly:contract_invoke_pin"


@dataclass(frozen=True, slots=True)
class BatchPin:
    """What a node asks the ledger to record. Ids 16 bytes, hashes 32; `network` is the network's namespace name.

    `contexts` are for each message in batch order, for each topic in header order: neither sorted nor made unique.
    """

    network: str
    action: str
    tx: bytes
    batch: bytes
    batch_hash: bytes
    payload_ref: str
    contexts: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """A pin as the ledger gives it back. `position` sorts as text in ledger order; `signer` is the key in text form.

    `pin` is None when the entry holds no batch pin that can be read: it is passed over, its position is not.
    """

    position: str
    transaction: str
    signer: str
    timestamp: int
    pin: BatchPin | None


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """Where the ledger stands, for people: `height` counts its entries."""

    height: int
    head: str
    detail: dict[str, str] = field(default_factory=dict)


class Ledger(Protocol):
    """The contract of a ledger plugin.

    Order: `events` gives the same events in the same order to every reader, for ever, each with a position greater than
    the one before. Submission is idempotent: `submit` with a request that was taken before changes nothing and
    succeeds, whatever became of the first answer. What is not answered is raised as Away (try again) or Invalid
    (never).
    """

    name: str
    plugin: str

    async def submit(self, pin: BatchPin, *, request: str, key: str) -> str:
        """Record the pin, signed with `key`; the ledger's name for the transaction, once it will not be lost."""

    async def events(self, *, after: str, limit: int) -> Sequence[LedgerEvent]:
        """The next events past the position `after` (empty: from the first), at most `limit`. Raises Away, Broken."""

    async def wait_beyond(self, position: str) -> None:
        """Until there may be an event past `position`."""

    async def status(self) -> LedgerStatus:
        """Where the ledger stands. Raises Away."""

    def normal_key(self, key: str) -> str:
        """The one spelling of a signing key. Raises Invalid when it is none."""

    def default_key(self) -> str:
        """The key that this node signs with when nobody names one."""

    def can_sign(self, key: str) -> bool:
        """May this node sign with `key`, in its one spelling?"""
