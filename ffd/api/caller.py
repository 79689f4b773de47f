"""Who asks, as the door knows it, and the two refusals that depend on it: not known, and not allowed."""

from collections.abc import Sequence
from dataclasses import dataclass

from ffd.model.errors import Invalid


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody at the door: `name` is for the log, `namespaces` are those it may use, None for the whole node."""

    name: str
    namespaces: frozenset[str] | None = None

    def may_use(self, namespace: str) -> bool:
        """May it see and do what a namespace has?"""
        return self.namespaces is None or namespace in self.namespaces

    def check(self, namespace: str) -> None:
        """Raises Invalid FF00170 (403) unless it may use the namespace."""
        if not self.may_use(namespace):
            raise forbidden(f"{self.name} may not use namespace '{namespace[:64]}'")

    def check_node(self) -> None:
        """Raises Invalid FF00170 (403) unless it may use the whole node."""
        if self.namespaces is not None:
            raise forbidden(f"{self.name} may only use its own namespaces")


LOCAL = Caller("local")
"""Whoever the mode of the Unix socket lets in, or anybody at a port that is open to this machine."""
NOBODY = Caller("nobody", frozenset())
"""Who has not said who it is, where that is not asked."""


class Unauthorised(Invalid):
    """FF00169, 401: nobody we know; `headers` say how to tell who one is (RFC 9110 11.6.1)."""

    def __init__(self, why: str, challenges: Sequence[str]) -> None:
        super().__init__("FF00169", f"Unauthorized: {why}")
        self.headers = tuple(("WWW-Authenticate", each) for each in challenges)


def forbidden(why: str) -> Invalid:
    """FF00170, 403: known, but not allowed."""
    return Invalid("FF00170", f"Forbidden: {why}")
