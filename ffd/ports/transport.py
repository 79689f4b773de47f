"""A transport: hand events to an app; its acks and nacks come back to the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes to an app in one piece: the events' JSON texts, complete with their subscription, in order.

    `batch` is the id text of an event batch, or None when the events go one by one.
    """

    events: Sequence[str]
    batch: str | None


class Consumer(Protocol):
    """One app's end of one subscription."""

    async def deliver(self, delivery: Delivery) -> None:
        """Hand the events over; returns when the transport took them, and may be cancelled at any point."""
