"""A data exchange: bring private messages and blobs to the nodes of other members, and take in what they send.

Only what is private goes this way, from one node to another and past everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import msgspec
import trio

from ffd.model.canonical import canonical_json
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


def profile_json(profile: PeerProfile) -> str:
    """The profile that a node's identity is given."""
    fields = {"id": profile.id, "endpoint": profile.endpoint, "cert": profile.certificates}
    return canonical_json(msgspec.json.encode(fields))


@dataclass(frozen=True, slots=True)
class Route:
    """In which namespace, by the network's name, and from which node to which: as the `id` of their profiles there.

    A node is known in one namespace at a time: in another, the same id may be a stranger's.
    """

    namespace: str
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A blob on its way: the 16-byte id of the data item it belongs to.

    Whoever sends says its SHA-256 and its size in bytes; what comes from FireFly's own exchange says neither.
    """

    data: bytes
    hash: bytes | None = None
    size: int | None = None


class Peers(Protocol):
    """The nodes that are registered in the namespaces of an exchange; asked anew each time, since profiles change."""

    def find(self, namespace: str, id: str) -> PeerProfile | None:
        """The profile of a node by its `id`, in the namespace of this name in its network."""

    def all(self) -> Sequence[PeerProfile]:
        """All profiles of all namespaces, of nodes here too."""


class Receiver(Protocol):
    """Who takes in what others send. When a call returns, what it took is on disk: the sender may forget it.

    The sender has proved that it is `route.sender` in that namespace. Raises Away or Full (it shall try again),
    NotFound when nobody here is `route.recipient`, and Invalid for what can never be taken.
    """

    async def take_message(self, route: Route, message: bytes) -> None:
        """Take the text of a transport wrapper (FireFly reference 6.4), whose batch is of `route.namespace`."""

    async def blob_offset(self, route: Route, transfer: Transfer) -> int:
        """How many bytes of the blob are here from a try that broke off: the sender may begin after them."""

    async def take_blob(self, route: Route, transfer: Transfer, source: Source, *, offset: int) -> None:
        """Take what follows the first `offset` bytes of a blob. Raises Away when it has not kept just so many.

        When the source raises, what came before is kept if it can be, so that the next try begins there.
        """


class Exchange(Protocol):
    """The contract of an exchange plugin. It is opened with the `Peers` that it may speak with.

    What is sent to one recipient by calls that follow each other arrives in that order; calls that are made at the same
    time have none. A call returns when the recipient has what was sent on its disk. It may arrive more than once: whose
    call failed cannot know whether it did.

    Raises Invalid when the recipient refuses this one thing. All else lies between two nodes and may heal, from a
    cable to a certificate or a profile that nobody knows yet: it raises Away or Full, try again. So what is behind it
    for the same recipient need not be tried before.
    """

    name: str
    plugin: str

    def profile(self, node: str) -> PeerProfile:
        """What the node of this name has to publish so that others can reach it here."""

    async def serve(
        self, receiver: Receiver, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Take in what comes until cancelled; started when what is sent here arrives.

        Only registered peers are heard, and only as who they proved to be.
        """

    async def send_message(self, route: Route, message: bytes) -> None:
        """Bring the text of a transport wrapper to a node."""

    async def send_blob(self, route: Route, transfer: Transfer, source: Source) -> None:
        """Bring a blob to a node, from where an earlier try broke off. The source is read from its start, and once."""
