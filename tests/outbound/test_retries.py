"""An operation that somebody wants done once more: it is, by whoever leads, and changes nothing where it was done."""

import json
from typing import Any

import trio

from ffd.store import Transaction, operations
from ffd.store.operations import PIN_BATCH, RETRIES_BELL, UPLOAD_BATCH, OperationRow
from tests.world import Cast, Node

ROWS = f"SELECT {operations.COLUMNS} FROM operations"  # noqa: S608 - columns of ours


def operation(node: Node, type: str) -> OperationRow:
    """The operation of a type that was not tried again."""
    (row,) = node.rows(f"{ROWS} WHERE type = ? AND retry IS NULL", type)
    return OperationRow(*row)


async def once_more(node: Node, row: OperationRow) -> bytes:
    """Ask for a row to be done once more, as the API does; the new one."""
    new = bytes([0xAA, len(node.rows("SELECT 1 FROM operations"))]) * 8

    def unit(tx: Transaction) -> None:
        values: dict[str, Any] = {name: getattr(row, name) for name in OperationRow.__slots__}
        changed = values | {"id": new, "status": "Initialized", "output": None, "error": None, "retry": None}
        operations.replace(tx, {row.id}, OperationRow(**changed), row.updated)
        tx.ring(RETRIES_BELL, "downloads")

    await node.store.write(unit)
    return new


def status_of(node: Node, id: bytes) -> tuple[str, Any, str | None]:
    (row,) = node.rows("SELECT status, output, error FROM operations WHERE id = ?", id)
    return row[0], json.loads(row[1] or "null"), row[2]


async def test_an_upload_brings_back_what_was_lost(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("one")
    await alice.heard(1)
    ((reference, content),) = world.shelf.content.items()
    world.shelf.content.clear()
    new = await once_more(alice, operation(alice, UPLOAD_BATCH))
    await trio.sleep(1)
    assert world.shelf.content == {reference: content}
    assert status_of(alice, new) == ("Succeeded", {"payloadRef": reference}, None)


async def test_a_pin_is_on_the_ledger_once_however_often_it_is_asked_for(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("one")
    await alice.heard(1)
    (entry,) = world.chain.entries
    for _ in range(3):
        new = await once_more(alice, operation(alice, PIN_BATCH))
        await trio.sleep(1)
        status, output, error = status_of(alice, new)
        assert (status, error) == ("Succeeded", None)
        assert output == json.loads(alice.rows("SELECT output FROM operations WHERE type = ? LIMIT 1", PIN_BATCH)[0][0])
    assert world.chain.entries == [entry]
    assert await alice.heard(1) == ["one"]


async def test_what_fails_once_more_has_failed_and_can_be_asked_for_again(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("one")
    await alice.heard(1)
    alice.ledger_faults.away = True
    failed = await once_more(alice, operation(alice, PIN_BATCH))
    await trio.sleep(1)
    status, _, error = status_of(alice, failed)
    assert status == "Failed" and error
    alice.ledger_faults.away = False
    again = await once_more(alice, operation(alice, PIN_BATCH))
    await trio.sleep(1)
    assert status_of(alice, again)[0] == "Succeeded"
    first = OperationRow(*alice.rows(f"{ROWS} WHERE type = ? LIMIT 1", PIN_BATCH)[0])
    assert alice.store.peek(lambda tx: operations.latest(tx, first)).id == again


async def test_what_was_asked_for_before_a_crash_is_done_after_it(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("one")
    await alice.heard(1)
    world.shelf.content.clear()
    new = await once_more(alice, operation(alice, UPLOAD_BATCH))
    await alice.crash(lose_unsynced=True)
    await alice.start()
    await trio.sleep(10)
    assert status_of(alice, new)[0] == "Succeeded" and len(world.shelf.content) == 1
    await alice.broadcast("two")
    assert await alice.heard(2) == ["one", "two"], "and the originals are what a restart goes by"


async def test_a_download_that_backs_off_is_tried_at_once(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    bob.storage_faults.hide_all = True
    await alice.broadcast("one")
    await trio.sleep(200)  # its delay is a minute by now
    old = operation(bob, operations.DOWNLOAD_BATCH)
    bob.storage_faults.hide_all = False
    new = await once_more(bob, old)
    with trio.fail_after(5):
        assert await bob.heard(1) == ["one"]
    assert status_of(bob, new)[0] == "Succeeded" and status_of(bob, old.id)[0] == "Failed"
    await trio.sleep(200)
    assert status_of(bob, old.id)[0] == "Failed", "nobody works on it any more"
    assert await alice.heard(1) == ["one"]
