"""One ledger that several nodes are on, whatever its kind: how a contract test opens it, and tampers with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.model.ids import sha256
from ffd.plugins.ledger import memory
from ffd.plugins.ledger.signing import GENESIS, Entry, entry_hash, sign
from ffd.plugins.registry import ledger_opener
from ffd.ports.ledger import BATCH_PIN_ACTION, BatchPin, Ledger, LedgerEvent
from ffd.ports.plugin import PluginSetting
from ffd.ports.wallet import Wallet, pem_of
from ffd.store import chain
from ffd.world import RealWorld

ALL = 1000


def key_of(name: str) -> Ed25519PrivateKey:
    """The signing key of a member."""
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))


def pin(name: str, *topics: str, payload_ref: str = "ref") -> BatchPin:
    """The pin of a batch called `name`."""
    contexts = [sha256(topic.encode()) for topic in topics or ("topic",)]
    tx, batch = sha256(f"tx {name}".encode())[:16], sha256(name.encode())[:16]
    return BatchPin("net", BATCH_PIN_ACTION, tx, batch, sha256(batch), payload_ref, contexts)


class SharedLedger(ABC):
    """A ledger below `root`; each node's view of it is opened on its own, as another process would open it."""

    plugin: str

    def __init__(self, root: Path, lasting: AsyncExitStack) -> None:
        self.root = root
        self._lasting = lasting

    @property
    @abstractmethod
    def options(self) -> Mapping[str, object]:
        """What every node writes in its configuration."""

    @property
    @abstractmethod
    def entries(self) -> list[Entry]:
        """What stands in it."""

    @abstractmethod
    def append_body(self, name: str, body: str) -> None:
        """Let a member sign and append a text of its choice, as its own program might."""

    @abstractmethod
    def alter(self, height: int, **columns: Any) -> None:
        """Change an entry behind everybody's back."""

    @abstractmethod
    def swap(self, one: int, other: int) -> None:
        """Let two entries change places."""

    @abstractmethod
    def remove(self, height: int) -> None:
        """Take an entry out."""

    @asynccontextmanager
    async def visit(self, name: str, **options: object) -> AsyncGenerator[Ledger, None]:
        """The view of a node that closes it again."""
        world, home = RealWorld(), self.root / name
        world.make_directory(home / "keys")
        wallet = Wallet(key_of(name), world, home / "keys")
        setting = PluginSetting(world, "local", {**self.options, **options}, home, wallet)
        async with ledger_opener(self.plugin)(setting) as ledger:
            yield ledger

    def give_key(self, name: str, key: Ed25519PrivateKey) -> None:
        """Put a key into the folder of a node."""
        (self.root / name / "keys" / "another.pem").write_bytes(pem_of(key))

    async def node(self, name: str) -> Ledger:
        """The view of a node that stays."""
        return await self._lasting.enter_async_context(self.visit(name))


class FileLedgers(SharedLedger):
    plugin = "file"

    @property
    def path(self) -> Path:
        return self.root / "ledger.db"

    @property
    def options(self) -> Mapping[str, object]:
        return {"path": str(self.path)}

    @property
    def entries(self) -> list[Entry]:
        with closing(apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return [Entry(*row) for row in chain.after(connection, -1, ALL)]

    def append_body(self, name: str, body: str) -> None:
        signer, signature = sign(key_of(name), body)
        with closing(apsw.Connection(str(self.path))) as connection:
            chain.append(
                connection, signer=signer, signature=signature, body=body, request=f"raw {body}", now=1,
                genesis=GENESIS, link=lambda previous, height: entry_hash(previous, height, 1, signer, signature, body),
            )  # fmt: skip

    def alter(self, height: int, **columns: Any) -> None:
        for column, value in columns.items():
            self.execute(f"UPDATE entries SET {column} = ? WHERE height = ?", value, height)  # noqa: S608 - a column of ours

    def swap(self, one: int, other: int) -> None:
        for before, after in ((one, -1), (other, one), (-1, other)):
            self.execute("UPDATE entries SET height = ? WHERE height = ?", after, before)

    def remove(self, height: int) -> None:
        self.execute("DELETE FROM entries WHERE height = ?", height)

    def execute(self, statement: str, *values: Any) -> None:
        with closing(apsw.Connection(str(self.path))) as connection:
            connection.execute(statement, values)


class MemoryLedgers(SharedLedger):
    plugin = "memory"

    @property
    def options(self) -> Mapping[str, object]:
        return {"chain": str(self.root)}

    @property
    def chain(self) -> memory.MemoryChain:
        """The chain itself."""
        return memory.CHAINS[str(self.root)]

    @property
    def entries(self) -> list[Entry]:
        return self.chain.entries

    def append_body(self, name: str, body: str) -> None:
        self.chain.append(*sign(key_of(name), body), body, f"raw {body}")

    def alter(self, height: int, **columns: Any) -> None:
        self.entries[height] = replace(self.entries[height], **columns)

    def swap(self, one: int, other: int) -> None:
        entries = self.entries
        entries[one], entries[other] = replace(entries[other], height=one), replace(entries[one], height=other)

    def remove(self, height: int) -> None:
        del self.entries[height]


LEDGERS: Mapping[str, type[SharedLedger]] = {each.plugin: each for each in (FileLedgers, MemoryLedgers)}


async def everything(ledger: Ledger, *, after: str = "", limit: int = ALL) -> list[LedgerEvent]:
    """All that a reader finds past a position, page by page."""
    found: list[LedgerEvent] = []
    while page := await ledger.events(after=after, limit=limit):
        found += page
        after = page[-1].position
    return found


async def fill(ledger: Ledger, *names: str) -> list[str]:
    """Pin these batches; the ledger's names for them."""
    return [await ledger.submit(pin(name), request=name, key=ledger.default_key()) for name in names]
