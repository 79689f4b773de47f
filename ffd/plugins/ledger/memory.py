"""A ledger in memory that several nodes of one process share: every promise of the port, and faults on demand.

It is chosen like any other ledger and signs and chains its entries like the embedded one. It can be told to be away, to
say things twice, and to lose an answer after it has acted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from ffd.model.errors import Away
from ffd.plugins.ledger.signing import (
    GENESIS,
    Entry,
    body_text,
    check_read_before,
    entry_hash,
    event_of,
    normal_key,
    read_position,
    sign_with,
    whole_part,
)
from ffd.ports.ledger import BatchPin, LedgerEvent, LedgerStatus
from ffd.ports.plugin import PluginSetting
from ffd.ports.wallet import Wallet, public_text


@dataclass
class MemoryChain:
    """The chain itself, one for all nodes; `now` gives nanoseconds."""

    now: Callable[[], int]
    entries: list[Entry] = field(default_factory=list)
    requests: dict[tuple[bytes, str], int] = field(default_factory=dict)
    grown: trio.Event = field(default_factory=trio.Event)

    def append(self, signer: bytes, signature: bytes, body: str, request: str) -> Entry:
        """The entry for this request: a new one, or the one that it made before."""
        found = self.requests.get((signer, request))
        if found is not None:
            return self.entries[found]
        previous = self.entries[-1].hash if self.entries else GENESIS
        height, now = len(self.entries), self.now()
        hash = entry_hash(previous, height, now, signer, signature, body)
        entry = Entry(height, previous, now, signer, signature, body, hash)
        self.entries.append(entry)
        self.requests[signer, request] = height
        self.grown.set()
        self.grown = trio.Event()
        return entry


@dataclass
class Faults:
    """What is wrong with the ledger as one node sees it."""

    away: bool = False
    lose_answers: int = 0
    repeat: int = 0
    delay_s: float = 0.0


class MemoryLedger:
    """One node's view of a `MemoryChain`, with the node's keys."""

    plugin = "memory"

    def __init__(self, name: str, chain: MemoryChain, wallet: Wallet) -> None:
        self.name = name
        self.faults = Faults()
        self._chain = chain
        self._wallet = wallet

    async def submit(self, pin: BatchPin, *, request: str, key: str) -> str:
        await self._reach()
        body = body_text(pin)
        entry = self._chain.append(*sign_with(self._wallet, key, body), body, request)
        if self.faults.lose_answers:
            self.faults.lose_answers -= 1
            raise Away("FFD4014", f"ledger {self.name} took the pin, and its answer was lost: it is asked again")
        return entry.hash.hex()

    async def events(self, *, after: str, limit: int) -> Sequence[LedgerEvent]:
        await self._reach()
        height, _ = read_position(after)
        all = self._chain.entries
        if height >= 0:
            check_read_before(all[height : height + 1], after, self.name)
        first = max(0, height + 1 - self.faults.repeat)
        whole = whole_part(all[first : first + limit], all[first - 1] if first else None)
        return [event_of(entry) for entry in whole]

    async def wait_beyond(self, position: str) -> None:
        height, _ = read_position(position)
        while len(self._chain.entries) <= height + 1:
            await self._chain.grown.wait()

    async def status(self) -> LedgerStatus:
        entries = self._chain.entries
        return LedgerStatus(len(entries), entries[-1].hash.hex() if entries else "")

    def normal_key(self, key: str) -> str:
        return normal_key(key)

    def default_key(self) -> str:
        return public_text(self._wallet.default)

    def can_sign(self, key: str) -> bool:
        return self._wallet.find(key) is not None

    async def _reach(self) -> None:
        await trio.sleep(self.faults.delay_s)
        if self.faults.away:
            raise Away("FFD4015", f"ledger {self.name} does not answer: it is tried again")


CHAINS: dict[str, MemoryChain] = {}
"""The chains of this process that were opened by name; a test makes its own instead."""


@asynccontextmanager
async def open_memory_ledger(setting: PluginSetting) -> AsyncIterator[MemoryLedger]:
    """A ledger that lives as long as the process; nodes that name the same option `chain` share it."""
    setting.check_known("chain")
    chain = CHAINS.setdefault(setting.text("chain", setting.name), MemoryChain(setting.world.now))
    yield MemoryLedger(setting.name, chain, setting.wallet)
