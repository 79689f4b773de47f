"""A WebSocket behind three methods: real Unix sockets, trio-websocket's own client, and hostile frames."""

import inspect
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio_websocket
import wsproto
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.events import TextMessage

from ffd.api.sockets import FRAGMENTS_MAX, REASON_BYTES_MAX, Socket, SocketClosed, text_frame
from tests.api.door import LIMITS, Client, Door, open_door, upgrade


@asynccontextmanager
async def open_client(door: Door, target: str = "/ws") -> AsyncGenerator[WebSocketConnection, None]:
    """trio-websocket's client on the door's socket."""
    async with trio.open_nursery() as nursery:
        stream = await trio.open_unix_socket(str(door.path))
        connection = await wrap_client_stream(nursery, stream, "ffd", target)
        yield connection
        with trio.fail_after(2):
            await connection.aclose()


async def open_raw(door: Door, target: str = "/ws") -> Client:
    client = await door.connect()
    await client.say(upgrade(target))
    assert (await client.answer()).status == 101
    return client


def masked(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A client's frame with the mask that changes nothing."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([opcode | 0x80 * final]) + length + bytes(4) + payload


async def test_texts_are_echoed_whatever_their_size(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door, open_client(door) as client:
        assert (b"x-ffd", b"1.2.3") in client.handshake_headers
        for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
            await client.send_message("é" * (size // 2) + "x" * (size % 2))
            assert len((await client.get_message()).encode()) == size  # type: ignore[union-attr]


async def test_the_handler_knows_what_was_asked_and_by_whom(tmp_path: Path) -> None:
    async def tell(socket: Socket) -> None:
        await socket.send_many([socket.path, socket.query, dict(socket.headers)["host"], str(socket.peer.uid is None)])

    async with open_door(tmp_path, websocket=tell) as door, open_client(door, "/ws?a=b&c") as client:
        assert [await client.get_message() for _ in range(4)] == ["/ws", "a=b&c", "ffd", "False"]


def test_a_frame_is_what_wsproto_reads() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536):
        server = wsproto.connection.Connection(wsproto.connection.ConnectionType.SERVER)
        assert text_frame("x" * size) == bytes(server.send(TextMessage(data="x" * size)))


async def test_many_frames_go_in_few_writes_and_arrive_in_order(tmp_path: Path) -> None:
    async def pour(socket: Socket) -> None:
        await socket.send_many([f"{number:05d} {'x' * 200}" for number in range(5000)])
        await socket.send_many([])
        await socket.receive()

    async with open_door(tmp_path, websocket=pour) as door, open_client(door) as client:
        heard = [str(await client.get_message())[:5] for _ in range(5000)]
    assert heard == [f"{number:05d}" for number in range(5000)]


async def test_a_stalled_reader_holds_up_nobody(tmp_path: Path) -> None:
    async def pour(socket: Socket) -> None:
        while True:
            await socket.send_many(["x" * 1000] * 100)

    async with open_door(tmp_path, websocket=pour) as door:
        stalled = await open_raw(door)
        async with trio.open_nursery() as nursery:
            reading = await open_raw(door)
            nursery.start_soon(read_much, reading, 20_000_000)
        assert (await (await door.connect()).get("/")).status == 200
        assert len(stalled.buffer) == 0


async def read_much(client: Client, size: int) -> None:
    while size > 0:
        size -= len(await client.stream.receive_some())


async def test_a_ping_is_answered_while_the_handler_receives(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await open_raw(door)
        for _ in range(1000):
            await client.say(masked(0x9, b"ping"))
            assert await client._exactly(6) == b"\x8a\x04ping"


async def test_a_farewell_is_answered_and_heard(tmp_path: Path) -> None:
    heard: list[SocketClosed] = []

    async def listening(socket: Socket) -> None:
        try:
            await socket.receive()
        except SocketClosed as closed:
            heard.append(closed)
        with pytest.raises(SocketClosed):
            await socket.send_many(["too late"])

    async with open_door(tmp_path, websocket=listening) as door:
        client = await open_raw(door)
        await client.say(masked(0x8, b"\x03\xe8bye"))
        assert await client._exactly(7) == b"\x88\x05\x03\xe8bye"
        assert await client.ended()
    assert [(closed.code, closed.reason) for closed in heard] == [(1000, "bye")]


async def test_a_lost_client_is_1006(tmp_path: Path) -> None:
    heard: list[int] = []

    async def listening(socket: Socket) -> None:
        try:
            await socket.receive()
        except SocketClosed as closed:
            heard.append(closed.code)

    async with open_door(tmp_path, websocket=listening) as door:
        await (await open_raw(door)).stream.aclose()
        while not heard:
            await trio.lowlevel.checkpoint()
    assert heard == [1006]


async def test_a_farewell_takes_its_time_only_whatever_the_client_does(tmp_path: Path) -> None:
    took: list[float] = []
    done = trio.Event()

    async def leave(socket: Socket) -> None:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour, socket)
            await trio.testing.wait_all_tasks_blocked()
            await socket.close(1000, "é" * REASON_BYTES_MAX)
            await socket.close()
        took.append(trio.current_time() - began)
        done.set()

    async def pour(socket: Socket) -> None:
        with pytest.raises(SocketClosed):
            await socket.send_many(["x" * 1_000_000] * 10)

    async with open_door(tmp_path, websocket=leave, limits=replace(LIMITS, close_s=0.1)) as door:
        await open_raw(door)
        await done.wait()
    assert 0.1 <= took[0] < 1


async def test_what_comes_during_a_farewell_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def leave(socket: Socket) -> None:
        await socket.close(1000, "bye")

    async with open_door(tmp_path, websocket=leave) as door:
        client = await open_raw(door)
        assert await client._exactly(7) == b"\x88\x05\x03\xe8bye"
        await client.say(masked(0x9, b"ping") + masked(0x1, b"x" * 5_000_000) + masked(0x8, b"\x03\xe8"))
        assert await client.ended()
    assert [record.message for record in caplog.records] == []


async def test_a_cancelled_write_ends_the_connection(tmp_path: Path) -> None:
    """Half a frame may be out: what comes behind it would be read as its rest."""
    refused: list[int] = []
    done = trio.Event()

    async def give_up(socket: Socket) -> None:
        with trio.move_on_after(0.05):
            await socket.send_many(["x" * 10_000_000])
        try:
            await socket.send_many(["behind"])
        except SocketClosed as closed:
            refused.append(closed.code)
        done.set()

    async with open_door(tmp_path, websocket=give_up) as door:
        client = await open_raw(door)
        await done.wait()
        with pytest.raises((AssertionError, trio.BrokenResourceError)):
            await client._exactly(20_000_000)
    assert refused == [1006] and b"behind" not in client.buffer


FRAMES = {
    "unmasked": (b"\x81\x02hi", {1002}),
    "a reserved bit": (b"\xc1" + masked(1, b"hi")[1:], {1002}),
    "a compressed frame that was never agreed": (b"\xc1\x82\0\0\0\0ab", {1002}),
    "a reserved opcode": (masked(0x3, b"hi"), {1002}),
    "a reserved control opcode": (masked(0xB, b"hi"), {1002}),
    "a fragmented ping": (masked(0x9, b"hi", final=False), {1002}),
    "a long ping": (masked(0x9, b"x" * 126), {1002}),
    "a continuation of nothing": (masked(0x0, b"hi"), {1002}),
    "a text in a text": (masked(0x1, b"hi", final=False) + masked(0x1, b"ho"), {1002}),
    "not UTF-8": (masked(0x1, b"\xff\xfe"), {1007}),
    "a surrogate": (masked(0x1, b"\xed\xa0\x80"), {1007}),
    "UTF-8 cut off": (masked(0x1, b"\xc3"), {1007}),
    "too large": (masked(0x1, b"x" * 1001), {1009}),
    "too large in pieces": (masked(0x1, b"x" * 600, final=False) * 1 + masked(0x0, b"x" * 600), {1009}),
    "too large by its length alone": (b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4) + b"x" * 2000, {1009}),
    "empty pieces without end": (
        masked(0x1, final=False) + masked(0x0, final=False) * (FRAGMENTS_MAX + 10),
        {1009},
    ),
    "much behind what ends it": (masked(0x1, b"x" * 2000) + masked(0x9, b"ping") + masked(0x1, b"x" * 2000), {1009}),
    "a length beyond 63 bits": (b"\x81\xff" + b"\xff" * 8 + bytes(4), {1002, 1009}),
    "a length in too many bytes": (b"\x81\xfe\x00\x02" + bytes(4) + b"hi", {1002}),
    "a close with one byte": (masked(0x8, b"x"), {1002}),
    "a close with a wrong code": (masked(0x8, b"\x00\x01"), {1002}),
    "a close that is not UTF-8": (masked(0x8, b"\x03\xe8\xff"), {1002, 1007}),
}


@pytest.mark.parametrize("frames, codes", FRAMES.values(), ids=FRAMES)
async def test_hostile_frames_end_their_own_connection(
    tmp_path: Path, frames: bytes, codes: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, frame_bytes_max=1000)) as door:
        client, other = await open_raw(door), await open_raw(door)
        await client.say(frames)
        assert (await client._exactly(1)) == b"\x88"
        size = (await client._exactly(1))[0]
        assert int.from_bytes((await client._exactly(size))[:2], "big") in codes
        assert await client.ended()
        await other.say(masked(0x1, b"hi"))
        assert await other._exactly(4) == b"\x81\x02hi"
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize("seed", range(20))
async def test_any_bytes_harm_their_own_connection_only(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    async with open_door(tmp_path, limits=replace(LIMITS, close_s=0.05, linger_s=0.05)) as door:
        other = await open_raw(door)
        for _ in range(20):
            client = await open_raw(door)
            await client.say(masked(rng.randrange(16), rng.randbytes(rng.randrange(9)), final=rng.random() < 0.7))
            await client.say(rng.randbytes(rng.randrange(1, 50)))
            await client.stream.aclose()
        await other.say(masked(0x1, b"hi"))
        assert await other._exactly(4) == b"\x81\x02hi"
    assert [record.message for record in caplog.records] == []


def test_what_is_used_of_trio_websocket_is_still_there() -> None:
    source = inspect.getsource(trio_websocket._impl)
    connection = WebSocketConnection
    handlers = ("_handle_message_event", "_handle_ping_event", "_handle_close_connection_event")
    for name in ("_reader_task", "_get_request", "_abort_web_socket", *handlers):
        assert inspect.iscoroutinefunction(getattr(connection, name))
    for attribute in (
        "_stream",
        "_stream_lock",
        "_message_parts",
        "_message_size",
        "_max_message_size",
        "_close_reason",
        "_reader_running",
        "_recv_channel",
    ):
        assert f"self.{attribute}" in inspect.getsource(connection.__init__)
    assert "async with self._stream_lock:" in inspect.getsource(connection._send)
    assert "self._message_size > self._max_message_size" in inspect.getsource(connection._handle_message_event)
    assert "TextMessage: self._handle_message_event" in source and ConnectionClosed is not None
