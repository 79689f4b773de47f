"""How the batches of a namespace have left so far, in this process: a small account that a status can show."""

from __future__ import annotations

from dataclasses import dataclass

import trio


@dataclass(frozen=True, slots=True)
class FlushStatistics:
    """Sums over all batches that left; times in nanoseconds since 1970, `taken_s` in seconds.

    `flushing` is the batch under way, and `blocked` says that its latest try failed.
    """

    batches: int = 0
    errors: int = 0
    messages: int = 0
    items: int = 0
    payload_bytes: int = 0
    taken_s: float = 0.0
    started: int | None = None
    flushing: bytes | None = None
    blocked: bool = False
    error: str = ""
    error_time: int | None = None


PINNED_BROADCAST, PINNED_PRIVATE, UNPINNED_PRIVATE = DISPATCHERS = (
    "pinned_broadcast", "pinned_private", "unpinned_private",
)  # fmt: skip
"""FireFly's words for what brings out the batches of each kind."""


class FlushRecord:
    """Keeps the account; it outlives the sequencer, which is begun anew with each leadership."""

    def __init__(self) -> None:
        self._batches = self._errors = self._messages = self._items = self._bytes = 0
        self._taken_s = self._began = 0.0
        self._started: int | None = None
        self._flushing: bytes | None = None
        self._blocked = False
        self._error = ""
        self._error_time: int | None = None

    def begin(self, batch: bytes, now: int) -> None:
        """A batch begins to leave."""
        self._started, self._flushing, self._blocked = now, batch, False
        self._began = trio.current_time()

    def fail(self, error: str, now: int) -> None:
        """A try failed; there will be another."""
        self._errors += 1
        self._blocked, self._error, self._error_time = True, error, now

    def end(self, *, messages: int, items: int, payload_bytes: int) -> None:
        """The batch is on the ledger."""
        self._batches += 1
        self._messages += messages
        self._items += items
        self._bytes += payload_bytes
        self._taken_s += trio.current_time() - self._began
        self._flushing, self._blocked = None, False

    def statistics(self) -> FlushStatistics:
        """The account as it stands."""
        return FlushStatistics(
            self._batches, self._errors, self._messages, self._items, self._bytes, self._taken_s, self._started,
            self._flushing, self._blocked, self._error, self._error_time,
        )  # fmt: skip
