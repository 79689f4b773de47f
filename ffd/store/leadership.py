"""One leader a role, over all processes that share the database.

The lock is the operating system's (flock, beside the database): it ends with the process, at once, with no clock
involved. The epoch is the database's: every new leader raises it, and every write of a leader checks that its own is
still the newest, in the same transaction, so that one who slept past its time cannot write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from ffd.model.errors import FfdError
from ffd.model.ids import sha256
from ffd.store.engine import Store
from ffd.store.transaction import Transaction
from ffd.world import World

RETRY_S = 0.25  # a quarter of the second within which the next leader must have taken over


class Deposed(FfdError):
    """A newer leader of the role exists: what this one wanted to write is refused."""


@dataclass(frozen=True, slots=True)
class Leadership:
    """A role, led; `epoch` counts its leaders from 1."""

    role: str
    epoch: int
    since: int

    def check(self, tx: Transaction) -> None:
        """Refuse the transaction when somebody else leads by now. Raises Deposed."""
        epoch: int | None = tx.value("SELECT epoch FROM leaders WHERE role = ?", (self.role,))
        if epoch != self.epoch:
            raise Deposed(
                "FFD3020", f"role {self.role} has a newer leader: this write of epoch {self.epoch} is refused"
            )


@asynccontextmanager
async def lead(world: World, store: Store, role: str, *, process: str) -> AsyncIterator[Leadership]:
    """Wait until this process may lead `role`; it does until the block ends."""
    path = lock_path(store.path, role)
    world.make_directory(path.parent)
    # The holder may be another process, which nobody here can wait for.
    while (lock := world.try_lock(path)) is None:  # noqa: ASYNC110
        await trio.sleep(RETRY_S)
    try:
        now = world.now()
        epoch = await store.write(lambda tx: _take(tx, role, process, now))
        yield Leadership(role, epoch, now)
    finally:
        lock.release()


def lock_path(database: Path, role: str) -> Path:
    """Where the lock of `role` lies. Roles name subscriptions too, so the name is hashed to fit any file system."""
    return database.parent / "locks" / f"{sha256(role.encode()).hex()[:32]}.lock"


def leaders(tx: Transaction) -> list[tuple[str, int, str, int]]:
    """Role, epoch, process and since when, of every role that was ever led."""
    rows = tx.execute("SELECT role, epoch, process, since FROM leaders ORDER BY role")
    return [(role, epoch, process, since) for role, epoch, process, since in rows]


def forget(tx: Transaction, role: str) -> None:
    """The role is no more: whoever leads it now is deposed."""
    tx.execute("DELETE FROM leaders WHERE role = ?", (role,))


def _take(tx: Transaction, role: str, process: str, now: int) -> int:
    epoch: int = tx.value(
        """
        INSERT INTO leaders (role, epoch, process, since) VALUES (?, 1, ?, ?)
            ON CONFLICT (role) DO UPDATE
           SET epoch = leaders.epoch + 1, process = excluded.process, since = excluded.since
        RETURNING epoch""",
        (role, process, now),
    )
    return epoch
