"""A data exchange: bring private messages and blobs to the nodes of other members, and take in what they send.

Only what is private goes this way, from one node to another and past everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from ffd.ports.sharedstorage import Source


@dataclass(frozen=True, slots=True)
class PeerProfile:
    """What a node tells all members of its exchange, in the profile of its identity (FireFly reference 6.5).

    `id` names it among all peers, with the node's name behind a slash (`peer/node`). `endpoint` is where it can be
    reached. `certificates` are those it may prove itself with, PEM, one behind the other: more than one while one of
    them follows another.
    """

    id: str
    endpoint: str
    certificates: str


@dataclass(frozen=True, slots=True)
class Route:
    """From which node to which: both as the `id` of their profiles."""

    sender: str
    recipient: str


PeerOf = Callable[[str], PeerProfile | None]
"""The profile of a node that is registered, by the `id` in it; asked anew each time, since profiles change."""


class Receiver(Protocol):
    """Who takes in what others send. When a call returns, what it took is on disk: the sender may forget it.

    The sender has proved that it is `route.sender`. Raises Away or Full (it shall try again), NotFound when nobody here
    is `route.recipient`, and Invalid for what can never be taken.
    """

    async def take_message(self, route: Route, message: bytes) -> None:
        """Take the text of a transport wrapper (FireFly reference 6.4)."""

    async def take_blob(self, route: Route, namespace: str, data: bytes, source: Source) -> None:
        """Take a blob: the network's name of the namespace, and the 16-byte id of the data item that it belongs to."""


class Exchange(Protocol):
    """The contract of an exchange plugin.

    What is sent to one recipient by calls that follow each other arrives in that order; calls that are made at the same
    time have none. A call returns when the recipient has what was sent on its disk. It may arrive more than once: whose
    call failed cannot know whether it did. Raises Away or Full (try again), and Invalid when the recipient refuses it
    or nobody knows the recipient's profile.
    """

    name: str
    plugin: str

    def profile(self, node: str) -> PeerProfile:
        """What the node of this name has to publish so that others can reach it here."""

    async def serve(self, receiver: Receiver, peer_of: PeerOf) -> NoReturn:
        """Take in what comes until cancelled; what is not asked to be sent in this time waits for it.

        Only peers whose profile `peer_of` knows are heard, and only as who they proved to be.
        """

    async def send_message(self, route: Route, message: bytes) -> None:
        """Bring the text of a transport wrapper to a node."""

    async def send_blob(self, route: Route, namespace: str, data: bytes, source: Source, *, size: int) -> None:
        """Bring a blob of `size` bytes to a node. The source is read from its start, and once."""
