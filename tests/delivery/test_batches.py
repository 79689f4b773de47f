"""Events in batches: how many, when, and how many at a time (FireFly reference 8.3, 8.5)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.delivery.test_serving import Listener, make_alice
from tests.world import Cast, Node


@asynccontextmanager
async def listening(alice: Node) -> AsyncGenerator[Listener, None]:
    """An app that listens and is told what there is already."""
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        yield listener
        nursery.cancel_scope.cancel()


def ack_latest(listener: Listener) -> None:
    assert listener.dispatcher is not None
    assert listener.dispatcher.ack(listener.batches[-1] or "")


@pytest.mark.parametrize("read_ahead, sizes", [(2, [2, 2, 2]), (0, [1] * 6), (4, [4, 2]), (None, [6])])
async def test_a_batch_has_as_many_events_as_are_read_ahead(
    world: Cast, autojump_clock: object, read_ahead: int | None, sizes: list[int]
) -> None:
    alice = await make_alice(world, *range(6), batch=True, readAhead=read_ahead)
    async with listening(alice) as listener:
        await trio.sleep(5)
        heard = [len(listener.heard)]
        while sum(heard) < 6:
            ack_latest(listener)
            await trio.sleep(5)
            heard.append(len(listener.heard) - sum(heard))
        assert heard == sizes and listener.values == list(range(6))


async def test_a_batch_waits_to_fill_for_as_long_as_it_may(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, batch=True, readAhead=50, batchTimeout="10s")
    async with listening(alice) as listener:
        await trio.sleep(5)
        began = trio.current_time()
        for number in range(3):
            await alice.broadcast(number)
            await trio.sleep(3)
        await trio.sleep(20)
        assert [len(listener.batches), *listener.values] == [1, 0, 1, 2]
        assert 10 <= listener.times[0] - began < 13


async def test_what_comes_while_a_batch_waits_for_its_ack_leaves_as_far_as_is_read_ahead(
    world: Cast, autojump_clock: object
) -> None:
    alice = await make_alice(world, 0, batch=True, readAhead=3)
    async with listening(alice) as listener:
        await trio.sleep(5)
        first = listener.batches[-1] or ""
        for number in range(1, 5):
            await alice.broadcast(number)
        await trio.sleep(50)
        assert listener.values == [0, 1, 2], "three may be in flight"
        assert listener.dispatcher is not None and listener.dispatcher.ack(first)
        await trio.sleep(5)
        assert listener.values == [0, 1, 2, 3], "one was done, one more may come"


async def test_a_batch_that_is_refused_takes_back_none_that_left_before_it(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, 0, batch=True, readAhead=3)
    async with listening(alice) as listener:
        await trio.sleep(5)
        await alice.broadcast(1)
        await trio.sleep(5)
        first, second = listener.batches[0] or "", listener.batches[1] or ""
        dispatcher = listener.dispatcher
        assert dispatcher is not None and dispatcher.nack(second)
        oldest = dispatcher.oldest()
        assert oldest is not None and oldest[1] == first, "it still waits for its ack"
        await trio.sleep(50)
        assert listener.values == [0, 1, 1], "what was refused comes again"
        assert dispatcher.ack(first) and dispatcher.ack(listener.batches[2] or "")
        await trio.sleep(5)
        assert dispatcher.statistics().in_flight == 0


@pytest.mark.parametrize("batch", [True, False])
async def test_the_end_of_a_dispatcher_leaves_nothing_half_done(
    world: Cast, autojump_clock: object, batch: bool
) -> None:
    """An ack that comes for it later changes nothing: what it had in flight comes again from the next one."""
    alice = await make_alice(world, 0, 1, batch=batch, readAhead=2)
    async with listening(alice) as first:
        await trio.sleep(5)
        ended, sent = first.dispatcher, first.batches[-1] or first.heard[0].id
        assert first.values == [0, 1] and ended is not None
    assert ended.oldest() is not None and ended.ack(sent)
    async with listening(alice) as second:
        await trio.sleep(5)
        assert second.values == [0, 1]
