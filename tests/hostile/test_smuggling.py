"""Heads that two programs would read in two ways, and what speaks another protocol."""

from __future__ import annotations

import pytest

from tests.hostile.target import BROADCAST, Target
from tests.hostile.wire import ask, request, upgrade

CHUNKED = request("POST", BROADCAST, "Transfer-Encoding: chunked")
GET = request("GET", "/smuggled", "Connection: close")
SMUGGLING: dict[str, tuple[int, bytes]] = {
    "both lengths": (400, request("POST", BROADCAST, "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n"),
    "both, the other way": (
        400,
        request("POST", BROADCAST, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ),
    "two lengths": (400, request("POST", BROADCAST, "Content-Length: 0", "Content-Length: 44")),
    "a list of lengths": (400, request("POST", BROADCAST, "Content-Length: 0, 44")),
    "a length too large for its bytes": (400, request("POST", BROADCAST, "Content-Length: 500") + b"{}"),
    "a length with a plus": (400, request("POST", BROADCAST, "Content-Length: +5")),
    "a hidden coding": (400, request("POST", BROADCAST, "Transfer-Encoding\x00: chunked")),
    "a coding by tab": (501, request("POST", BROADCAST, "Transfer-Encoding: \tchunked, identity")),
    "a coding folded": (400, request("POST", BROADCAST, "Transfer-Encoding:", " chunked")),
    "gzip, chunked": (501, request("POST", BROADCAST, "Transfer-Encoding: gzip, chunked")),
    "chunked twice": (501, request("POST", BROADCAST, "Transfer-Encoding: chunked, chunked")),
    "a chunk extension": (400, CHUNKED + b"1;x=y\r\na\r\n0\r\n\r\n"),
    "a chunk size of 2^64": (400, CHUNKED + b"1" + b"0" * 16 + b"\r\n"),
    "a chunk that lies": (400, CHUNKED + b"2\r\nabc\r\n0\r\n\r\n"),
    "a trailer": (400, CHUNKED + b"0\r\nX: y\r\n\r\n"),
    "a bare line feed": (400, b"GET / HTTP/1.1\nHost: localhost\n\n"),
    "a bare carriage return": (400, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n"),
    "a space before the colon": (400, request("GET", "/", "Content-Length : 5")),
    "a request in the host": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "an absolute target": (400, b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "CONNECT": (400, b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "TRACE": (405, request("TRACE", "/livez")),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    "an offer of HTTP/2 with a body": (
        200,
        request("GET", "/livez", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    ),
    "HTTP/0.9": (400, b"GET /livez\r\n\r\n"),
    "HTTP/3.0": (505, b"GET /livez HTTP/3.0\r\nHost: localhost\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    "SSH": (400, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "Redis": (400, b"*1\r\n$4\r\nPING\r\n\r\n"),
    "a proxy's greeting": (400, b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n\r\n"),
    "a thousand headers": (431, request("GET", "/livez", *(f"X-{n}: y" for n in range(1000)))),
    "a header of a megabyte": (431, request("GET", "/livez", "X: " + "y" * 1_000_000)),
    "a method of a megabyte": (431, b"G" * 1_000_000 + b" / HTTP/1.1\r\n\r\n"),
    "a target of a megabyte": (431, request("GET", "/" + "a" * 1_000_000)),
    "a target of fifty kilobytes": (414, request("GET", "/" + "a" * 50_000)),
    "another host": (403, request("GET", "/livez", host="evil.example.com")),
    "no host": (400, b"GET /livez HTTP/1.1\r\n\r\n"),
    "another origin": (403, request("POST", BROADCAST, "Origin: https://evil.example.com", body=b"{}")),
    "an upgrade with a body": (400, upgrade("/ws", "Content-Length: 5") + b"hello"),
    "an upgrade in chunks": (400, upgrade("/ws", "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "an upgrade by POST": (400, upgrade().replace(b"GET", b"POST", 1)),
    "an upgrade in HTTP/1.0": (400, upgrade().replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    "an upgrade of another version": (426, upgrade().replace(b"Version: 13", b"Version: 12")),
    "an upgrade without a key": (400, upgrade().replace(b"Sec-WebSocket-Key", b"X-Key")),
    "an upgrade from another origin": (403, upgrade("/ws", "Origin: https://evil.example.com")),
    "an upgrade to two protocols": (426, upgrade("/ws", "Upgrade: h2c")),
    "an upgrade elsewhere": (404, upgrade("/api/v1/nowhere")),
}  # fmt: skip


@pytest.mark.parametrize("status, data", SMUGGLING.values(), ids=SMUGGLING)
def test_what_can_be_read_in_two_ways_is_refused_and_its_rest_is_no_request(
    target: Target, status: int, data: bytes
) -> None:
    for where in target.doors:
        if status == 403 and not isinstance(where, tuple):
            continue  # on the socket any name will do, and no page gets there
        heard = ask(where, data + GET, within_s=20)
        assert not heard.open and heard.status == status, heard.raw[:300]
        assert status in (0, 200) or heard.code.startswith("FF")
        if status not in (200, 404, 405, 426):
            assert len(heard.statuses) <= 1, "what came behind it is no request"
