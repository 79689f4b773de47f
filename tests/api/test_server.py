"""The door as its clients meet it: real Unix sockets, raw bytes."""

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from ffd.api.sockets import Socket, SocketClosed
from tests.api.door import LIMITS, Client, open_door, request, upgrade


async def test_a_request_is_answered_with_our_version(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        answer = await (await door.connect()).get("/")
    assert (answer.status, answer.body, answer.headers["x-ffd"]) == (200, b'"hello"', "1.2.3")


async def test_a_connection_is_kept_for_many_requests(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        assert [(await client.get("/")).status for _ in range(20)] == [200] * 20


async def test_a_head_may_come_byte_by_byte(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        for _ in range(2):
            for byte in request("POST", "/length", body=b"12345"):
                await client.say(bytes([byte]))
                await trio.lowlevel.checkpoint()
            assert (await client.answer()).body == b"5"


@pytest.mark.parametrize("size", [1, 65_536, 200_000, 1024 * 1024])
async def test_a_body_of_any_allowed_size_arrives_whole(tmp_path: Path, size: int) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        for _ in range(2):
            await client.say(request("POST", "/length", body=b"x" * size))
            assert json.loads((await client.answer()).body) == size


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


async def test_a_chunked_body_arrives_whole_however_it_is_cut(tmp_path: Path) -> None:
    whole = request("POST", "/length", "Transfer-Encoding: chunked") + chunked(b"a" * 300, b"b", b"c" * 70_000)
    async with open_door(tmp_path) as door:
        client = await door.connect()
        for size in (1, 7, 4096, len(whole)):
            for at in range(0, min(len(whole), 400), size):
                await client.say(whole[at : min(at + size, 400)])
            await client.say(whole[400:])
            assert (await client.answer()).body == b"70301"


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(request("GET", "/slow?s=0.05") + request("POST", "/length", body=b"123") + request("GET", "/"))
        assert [(await client.answer()).body for _ in range(3)] == [b'"at last"', b"3", b'"hello"']


async def test_an_app_that_does_not_read_a_body_harms_nobody(tmp_path: Path) -> None:
    """Hypercorn alone stops here for ever: its queue of pieces is full, and the app waits in its answer."""
    async with open_door(tmp_path) as door:
        client = await door.connect()
        for path in ("/deaf", "/nowhere"):
            await client.say(request("POST", path, body=b"x" * 1_000_000))
            assert (await client.answer()).status in (202, 404)
        assert (await client.get("/")).status == 200


async def test_a_client_may_close_its_half_and_still_be_answered(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(request("GET", "/slow?s=0.05") + request("GET", "/"))
        await client.stream.send_eof()
        assert [(await client.answer()).body for _ in range(2)] == [b'"at last"', b'"hello"']
        assert await client.ended()


async def test_continue_is_said_before_the_answer(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(request("POST", "/length", "Expect: 100-continue", "Content-Length: 3"))
        assert (await client._until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await client.say(b"abc")
        assert (await client.answer()).body == b"3"


async def test_an_offer_of_http2_is_ignored(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
        assert (await (await door.connect()).get("/", *offer)).status == 200


async def test_the_app_knows_who_asks(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        who = json.loads((await client.get("/who", "X-FireFly-Request-ID: mine")).body)
        other = json.loads((await client.get("/who", "X-FireFly-Request-ID: \xe9")).body)
    assert who == {"uid": os.getuid(), "pid": os.getpid(), "id": "mine", "caller": "local"}
    assert other["id"].startswith("r")


async def test_a_refusal_of_the_app_is_an_answer(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        refused = await client.get("/refuses")
        assert (refused.status, refused.code) == (409, "FF10430")
        lost = await client.get("/nowhere")
        assert (lost.status, lost.body, lost.headers["x-ffd"]) == (404, b'{"error":"FF10109: Not found"}\n', "1.2.3")


async def test_a_failure_of_the_app_is_logged_once_and_tells_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        failed = await client.get("/fails", "X-FireFly-Request-ID: r-77")
        assert (failed.status, failed.code) == (500, "FFD2012")
        assert "r-77" in failed.error and "secret" not in failed.error
        assert (await client.get("/")).status == 200
    assert [record.message for record in caplog.records] == ["request r-77 failed"]


async def test_an_answer_that_breaks_off_is_cut_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(request("GET", "/breaks-off"))
        with pytest.raises(AssertionError, match="the door closed"):
            await client.answer()
    assert len(caplog.records) == 1


async def test_an_app_that_speaks_bare_asgi_may_raise_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        raise ValueError("secret")

    async with open_door(tmp_path, app=app) as door:
        assert (await (await door.connect()).get("/")).code == "FFD2012"
    assert len(caplog.records) == 1


async def test_one_connection_more_than_allowed_is_told_so(tmp_path: Path) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, connections_max=2)) as door:
        first, second = await door.connect(), await door.connect()
        assert (await first.get("/")).status == (await second.get("/")).status == 200
        third = await door.connect()
        refused = await third.answer()
        assert (refused.status, refused.code, refused.headers["x-ffd"]) == (503, "FFD2008", "1.2.3")
        assert await third.ended()
        await first.stream.aclose()
        while (await (await door.connect()).get("/")).status == 503:
            await trio.lowlevel.checkpoint()
        assert (await second.get("/")).status == 200


async def test_a_client_that_went_away_leaves_its_place_at_once(tmp_path: Path) -> None:
    """Hypercorn alone keeps it until the idle timeout."""
    async with open_door(tmp_path, limits=replace(LIMITS, connections_max=1)) as door:
        for _ in range(3):
            with trio.fail_after(1):
                client = await door.connect()
                while (await client.get("/")).status != 200:
                    client = await door.connect()
            await client.stream.aclose()


async def test_a_slow_head_is_told_and_an_empty_connection_just_closed(tmp_path: Path, autojump_clock: object) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, header_timeout_s=0.1)) as door:
        silent, slow, later = await door.connect(), await door.connect(), await door.connect()
        await slow.say("GET / HTTP/1.1\r\nHo")
        assert (await later.get("/")).status == 200
        await later.say("GET")
        assert [(await client.answer()).code for client in (slow, later)] == ["FF00166"] * 2
        assert await silent.ended() and await slow.ended() and await later.ended()


async def test_an_idle_connection_is_closed(tmp_path: Path, autojump_clock: object) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, idle_s=0.1)) as door:
        client = await door.connect()
        assert (await client.get("/slow?s=0.3")).status == 200
        assert await client.ended()


async def test_a_body_that_stops_is_told_and_one_that_flows_is_not(tmp_path: Path, autojump_clock: object) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, body_grace_s=0.2, body_rate_min=100)) as door:
        stopped, flowing = await door.connect(), await door.connect()
        head = request("POST", "/length", "Content-Length: 100")
        await stopped.say(head + b"x")
        await flowing.say(head)
        for _ in range(10):
            await flowing.say(b"x" * 10)
            await trio.sleep(0.05)
        assert (await flowing.answer()).body == b"100"
        late = await stopped.answer()
        assert (late.status, late.code) == (408, "FF00166")


async def test_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(request("POST", "/length", "Content-Length: 104857600"))
        refused = await client.answer()
        assert (refused.status, refused.code, refused.headers["connection"]) == (413, "FFD2007", "close")
        assert await client.ended()


async def test_a_client_that_writes_first_and_reads_later_hears_of_its_413(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        for framing in ("Content-Length: 8000000", "Transfer-Encoding: chunked"):
            client = await door.connect()
            body = chunked(b"x" * 8_000_000) if "chunked" in framing else b"x" * 8_000_000
            await client.say(request("POST", "/length", framing) + body)
            assert (await client.answer()).status == 413


async def test_bodies_in_flight_have_a_bound_together(tmp_path: Path) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, bodies_bytes_max=1500)) as door:
        first, second = await door.connect(), await door.connect()
        await first.say(request("POST", "/length", "Content-Length: 1000") + b"x" * 999)
        await second.say(request("POST", "/length", "Transfer-Encoding: chunked") + chunked(b"x" * 1000))
        refused = await second.answer()
        assert (refused.status, refused.code) == (503, "FFD2013")
        await first.say(b"x")
        assert (await first.answer()).body == b"1000"
        for _ in range(3):
            await first.say(request("POST", "/length", "Transfer-Encoding: chunked") + chunked(b"x" * 1400))
            assert (await first.answer()).body == b"1400"


async def test_a_reader_that_stalls_holds_up_nobody_and_is_cut(tmp_path: Path, autojump_clock: object) -> None:
    async with open_door(tmp_path, limits=replace(LIMITS, send_timeout_s=0.3)) as door:
        stalled, other = await door.connect(), await door.connect()
        await stalled.say(request("GET", "/stream?n=1000"))
        assert [(await other.get("/")).status for _ in range(10)] == [200] * 10
        await trio.sleep(0.5)
        with pytest.raises((AssertionError, trio.BrokenResourceError)):
            await stalled.answer()


async def test_at_a_stop_requests_in_flight_finish_and_idle_connections_end(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with open_door(tmp_path) as door:
        busy, idle, fresh = await door.connect(), await door.connect(), await door.connect()
        assert (await idle.get("/")).status == 200
        await busy.say(request("GET", "/slow?s=0.3"))
        await trio.sleep(0.1)
        door.stop()
        with trio.CancelScope(shield=True), trio.fail_after(1):
            assert (await busy.answer()).body == b'"at last"'
            assert await idle.ended() and await fresh.ended() and await busy.ended()


async def test_a_stop_ends_in_time_whatever_clients_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async def stubborn(socket: Socket) -> None:
        await socket.send_many(["x" * 100_000] * 100)

    began = trio.current_time()
    async with open_door(tmp_path, websocket=stubborn, limits=replace(LIMITS, drain_s=0.5)) as door:
        clients = [await door.connect() for _ in range(5)]
        await clients[0].say(request("GET", "/slow?s=60"))
        await clients[1].say(request("GET", "/stream?n=1000"))
        await clients[2].say(request("POST", "/length", "Content-Length: 10") + b"x")
        await clients[3].say(upgrade())
        await clients[4].say("GET / HT")
        await trio.sleep(0.2)
    assert trio.current_time() - began < 2
    assert [record.message for record in caplog.records] == []


async def test_websockets_are_told_that_ffd_is_going_away(tmp_path: Path) -> None:
    heard: list[SocketClosed] = []

    async def listening(socket: Socket) -> None:
        try:
            await socket.receive()
        except SocketClosed as closed:
            heard.append(closed)
            raise

    async with open_door(tmp_path, websocket=listening) as door:
        client = await door.connect()
        await client.say(upgrade())
        assert (await client.answer()).status == 101
        door.stop()
        with trio.CancelScope(shield=True), trio.fail_after(1):
            assert await client._exactly(2 + 2 + len(b"ffd is stopping")) == b"\x88\x11\x03\xe9ffd is stopping"
    assert len(heard) == 1


async def test_a_websocket_may_follow_on_a_kept_connection(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        assert (await client.get("/")).status == 200
        await client.say(request("GET", "/slow?s=0.05") + upgrade("/api/v1/namespaces/ns1/ws"))
        assert (await client.answer()).body == b'"at last"'
        opened = await client.answer()
        assert (opened.status, opened.headers["x-ffd"]) == (101, "1.2.3")
        await speak(client, "hello")


async def test_frames_right_behind_the_upgrade_are_not_lost(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(upgrade("/ws?x=y", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=abc"))
        await speak(client, "early", opened=False)


async def speak(client: Client, text: str, *, opened: bool = True) -> None:
    """Send one masked text frame and take its echo."""
    await client.say(b"\x81" + bytes([0x80 | len(text), 0, 0, 0, 0]) + text.encode())
    if not opened:
        answer = await client.answer()
        assert answer.status == 101 and "sec-websocket-extensions" not in answer.headers
    assert await client._exactly(2 + len(text)) == bytes([0x81, len(text)]) + text.encode()


HANDSHAKES = {
    "not an upgrade": (request("GET", "/ws"), 426, "FFD2009"),
    "not an upgrade, of a namespace": (request("GET", "/api/v1/namespaces/a/ws?x"), 426, "FFD2009"),
    "another version": (upgrade().replace(b"Version: 13", b"Version: 8"), 426, "FFD2009"),
    "no key": (upgrade().replace(b"Sec-WebSocket-Key", b"X-Key"), 400, "FFD2010"),
    "a short key": (upgrade().replace(b"dGhl", b""), 400, "FFD2010"),
    "two keys": (upgrade("/ws", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "FFD2010"),
    "a body": (upgrade("/ws", "Content-Length: 1") + b"x", 400, "FFD2010"),
    "another method": (upgrade().replace(b"GET", b"PUT"), 400, "FFD2010"),
    "not here": (upgrade("/"), 200, ""),
    "nowhere": (upgrade("/api/v1/ws"), 404, "FF10109"),
}


@pytest.mark.parametrize("handshake, status, code", HANDSHAKES.values(), ids=HANDSHAKES)
async def test_what_is_no_handshake_is_refused_cleanly(
    tmp_path: Path, handshake: bytes, status: int, code: str
) -> None:
    async with open_door(tmp_path) as door:
        client = await door.connect()
        await client.say(handshake)
        answer = await client.answer()
        assert answer.status == status and code in answer.body.decode()
        assert status != 426 or answer.headers["upgrade"] == "websocket"


async def test_a_handler_that_fails_harms_its_own_socket_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def touchy(socket: Socket) -> None:
        while True:
            message = await socket.receive()
            if message == "boom":
                raise ZeroDivisionError("secret")
            await socket.send_many([str(message)])

    async with open_door(tmp_path, websocket=touchy) as door:
        one, other = await door.connect(), await door.connect()
        await one.say(upgrade())
        await other.say(upgrade())
        assert (await one.answer()).status == (await other.answer()).status == 101
        await one.say(b"\x81\x84\0\0\0\0boom")
        assert await one._exactly(4) == b"\x88\x02\x03\xf3"
        await speak(other, "still here")
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(logging.ERROR, True)]
