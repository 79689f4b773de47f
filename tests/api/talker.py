"""An app at a node's WebSocket: it says frames, and hears them one by one."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.api.rest import Node

Json = dict[str, Any]
PATIENCE_S = 20
CONFIRMED = {"events": "message_confirmed"}


class Talker:
    """One connection; `heard` is all that came, in order."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self.heard: list[Json] = []

    async def say(self, type: str, **fields: Any) -> None:
        """Send a frame of this type."""
        await self.say_raw(json.dumps({"type": type} | fields))

    async def say_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self.connection.send_message(frame)

    async def hear(self) -> Json:
        """The next frame."""
        with trio.fail_after(PATIENCE_S):
            frame = await self.connection.get_message()
        assert isinstance(frame, str) and frame.endswith("\n") and frame.count("\n") == 1, "one object, one line"
        self.heard.append(json.loads(frame))
        return self.heard[-1]

    async def hear_values(self, count: int) -> list[Any]:
        """The values in the next `count` events, which have to be messages with their data."""
        events = [await self.hear() for _ in range(count)]
        return [event["message"]["data"][0]["value"] for event in events]

    async def ack(self, event: Json) -> None:
        """Acknowledge an event or batch, naming its subscription."""
        await self.say("ack", id=event["id"], subscription=event["subscription"])

    async def take(self) -> Any:
        """The value of the next message, acknowledged."""
        (value,) = await self.hear_values(1)
        await self.ack(self.heard[-1])
        return value

    async def start(self, name: str, **more: Any) -> None:
        """Start a durable subscription in the default namespace."""
        await self.say("start", namespace="default", name=name, **more)

    async def follow(self, filter: Json = CONFIRMED, **options: Any) -> None:
        """Start an ephemeral subscription from the oldest event, for messages with their data."""
        options = {"firstEvent": "oldest", "withData": True} | options
        await self.say("start", namespace="default", ephemeral=True, filter=filter, options=options)

    async def send(self, *messages: Any, id: str = "1", **more: Any) -> Json:
        """Send messages, each a value or a whole one; the reply."""
        await self.say("send", id=id, messages=[_message(each) for each in messages], **more)
        return await self.hear()

    async def refused(self) -> str:
        """The error that ends the connection, without its wrapper."""
        frame = await self.hear()
        assert frame["type"] == "protocol_error", frame
        await self.ended()
        wrapper = "FF10176: Invalid data: "
        assert frame["error"].startswith(wrapper), frame
        return str(frame["error"].removeprefix(wrapper))

    async def ended(self) -> int:
        """Wait until the node closes the connection; the code."""
        with trio.fail_after(PATIENCE_S), pytest.raises(ConnectionClosed) as closed:
            await self.connection.get_message()
        return int(closed.value.reason.code)  # type: ignore[union-attr]  # always there by now


def _message(each: Any) -> Json:
    return each if isinstance(each, dict) else {"data": [{"value": each}]}


@asynccontextmanager
async def open_talker(node: Node, target: str = "/ws") -> AsyncGenerator[Talker, None]:
    """A connection to the node until the block ends."""
    stream = await trio.open_unix_socket(str(node.socket))
    async with trio.open_nursery() as nursery:
        try:
            connection = await wrap_client_stream(nursery, stream, "ffd", target)
            yield Talker(connection)
            with trio.fail_after(PATIENCE_S):
                await connection.aclose()
        finally:
            await trio.aclose_forcefully(stream)


async def subscribe(node: Node, name: str, *, filter: Json = CONFIRMED, **options: Any) -> Json:
    """Create a durable subscription from the oldest event; the subscription."""
    options = {"firstEvent": "oldest", "withData": True} | options
    answer = await node.send("POST", "subscriptions", {"name": name, "filter": filter, "options": options})
    assert answer.status == 201, answer.body
    found: Json = json.loads(answer.body)
    return found
