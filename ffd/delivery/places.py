"""Who is served and who stands by: one line for each durable subscription, and a bound on all of them.

Of the connections of this process that want one subscription the first in line has it, or waits for it to exist or for
another process to let go of it; the others cost nothing until their turn comes. There is no load balancing: FireFly
reference 8.2.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager

import trio

from ffd.model.errors import Full


class Places:
    """The starts of a process's connections; at most `limit` at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lines: dict[Hashable, trio.StrictFIFOLock] = {}

    def take(self) -> None:
        """Take one place, until it is given back. Raises Full FFD5003."""
        if self._taken >= self._limit:
            raise Full(
                "FFD5003",
                f"{self._taken} subscriptions are started on this node's connections and the limit is {self._limit}: "
                "end some, or raise limits.starts_max",
            )
        self._taken += 1

    def give_back(self, places: int) -> None:
        """So many places are free again."""
        self._taken -= places

    @asynccontextmanager
    async def in_turn(self, wanted: Hashable) -> AsyncGenerator[None, None]:
        """Wait in the line for `wanted`, in the order of coming; it is had until the block ends."""
        line = self._lines.setdefault(wanted, trio.StrictFIFOLock())
        try:
            async with line:
                yield
        finally:
            if not line.locked() and self._lines.get(wanted) is line:
                del self._lines[wanted]
