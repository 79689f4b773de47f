"""What is in flight to an app, and what an ack or a nack makes of the offset. Plain values: no store, no clock.

The offset moves only past events that were acknowledged, or that the filter passed over. An event leaves the window
when an offset at or past it is on disk, so that after a crash no more than a window of events comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class _Sent:
    sequence: int
    turn: int
    acknowledged: bool = False


class Window:
    """The flight of one subscription to one app; `size` is 1 + readAhead."""

    def __init__(self, offset: int, size: int) -> None:
        self.size = size
        self.offset = offset
        """Everything up to here was acknowledged or passed over."""
        self.durable = offset
        """Everything up to here is on disk as done."""
        self.read = offset
        """Everything up to here was looked at."""
        self._sent: dict[str, _Sent] = {}
        self._revoked: set[str] = set()

    @property
    def room(self) -> int:
        """How many more events may be sent."""
        return self.size - len(self._sent)

    @property
    def in_flight(self) -> int:
        """How many events were sent and are not done on disk."""
        return len(self._sent)

    def send(self, events: Sequence[tuple[int, str]], read: int, turn: int = 0) -> None:
        """These events (sequence, id) leave; everything up to `read` was looked at.

        `turn` says when they leave among the events of other windows.
        """
        for sequence, id in events:
            self._sent[id] = _Sent(sequence, turn)
            self._revoked.discard(id)
        self.read = read
        self._move()

    def ack(self, ids: Sequence[str]) -> bool:
        """The app has done these; False when one of them is not in flight, and then nothing changes."""
        if not all(id in self._sent and not self._sent[id].acknowledged for id in ids):
            return False
        for id in ids:
            self._sent[id].acknowledged = True
        self._move()
        return True

    def nack(self, id: str) -> int | None:
        """The app refuses an event: it and all later ones leave the flight, to come again. Its sequence, if known."""
        refused = self._sent.get(id)
        if refused is None or refused.acknowledged:
            return None
        self._revoked |= {key for key, sent in self._sent.items() if sent.sequence >= refused.sequence}
        self._sent = {key: sent for key, sent in self._sent.items() if sent.sequence < refused.sequence}
        self.read = refused.sequence - 1
        self._move()
        return refused.sequence

    def oldest(self) -> tuple[int, str] | None:
        """The turn and the id of the oldest event that waits for its ack."""
        return next(((sent.turn, id) for id, sent in self._sent.items() if not sent.acknowledged), None)

    def revoked(self, id: str) -> bool:
        """Was this event taken back by a nack, and not sent again yet? An ack of it comes late and means nothing."""
        return id in self._revoked

    def settle(self, durable: int) -> None:
        """The offset `durable` is on disk: what it covers leaves the window."""
        self.durable = max(self.durable, durable)
        self._sent = {id: sent for id, sent in self._sent.items() if sent.sequence > self.durable}

    def _move(self) -> None:
        # In order of sequence: the dictionary keeps the order of sending.
        for sent in self._sent.values():
            if not sent.acknowledged:
                self.offset = max(self.offset, sent.sequence - 1)
                return
        self.offset = max(self.offset, self.read)
