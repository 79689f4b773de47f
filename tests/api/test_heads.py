"""Heads and bodies taken strictly: what is refused, and that one request is never read as two."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ffd.api.heads import Chunks, body_of, find_end, forwarded, parse_head
from ffd.api.limits import DoorLimits
from ffd.model.errors import FfdError, Invalid
from tests.api.door import Answer, open_door, request, small_app

LIMITS = DoorLimits()

# Heads, | for a line's end; each is followed by a request for /smuggled.
HOSTILE = {
    "content-length and transfer-encoding": (
        "POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked",
        400,
    ),
    "the other way round": ("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5", 400),
    "two lengths": ("POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6", 400),
    "the same length twice": ("POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 5", 400),
    "a list of lengths": ("POST / HTTP/1.1|Host: a|Content-Length: 5, 5", 400),
    "a length with a sign": ("POST / HTTP/1.1|Host: a|Content-Length: +5", 400),
    "a length below zero": ("POST / HTTP/1.1|Host: a|Content-Length: -5", 400),
    "a length in hex": ("POST / HTTP/1.1|Host: a|Content-Length: 0x5", 400),
    "a length without end": ("POST / HTTP/1.1|Host: a|Content-Length: " + "9" * 40, 400),
    "a length with an underscore": ("POST / HTTP/1.1|Host: a|Content-Length: 1_0", 400),
    "an empty length": ("POST / HTTP/1.1|Host: a|Content-Length:", 400),
    "another coding": ("POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked", 501),
    "a coding spelled to be missed": ("POST / HTTP/1.1|Host: a|Transfer-Encoding: xchunked", 501),
    "two codings": ("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: identity", 501),
    "a coding with a tab": ("POST / HTTP/1.1|Host: a|Transfer-Encoding: \x0bchunked", 400),
    "a coding in HTTP/1.0": ("POST / HTTP/1.0|Host: a|Transfer-Encoding: chunked", 400),
    "a space before the colon": ("POST / HTTP/1.1|Host: a|Content-Length : 5", 400),
    "a space before the name": ("POST / HTTP/1.1| Host: a", 400),
    "a folded line": ("GET / HTTP/1.1|Host: a|X: b| c", 400),
    "a bare line feed": ("GET / HTTP/1.1|Host: a\nX: b", 400),
    "line feeds only": ("GET / HTTP/1.1\nHost: a\n\n", 400),
    "a bare carriage return": ("GET / HTTP/1.1|Host: a|X: b\rc", 400),
    "a zero byte": ("GET / HTTP/1.1|Host: a|X: b\0c", 400),
    "a header without a name": ("GET / HTTP/1.1|Host: a|: b", 400),
    "a header without a colon": ("GET / HTTP/1.1|Host: a|nothing", 400),
    "no host": ("GET / HTTP/1.1|X: a", 400),
    "two hosts": ("GET / HTTP/1.1|Host: a|Host: b", 400),
    "too many headers": ("GET / HTTP/1.1|Host: a" + "|X: y" * 2500, 431),
    "a long head": ("GET / HTTP/1.1|Host: a|X: " + "y" * 70_000, 431),
    "a head without end": ("GET / HTTP/1.1|Host: " + "y" * 200_000, 431),
    "a long target": ("GET /" + "y" * 50_000 + " HTTP/1.1|Host: a", 414),
    "a zero byte in the path": ("GET /a%00 HTTP/1.1|Host: a", 400),
    "a line feed in the path": ("GET /a%0ab HTTP/1.1|Host: a", 400),
    "a broken escape in the path": ("GET /a%zz HTTP/1.1|Host: a", 400),
    "an absolute target": ("GET http://evil/ HTTP/1.1|Host: a", 400),
    "an authority": ("CONNECT evil:80 HTTP/1.1|Host: a", 400),
    "a star": ("GET * HTTP/1.1|Host: a", 400),
    "HTTP/0.9": ("GET /", 400),
    "HTTP/1.2": ("GET / HTTP/1.2|Host: a", 505),
    "HTTP/2": ("PRI * HTTP/2.0", 505),
    "a lower-case version": ("GET / http/1.1|Host: a", 400),
    "two spaces": ("GET  / HTTP/1.1|Host: a", 400),
    "a tab": ("GET\t/ HTTP/1.1|Host: a", 400),
    "a method without end": ("G" * 100 + " / HTTP/1.1|Host: a", 400),
    "a strange method": ('G"T / HTTP/1.1|Host: a', 400),
    "an unknown method": ("BREW / HTTP/1.1|Host: a", 405),
    "TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "up and out": ("GET /../../etc/passwd HTTP/1.1|Host: a", 404),
    "a name in UTF-8": ("GET / HTTP/1.1|Host: a|Xé: b", 400),
}

BODIES = {
    "a size that is none": b"x\r\n",
    "a size with a sign": b"+1\r\na\r\n0\r\n\r\n",
    "a size like 0x1": b"0x1\r\na\r\n0\r\n\r\n",
    "a size with a space": b"1 \r\na\r\n0\r\n\r\n",
    "a size without end": b"0000000000000000001\r\na\r\n0\r\n\r\n",
    "an extension": b"1;a=b\r\na\r\n0\r\n\r\n",
    "a line feed after the size": b"1\na\r\n0\r\n\r\n",
    "more than the size": b"1\r\nabc\r\n0\r\n\r\n",
    "no end": b"1\r\na0\r\n\r\n",
    "a trailer": b"1\r\na\r\n0\r\nX: y\r\n\r\n",
}


def raw(lines: str) -> bytes:
    return (lines.replace("|", "\r\n") + "\r\n\r\n").encode("latin-1", errors="replace")


async def send_and_be_refused(tmp_path: Path, data: bytes) -> Answer:
    """One answer, an error, then the end: what follows in the connection is never taken for a request."""
    seen: list[str] = []
    small = small_app()

    async def app(scope: dict[str, str], receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await small(scope, receive, send)

    async with open_door(tmp_path, app=app) as door:
        client = await door.connect()
        await client.say(data + request("GET", "/smuggled"))
        answer = await client.answer()
        if answer.status not in (404, 405):
            assert answer.headers["connection"] == "close" and answer.headers["x-ffd"] == "1.2.3"
            assert await client.ended()
            assert "/smuggled" not in seen
        assert (await (await door.connect()).get("/")).status == 200
    return answer


@pytest.mark.parametrize("lines, status", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_head_is_refused_and_what_follows_is_not_a_request(
    tmp_path: Path, lines: str, status: int
) -> None:
    answer = await send_and_be_refused(tmp_path, raw(lines))
    assert answer.status == status
    assert answer.code.startswith("FF") and answer.error.isprintable()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_hostile_body_is_refused_and_what_follows_is_not_a_request(tmp_path: Path, body: bytes) -> None:
    head = request("POST", "/length", "Transfer-Encoding: chunked")
    answer = await send_and_be_refused(tmp_path, head + body)
    assert (answer.status, answer.code) == (400, "FFD2002")


async def test_a_later_request_of_a_connection_is_checked_like_the_first(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        for lines, status in HOSTILE.values():
            client = await door.connect()
            await client.say(request("GET", "/") + raw(lines))
            assert [(await client.answer()).status for _ in range(2)] == [200, status]


def test_no_part_of_a_head_is_enough() -> None:
    whole = request("GET", "/x")
    assert [find_end(bytearray(whole[:end]), 0, LIMITS) for end in range(len(whole))] == [None] * len(whole)
    assert find_end(bytearray(whole + b"\nrest"), 0, LIMITS) == len(whole)


def test_a_head_is_forwarded_as_it_came_but_for_offers_of_other_protocols() -> None:
    plain = request("GET", "/x", "Connection: close")
    assert forwarded(parse_head(plain, LIMITS), plain) == plain
    offering = request("GET", "/x", "upGrade: h2c", "Connection: close", "HTTP2-Settings: AAA")
    assert forwarded(parse_head(offering, LIMITS), offering) == plain


def test_header_values_lose_their_margins_only() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nHost:\t a b \t\r\nX:\r\n\r\n", LIMITS)
    assert head.headers == (("host", "a b"), ("x", ""))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_refused(junk: bytes) -> None:
    for data in (junk, b"GET / HTTP/1.1\r\n" + junk, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:" + junk):
        try:
            head = parse_head(data + b"\r\n\r\n", LIMITS)
        except FfdError:
            continue
        assert head.method.isascii() and head.target.startswith(("/", "*"))
        assert body_of(head).done or head.length != 0


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=20), st.lists(st.integers(1, 30)))
def test_a_chunked_body_ends_where_it_ends_however_it_is_cut(
    chunks: list[bytes], follows: bytes, sizes: list[int]
) -> None:
    framed = b"".join(b"%X\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    data, body, buffer, passed = framed + follows, Chunks(), bytearray(), b""
    while not body.done:
        size = sizes.pop() if sizes else len(data)
        buffer += data[:size]
        data = data[size:]
        taken = body.take(buffer)
        passed += bytes(buffer[:taken])
        del buffer[:taken]
    assert passed == framed and body.size == sum(map(len, chunks)) and bytes(buffer) + data == follows


@given(st.binary(max_size=100))
def test_any_bytes_are_chunks_or_refused(junk: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert 0 <= Chunks().take(bytearray(junk)) <= len(junk)
