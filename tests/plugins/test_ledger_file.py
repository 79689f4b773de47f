"""What only a ledger in a file can meet: other files in its place, older copies, damage, full disks, locks."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest
import trio
import trio.testing

from ffd.model.errors import Broken, FfdError, Full, Invalid
from ffd.model.ids import sha256
from ffd.plugins.ledger.file import PATROL_S, open_file_ledger
from ffd.ports.plugin import PluginSetting
from ffd.ports.wallet import Wallet
from ffd.store import chain, engine, open_store
from ffd.world import RealWorld
from tests.plugins.ledgers import FileLedgers, everything, fill, key_of, pin
from tests.simulation.disk import Disk
from tests.simulation.surroundings import SimWorld

# An older file comes back


async def test_a_ledger_that_lost_its_end_is_named_to_who_has_read_it(file: FileLedgers) -> None:
    alice = await file.node("alice")
    await fill(alice, *"abcd")
    events = await everything(alice)
    file.execute("DELETE FROM entries WHERE height > 1")
    for event, height in ((events[2], 2), (events[3], 3)):
        with pytest.raises(Broken, match=f"ends before entry {height}, which this node has read: it is an older copy"):
            await alice.events(after=event.position, limit=10)
    assert await everything(alice, after=events[0].position) == events[1:2]


async def test_an_older_copy_that_comes_back_is_named_to_who_has_read_more(file: FileLedgers) -> None:
    read = await read_then_restore_an_older_copy(file)
    async with file.visit("alice") as alice:
        with pytest.raises(Broken, match="ends before entry 3"):
            await alice.events(after=read, limit=10)


async def test_an_older_copy_that_others_went_on_with_is_named_to_who_has_read_the_right_one(file: FileLedgers) -> None:
    read = await read_then_restore_an_older_copy(file)
    async with file.visit("bob") as bob:
        await fill(bob, *"wxyz")
    async with file.visit("alice") as alice:
        with pytest.raises(Broken, match="entry 3"):
            await alice.events(after=read, limit=10)


async def read_then_restore_an_older_copy(file: FileLedgers) -> str:
    """Put the file back as it was when it had two entries; the position of a reader who has read four."""
    async with file.visit("alice") as alice:
        await fill(alice, *"ab")
    older = file.path.read_bytes()
    async with file.visit("alice") as alice:
        await fill(alice, *"cd")
        read = (await everything(alice))[-1].position
    assert not file.path.with_name("ledger.db-wal").exists(), "it was closed whole"
    file.path.write_bytes(older)
    return read


# Something else in its place


def write_text(path: Path) -> None:
    path.write_text("tea at four " * 1000)


def write_database(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("CREATE TABLE entries (height INTEGER PRIMARY KEY)")


def write_future(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        chain.prepare(connection, path)
        connection.execute(f"PRAGMA user_version = {chain.SCHEMA_VERSION + 1}")
        connection.execute("PRAGMA journal_mode = DELETE")


OTHER_FILES: dict[str, tuple[Callable[[Path], None], type[FfdError], str]] = {
    "a text": (write_text, Broken, "is not a database"),
    "somebody's database": (write_database, Invalid, "is no ledger of ffd"),
    "a ledger of a newer ffd": (write_future, Invalid, "was written by a newer ffd"),
}


@pytest.mark.parametrize("write, error, text", OTHER_FILES.values(), ids=OTHER_FILES)
async def test_another_file_is_refused_and_left_as_it_was(
    file: FileLedgers, write: Callable[[Path], None], error: type[FfdError], text: str
) -> None:
    write(file.path)
    before = file.path.read_bytes()
    for _ in range(2):
        with pytest.raises(error, match=text):
            async with file.visit("alice"):
                pass
    assert file.path.read_bytes() == before
    assert list(file.path.parent.glob("ledger.db*")) == [file.path]


async def test_the_nodes_own_database_is_no_ledger(file: FileLedgers) -> None:
    async with open_store(RealWorld(), file.path):
        pass
    with pytest.raises(Invalid, match="is no ledger of ffd"):
        async with file.visit("alice"):
            pass


async def test_a_ledger_whose_pages_are_damaged_is_broken(file: FileLedgers) -> None:
    async with file.visit("alice") as alice:
        await fill(alice, *map(str, range(20)))
    content = bytearray(file.path.read_bytes())
    content[4096:] = b"\xee" * len(content[4096:])
    file.path.write_bytes(content)
    async with file.visit("alice") as alice:
        with pytest.raises(Broken, match="ledger.db"):
            await alice.events(after="", limit=10)
        with pytest.raises(Broken, match="ledger.db"):
            await alice.submit(pin("a"), request="a", key=alice.default_key())
        with pytest.raises(Broken, match="ledger.db"):
            await alice.wait_beyond("")
        with pytest.raises(Broken, match="ledger.db"):
            await alice.status()


# Several at once


async def test_a_ledger_whose_text_is_none_is_broken(file: FileLedgers) -> None:
    alice = await file.node("alice")
    await fill(alice, *"ab")
    file.execute("UPDATE entries SET body = CAST(x'ff' AS TEXT) WHERE height = 1")
    with pytest.raises(Broken, match="FFD4023"):
        await everything(alice)


async def test_many_nodes_may_make_the_file_at_once(scratch: Path, file: FileLedgers) -> None:
    async def arrive(name: str) -> None:
        async with file.visit(name) as ledger:
            await fill(ledger, name)

    names = [f"node {number}" for number in range(8)]
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(arrive, name)
    found = await everything(await file.node("reader"))
    assert {event.pin.batch for event in found if event.pin} == {pin(name).batch for name in names}


async def test_a_submission_that_is_cancelled_is_there_once_when_it_is_made_again(file: FileLedgers) -> None:
    alice = await file.node("alice")
    with trio.CancelScope() as scope:
        scope.cancel()
        await alice.submit(pin("a"), request="a", key=alice.default_key())
    await fill(alice, "a")
    assert len(await everything(alice)) == 1


async def test_who_finds_the_file_locked_waits_and_the_loop_turns(file: FileLedgers) -> None:
    alice = await file.node("alice")
    with closing(apsw.Connection(str(file.path))) as other:
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fill, alice, "a")
            await trio.testing.wait_all_tasks_blocked()
            assert await everything(alice) == []
            other.execute("COMMIT")
    assert len(await everything(alice)) == 1


async def test_who_finds_the_file_locked_for_too_long_is_told(
    file: FileLedgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 20)
    alice = await file.node("alice")
    with closing(apsw.Connection(str(file.path))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Full, match="let others finish"):
            await fill(alice, "a")
    await fill(alice, "a")
    assert len(await everything(alice)) == 1


# The disk


async def test_a_full_disk_refuses_entries_until_there_is_room(scratch: Path, autojump_clock: object) -> None:
    disk = Disk(scratch / "disk", Random(0))
    world = SimWorld(disk, Random(0))
    async with open_file_ledger(PluginSetting(world, "local", {}, disk.root, Wallet(key_of("alice")))) as alice:
        await fill(alice, "a")
        disk.full = True
        with pytest.raises(Full, match="make room"):
            await fill(alice, "b")
        disk.full = False
        await fill(alice, "b", "c")
        assert [event.pin for event in await everything(alice)] == [pin(name) for name in "abc"]
    world.end()


async def test_an_entry_that_could_not_be_synced_is_unknown_and_there_once_when_it_is_made_again(
    scratch: Path, autojump_clock: object
) -> None:
    disk = Disk(scratch / "disk", Random(0))
    world = SimWorld(disk, Random(0))
    async with open_file_ledger(PluginSetting(world, "local", {}, disk.root, Wallet(key_of("alice")))) as alice:
        await fill(alice, "a")
        disk.sync_fails = True
        with pytest.raises(Broken, match="may or may not be stored"):
            await fill(alice, "b")
        disk.sync_fails = False
        await fill(alice, "b")
        assert [event.pin for event in await everything(alice)] == [pin(name) for name in "ab"]
    world.end()


# What is built on, and what was read long ago


async def test_nothing_is_built_on_an_end_that_was_altered(file: FileLedgers) -> None:
    alice, bob = await file.node("alice"), await file.node("bob")
    await fill(alice, *"abc")
    (body,) = (entry.body for entry in file.entries if entry.height == 2)
    file.alter(2, body=body.replace("net", "not"))
    for node in (alice, bob):
        with pytest.raises(Broken, match="ledger entry 2 was altered"):
            await fill(node, "d")
    file.alter(2, body=body)
    await fill(bob, "d")
    assert len(await everything(alice)) == 4


async def test_nothing_is_built_on_an_end_that_leaves_places_out(file: FileLedgers) -> None:
    alice = await file.node("alice")
    await fill(alice, *"ab")
    file.execute("UPDATE entries SET height = ? WHERE height = 1", 2**62)
    with pytest.raises(Broken, match="ledger entry 1 is missing"):
        await fill(alice, "c")


async def test_nothing_is_built_on_an_end_that_is_older_than_what_was_read(file: FileLedgers) -> None:
    alice = await file.node("alice")
    await fill(alice, *"abcd")
    await everything(alice)
    file.execute("DELETE FROM entries WHERE height > 1")
    with pytest.raises(Broken, match="ends before entry 3, which this node has read"):
        await fill(alice, "e")


async def test_a_file_that_lost_its_name_is_not_used_any_more(file: FileLedgers) -> None:
    alice = await file.node("alice")
    await fill(alice, "a")
    moved = file.path.rename(file.path.with_name("elsewhere.db"))
    with pytest.raises(Broken, match="removed or replaced while ffd runs"):
        await fill(alice, "b")
    with pytest.raises(Broken, match="removed or replaced while ffd runs"):
        await everything(alice)
    with pytest.raises(Broken, match="removed or replaced while ffd runs"):
        await alice.wait_beyond("000000000000/00")
    moved.rename(file.path)
    await fill(alice, "b")
    assert len(await everything(alice)) == 2


async def test_what_was_read_long_ago_is_looked_at_again_and_what_was_done_to_it_is_shown(
    file: FileLedgers, autojump_clock: object
) -> None:
    alice = await file.node("alice")
    await fill(alice, *map(str, range(450)))
    read = (await everything(alice))[-1].position

    async def wait(seconds: float) -> str:
        with trio.move_on_after(seconds):
            await alice.wait_beyond(read)
        return (await alice.status()).detail.get("altered", "")

    assert await wait(5) == ""
    (hash,) = (entry.hash for entry in file.entries if entry.height == 321)
    file.alter(321, hash=sha256(b"something"))
    assert "ledger entry 321 was altered: its time or its hash" in await wait(2 * PATROL_S)
    await fill(alice, "more")
    assert len(await everything(alice, after=read)) == 1, "who has read it goes on"
    file.alter(321, hash=hash)
    read = (await everything(alice, after=read))[-1].position
    assert await wait(2 * PATROL_S) == ""
