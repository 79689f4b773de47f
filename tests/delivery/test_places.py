"""Lines: the first is served, the others wait in the order of coming, and a line that is empty is gone."""

import pytest
import trio

from ffd.delivery.places import Places
from ffd.model.errors import Full


async def test_turns_come_in_order_also_when_some_go_away(autojump_clock: object) -> None:
    places, had = Places(10), list[str]()
    scopes: dict[str, trio.CancelScope] = {}

    async def want(name: str, thing: str) -> None:
        with trio.CancelScope() as scopes[name]:
            async with places.in_turn(thing):
                had.append(name)
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for name, thing in (("a", "x"), ("b", "x"), ("c", "x"), ("d", "x"), ("e", "y")):
            nursery.start_soon(want, name, thing)
            await trio.testing.wait_all_tasks_blocked()
        assert had == ["a", "e"]
        for gone, now in (("b", ["a", "e"]), ("a", ["a", "e", "c"]), ("c", ["a", "e", "c", "d"])):
            scopes[gone].cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert had == now
        nursery.cancel_scope.cancel()
    assert not places._lines


def test_places_are_counted() -> None:
    places = Places(2)
    places.take()
    places.take()
    with pytest.raises(Full, match="FFD5003"):
        places.take()
    places.give_back(1)
    places.take()
