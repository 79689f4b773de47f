"""The account of batches that left: real figures, also while one is held up."""

import trio

from tests.world import Cast


async def test_a_batch_that_is_held_up_is_shown_with_the_reason_until_it_has_left(
    world: Cast, autojump_clock: object
) -> None:
    alice = await world.node("alice")
    alice.storage_faults.away = True
    await alice.broadcast("one", "two")
    await trio.sleep(10)
    held = alice.desk.status.flushes("default")["pinned_broadcast"]
    assert held.batches == 0 and held.errors > 3 and held.blocked and held.error
    assert alice.rows("SELECT id FROM batches") == [(held.flushing,)]
    assert held.started is not None and held.error_time is not None and held.error_time > held.started
    alice.storage_faults.away = False
    assert await alice.heard(2) == ["one", "two"]
    left = alice.desk.status.flushes("default")["pinned_broadcast"]
    assert (left.batches, left.messages, left.items) == (1, 2, 2) and left.taken_s > 10
    assert left.flushing is None and not left.blocked
    assert left.error == held.error, "the last error stays on record"
    (payload,) = world.shelf.content.values()
    assert left.payload_bytes == len(payload)
