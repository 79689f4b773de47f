"""Blobs that break off: what came is kept, and the next try goes on behind it, until the blob is whole or too old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest
import trio

from ffd.model.errors import Away, Full
from ffd.model.ids import sha256
from ffd.store import Store, namespaces, open_store
from ffd.store.blobfiles import BlobFiles, BlobLimits
from ffd.store.partials import KEPT_MAX, KEPT_NS
from ffd.world import RealWorld, World
from tests.simulation.disk import Disk, Loss
from tests.simulation.surroundings import EPOCH_NS, SimWorld

CONTENT = b"tea at four\n" * 2000
HASH = sha256(CONTENT)
KEY, OTHER_KEY = sha256(b"one"), sha256(b"another")
CUT = 7001


class BreakOff(Exception):
    """The connection is gone."""


class Shelf:
    """The blobs of a node with one namespace."""

    def __init__(self, store: Store, files: BlobFiles, namespace: int) -> None:
        self.files = files
        self._store = store
        self._namespace = namespace

    async def take(
        self, content: bytes, *, key: bytes = KEY, offset: int = 0, cut: int | None = None, hash: bytes | None = None
    ) -> None:
        """What follows `offset` comes in, up to `cut`, where the connection breaks off."""
        async with self.files.resume(key, offset=offset, hash=hash) as incoming:
            for at in range(offset, len(content) if cut is None else cut, 1000):
                await incoming.write(content[at : min(at + 1000, cut or len(content))])
            if cut is not None:
                raise BreakOff
            found = await incoming.finish()
            async with incoming.placed(found):
                await self._store.write(lambda tx: incoming.record(tx, self._namespace, found, 1))

    async def break_off(self, content: bytes = CONTENT, *, key: bytes = KEY, offset: int = 0, cut: int = CUT) -> None:
        with suppress(BreakOff):
            await self.take(content, key=key, offset=offset, cut=cut)

    async def read(self, hash: bytes) -> bytes:
        async with aclosing(await self.files.open(hash)) as outgoing:
            found = b""
            while piece := await outgoing.read():
                found += piece
            return found


@asynccontextmanager
async def opened(world: World, folder: Path) -> AsyncIterator[Shelf]:
    async with open_store(world, folder / "ffd.db") as store:
        number, _ = await store.write(lambda tx: namespaces.ensure(tx, "default", "default", EPOCH_NS))
        yield Shelf(store, BlobFiles(world, store, folder / "blobs", BlobLimits(blob_bytes_max=100_000)), number)


@pytest.fixture
def disk(scratch: Path) -> Disk:
    return Disk(scratch / "disk", Random(7))


@asynccontextmanager
async def simulated(disk: Disk, *, skew_ns: int = 0) -> AsyncIterator[Shelf]:
    world = SimWorld(disk, Random(1), skew_ns=skew_ns)
    try:
        async with opened(world, disk.root) as shelf:
            yield shelf
    finally:
        world.end()


@pytest.fixture
async def shelf(autojump_clock: object, disk: Disk) -> AsyncIterator[Shelf]:
    async with simulated(disk) as shelf:
        yield shelf


async def test_a_blob_that_broke_off_goes_on_where_it_was_on_a_real_disk(tmp_path: Path) -> None:
    async with opened(RealWorld(), tmp_path) as shelf:
        assert await shelf.files.kept(KEY) == 0
        await shelf.break_off()
        assert await shelf.files.kept(KEY) == CUT
        await shelf.break_off(offset=CUT, cut=9000)
    async with opened(RealWorld(), tmp_path) as shelf:
        assert await shelf.files.kept(KEY) == 9000
        await shelf.take(CONTENT, offset=9000, hash=HASH)
        assert await shelf.read(HASH) == CONTENT
        assert await shelf.files.kept(KEY) == 0


async def test_what_was_kept_is_there_after_the_power_was_cut(autojump_clock: object, disk: Disk) -> None:
    async with simulated(disk) as shelf:
        await shelf.break_off()
    disk.lose_power()
    disk.come_back(Loss.DROP)
    async with simulated(disk) as shelf:
        assert await shelf.files.kept(KEY) == CUT
        await shelf.take(CONTENT, offset=CUT)
        assert await shelf.read(HASH) == CONTENT


async def test_who_goes_on_behind_another_place_is_told_which(shelf: Shelf) -> None:
    await shelf.break_off()
    for offset in (0, CUT - 1, CUT + 1):
        with pytest.raises(Away, match=f"FFD3107: {CUT} bytes of the blob are here, not {offset}"):
            await shelf.take(CONTENT, offset=offset)
    assert await shelf.files.kept(KEY) == CUT


async def test_a_blob_that_is_not_the_one_that_was_said_begins_anew(shelf: Shelf) -> None:
    await shelf.break_off(b"x" * CUT)
    with pytest.raises(Away, match="FFD3108: the blob has the SHA-256"):
        await shelf.take(CONTENT, offset=CUT, hash=HASH)
    assert await shelf.files.kept(KEY) == 0
    await shelf.take(CONTENT, hash=HASH)
    assert await shelf.read(HASH) == CONTENT


async def test_one_blob_comes_over_one_connection_at_a_time(shelf: Shelf) -> None:
    async with shelf.files.resume(KEY, offset=0) as incoming:
        await incoming.write(CONTENT[:CUT])
        with pytest.raises(Away, match="FFD3106: the blob is coming in already"):
            await shelf.take(CONTENT)
        await shelf.take(b"other", key=OTHER_KEY)
    assert await shelf.files.kept(KEY) == CUT


async def test_what_is_too_large_is_refused_in_whatever_pieces_it_comes(shelf: Shelf) -> None:
    await shelf.break_off(b"x" * 100_001, cut=99_000)
    with pytest.raises(Full, match="FFD3101: The blob is larger than 100000 bytes"):
        await shelf.take(b"x" * 100_001, offset=99_000)


async def test_parts_that_nobody_goes_on_with_make_room(autojump_clock: object, disk: Disk) -> None:
    keys = [sha256(bytes([number])) for number in range(KEPT_MAX + 1)]
    async with simulated(disk) as shelf:
        for key in keys:
            await shelf.break_off(key=key, cut=10)
            await trio.sleep(1)
        kept = [await shelf.files.kept(key) for key in keys]
        assert kept == [0] + [10] * KEPT_MAX, "the oldest went"
    async with simulated(disk, skew_ns=KEPT_NS + 3600 * 1_000_000_000) as shelf:
        await shelf.break_off(key=OTHER_KEY)
        assert {await shelf.files.kept(key) for key in keys} == {0}, "all that were too old went"
        assert await shelf.files.kept(OTHER_KEY) == CUT
