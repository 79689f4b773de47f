"""The one stubborn call: tried again with a growing delay, until it works or is cancelled."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

from ffd.model.errors import Away, Full

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How the delay between two tries grows, in seconds."""

    first_s: float = 0.1
    factor: float = 2.0
    max_s: float = 30.0

    def delay_s(self, failures: int) -> float:
        """The delay after so many failures in a row, at least one."""
        return min(self.max_s, self.first_s * self.factor ** min(failures - 1, 64))


async def stubbornly(
    what: str,
    call: Callable[[], Awaitable[T]],
    *,
    backoff: Backoff = Backoff(),
    failed: Callable[[Exception], Awaitable[None]] | None = None,
    pause: Callable[[float], Awaitable[None]] = trio.sleep,
) -> T:
    """The result of `call`, however often it takes: the outside that is away or full is tried again.

    Any other error is not the outside's failure and is raised at once. `failed` is told of the first error of a kind;
    `pause` waits so many seconds until the next try, or raises what ends it.
    """
    failures, told = 0, ""
    while True:
        try:
            return await call()
        except (Away, Full) as error:
            failures += 1
            if str(error) != told:
                told = str(error)
                log.warning("%s failed and is tried again: %s", what, error)
                if failed is not None:
                    await failed(error)
        await pause(backoff.delay_s(failures))
