"""The embedded ledger: a hash-chained SQLite file, its entries signed, shared by the nodes of one machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import apsw
import trio

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
from ffd.store import chain
from ffd.world import Database, World

POLL_S = 0.1  # another process can ring no bell here; reading one page of shared memory costs microseconds


class FileLedger:
    """One node's view of the ledger file: appends go through `database`, short indexed reads through `reading`."""

    plugin = "file"

    def __init__(
        self,
        name: str,
        path: Path,
        world: World,
        wallet: Wallet,
        database: Database,
        reading: apsw.Connection,
    ) -> None:
        self.name = name
        self._path = path
        self._world = world
        self._wallet = wallet
        self._database = database
        self._reading = reading
        self._grown = trio.Event()

    async def submit(self, pin: BatchPin, *, request: str, key: str) -> str:
        body, now = body_text(pin), self._world.now()
        signer, signature = sign_with(self._wallet, key, body)

        def link(previous: bytes, height: int) -> bytes:
            return entry_hash(previous, height, now, signer, signature, body)

        def work() -> bytes:
            return chain.append(
                self._database.connection, signer=signer, signature=signature, body=body, request=request, now=now,
                genesis=GENESIS, link=link,
            )  # fmt: skip

        with trio.CancelScope(shield=True):
            hash = await self._database.run(work)
        self._grown.set()
        self._grown = trio.Event()
        return hash.hex()

    async def events(self, *, after: str, limit: int) -> Sequence[LedgerEvent]:
        height, _ = read_position(after)
        await trio.lowlevel.checkpoint()
        entries = [Entry(*row) for row in chain.after(self._reading, height, limit)]
        if height < 0:
            return [event_of(entry) for entry in whole_part(entries, GENESIS)]
        check_read_before(entries, after, str(self._path))
        return [event_of(entry) for entry in whole_part(entries[1:], entries[0].hash)]

    async def wait_beyond(self, position: str) -> None:
        read, _ = read_position(position)
        await trio.lowlevel.checkpoint()
        while True:
            # The tickets are taken before the look, so that an entry that comes between is not slept through.
            grown, before = self._grown, chain.version(self._reading)
            found = chain.head(self._reading)
            if found is not None and found[0] > read:
                return
            while not grown.is_set() and chain.version(self._reading) == before:
                with trio.move_on_after(POLL_S):
                    await grown.wait()

    async def status(self) -> LedgerStatus:
        await trio.lowlevel.checkpoint()
        found = chain.head(self._reading)
        height, head = (found[0] + 1, found[1].hex()) if found else (0, "")
        return LedgerStatus(height, head, {"path": str(self._path)})

    def normal_key(self, key: str) -> str:
        return normal_key(key)

    def default_key(self) -> str:
        return public_text(self._wallet.default)

    def can_sign(self, key: str) -> bool:
        return self._wallet.find(key) is not None


@asynccontextmanager
async def open_file_ledger(setting: PluginSetting) -> AsyncIterator[FileLedger]:
    """The ledger at the option `path` (default `ledger.db` in the state folder), made if it is new.

    Raises Invalid when the file is something else.
    """
    setting.check_known("path")
    world, path = setting.world, setting.home / setting.text("path", "ledger.db")
    world.make_directory(path.parent)
    database = await world.open_database(path)
    try:
        await database.run(chain.prepare, database.connection, path)
        with closing(world.connect(path)) as reading:
            yield FileLedger(setting.name, path, world, setting.wallet, database, reading)
    finally:
        await database.aclose()
