"""Whoever waits for a thing is told by the first event that is meant, whether it came before or comes after."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from ffd.delivery.confirmations import Confirmations, Told
from ffd.delivery.recent import RecentEvents
from ffd.model.event import IDENTITY_CONFIRMED, MESSAGE_EVENT_TYPES
from ffd.model.namespace import Namespace
from ffd.store import events, namespaces
from tests.delivery.eventlog import NOON, EventLog, uid


def namespace(number: int, name: str = "local") -> Namespace:
    return Namespace(
        number=number, name=name, network_name="net", created=NOON, org_id=uid("org"), org_name="o",
        node_id=uid("node"), node_name="n", author="did:firefly:org/o", key="0xkey",
    )  # fmt: skip


@asynccontextmanager
async def following(log: EventLog) -> AsyncGenerator[Confirmations, None]:
    confirmations = Confirmations(log.store, RecentEvents(log.store, bytes_max=1 << 20, with_data=False))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(confirmations.run)
        yield confirmations
        nursery.cancel_scope.cancel()


class Waiting:
    """Those who wait, and what they were told."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.told: dict[str, object] = {}
        self._nursery = nursery

    async def start(self, name: str, wait: Callable[..., object], *args: object, **more: object) -> None:
        async def run() -> None:
            self.told[name] = await wait(*args, **more)  # type: ignore[misc]

        self._nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()


async def test_who_waits_hears_of_its_own_message_before_or_after(log: EventLog, autojump_clock: object) -> None:
    here = namespace(log.number)
    await log.finish("early")
    async with following(log) as confirmations, trio.open_nursery() as nursery:
        waiting = Waiting(nursery)
        for name in ("early", "late", "rejected"):
            await waiting.start(name, confirmations.wait_settled, here, uid(name))
        assert waiting.told == {"early": "message_confirmed"}
        await log.finish("other")
        await log.finish("rejected", reason="because")
        await log.finish("late")
        await trio.sleep(1)
        assert waiting.told == {
            "early": "message_confirmed",
            "late": "message_confirmed",
            "rejected": "message_rejected",
        }


async def test_a_request_hears_its_first_answer_and_nothing_else(log: EventLog, autojump_clock: object) -> None:
    here = namespace(log.number)
    await log.finish("older answer", cid="request")
    since = log.store.peek(events.last_sequence)
    async with following(log) as confirmations, trio.open_nursery() as nursery:
        waiting = Waiting(nursery)
        await waiting.start("request", confirmations.wait_answered, here, uid("request"), since=since)
        await log.finish("request")
        await log.finish("bad answer", cid="request", reason="because")
        await log.finish("answer to another", cid="another")
        await trio.sleep(1)
        assert waiting.told == {}
        await log.finish("answer", cid="request")
        await log.finish("second answer", cid="request")
        await trio.sleep(1)
        assert waiting.told == {"request": uid("answer")}
        await waiting.start("again", confirmations.wait_answered, here, uid("request"), since=since)
        assert waiting.told["again"] == uid("answer"), "what came since is found too"


async def test_what_is_said_in_another_namespace_is_not_meant(log: EventLog, autojump_clock: object) -> None:
    """Two local namespaces of one network have messages of the same id, each confirmed by itself."""
    other, _ = await log.store.write(lambda tx: namespaces.ensure(tx, "other", "net2", NOON))
    async with following(log) as confirmations, trio.open_nursery() as nursery:
        waiting = Waiting(nursery)
        await waiting.start("there", confirmations.wait_settled, namespace(other, "other"), uid("message"))
        await waiting.start("here", confirmations.wait_settled, namespace(log.number), uid("message"))
        await log.finish("message")
        await trio.sleep(5)
        assert waiting.told == {"here": "message_confirmed"}
        nursery.cancel_scope.cancel()


async def test_other_things_are_waited_for_by_the_types_that_speak_of_them(
    log: EventLog, autojump_clock: object
) -> None:
    here, types = namespace(log.number), {IDENTITY_CONFIRMED, *MESSAGE_EVENT_TYPES}
    async with following(log) as confirmations, trio.open_nursery() as nursery:
        waiting = Waiting(nursery)
        await waiting.start("identity", confirmations.wait_spoken_of, here, uid("event 2"), types)
        await log.tell(1)
        await log.tell(1, IDENTITY_CONFIRMED)
        await trio.sleep(1)
        assert waiting.told == {"identity": Told(IDENTITY_CONFIRMED, uid("event 2"))}


async def test_who_gives_up_leaves_the_others_waiting(log: EventLog, autojump_clock: object) -> None:
    here = namespace(log.number)
    async with following(log) as confirmations, trio.open_nursery() as nursery:
        waiting = Waiting(nursery)
        await waiting.start("patient", confirmations.wait_settled, here, uid("message"))
        with pytest.raises(trio.TooSlowError), trio.fail_after(1):
            await confirmations.wait_settled(here, uid("message"))
        await log.finish("message")
        await trio.sleep(1)
        assert waiting.told == {"patient": "message_confirmed"}
