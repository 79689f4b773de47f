"""One subscription's deliveries: what is in flight, refused, filtered, late."""

import trio

from tests.world import Cast, Heard


async def test_a_refusal_while_the_next_page_is_read_skips_nothing(world: Cast, autojump_clock: object) -> None:
    """A short page waits to fill; meanwhile the app refuses the batch before it."""
    alice = await world.node("alice")
    app = alice.app("app2", batch=True, batchTimeout="10s", readAhead=20, withData=True)
    app.slow_s = 15.0
    refused: list[Heard] = []

    def refuses(event: Heard) -> bool:
        if refused or event.type != "message_confirmed":
            return False
        refused.append(event)
        return True

    app.refuses = refuses
    await alice.broadcast("one")
    await alice.heard(1)
    await trio.sleep(20)
    await alice.broadcast("two")
    assert await alice.heard(2, "app2") == ["one", "two"]
    await trio.sleep(300)
    table = {row[0] for row in alice.rows("SELECT sequence FROM events")}
    assert app.acknowledged == table, "every event was taken in the end, the refused one too"
    times = sum(event == refused[0] for life in app.log for event in life)
    assert times == 2
    (where,) = [each for each in alice.desk.subscriptions.served() if each.subscription.name == "app2"]
    assert where.statistics.offset == max(table)


async def test_what_a_filter_passes_over_moves_the_offset_too(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    app = alice.app("sky", filter={"topic": "^sky$", "events": "message_confirmed"}, readAhead=1)
    for number in range(30):
        await alice.broadcast(number, topic="mail")
    await alice.broadcast("blue", topic="sky")
    assert await alice.heard(1, "sky") == ["blue"]
    await trio.sleep(10)
    assert [event.topic for event in app.heard()] == ["sky"]
    await alice.kill()
    await alice.start()
    await trio.sleep(10)
    assert app.log[1] == [], "nothing comes again that was acknowledged, nor is all of it read once more"


async def test_a_subscription_that_is_deleted_and_made_again_begins_anew(world: Cast, autojump_clock: object) -> None:
    alice = await world.node("alice")
    await alice.broadcast("one")
    await alice.heard(1)
    subscriptions, namespace = alice.desk.subscriptions, alice.namespace
    (served,) = subscriptions.served()
    await subscriptions.delete(namespace, bytes.fromhex(served.subscription.id.replace("-", "")))
    await trio.sleep(5)
    assert subscriptions.served() == []
    alice.apps["app"].log.append([])
    await subscriptions.create(namespace, alice.apps["app"].request)
    await trio.sleep(5)
    assert alice.apps["app"].log[-1] == alice.apps["app"].log[0]
