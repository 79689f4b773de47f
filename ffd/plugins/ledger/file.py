"""The embedded ledger: a hash-chained SQLite file, its entries signed, shared by the nodes of one machine."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import trio

from ffd.model.errors import Broken
from ffd.plugins.ledger.signing import (
    GENESIS,
    Entry,
    body_text,
    check_link,
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

log = logging.getLogger(__name__)

POLL_S = 0.1
"""How often an idle reader looks: another process can ring no bell here. A look at shared memory costs microseconds."""
POLL_SOON_S, POLL_SHARE = 0.004, 0.1
"""Who has just heard something looks sooner: again after a tenth of the time since then, as the next one is near."""
PATROL_PAGE, PATROL_S = 200, 300.0
"""Entries that were read long ago are looked at once more while there is nothing new: so many, all of them so often."""


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
        self._file = world.file_identity(path)
        self._known = ""
        self._patrol = Patrol()

    async def submit(self, pin: BatchPin, *, request: str, key: str) -> str:
        body, now = body_text(pin), self._world.now()
        signer, signature = sign_with(self._wallet, key, body)

        def link(previous: bytes, height: int) -> bytes:
            return entry_hash(previous, height, now, signer, signature, body)

        def work() -> bytes:
            return chain.append(
                self._database.connection, signer=signer, signature=signature, body=body, request=request, now=now,
                genesis=GENESIS, link=link, check=lambda: self._check_end(self._database.connection),
            )  # fmt: skip

        self._check_file()

        with trio.CancelScope(shield=True):
            hash = await self._database.run(work)
        self._check_file()  # else it may have gone into a file that has no name any more
        self._grown.set()
        self._grown = trio.Event()
        return hash.hex()

    async def events(self, *, after: str, limit: int) -> Sequence[LedgerEvent]:
        height, _ = read_position(after)
        await trio.lowlevel.checkpoint()
        self._check_file()
        entries = [Entry(*row) for row in chain.after(self._reading, height, limit)]
        before = None
        if height >= 0:
            check_read_before(entries, after, str(self._path))
            before, *entries = entries
        found = [event_of(entry) for entry in whole_part(entries, before)]
        self._known = max(self._known, after, found[-1].position if found else "")
        return found

    async def wait_beyond(self, position: str) -> None:
        read, _ = read_position(position)
        await trio.lowlevel.checkpoint()
        self._check_file()
        while True:
            # The tickets are taken before the look, so that an entry that comes between is not slept through.
            grown, before = self._grown, chain.version(self._reading)
            found = chain.head(self._reading)
            if found is not None and found[0] > read:
                return
            began = trio.current_time()
            while not grown.is_set() and chain.version(self._reading) == before:
                quiet_s = trio.current_time() - began
                with trio.move_on_after(min(POLL_S, max(POLL_SOON_S, quiet_s * POLL_SHARE))):
                    await grown.wait()
                self._check_file()
                if quiet_s >= 1:
                    self._look_back(read)

    async def status(self) -> LedgerStatus:
        await trio.lowlevel.checkpoint()
        found = chain.head(self._reading)
        height, head = (found[0] + 1, found[1].hex()) if found else (0, "")
        altered = {"altered": self._patrol.fault} if self._patrol.fault else {}
        return LedgerStatus(height, head, {"path": str(self._path), **altered})

    def _check_file(self) -> None:
        """Raises Broken when the file that is open has no name any more: what is written into it would be lost."""
        if self._world.file_identity(self._path) != self._file:
            raise Broken(
                "FFD4024",
                f"ledger {self._path} was removed or replaced while ffd runs, and is used no more: put the right file "
                f"in its place and start ffd again",
            )

    def _check_end(self, connection: apsw.Connection) -> None:
        """Nothing is built on an end that was altered, or that is older than what this node has seen. Raises Broken."""
        entries = [Entry(*row) for row in chain.tail(connection)]
        if entries:
            before = entries[0] if len(entries) > 1 else None
            check_link(entries[-1], before)
        height, _ = read_position(self._known)
        if height >= 0:
            check_read_before([Entry(*row) for row in chain.after(connection, height, 0)], self._known, str(self._path))

    def _look_back(self, height: int) -> None:
        """Look once more at some entries that were read before: what is done to them harms those who come later."""
        patrol = self._patrol
        if trio.current_time() < patrol.rests_until:
            return
        start = -1 if patrol.last is None else patrol.last.height
        rows = chain.after(self._reading, start, min(PATROL_PAGE, max(0, height - start)))
        patrol.look([Entry(*row) for row in rows], height, str(self._path))

    def normal_key(self, key: str) -> str:
        return normal_key(key)

    def default_key(self) -> str:
        return public_text(self._wallet.default)

    def can_sign(self, key: str) -> bool:
        return self._wallet.find(key) is not None


@dataclass(slots=True)
class Patrol:
    """How far the entries that were read before have been looked at once more; `fault` is what was found last."""

    last: Entry | None = None
    rests_until: float = 0.0
    fault: str = ""

    def look(self, entries: Sequence[Entry], height: int, ledger: str) -> None:
        """Go on with these; `height` is that of the last one to look at."""
        if self.last is not None and entries[:1] == [self.last]:
            entries = entries[1:]
        for entry in entries:
            try:
                check_link(entry, self.last)
            except Broken as fault:
                self.fault = str(fault)
                log.error("ledger %s: this node has read it as it was recorded, but by now %s", ledger, fault)
                self._rest()
                return
            self.last = entry
        if not entries or entries[-1].height >= height:
            self.fault = ""
            self._rest()

    def _rest(self) -> None:
        self.last, self.rests_until = None, trio.current_time() + PATROL_S


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
