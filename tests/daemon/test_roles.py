"""A role that fails ends alone, says why, and is begun again until it lasts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing

from ffd.daemon.roles import FAILING, HEALTHY_S, LEADING, PROBATION_S, STANDING_BY, Roles
from ffd.model.errors import Away
from ffd.store import Store, open_store
from ffd.store.leadership import Leadership, lead
from tests.simulation.disk import Disk
from tests.simulation.surroundings import SimWorld

Work = Callable[[Leadership], Awaitable[object]]


@pytest.fixture
async def process(autojump_clock: object, scratch: Path) -> AsyncIterator[tuple[SimWorld, Store]]:
    disk = Disk(scratch / "disk", Random(1))
    world = SimWorld(disk, Random(1))
    async with open_store(world, disk.root / "ffd.db") as store:
        yield world, store
    world.end()


@pytest.fixture
def roles(process: tuple[SimWorld, Store]) -> Roles:
    world, store = process
    return Roles(world, store, "process")


def shown(roles: Roles) -> tuple[str, str]:
    (state,) = roles.states()
    return state.state, state.error


class Failing:
    """Work that fails so many times, after so many seconds, and lasts from then on."""

    def __init__(self, times: int, after_s: float = 0.0) -> None:
        self.times = times
        self.after_s = after_s
        self.began: list[float] = []
        self.once = trio.Event()

    async def __call__(self, leadership: Leadership) -> None:
        self.began.append(trio.current_time())
        if len(self.began) > self.times:
            await trio.sleep_forever()
        await trio.sleep(self.after_s)
        self.once.set()
        raise Away("FFD4999", "nobody answers")


async def test_a_role_that_works_leads_at_once(roles: Roles, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(roles.keep, "role", Failing(0))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert shown(roles) == (LEADING, "")
        nursery.cancel_scope.cancel()


async def test_a_role_shows_as_failing_until_a_try_has_lasted(roles: Roles, autojump_clock: object) -> None:
    work = Failing(3)
    seen: set[tuple[str, str]] = set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(roles.keep, "role", work)
        await work.once.wait()
        await trio.testing.wait_all_tasks_blocked()
        while len(work.began) <= work.times:
            await trio.sleep(0.001)
            seen.add(shown(roles))
        assert seen == {(FAILING, "FFD4999: nobody answers")}, "a try that fails at once is never shown as leading"
        await trio.sleep(PROBATION_S - 0.1)
        assert shown(roles)[0] == FAILING
        await trio.sleep(0.2)
        assert shown(roles) == (LEADING, "")
        nursery.cancel_scope.cancel()


async def test_the_delay_between_tries_grows_and_is_forgotten_after_health(
    roles: Roles, autojump_clock: object
) -> None:
    quick = Failing(4)
    with trio.move_on_after(20):
        await roles.keep("role", quick)
    gaps = [later - earlier for earlier, later in zip(quick.began, quick.began[1:], strict=False)]
    assert gaps == pytest.approx([0.25, 0.5, 1.0, 2.0], abs=0.1)

    lasting = Failing(3, after_s=HEALTHY_S + 1)
    with trio.move_on_after(4 * HEALTHY_S + 10):
        await roles.keep("role", lasting)
    gaps = [later - earlier for earlier, later in zip(lasting.began, lasting.began[1:], strict=False)]
    assert gaps == pytest.approx([lasting.after_s + 0.25] * 3, abs=0.1)


async def test_a_role_that_another_process_has_stands_by(
    roles: Roles, process: tuple[SimWorld, Store], autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        async with lead(*process, "role", process="another"):
            nursery.start_soon(roles.keep, "role", Failing(0))
            await trio.sleep(5)
            assert shown(roles) == (STANDING_BY, "")
        await trio.sleep(1)
        assert shown(roles) == (LEADING, "")
        nursery.cancel_scope.cancel()


async def test_what_ends_a_role_is_logged_once(
    roles: Roles, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """With no traceback when the sentence says all."""
    with trio.move_on_after(10):
        await roles.keep("role", Failing(3))
    (record,) = caplog.records
    assert record.getMessage() == "role role failed and is begun again: FFD4999: nobody answers"
    assert record.exc_info is None
