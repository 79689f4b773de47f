"""Blobs between members: a message waits for its blobs, its contexts wait with it, and nobody else does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from ffd.daemon.config import LimitsConfig
from ffd.model.errors import Conflict, FfdError
from ffd.model.ids import sha256
from ffd.outbound.draft import parse_message
from ffd.store import data
from tests.simulation.disk import Loss
from tests.simulation.promises import check_accepted_once, check_node
from tests.stories.test_power_cut import cut_everywhere
from tests.world import MESSAGE_CONFIRMED, Cast, Node, open_cast, raw_id

PHOTO = b"a photo of the tea table\n" * 400
HASH = sha256(PHOTO)
REFERENCE = HASH.hex()
NAMED = {"filename": "tea.jpg"}


def topics_heard(node: Node) -> list[str]:
    return [event.topic for event in node.apps["app"].heard(MESSAGE_CONFIRMED)]


async def test_a_blob_comes_with_its_message_to_everybody(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await alice.send_data(await alice.upload(PHOTO, NAMED))
    assert await bob.heard(1) == await alice.heard(1) == [NAMED]
    assert await bob.blob(HASH) == PHOTO
    (name,) = bob.rows("SELECT blob ->> '$.name', blob ->> '$.public' FROM data")
    assert name == ("tea.jpg", REFERENCE)
    (done,) = bob.rows("SELECT status, output FROM operations WHERE type = 'sharedstorage_download_blob'")
    assert done == ("Succeeded", f'{{"hash":"{REFERENCE}","size":{len(PHOTO)},"dxPayloadRef":"default/{REFERENCE}"}}')


async def test_a_message_waits_for_its_blob_and_only_its_own_topic_with_it(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    bob.storage_faults.hidden.add(REFERENCE)
    photo = await alice.upload(PHOTO, NAMED)
    await alice.send_data(photo, topic="photos")
    await alice.broadcast("behind the photo", topic="photos")
    await alice.broadcast("tea", "cake", topic="house")
    await alice.heard(4)
    await bob.heard(2)
    assert topics_heard(bob) == ["house", "house"]
    (blocked,) = await bob.wait_blocked()
    assert (blocked.topic, blocked.cause, blocked.subject) == ("photos", "blob", REFERENCE)
    await trio.sleep(5)
    assert "has not stored it yet" in (bob.blocked()[0].error or "")
    assert bob.blob_files() == []
    bob.storage_faults.hidden.clear()
    assert (await bob.heard(4))[2:] == [NAMED, "behind the photo"]
    assert await bob.blob(HASH) == PHOTO
    check_node(bob)


async def test_a_message_of_two_late_blobs_waits_for_the_second_when_the_first_has_come(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    other = sha256(b"other")
    bob.storage_faults.hidden |= {REFERENCE, other.hex()}
    ids = [await alice.upload(PHOTO, NAMED), await alice.upload(b"other", "other")]
    await send_all(alice, ids)
    (blocked,) = await bob.wait_blocked()
    assert blocked.subject == REFERENCE
    bob.storage_faults.hidden.discard(REFERENCE)
    with trio.fail_after(600):
        while bob.blocked()[0].subject != other.hex():  # noqa: ASYNC110 - no bell tells of this
            await trio.sleep(0.1)
    assert bob.apps["app"].heard(MESSAGE_CONFIRMED) == []
    bob.storage_faults.hidden.clear()
    await bob.heard(1)


async def send_all(node: Node, ids: list[str]) -> None:
    """One message with all of these data items."""
    items = ",".join(f'{{"id":"{id}"}}' for id in ids)
    (sent,) = await node.desk.acceptors["default"].accept([parse_message(f'{{"data":[{items}]}}'.encode())])
    assert not isinstance(sent, FfdError), sent


async def test_content_that_is_not_the_blob_is_never_kept_and_the_right_one_ends_the_wait(
    world: Cast, autojump_clock: object
) -> None:
    """The author's word on where the blob lies is wrong; somebody brings it by hand."""
    alice, bob = await world.nodes("alice", "bob")
    wrong = b"something else"
    world.shelf.content[sha256(wrong).hex()] = wrong
    photo = await alice.upload(PHOTO, NAMED)
    number = alice.namespace.number
    await alice.store.write(lambda tx: data.publish_blob(tx, number, raw_id(photo), sha256(wrong).hex()))
    await alice.send_data(photo)
    await bob.wait_blocked()
    await trio.sleep(5)
    assert "FFD4202" in (bob.blocked()[0].error or "") and REFERENCE in (bob.blocked()[0].error or "")
    assert bob.blob_files() == []
    await bob.upload(PHOTO)
    assert await bob.heard(1) == [NAMED]
    (status,) = await settled_downloads(bob)
    assert status == "Succeeded"


async def settled_downloads(node: Node) -> list[str]:
    """How the downloads of blobs stand, once none is tried any more."""
    wanted = "SELECT status FROM operations WHERE type = 'sharedstorage_download_blob'"
    with trio.fail_after(600):
        while any(status in ("Initialized", "Pending") for (status,) in node.rows(wanted)):  # noqa: ASYNC110
            await trio.sleep(0.1)
    return [status for (status,) in node.rows(wanted)]


async def test_a_blob_larger_than_a_member_takes_waits_until_the_member_takes_it(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = world.make_node("alice"), world.make_node("bob", limits=LimitsConfig(blob_bytes_max=1000))
    await alice.start()
    await bob.start()
    await alice.send_data(await alice.upload(PHOTO, NAMED), topic="photos")
    await alice.broadcast("tea", topic="house")
    assert await bob.heard(1) == ["tea"]
    await trio.sleep(5)
    assert "1000 bytes" in (bob.blocked()[0].error or "")
    assert bob.blob_files() == []
    await bob.stop()
    bob.config = replace(bob.config, limits=LimitsConfig())
    assert await bob.start()
    assert (await bob.heard(2))[1] == NAMED


async def test_a_blob_that_two_messages_use_is_uploaded_and_fetched_once(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    ids = [await alice.upload(PHOTO, NAMED), await alice.upload(PHOTO, {"filename": "again.jpg"})]
    for id in (ids[0], ids[1], ids[0]):
        await alice.send_data(id)
    assert len(await bob.heard(3)) == 3
    assert bob.blob_files() == alice.blob_files() == [REFERENCE]
    uploads = alice.rows("SELECT input, output FROM operations WHERE type = 'sharedstorage_upload_blob'")
    assert len(uploads) == 2 and {output for _, output in uploads} == {f'{{"payloadRef":"{REFERENCE}"}}'}


async def test_a_storage_that_is_away_holds_a_batch_with_a_blob_and_loses_nothing(
    world: Cast, autojump_clock: object
) -> None:
    alice, bob = await world.nodes("alice", "bob")
    alice.storage_faults.away = True
    await alice.send_data(await alice.upload(PHOTO, NAMED))
    await alice.broadcast("tea")
    await trio.sleep(10)
    (upload,) = alice.rows("SELECT status, error FROM operations WHERE type = 'sharedstorage_upload_blob'")
    assert upload[0] == "Initialized" and "does not answer" in upload[1]
    alice.storage_faults.away = False
    assert await bob.heard(2) == [NAMED, "tea"]


# The power fails


async def send_a_photo(node: Node) -> None:
    await node.send_data(await node.upload(PHOTO, NAMED), topic="first")
    await node.heard(1)


@pytest.mark.parametrize("loss, step", [(Loss.DROP, 7), (Loss.ANY, 11), (Loss.KEEP, 13)])
async def test_a_power_cut_while_a_blob_is_uploaded_published_and_sent(
    autojump_clock: object, seed: int, scratch: Path, loss: Loss, step: int
) -> None:
    """On a node that is alone: blobs, storage and ledger are all on the disk that fails."""
    assert await cut_everywhere(seed, scratch, None, send_a_photo, loss, step=step) > 10


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_of_either_end_forgets_no_blob(
    autojump_clock: object, seed: int, scratch: Path, loss: Loss, who: str
) -> None:
    for operations in range(seed % 17, 2000, 17):
        try:
            if await cut_one(seed, scratch, who, operations, loss):
                assert operations > 50
                return
        except BaseException as failure:
            failure.add_note(f"the power of {who} was cut before operation {operations} with seed {seed}, loss {loss}")
            raise
    raise AssertionError("the power was always cut")


async def cut_one(seed: int, scratch: Path, who: str, operations: int, loss: Loss) -> bool:
    """Alice sends bob a photo while one of them loses power; whether that one got through uncut."""
    async with open_cast(seed, scratch) as cast:
        alice, bob = await cast.nodes("alice", "bob")
        one = cast.cast[who]
        one.cut_power_after(operations)
        through = await until_cut(one, lambda: talk(alice, bob))
        if through:
            one.disk.disarm()
        else:
            await one.wait_ended()
            one.disk.come_back(loss)
            assert await one.start(), one.failure
        await alice.send_data(await alice.upload(PHOTO, "the last"))
        for node in (alice, bob):
            await node.settled(list(alice.accepted))
            assert await node.blob(HASH) == PHOTO
            check_node(node)
            assert node.blob_files() == [REFERENCE]
        check_accepted_once(alice, alice.apps["app"])
        unfinished = "SELECT count(*) FROM operations WHERE status IN ('Initialized', 'Pending')"
        await trio.sleep(70)
        assert alice.rows(unfinished) == bob.rows(unfinished) == [(0,)]
    return through


async def talk(alice: Node, bob: Node) -> None:
    await alice.send_data(await alice.upload(PHOTO, NAMED))
    await bob.heard(1)
    await alice.heard(1)


async def until_cut(node: Node, work: Callable[[], Awaitable[None]]) -> bool:
    """Whether the work got through before the power of a node was cut."""
    through = False
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await node.wait_ended()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        try:
            await work()
            through = node.disk.on
        except FfdError:
            await node.wait_ended()
        nursery.cancel_scope.cancel()
    return through and node.disk.on


@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_while_an_app_has_something_published_is_mended_by_asking_again(
    autojump_clock: object, seed: int, scratch: Path, loss: Loss
) -> None:
    """The app asks with a key, and again with the same one: refused when the first was done, else it is done now."""
    for operations in range(seed % 5, 500, 5):
        async with open_cast(seed, scratch) as cast:
            node = await cast.node("alice", embedded=True)
            photo = raw_id(await node.upload(PHOTO, NAMED))
            node.cut_power_after(operations)

            async def publish(node: Node = node, photo: bytes = photo) -> None:
                await node.desk.publishers["default"].publish_blob(photo, "once")

            through = await until_cut(node, publish)
            if not through:
                await node.wait_ended()
                node.disk.come_back(loss)
                assert await node.start(), node.failure
            with suppress(Conflict):
                await publish()
            (shown,) = node.rows("SELECT blob ->> '$.public' FROM data")
            assert shown == (REFERENCE,)
            assert node.rows("SELECT count(*), min(status) FROM operations") == [(1, "Succeeded")]
            if through:
                assert operations > 10
                return
    raise AssertionError("the power was always cut")
