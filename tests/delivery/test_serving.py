"""Who is served, from where, and what happens when that changes meanwhile."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio

from ffd.delivery.dispatcher import REDELIVERY, Dispatcher
from ffd.delivery.subscriptions import Subscriptions
from ffd.model.subscription import SubscriptionRequest, parse_subscription
from ffd.ports.transport import Delivery
from ffd.store import Transaction, open_store
from tests.simulation.surroundings import SimWorld
from tests.world import NAMESPACE, Cast, Heard, Node, read_event

SUBSCRIPTION = "sub"
NO_FILTER: Mapping[str, object] = {}


class Listener:
    """A connection for one subscription, which answers when it is told to."""

    def __init__(self, subscriptions: Subscriptions, node: Node) -> None:
        self.heard: list[Heard] = []
        self.batches: list[str | None] = []
        self.times: list[float] = []
        self.dispatcher: Dispatcher | None = None
        self._subscriptions = subscriptions
        self._namespace = node.namespace

    async def run(self, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await self._subscriptions.serve_durable(self._namespace, SUBSCRIPTION, self, self._placed)

    def _placed(self, dispatcher: Dispatcher | None) -> None:
        self.dispatcher = dispatcher

    async def deliver(self, delivery: Delivery) -> None:
        self.heard += [read_event(json.loads(text)) for text in delivery.events]
        self.batches.append(delivery.batch)
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()

    @property
    def values(self) -> list[object]:
        return [event.values[0] for event in self.heard]

    def ack(self, *values: object) -> None:
        """Acknowledge the latest delivery of each of these values."""
        for value in values:
            assert self._speak().ack(self._id(value))

    def nack(self, value: object) -> None:
        assert self._speak().nack(self._id(value))

    def _speak(self) -> Dispatcher:
        assert self.dispatcher is not None
        return self.dispatcher

    def _id(self, value: object) -> str:
        return next(event.id for event in reversed(self.heard) if event.values[0] == value)


def request(filter: Mapping[str, object] = NO_FILTER, **options: object) -> SubscriptionRequest:
    whole = {
        "name": SUBSCRIPTION,
        "filter": {"events": "message_confirmed"} | dict(filter),
        "options": {"firstEvent": "oldest", "withData": True} | options,
    }
    return parse_subscription(json.dumps(whole))


async def make_alice(
    world: Cast, *values: object, topics: str = "a", filter: Mapping[str, object] = NO_FILTER, **options: object
) -> Node:
    """A node that has confirmed these values, one message after another, and made the subscription."""
    alice = await world.node("alice")
    for number, value in enumerate(values):
        await alice.broadcast(value, topic=topics[number % len(topics)])
    await alice.heard(len(values))
    await alice.desk.subscriptions.create(alice.namespace, request(filter, **options))
    return alice


@asynccontextmanager
async def another_process(alice: Node) -> AsyncGenerator[Subscriptions, None]:
    """A second process on the node's machine, which serves the same database."""
    other = SimWorld(alice.disk, Random(1))
    try:
        async with open_store(other, alice.store.path) as store:
            yield Subscriptions(
                other, store, {NAMESPACE: alice.namespace}, process="2", recent_bytes_max=1 << 20, subscriptions_max=10
            )
    finally:
        other.end()


async def test_what_is_refused_comes_after_a_delay_that_grows(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, "one", "two")
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        for refusals in range(1, 12):
            await trio.sleep(100)
            assert listener.values == ["one"] * refusals
            began = trio.current_time()
            listener.nack("one")
            await trio.sleep(100)
            assert listener.times[-1] - began == pytest.approx(REDELIVERY.delay_s(refusals), abs=0.1)
        listener.ack("one")
        await trio.sleep(100)
        listener.nack("two")
        began = trio.current_time()
        await trio.sleep(100)
        assert listener.times[-1] - began == pytest.approx(REDELIVERY.first_s, abs=0.1), "patience begins anew"
        nursery.cancel_scope.cancel()


async def test_an_ack_that_comes_late_after_a_refusal_is_passed_over(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, "one", "two", "three", readAhead=2)
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        await trio.sleep(5)
        one, two, three = listener.heard
        listener.nack("two")
        dispatcher = listener.dispatcher
        assert dispatcher is not None
        for late in (two, three):
            assert not dispatcher.ack(late.id) and dispatcher.revoked(late.id)
        assert dispatcher.ack(one.id)
        await trio.sleep(5)
        assert listener.values == ["one", "two", "three", "two", "three"]
        assert dispatcher.statistics().offset < two.sequence
        listener.ack("two", "three")
        await trio.sleep(5)
        assert dispatcher.statistics().in_flight == 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("read_ahead", [0, 1, 4])
async def test_after_a_kill_no_more_than_a_window_comes_again(
    world: Cast, autojump_clock: object, read_ahead: int
) -> None:
    alice = await make_alice(world, *range(8), readAhead=read_ahead)
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        scope = await nursery.start(listener.run)
        await trio.sleep(5)
        assert listener.values == list(range(1 + read_ahead))
        listener.ack(*range(1 + read_ahead))
        await trio.sleep(5)
        in_flight = listener.values[1 + read_ahead :]
        scope.cancel()
    await alice.kill()
    await alice.start()
    again = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(again.run)
        await trio.sleep(5)
        assert again.values == in_flight, "what was in flight, and no more"
        assert again.heard == listener.heard[1 + read_ahead :], "with the same ids"
        nursery.cancel_scope.cancel()


async def test_what_was_acknowledged_just_before_the_end_is_recorded(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, "one", "two", readAhead=1)
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        scope = await nursery.start(listener.run)
        await trio.sleep(5)
        listener.ack("one")
        scope.cancel()
    again = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(again.run)
        await trio.sleep(5)
        assert again.values == ["two"]
        nursery.cancel_scope.cancel()


async def test_a_batch_takes_what_fits_and_is_answered_whole(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, *range(7), batch=True, readAhead=3)
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        for number in range(3):
            await trio.sleep(5)
            assert listener.values == list(range(min(7, 3 * number + 3)))
            (*_, batch) = listener.batches
            assert batch is not None and listener.dispatcher is not None and listener.dispatcher.has_batch(batch)
            assert listener.dispatcher.ack(batch)
            assert not listener.dispatcher.ack(batch), "it is not in flight any more"
        nursery.cancel_scope.cancel()


async def test_a_filter_that_is_changed_counts_from_where_the_subscription_stands(
    world: Cast, autojump_clock: object
) -> None:
    alice = await make_alice(world, *range(8), topics="ab", filter={"topic": "a"}, readAhead=1)
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        await trio.sleep(5)
        assert listener.values == [0, 2]
        listener.ack(0)
        await trio.sleep(5)
        assert listener.values == [0, 2, 4]
        before = listener.dispatcher
        changed, created = await alice.desk.subscriptions.replace(
            alice.namespace, request(filter={"topic": "b"}, readAhead=9)
        )
        assert not created and before is not None and changed.id == before.subscription.id
        await trio.sleep(5)
        assert listener.dispatcher is not before
        assert listener.values[3:] == [3, 5, 7], "1 was passed over before; what came behind it is looked at anew"
        nursery.cancel_scope.cancel()


async def test_a_subscription_replaced_by_its_like_goes_on_undisturbed(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, "one")
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        await trio.sleep(5)
        before = listener.dispatcher
        await alice.desk.subscriptions.replace(alice.namespace, request())
        await trio.sleep(5)
        assert listener.dispatcher is before and listener.values == ["one"]
        nursery.cancel_scope.cancel()


async def test_a_deleted_subscription_is_served_no_more_and_leaves_no_offset(
    world: Cast, autojump_clock: object
) -> None:
    alice = await make_alice(world, "one", "two")
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        await trio.sleep(5)
        dispatcher = listener.dispatcher
        assert dispatcher is not None
        listener.ack("one")
        id = bytes.fromhex(dispatcher.subscription.id.replace("-", ""))
        await alice.desk.subscriptions.delete(alice.namespace, id)
        await trio.sleep(5)
        assert listener.dispatcher is None
        assert alice.rows("SELECT * FROM offsets WHERE name = ?", id.hex()) == []
        assert alice.rows("SELECT * FROM leaders WHERE role LIKE ?", f"%{dispatcher.subscription.id}") == []
        nursery.cancel_scope.cancel()


async def test_a_second_connection_stands_by_and_takes_over(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, *range(4), readAhead=1)
    first, second = (Listener(alice.desk.subscriptions, alice) for _ in range(2))
    async with trio.open_nursery() as nursery:
        scope = await nursery.start(first.run)
        await trio.sleep(5)
        await nursery.start(second.run)
        await trio.sleep(5)
        assert (first.values, second.values) == ([0, 1], [])
        first.ack(0)
        await trio.sleep(5)
        scope.cancel()
        await trio.sleep(1)
        assert (first.values, second.values) == ([0, 1, 2], [1, 2])
        nursery.cancel_scope.cancel()


async def test_another_process_takes_over_within_a_second_of_a_kill(world: Cast, autojump_clock: object) -> None:
    alice = await make_alice(world, *range(4), readAhead=1)
    async with another_process(alice) as elsewhere, trio.open_nursery() as nursery:
        first, second = Listener(alice.desk.subscriptions, alice), Listener(elsewhere, alice)
        scope = await nursery.start(first.run)
        await trio.sleep(5)
        await nursery.start(second.run)
        await trio.sleep(5)
        assert (first.values, second.values) == ([0, 1], [])
        first.ack(0)
        await trio.sleep(5)
        killed = trio.current_time()
        scope.cancel()
        await alice.kill()
        await trio.sleep(5)
        assert second.values == [1, 2]
        assert second.times[0] - killed < 1
        nursery.cancel_scope.cancel()


async def test_one_who_was_deposed_moves_no_offset(world: Cast, autojump_clock: object) -> None:
    """It slept past its time: another process took the role, and this one does not know yet."""
    alice = await make_alice(world, "one", "two")
    listener = Listener(alice.desk.subscriptions, alice)
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.run)
        await trio.sleep(5)
        await alice.store.write(depose)
        listener.ack("one")
        await trio.sleep(5)
        assert listener.values == ["one", "one"], "it led anew, from where the offset stands"
        ((offset,),) = alice.rows(OFFSET)
        assert offset < listener.heard[0].sequence
        listener.ack("one")
        await trio.sleep(5)
        assert listener.values == ["one", "one", "two"]
        nursery.cancel_scope.cancel()


OFFSET = "SELECT current FROM offsets WHERE name = (SELECT lower(hex(id)) FROM subscriptions WHERE name = 'sub')"


def depose(tx: Transaction) -> None:
    tx.execute("UPDATE leaders SET epoch = epoch + 1 WHERE role LIKE 'dispatcher:%'")
