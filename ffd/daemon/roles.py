"""The keeper of roles: each is a task inside its lock, and one that fails is shown, and begun again, alone.

What is on disk is enough to begin again, so an unexpected error ends its role and nothing else: it is logged once (with
its traceback, unless it is one of ours, whose sentence says all), the role shows as failing, and is tried again after a
growing delay. It is shown as failing until a try has lasted: a node is not ready for the moment that each try takes. If
the store itself is broken, the process ends with it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import trio

from ffd.model.errors import FfdError, first_of
from ffd.ports.retry import Backoff
from ffd.store import Store
from ffd.store.leadership import Deposed, Leadership, lead
from ffd.world import World

log = logging.getLogger(__name__)

BACKOFF = Backoff(first_s=0.25, max_s=30.0)
PROBATION_S = 1.0
"""How long a role that failed must run until it is shown as leading again."""
HEALTHY_S = 60.0
"""A role that ran for so long had recovered: its next failure is a first one."""

LEADING, STANDING_BY, FAILING = "leading", "standing by", "failing"


@dataclass(frozen=True, slots=True)
class RoleState:
    """How a role stands in this process; `since` in nanoseconds, `epoch` None unless it leads."""

    name: str
    state: str
    since: int
    epoch: int | None = None
    error: str = ""


class Roles:
    """The roles of this process."""

    def __init__(self, world: World, store: Store, process: str) -> None:
        self._world = world
        self._store = store
        self._process = process
        self._states: dict[str, RoleState] = {}
        self._told: dict[str, str] = {}

    def states(self) -> list[RoleState]:
        """How each role stands, in the order they were begun."""
        return list(self._states.values())

    async def keep(self, name: str, work: Callable[[Leadership], Awaitable[object]]) -> NoReturn:
        """Do `work` whenever this process leads the role `name`, until cancelled."""
        self._set(RoleState(name, STANDING_BY, self._world.now()))
        failures = 0
        while True:
            began = trio.current_time()
            try:
                await self._lead(name, work, probation_s=PROBATION_S if failures else 0.0)
            except* Deposed as deposed:
                log.warning("role %s was taken over: %s", name, first_of(deposed))
                self._set(RoleState(name, STANDING_BY, self._world.now()))
            except* Exception as failure:  # noqa: BLE001 - a role ends here
                failures = 1 if trio.current_time() - began > HEALTHY_S else failures + 1
                self._note_failure(name, failure)
            await trio.sleep(BACKOFF.delay_s(max(1, failures)))

    async def _lead(self, name: str, work: Callable[[Leadership], Awaitable[object]], *, probation_s: float) -> None:
        async with (
            lead(self._world, self._store, name, process=self._process) as leadership,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._show_leading, name, leadership, probation_s)
            await work(leadership)

    async def _show_leading(self, name: str, leadership: Leadership, probation_s: float) -> None:
        await trio.sleep(probation_s)
        self._set(RoleState(name, LEADING, leadership.since, leadership.epoch))

    def _note_failure(self, name: str, failure: BaseExceptionGroup[BaseException]) -> None:
        told = str(first_of(failure))
        if self._told.get(name) != told:
            self._told[name] = told
            bugs = failure.split(FfdError)[1]
            log.error("role %s failed and is begun again: %s", name, told, exc_info=bugs)
        self._set(RoleState(name, FAILING, self._world.now(), error=told))

    def _set(self, state: RoleState) -> None:
        self._states[state.name] = state
