"""Which ready messages travel together. A plain decision: no store, no clock.

Rules of FireFly's batch processor (reference 4.4): one author, one group and one key a batch, one transaction type; a
`contract_invoke_pin` message travels alone; a batch is full by count or by bytes. There is no fill timer: whoever calls
does so when the pipe behind is free, so that load itself makes the batches grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from ffd.model.message import CONTRACT_INVOKE_PIN
from ffd.store.messages import ReadyMessage

BATCH_SIZE_BASE = 512
"""Bytes that a batch is taken to need beside its messages."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full; `bytes_max` of the size estimate."""

    messages_max: int = 200
    bytes_max: int = 800 * 1024


class HeaderView(msgspec.Struct, frozen=True):
    """Of a stored header, what deciding about its batch takes. Stored texts are canonical and need no checks."""

    author: str = ""
    key: str = ""
    txtype: str = ""
    topics: tuple[str, ...] = ()
    group: str = ""
    cid: str = ""


class Passenger(msgspec.Struct, frozen=True):
    """A message with its header read."""

    message: ReadyMessage
    header: HeaderView

    @property
    def sequence(self) -> int:
        return self.message.sequence


_VIEW = msgspec.json.Decoder(HeaderView)


def boarding(messages: Iterable[ReadyMessage]) -> list[Passenger]:
    """The messages with their headers read."""
    return [Passenger(message, _VIEW.decode(message.header)) for message in messages]


@dataclass(slots=True)
class Assembly:
    """A batch in the making: its passengers in the order they were accepted."""

    passengers: list[Passenger] = field(default_factory=list)
    size: int = BATCH_SIZE_BASE

    def takes(self, passenger: Passenger, limits: BatchLimits) -> bool:
        """May this message travel in this batch?"""
        if len(self.passengers) >= limits.messages_max or self.size + passenger.message.size > limits.bytes_max:
            return False
        first, header = self.passengers[0].header, passenger.header
        return first.key == header.key and first.txtype == header.txtype != CONTRACT_INVOKE_PIN

    def add(self, passenger: Passenger) -> None:
        self.passengers.append(passenger)
        self.size += passenger.message.size


def within_bytes(ready: Sequence[ReadyMessage], limits: BatchLimits) -> Sequence[ReadyMessage]:
    """As many as one batch may hold, and the first one in any case: their values are all in memory at once."""
    size = BATCH_SIZE_BASE
    for count, message in enumerate(ready):
        size += message.size
        if size > limits.bytes_max and count:
            return ready[:count]
    return ready


def assemble(passengers: Iterable[Passenger], limits: BatchLimits) -> list[Assembly]:
    """Batches; no later message of an author to a group is ever in an earlier batch than one before it."""
    batches: list[Assembly] = []
    open_of: dict[tuple[str, str], Assembly] = {}
    for passenger in passengers:
        line = passenger.header.author, passenger.header.group
        batch = open_of.get(line)
        if batch is None or not batch.takes(passenger, limits):
            batch = open_of[line] = Assembly()
            batches.append(batch)
        batch.add(passenger)
    return batches
