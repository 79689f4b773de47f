"""Acks and nacks that come early, late, twice, or for several subscriptions at once (FireFly reference 8.5, 9.2)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from tests.api.rest import Node
from tests.api.talker import CONFIRMED, Json, Talker, open_talker, subscribe


def value(event: Json) -> object:
    return event["message"]["data"][0]["value"]


@asynccontextmanager
async def started(node: Node, *names: str, **more: object) -> AsyncGenerator[Talker, None]:
    """An app that has started these subscriptions."""
    async with open_talker(node) as app:
        for name in names:
            await app.start(name, **more)
        yield app


async def change(node: Node, name: str, **options: object) -> None:
    """Change the subscription, so that its dispatcher is ended and another one begins."""
    whole = {"name": name, "filter": CONFIRMED, "options": {"withData": True} | options}
    assert (await node.send("PUT", "subscriptions", whole)).status == 200


async def in_flight(node: Node, name: str) -> int:
    status = (await node.get(f"subscriptions/{name}", fetchstatus="true"))["status"]
    return int(status["inFlight"])


async def test_without_an_id_the_oldest_of_the_whole_connection_is_meant(node: Node) -> None:
    """Not the oldest of the first subscription: what left first, whichever it is of."""
    for each in ("one", "two"):
        await subscribe(node, each, filter=CONFIRMED | {"topic": f"^{each}$"}, readAhead=5)
    async with started(node, "one", "two") as app:
        for topic in ("two", "one", "two", "one"):
            await node.broadcast(f"for {topic}", topics=[topic])
            await app.hear()
        assert [value(event) for event in app.heard] == ["for two", "for one", "for two", "for one"]
        await app.say("ack")
        await app.say("ack")
        await app.say("ack", id=app.heard[2]["id"], subscription=app.heard[2]["subscription"])
        await node.until("subscriptions/two?fetchstatus", lambda found: found["status"]["inFlight"] == 0)
        assert await in_flight(node, "one") == 1
        await app.say("ack")
        await node.until("subscriptions/one?fetchstatus", lambda found: found["status"]["inFlight"] == 0)
        await app.say("ack")
        assert (await app.refused()).startswith("FF10175: ")


async def test_an_ack_for_what_was_sent_before_a_change_is_no_error(node: Node) -> None:
    await subscribe(node, "app1", readAhead=1)
    for number in range(3):
        await node.broadcast(number)
    async with started(node, "app1") as app:
        assert await app.hear_values(2) == [0, 1]
        await change(node, "app1", readAhead=5)
        assert await app.hear_values(3) == [0, 1, 2], "what was in flight comes again, and more"
        for event in app.heard:
            await app.ack(event)
        await node.broadcast("last")
        assert await app.take() == "last"


async def test_a_late_ack_without_an_id_is_not_taken_for_the_next_delivery(node: Node) -> None:
    """The app answers in order, and says of nothing what it is: each answer belongs to one delivery."""
    await subscribe(node, "app1")
    for number in range(2):
        await node.broadcast(number)
    async with started(node, "app1") as app:
        assert await app.hear_values(1) == [0]
        await change(node, "app1", readAhead=1)
        assert await app.hear_values(2) == [0, 1]
        await app.say("ack")  # the first 0, which came again meanwhile
        await app.say("ack")  # the second 0
        await node.broadcast(2)
        assert await app.hear_values(1) == [2], "1 is in flight still"
        assert await in_flight(node, "app1") == 2


async def test_the_acks_of_a_deleted_subscription_do_not_count_for_the_next_of_its_name(node: Node) -> None:
    old = await subscribe(node, "app1")
    await node.broadcast("one")
    await node.broadcast("two")
    async with started(node, "app1") as app:
        assert await app.hear_values(1) == ["one"]
        assert (await node.ask("DELETE", f"subscriptions/{old['id']}")).status == 204
        new = await subscribe(node, "app1")
        assert await app.hear_values(1) == ["one"]
        before, after = app.heard
        assert (before["id"], before["subscription"]["id"]) == (after["id"], old["id"])
        assert after["subscription"]["id"] == new["id"]
        await app.ack(before)
        assert (await app.send("three"))["type"] == "accepted"
        assert await in_flight(node, "app1") == 1, "the event waits for its own ack"
        await app.ack(after)
        assert await app.hear_values(1) == ["two"]


async def test_of_a_deleted_subscription_nothing_more_comes_and_its_acks_are_passed_over(node: Node) -> None:
    await subscribe(node, "app1", readAhead=3)
    for number in range(9):
        await node.broadcast(number)
    async with started(node, "app1") as app:
        assert await app.hear_values(4) == [0, 1, 2, 3]
        assert (await node.ask("DELETE", "subscriptions/app1")).status == 204
        await node.until("status", lambda found: found["ffd"]["subscriptions"] == [])
        await app.ack(app.heard[1])
        await app.say("ack", id=app.heard[0]["id"])
        await app.say("ack")
        await app.say("nack", id=app.heard[3]["id"])
        assert (await app.send("hello"))["type"] == "accepted", "the connection lives, and nothing came between"


async def test_batches_follow_each_other_as_far_as_is_read_ahead(node: Node) -> None:
    await subscribe(node, "app1", batch=True, readAhead=3)
    async with started(node, "app1") as app:
        await node.broadcast(0)
        first = await app.hear()
        for number in range(1, 5):
            await node.broadcast(number)
        later = [first]
        while sum(len(batch["events"]) for batch in later) < 3:
            later.append(await app.hear())
        assert (await app.send("a frame that is answered"))["type"] == "accepted", "three are in flight, and no more"
        await node.until("messages?state=confirmed", lambda found: len(found) == 6)
        await app.ack(first)
        later.append(await app.hear())
        assert [value(event) for batch in later for event in batch["events"]] == [0, 1, 2, 3]


async def test_a_batch_may_be_acknowledged_also_with_autoack(node: Node) -> None:
    """FireFly looks for a batch of this id first, and for autoack after that."""
    await subscribe(node, "app1", batch=True)
    async with started(node, "app1", autoack=True) as app:
        for number in range(3):
            await node.broadcast(number)
            batch = await app.hear()
            assert [value(event) for event in batch["events"]] == [number]
            await app.ack(batch)
        await app.say("ack", id=batch["events"][0]["id"], subscription=batch["subscription"])
        assert (await app.refused()).startswith("FF10180: ")


async def test_without_an_id_a_batch_is_meant_too(node: Node) -> None:
    await node.broadcast(0)
    await subscribe(node, "app1", batch=True)
    async with started(node, "app1") as app:
        assert (await app.hear())["type"] == "event_batch"
        await app.say("ack")
        await node.broadcast(1)
        assert [value(event) for event in (await app.hear())["events"]] == [1]


async def test_without_an_id_a_nack_is_for_the_oldest(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with started(node, "app1") as app:
        await app.hear_values(1)
        await app.say("nack")
        assert await app.take() == "one"
        await app.say("nack")
        assert (await app.refused()).startswith("FF10175: ")


async def test_whoever_stands_by_takes_over_where_the_other_was_cut_off(node: Node) -> None:
    """The served one vanishes in the middle, one by one: the next goes on, in order, and nothing is lost."""
    await subscribe(node, "app1", readAhead=2)
    for number in range(12):
        await node.broadcast(number)
    done: list[object] = []
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(take_three_and_vanish, node, done)
    assert done == list(range(12))


class Cut(Exception):
    """The line to an app is cut."""


async def take_three_and_vanish(node: Node, done: list[object]) -> None:
    """An app that does three events and is cut off, without a farewell, with more in flight."""
    try:
        async with open_talker(node) as app:
            await app.start("app1")
            for _ in range(3):
                event = await app.hear()
                done.append(value(event))
                await app.ack(event)
            last = app.heard[-1]["sequence"]
            await node.until("subscriptions/app1?fetchstatus", lambda found: found["status"]["currentOffset"] >= last)
            raise Cut
    except* Cut:
        pass


async def test_a_reader_that_stalls_is_answered_when_it_reads_again(node: Node) -> None:
    """Its pings wait behind what it does not read, on its own connection; others are answered meanwhile."""
    big = "x" * 200_000
    for number in range(40):
        await node.broadcast(f"{number} {big}", confirm=number == 39)
    async with open_talker(node) as stalled, open_talker(node) as other:
        await stalled.follow(readAhead=200)
        answered = trio.Event()

        async def ping() -> None:
            await stalled.connection.ping(b"there?")
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ping)
            for _ in range(10):
                await other.connection.ping()
            heard = await stalled.hear_values(40)
            await answered.wait()
        assert [str(each).split()[0] for each in heard] == [str(number) for number in range(40)]


async def test_pings_are_answered_while_acks_are_owed(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with started(node, "app1") as app:
        await app.hear_values(1)
        for number in range(50):
            await app.connection.ping(str(number).encode())
        await app.ack(app.heard[0])
