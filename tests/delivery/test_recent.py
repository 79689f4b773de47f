"""The newest events are read once for all who follow them; who lags reads by itself, and what is kept is bounded."""

from collections.abc import Sequence

import trio

from ffd.delivery.enrich import EncodedEvent
from ffd.delivery.recent import EVENT_OVERHEAD_BYTES, RecentEvents
from tests.delivery.eventlog import EventLog
from tests.world import inspect

MUCH = 1 << 20
PAGE = 10


def recent(log: EventLog, *, bytes_max: int = MUCH) -> RecentEvents:
    return RecentEvents(log.store, bytes_max=bytes_max, with_data=False, page_events=PAGE)


def numbers(page: Sequence[EncodedEvent]) -> list[int]:
    return [event.sequence for event in page]


async def test_all_who_follow_share_what_was_read_once(log: EventLog, autojump_clock: object) -> None:
    await log.tell(5)
    events, pages = recent(log), list[list[EncodedEvent]]()

    async def follow() -> None:
        pages.append(list(await events.page(0, 100)))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(follow)
    assert numbers(pages[0]) == [1, 2, 3, 4, 5]
    assert all(one is other for page in pages for one, other in zip(page, pages[0], strict=True)), "the very same"


async def test_a_page_is_as_long_as_asked_and_no_longer_than_allowed(log: EventLog, autojump_clock: object) -> None:
    await log.tell(25)
    events = recent(log)
    assert numbers(await events.page(0, 3)) == [1, 2, 3]
    assert numbers(await events.page(3, 100)) == [4, 5, 6, 7, 8, 9, 10], "what is kept comes first"
    assert numbers(await events.page(10, 100)) == list(range(11, 21))
    assert numbers(await events.page(20, 100)) == list(range(21, 26))
    assert numbers(await events.page(25, 100)) == []


async def test_who_lags_reads_by_itself_and_leaves_the_tail_alone(log: EventLog, autojump_clock: object) -> None:
    await log.tell(1000)
    events = recent(log)
    assert numbers(await events.page(990, 100)) == list(range(991, 1001))
    tail = events.statistics()
    after = 0
    while after < 990:
        page = await events.page(after, 100)
        assert numbers(page) == list(range(after + 1, after + 1 + PAGE))
        after = page[-1].sequence
        assert events.statistics() == tail
    (one,), (other,) = await events.page(990, 1), await events.page(990, 1)
    assert one is other, "whoever has caught up shares"


async def test_who_comes_to_the_tail_takes_the_keeping_over(log: EventLog, autojump_clock: object) -> None:
    """The first reader began far behind; nobody at the tail waits for it."""
    await log.tell(100)
    events = recent(log)
    await events.page(0, 100)
    assert numbers(await events.page(95, 100)) == [96, 97, 98, 99, 100]
    assert events.statistics()[0] == 5
    assert numbers(await events.page(10, 100)) == list(range(11, 21))
    assert events.statistics()[0] == 5


async def test_what_is_kept_is_bounded(log: EventLog, autojump_clock: object) -> None:
    await log.tell(200)
    bytes_max = 7 * (EVENT_OVERHEAD_BYTES + 250)
    events = recent(log, bytes_max=bytes_max)
    for after in range(0, 200, PAGE):
        assert numbers(await events.page(after, PAGE)) == list(range(after + 1, after + 1 + PAGE))
        count, size = events.statistics()
        assert size <= bytes_max and count < PAGE
    assert numbers(await events.page(0, 3)) == [1, 2, 3], "what is not kept is read"


async def test_one_event_larger_than_the_bound_is_kept_alone(log: EventLog, autojump_clock: object) -> None:
    await log.tell(3)
    events = recent(log, bytes_max=1)
    assert numbers(await events.page(0, 10)) == [1, 2, 3]
    assert events.statistics()[0] == 1
    assert numbers(await events.page(0, 10)) == [1, 2, 3]


async def test_the_end_is_an_end_until_the_bell_rings(log: EventLog, autojump_clock: object) -> None:
    events = recent(log)
    assert numbers(await events.page(0, 10)) == []
    await log.tell(1)
    assert numbers(await events.page(0, 10)) == [1]
    assert numbers(await events.page(1, 10)) == []
    await log.tell(2)
    assert numbers(await events.page(1, 10)) == [2, 3]


async def test_an_end_is_not_believed_for_long(log: EventLog, autojump_clock: object) -> None:
    """What another process writes rings no bell here."""
    events = recent(log)
    assert numbers(await events.page(0, 10)) == []
    other = inspect(log.store.path)
    other.execute(
        """
        INSERT INTO events (sequence, id, namespace, type, reference, created)
        VALUES (1, randomblob(16), ?, 'transaction_submitted', randomblob(16), 3)""",
        (log.number,),
    )
    other.close()
    await trio.sleep(1)
    assert numbers(await events.page(0, 10)) == [1]
