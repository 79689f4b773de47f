"""Which pinned messages may become events now. Plain decisions: no store, no clock.

The rule (FireFly reference 7.4, as intended): a message is dispatched only when every earlier pin on each of its
contexts has been dispatched. Nothing ever overtakes within a context, whether it waits for its payload, its author or
its turn; a rejection takes its turn like a confirmation. So all members that have the same pins and payloads write the
same events for a context in the same order, whatever came first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


class Cause(StrEnum):
    """What a pin waits for; the `subject` of the waiting row names the thing itself."""

    PAYLOAD = "payload"
    """The batch has not come; subject: its id."""
    CONTENT = "content"
    """The batch came, and what it carries did not verify, or it has no message for the pin; subject: its id."""
    MISMATCH = "mismatch"
    """The batch that is here has another hash than the one pinned; subject: its id."""
    AUTHOR = "author"
    """Nobody is known to own the key that signed; subject: the key."""
    BLOB = "blob"
    """A blob of the message has not come; subject: its hash."""
    DEFINITION = "definition"
    """An earlier pin waits where a definition is made that decides about this message; subject: that context."""
    IDENTITY = "identity"
    """The identity that is claimed has a parent that nobody has claimed yet; subject: the parent's id."""
    CLAIM = "claim"
    """An earlier pin of the key that claims an identity may be another claim; subject: the key."""
    GROUP = "group"
    """Nobody has said here who the group of a private message is; subject: its hash."""
    MEMBER = "member"
    """The author of a private message is no member of its group; subject: the author. It goes nowhere, ever."""
    NONCE = "nonce"
    """The pin of a private message is none of its author's: another message used the nonce first, or it looks like
    another member's; subject: the context. It goes nowhere, ever."""
    GAP = "gap"
    """The message of its author that has the nonce before is not on the ledger; subject: the context."""
    ORDER = "order"
    """An earlier pin of one of its contexts waits; subject: that context."""


@dataclass(slots=True)
class Turn:
    """A pinned message whose turn may have come.

    `contexts` pairs each of its contexts with the pin that it holds there. `cause` says what keeps the message itself
    from being dispatched, order apart; None when nothing does.
    """

    contexts: list[tuple[bytes, int]]
    cause: Cause | None = None
    subject: str = ""


T = TypeVar("T", bound="Turn")
FirstWaiting = Callable[[bytes], int | None]
"""The lowest pin that waits on a context, if any does."""


def blocked_by(turn: Turn, first_waiting: FirstWaiting) -> bytes | None:
    """The context on which an earlier pin waits; None when it is this message's turn."""
    for context, pin in turn.contexts:
        first = first_waiting(context)
        if first is not None and first < pin:
            return context
    return None


def take_turns(turns: Iterable[T], first_waiting: FirstWaiting) -> tuple[list[T], list[T]]:
    """Split messages in ledger order into those to dispatch now and those that wait, with the cause noted in each."""
    dispatched: list[T] = []
    waiting: list[T] = []
    left: dict[bytes, int] = {}

    def first(context: bytes) -> int | None:
        # What this page leaves behind is newer than what was left behind before.
        found = first_waiting(context)
        return left.get(context) if found is None else found

    for turn in turns:
        context = blocked_by(turn, first)
        if turn.cause is None and context is not None:
            turn.cause, turn.subject = Cause.ORDER, context.hex()
        if turn.cause is None:
            dispatched.append(turn)
            continue
        waiting.append(turn)
        for context, pin in turn.contexts:
            left.setdefault(context, pin)
    return dispatched, waiting
