"""A broadcast's life: from one node to every app of every node."""

from tests.world import Cast


async def test_a_broadcast_is_heard_everywhere_in_the_order_it_was_pinned(world: Cast, autojump_clock: object) -> None:
    alice, bob = await world.nodes("alice", "bob")
    await alice.broadcast("tea at four")
    await bob.broadcast("make it five")
    assert await alice.heard(2) == await bob.heard(2)
    assert sorted(map(str, await alice.heard(2))) == ["make it five", "tea at four"]
