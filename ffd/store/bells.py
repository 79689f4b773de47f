"""Who wants to be woken when a table has changed.

A bell carries no data: the ring says look, the table says what. So a ring may be lost, doubled or late without harm,
and a ring before the wait still counts, because the waiter took its ticket before it looked.
"""

from __future__ import annotations

import trio


class Bell:
    """Wakes everyone who waits for one table."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ticket(self) -> trio.Event:
        """Take it before looking at the table, wait on it after: the next ring sets it."""
        return self._rung

    def ring(self) -> None:
        self._rung.set()
        self._rung = trio.Event()


async def wait_rung(ticket: trio.Event, *, at_most_s: float) -> bool:
    """Until the bell is rung, or for `at_most_s`: the fallback against a ring that another process could not give.

    Returns whether it was rung.
    """
    with trio.move_on_after(at_most_s):
        await ticket.wait()
    return ticket.is_set()
