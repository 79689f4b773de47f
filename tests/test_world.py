"""What every part takes for granted of a new id, and of a listener."""

import uuid

import pytest
import trio
from hypothesis import given as any_of
from hypothesis import strategies as some

from ffd.model.errors import Invalid
from ffd.world import RealWorld

MS = 1_000_000
NOW_MS = 1_772_366_400_000


class Clock(RealWorld):
    """The real surroundings, with a clock that somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = NOW_MS

    def now(self) -> int:
        return self.ms * MS + 999_999


@any_of(some.lists(some.integers(-5_000, 5_000), min_size=1, max_size=50))
def test_every_new_id_is_greater_than_those_before_whatever_the_clock_does(steps: list[int]) -> None:
    world = Clock()
    made = [world.new_id()]
    for step in steps:
        world.ms += step
        made += [world.new_id(), world.new_id()]
    assert made == sorted(set(made))
    for id in map(uuid.UUID, [raw.hex() for raw in made]):
        assert (id.version, id.variant) == (7, uuid.RFC_4122)


def test_an_id_tells_when_it_was_made() -> None:
    world = Clock()
    for _ in range(3):
        assert uuid.UUID(bytes=world.new_id()).int >> 80 == world.ms
        world.ms += 1


def test_more_ids_than_a_millisecond_can_count_borrow_from_the_next() -> None:
    world = Clock()
    made = [world.new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert uuid.UUID(bytes=made[-1]).int >> 80 == NOW_MS + 2


def test_two_nodes_in_one_millisecond_make_no_id_twice() -> None:
    one, two = Clock(), Clock()
    assert not {one.new_id() for _ in range(5_000)} & {two.new_id() for _ in range(5_000)}


async def test_an_address_that_this_machine_has_not_is_refused() -> None:
    with pytest.raises(Invalid, match="FFD1108: cannot listen on 192.0.2.1 port 0 "):
        await RealWorld().listen_tcp("192.0.2.1", 0)


async def test_every_address_is_both_kinds_of_addresses() -> None:
    listener = await RealWorld().listen_tcp("::", 0)
    port = listener.socket.getsockname()[1]
    for address in ("127.0.0.1", "::1"):
        async with await trio.open_tcp_stream(address, port), await listener.accept():
            pass
    await listener.aclose()
