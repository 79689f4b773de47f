"""Refusals at any moment: the offset never passes what was not acknowledged."""

from pathlib import Path
from random import Random

import pytest
import trio

from tests.simulation.promises import check_events
from tests.world import Heard, open_cast


@pytest.mark.seeds(12)
async def test_whatever_is_refused_whenever_is_acknowledged_in_the_end(
    seed: int, scratch: Path, autojump_clock: object
) -> None:
    rng = Random(seed)
    async with open_cast(seed, scratch) as cast:
        alice = cast.make_node("alice")
        batch = rng.choice((True, False))
        # The only app: nobody else's reading keeps the newest events in memory for it.
        app = alice.app("app", slow_s=rng.choice((0.0, 0.003)), batch=batch, readAhead=rng.choice((0, 3, 20)))
        refused: list[Heard] = []

        def refuses(event: Heard) -> bool:
            if rng.random() < 0.8 or len(refused) > 20:
                return False
            refused.append(event)
            return True

        app.refuses = refuses
        await alice.start()
        async with trio.open_nursery() as nursery:
            for topic in "abc":
                nursery.start_soon(alice.broadcast, *range(3))
                for _ in range(8):
                    await trio.sleep(rng.uniform(0, 0.05))
                    await alice.broadcast(topic, topic=topic)
        await alice.settled(list(alice.accepted))
        await trio.sleep(200)
        check_events(alice)
        table = [row[0] for row in alice.rows("SELECT sequence FROM events ORDER BY sequence")]
        assert sorted(app.acknowledged) == table
        first = [event.sequence for event in app.heard()]
        assert first == table
