"""What a definition is, and what its handlers work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ffd.inbound.verdict import Verdict
from ffd.model.event import TOPIC_DEFINITION
from ffd.model.namespace import Namespace
from ffd.store import Transaction
from ffd.store.events import NewEvent
from ffd.world import World


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition whose turn has come: `pin` is its first one, `value` the text of what it says.

    `id` is that of its message as text, `message` the same raw.
    """

    id: str
    message: bytes
    hash: bytes
    author: str
    key: str
    topics: tuple[str, ...]
    pin: int
    tx: bytes
    value: str

    def belongs_on(self, topic: str) -> bool:
        """Is it said on this topic and no other? Elsewhere it would be in no order with its kind."""
        return self.topics == (topic,)


@dataclass(frozen=True, slots=True)
class Office:
    """One transaction of the aggregator, as the handlers see it.

    `tell` adds an event before those of the message; `forget_authors` says that other identities are known now.
    """

    tx: Transaction
    world: World
    namespace: Namespace
    now: int
    tell_event: Callable[[NewEvent], object]
    forget_authors: Callable[[], object]

    @property
    def number(self) -> int:
        return self.namespace.number

    def tell(self, type: str, reference: bytes, tx: bytes | None = None) -> None:
        """Tell of something that is defined now."""
        self.tell_event(
            NewEvent(self.world.new_id(), self.number, type, reference, None, tx, TOPIC_DEFINITION, self.now)
        )


def rejected(code: str, text: str) -> Verdict:
    """A rejection with FireFly's code and text (reference 7.7)."""
    return Verdict(f"{code}: {text}")
