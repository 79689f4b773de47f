"""The WebSockets that are open now: who is connected, and what each has started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ffd.model.subscription import SubscriptionFilter


@dataclass(frozen=True, slots=True)
class StartedFacts:
    """A subscription that a connection started: `since` in nanoseconds; `name` is empty for an ephemeral one."""

    since: int
    namespace: str
    name: str
    ephemeral: bool
    filter: SubscriptionFilter


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One open WebSocket, as its status shows it."""

    id: str
    address: str
    agent: str
    started: Sequence[StartedFacts]


class LiveSession(Protocol):
    """A session that can say what it is."""

    def facts(self) -> SessionFacts:
        """How it stands now."""


class Sessions:
    """All sessions of this process: never more than the door lets in."""

    def __init__(self) -> None:
        self._live: dict[LiveSession, None] = {}

    @contextmanager
    def holding(self, session: LiveSession) -> Iterator[None]:
        """The session is among the live ones for as long as the block runs."""
        self._live[session] = None
        try:
            yield
        finally:
            del self._live[session]

    def facts(self) -> list[SessionFacts]:
        """All live sessions, the oldest first."""
        return [session.facts() for session in self._live]
