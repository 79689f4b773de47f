"""The indexer: follows what settles, some thousands of rows at a time, and never stops the node.

One process of those that share a database does it. It works in a thread of its own, in SQL, and only while there is
enough for a chunk. Whatever happens to it or to its file, lists are answered: more slowly, from the tables.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import apsw
import outcome
import trio

from ffd.model.errors import Full
from ffd.store import offsets
from ffd.store.bells import wait_rung
from ffd.store.engine import Store, interrupt_when_cancelled
from ffd.store.index.build import Builder
from ffd.store.index.layout import CHUNK_ROWS, Layout
from ffd.store.leadership import Leadership
from ffd.store.transaction import Transaction
from ffd.world import Database, World

log = logging.getLogger(__name__)

GATHER_S = 0.5
"""Between one look and the next: a chunk is not made of the newest rows alone."""
POLL_S = 5.0
REST_SHARE = 3.0
"""While events come, the indexer rests so many times as long as it worked: messages go before lists."""
AGAIN_S = 30.0
"""After a failure, which may be a full disk."""
CHANGES_WAITED_FOR = 200
SEARCH = "search"
TORN = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


async def follow(world: World, store: Store, layout: Layout, leadership: Leadership) -> NoReturn:
    """Keep the index beside the database, from what is there or from nothing, until cancelled."""
    told = ""
    while True:
        try:
            await _keep_up(world, store, layout, leadership)
        except TORN as error:
            log.warning("the search index %s is torn (%s): it is made anew", store.index_path, error)
            _remove(world, store.index_path)
        except (apsw.Error, Full, OSError) as error:
            if str(error) != told:
                told = str(error)
                log.warning("the search index does not follow (%s): lists of many rows are slow meanwhile", error)
            await trio.sleep(AGAIN_S)
        else:
            log.warning("the search index %s was removed or replaced: it is made anew", store.index_path)


def _remove(world: World, path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        world.remove_file(path.with_name(path.name + suffix))


async def _keep_up(world: World, store: Store, layout: Layout, leadership: Leadership) -> None:
    """Follow until the file is another one."""
    fresh = int.from_bytes(world.entropy(7), "big") + 1
    database, announced = await store.write(lambda tx: _known(tx, fresh))
    opened = await world.open_database(store.path)
    try:
        builder = Builder(opened.connection, store.path, layout)
        await opened.run(builder.open, store.index_path, database, announced)
        file = world.file_identity(store.index_path)
        bell = store.bell("events")
        while world.file_identity(store.index_path) == file:
            ticket = bell.ticket()
            while store.peek(lambda tx: _is_worth_it(tx, layout, builder)):
                began = trio.current_time()
                if not await _begin_round(opened, builder):
                    break
                await store.write(lambda tx: _announce(tx, leadership, builder))
                await opened.run(builder.commit_round)
                if ticket.is_set():
                    await trio.sleep(REST_SHARE * (trio.current_time() - began))
            await trio.sleep(GATHER_S)
            await wait_rung(ticket, at_most_s=POLL_S)
    finally:
        with suppress(apsw.Error):
            await opened.aclose()


async def _begin_round(opened: Database, builder: Builder) -> bool:
    """A large chunk takes a second or more: whoever stops the node does not wait for it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(interrupt_when_cancelled, opened.connection)
        result = await opened.run(outcome.capture, builder.begin_round)
        nursery.cancel_scope.cancel()
    if isinstance(result, outcome.Error):
        await trio.lowlevel.checkpoint()
    return result.unwrap()


def _known(tx: Transaction, fresh: int) -> tuple[int, int]:
    """What tells this database from others, and the last round that was announced in it."""
    database = offsets.read(tx, SEARCH, "database")
    if database is None:
        database = fresh
        offsets.move(tx, SEARCH, "database", to=database)
    return database, offsets.read(tx, SEARCH, "round") or 0


def _is_worth_it(tx: Transaction, layout: Layout, builder: Builder) -> bool:
    """May there be enough for a chunk?"""
    changes: int = tx.value("SELECT coalesce(max(change), 0) FROM search_changes")
    if changes - builder.changes >= CHANGES_WAITED_FOR:
        return True
    return any(
        tx.value(f"SELECT coalesce(max(sequence), 0) FROM {held.table}") - builder.through[name] >= CHUNK_ROWS
        for name, held in layout.held.items()
    )


def _announce(tx: Transaction, leadership: Leadership, builder: Builder) -> None:
    """Say in the database which round comes, so that an index from its future is known by that, after a restore.

    Changes that every index since the round before has followed are forgotten.
    """
    leadership.check(tx)
    offsets.move(tx, SEARCH, "round", to=builder.round)
    followed = builder.followed
    if tx.value("SELECT 1 FROM search_changes WHERE change <= ? LIMIT 1", (followed,)) is not None:
        tx.execute(
            "DELETE FROM search_changes WHERE change <= ? AND change < (SELECT max(change) FROM search_changes)",
            (followed,),
        )
        offsets.move(tx, SEARCH, "trimmed", to=followed)
