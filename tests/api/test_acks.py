"""Which delivery an answer is for, when a subscription is changed under an app that does not read."""

from collections.abc import Sequence

import pytest
import trio

from ffd.api.acks import Started, acknowledge
from ffd.api.frames import Ack
from tests.delivery.test_serving import SUBSCRIPTION, make_alice, request
from tests.world import NAMESPACE, Cast


class Wire:
    """A connection whose reader may stall."""

    autoack = False

    def __init__(self) -> None:
        self.stalled = True
        self.said: list[str] = []

    async def say(self, frames: Sequence[str]) -> None:
        if self.stalled:
            await trio.sleep_forever()
        self.said += frames


@pytest.mark.parametrize("batch", [False, True])
async def test_what_never_left_takes_no_answer(world: Cast, autojump_clock: object, batch: bool) -> None:
    """The first dispatcher is ended while its event still waits for the reader: the app sees only the second one's."""
    alice = await make_alice(world, 0, 1, batch=batch, readAhead=0)
    wire = Wire()
    started = Started(wire, NAMESPACE, SUBSCRIPTION, since=0, ephemeral=None)
    subscriptions = alice.desk.subscriptions
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriptions.serve_durable, alice.namespace, SUBSCRIPTION, started, started.placed)
        await trio.sleep(5)
        first = started.dispatcher
        wire.stalled = False
        await subscriptions.replace(alice.namespace, request(batch=batch, readAhead=0, batchTimeout="1ms"))
        await trio.sleep(5)
        assert started.dispatcher is not first and len(wire.said) == 1
        acknowledge([started], Ack(), autoack=False)
        await trio.sleep(5)
        assert len(wire.said) == 2, "the next comes: the answer was for what the app saw"
        nursery.cancel_scope.cancel()


async def test_an_end_in_the_middle_of_a_delivery_skips_nothing(world: Cast, autojump_clock: object) -> None:
    """What is acknowledged while a dispatcher ends does not move the offset past what never left."""
    alice = await make_alice(world, 0, 1, 2, readAhead=1)
    wire = Wire()
    wire.stalled = False
    started = Started(wire, NAMESPACE, SUBSCRIPTION, since=0, ephemeral=None)
    subscriptions = alice.desk.subscriptions
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriptions.serve_durable, alice.namespace, SUBSCRIPTION, started, started.placed)
        await trio.sleep(5)
        assert len(wire.said) == 2
        wire.stalled = True
        acknowledge([started], Ack(), autoack=False)
        await trio.sleep(5)  # the third is on its way, and does not leave
        nursery.cancel_scope.cancel()
        acknowledge([started], Ack(), autoack=False)
    wire.stalled = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriptions.serve_durable, alice.namespace, SUBSCRIPTION, started, started.placed)
        await trio.sleep(5)
        assert len(wire.said) == 3 and '"value":2' in wire.said[2]
        nursery.cancel_scope.cancel()
