"""The exchange of a node alone: it reaches its own namespaces, and says of everybody else that it does not."""

from __future__ import annotations

import pytest
import trio

from ffd.model.errors import Away
from ffd.plugins.exchange.loopback import LoopbackExchange
from ffd.ports.exchange import Route
from tests.plugins.exchanges import NETWORK, PIECE_BYTES, Blob, Mailbox, Node, Register, wrapper

CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def alone(nursery: trio.Nursery) -> Node:
    return Node("node0", LoopbackExchange("local", "org0-node0"), Register(), Mailbox(), nursery)


async def test_what_a_node_sends_to_itself_comes(alone: Node) -> None:
    with pytest.raises(Away, match="FFD4402"):
        await alone.send(alone, "tea")
    await alone.listen()
    await alone.send(alone, "tea")
    await alone.send_blob(alone, Blob(CONTENT))
    assert alone.got() == [wrapper("tea")]
    assert alone.mailbox.blobs[0][2] == CONTENT


async def test_a_blob_goes_on_where_it_was(alone: Node) -> None:
    await alone.listen()
    with pytest.raises(Away):
        await alone.send_blob(alone, Blob(CONTENT, fails_at=2 * PIECE_BYTES))
    await alone.send_blob(alone, Blob(CONTENT))
    assert alone.mailbox.offsets == [0, 2 * PIECE_BYTES]


async def test_nobody_else_is_reached(alone: Node) -> None:
    await alone.listen()
    with pytest.raises(Away, match="FFD4401: exchange local reaches no other node, so org1-node1/node1 gets nothing"):
        await alone.exchange.send_message(Route(NETWORK, alone.profile.id, "org1-node1/node1"), wrapper("tea"))


async def test_it_needs_no_network_and_publishes_none(alone: Node) -> None:
    assert (alone.profile.id, alone.profile.endpoint, alone.profile.certificates) == ("org0-node0/node0", "", "")
