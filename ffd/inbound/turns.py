"""Operations that are tried until they work, many at a time and by turns: what never comes keeps nobody waiting.

Each is a row, so a restart goes on with it, and its latest error says what it waits for.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

import trio

from ffd.model.errors import FfdError
from ffd.model.ids import format_uuid
from ffd.ports.retry import Backoff
from ffd.store import Store, operations
from ffd.store.bells import wait_rung
from ffd.store.operations import PENDING, OperationRow
from ffd.world import World

log = logging.getLogger(__name__)

OPEN_MAX = 1_000  # open operations that are tried at one time
TURN_S = 20.0  # how long one may fail before it gives its place to one that has none
POLL_S = 1.0
RETRIES_POLL_S = 5.0  # the fallback for what another process was asked
BACKOFF = Backoff(first_s=0.1, max_s=60.0)  # FireFly's download.retry

Attempt = Callable[[OperationRow], Awaitable[FfdError | None]]
"""Try an operation once: None when it is done, and recorded as done; else why not, and it is tried again."""


class Turns:
    """Works on the open operations of one type in one namespace. The bell `downloads` tells of new ones."""

    def __init__(self, world: World, store: Store, namespace: int, type: str, attempt: Attempt) -> None:
        self._world = world
        self._store = store
        self._namespace = namespace
        self._type = type
        self._attempt = attempt
        self._under_way: dict[bytes, trio.CancelScope] = {}
        self._last = 0
        self._crowded = False

    async def run(self) -> NoReturn:
        """Try every open operation, until cancelled."""
        bell = self._store.bell("downloads")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drop_replaced)
            while True:
                ticket = bell.ticket()
                for sequence, row in self._next():
                    self._last = sequence
                    self._under_way[row.id] = trio.CancelScope()
                    nursery.start_soon(self._work_on, row)
                await wait_rung(ticket, at_most_s=POLL_S)

    async def _drop_replaced(self) -> NoReturn:
        """End those instead of which somebody wants another one tried, and with them their long delays."""
        bell = self._store.bell(operations.RETRIES_BELL)
        while True:
            ticket = bell.ticket()
            for id, scope in list(self._under_way.items()):
                if self._store.peek(lambda tx, id=id: operations.is_replaced(tx, id)):  # type: ignore[misc]  # bound
                    scope.cancel()
            await wait_rung(ticket, at_most_s=RETRIES_POLL_S)

    def _next(self) -> list[tuple[int, OperationRow]]:
        """The open operations that get a place now, by turns."""
        rows = self._store.peek(
            lambda tx: operations.unfinished(tx, self._namespace, self._type, after=self._last, limit=OPEN_MAX + 1)
        )
        waiting = [(sequence, row) for sequence, row in rows if row.id not in self._under_way]
        free = OPEN_MAX - len(self._under_way)
        self._crowded = len(waiting) > free
        return waiting[:free]

    async def _work_on(self, row: OperationRow) -> None:
        with self._under_way[row.id]:
            await self._try(row)
        del self._under_way[row.id]

    async def _try(self, row: OperationRow) -> None:
        """Try until it works, or until others want the place."""
        failures, told, began = 0, row.error or "", trio.current_time()
        while (error := await self._attempt(row)) is not None:
            failures += 1
            if str(error) != told:
                told = str(error)
                log.warning("%s %s failed and is tried again: %s", row.type, format_uuid(row.id), told)
                await self._note(row, told)
            await trio.sleep(BACKOFF.delay_s(failures))
            if self._crowded and trio.current_time() - began > TURN_S:
                return

    async def _note(self, row: OperationRow, error: str) -> None:
        now = self._world.now()
        await self._store.write(lambda tx: operations.settle(tx, row.id, PENDING, now, error=error))
