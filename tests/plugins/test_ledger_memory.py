"""What the ledger in memory can be told to do wrong, so that others can be tested against it."""

import pytest
import trio

from ffd.model.errors import Away
from ffd.plugins.ledger.memory import MemoryLedger
from tests.plugins.ledgers import MemoryLedgers, everything, fill, pin


async def node(ledgers: MemoryLedgers, name: str) -> MemoryLedger:
    ledger = await ledgers.node(name)
    assert isinstance(ledger, MemoryLedger)
    return ledger


async def test_it_can_be_away_for_one_node(in_memory: MemoryLedgers) -> None:
    alice, bob = await node(in_memory, "alice"), await node(in_memory, "bob")
    await fill(bob, "a")
    alice.faults.away = True
    with pytest.raises(Away):
        await alice.events(after="", limit=1)
    with pytest.raises(Away):
        await fill(alice, "b")
    alice.faults.away = False
    assert await everything(alice) == await everything(bob)


async def test_it_can_lose_its_answer_after_it_has_acted(in_memory: MemoryLedgers) -> None:
    alice = await node(in_memory, "alice")
    alice.faults.lose_answers = 1
    with pytest.raises(Away):
        await fill(alice, "a")
    await fill(alice, "a")
    assert [event.pin for event in await everything(alice)] == [pin("a")]


async def test_it_can_say_again_what_it_said(in_memory: MemoryLedgers) -> None:
    alice = await node(in_memory, "alice")
    await fill(alice, *"abcd")
    events = await everything(alice)
    alice.faults.repeat = 2
    assert list(await alice.events(after=events[2].position, limit=10)) == events[1:]


async def test_it_can_be_slow(in_memory: MemoryLedgers, autojump_clock: object) -> None:
    alice = await node(in_memory, "alice")
    alice.faults.delay_s = 7
    before = trio.current_time()
    await fill(alice, "a")
    assert trio.current_time() - before == 7
