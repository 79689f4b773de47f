"""Valid requests and frames, altered at random: each is answered by a status that says something, or hung up on.

`FFD_SEEDS=1000 python -m pytest tests/hostile/test_mutations.py` does as much as one has time for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import pytest

from ffd.api.app import ROUTES
from tests.hostile.target import API, BROADCAST, SUBSCRIPTIONS, Target
from tests.hostile.wire import Heard, ask, close_code, frame, request, upgrade

ALTERED = 200
"""Requests of one seed, and a quarter as many conversations."""
WAIT_S = 30.0
ID = "00000000-0000-4000-8000-000000000001"
FINE = {100, 101, 200, 201, 202, 204, 500, 501, 503, 505} | set(range(400, 500))
"""All that ffd may say to what it was never meant to hear; 500 only with a code that FireFly has for the case."""
OURS = b"FFD2012"
"""A failure of ours."""

MESSAGE = {
    "header": {"topics": ["a", "b"], "tag": "t", "cid": ID, "author": "did:firefly:org/org0"},
    "data": [{"value": {"n": 1.5, "s": "\u00e9\ud83d\ude00"}}, {"value": [None, True]}],
    "idempotencyKey": "k",
}
SUBSCRIPTION = {
    "name": "mutant",
    "filter": {"events": "message_.*", "topic": "^a", "message": {"tag": "t|u"}},
    "options": {"firstEvent": "oldest", "readAhead": 5, "batch": True, "batchTimeout": "50ms", "withData": False},
}
FORM = (
    b'--B\r\nContent-Disposition: form-data; name="autometa"\r\n\r\ntrue\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nhello'
    b"\r\n--B--\r\n"
)
WORDS = (
    b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"\xff", b"\xc0\xaf", b"%00", b"%2e%2e", b"%2f", b"../", b"[" * 50, b"{" * 50,
    b'"', b"\\u0000", b"\\ud800", b"1e999", b"-1", b"99999999999999999999", b"null", b"NaN", b"true", b"''", b"';--",
    b"(a+)+$", b"Content-Length: 0\r\n", b"Content-Length: 99\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
    b"ffffffff\r\n", b"Host: x\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\x16\x03\x01", b"A" * 3000, b"\xef\xbb\xbf",
    b"&limit=0", b"?count&", b"=>", b"Request-Timeout: 1\r\n", b"Content-Type: text/plain\r\n",
    b"multipart/form-data; boundary=B", b"--B\r\n", b"--B--",
)  # fmt: skip


def json_request(method: str, target: str, value: object) -> bytes:
    return request(method, target, "Request-Timeout: 2", body=json.dumps(value).encode())


def templates() -> list[bytes]:
    """A good request for every route."""
    paths = sorted({(route.method, route.paths[-1]) for route in ROUTES if route.method in ("GET", "DELETE")})
    found = [
        request(method, _filled(path) + "?count&limit=2&sort=-created&id=" + ID, "Request-Timeout: 2")
        for method, path in paths
    ]
    found += [
        json_request("POST", f"{BROADCAST}?confirm", MESSAGE),
        json_request("POST", BROADCAST, {"data": [{"value": "x"}]}),
        json_request("POST", SUBSCRIPTIONS, SUBSCRIPTION),
        json_request("PUT", SUBSCRIPTIONS, SUBSCRIPTION),
        json_request("POST", f"{API}/data", {"value": {"a": 1}, "validator": "json"}),
        json_request("POST", f"{API}/pins/rewind", {"sequence": 1}),
        json_request("POST", f"{API}/messages/private", MESSAGE | {"group": {"members": [{"identity": "org0"}]}}),
        json_request("POST", f"{API}/datatypes", {"name": "d", "version": "1", "value": {"type": "object"}}),
        json_request("POST", f"{API}/identities", {"name": "i", "parent": "did:firefly:org/org0", "key": "x"}),
        json_request("POST", f"{API}/verifiers/resolve", {"value": "x"}),
        json_request("POST", f"{API}/network/action", {"type": "terminate"}),
        json_request("POST", f"{API}/operations/{ID}/retry", {}),
        request("POST", f"{API}/data", "Content-Type: multipart/form-data; boundary=B", body=FORM),
        request("POST", BROADCAST, "Content-Type: application/json", "Transfer-Encoding: chunked")
        + b'1a\r\n{"data":[{"value":"hello"}]\r\n1\r\n}\r\n0\r\n\r\n',
        request("OPTIONS", BROADCAST, "Origin: http://localhost", "Access-Control-Request-Method: POST"),
        upgrade("/ws?namespace=default&ephemeral&autoack&filter.topic=a"),
    ]
    return found


def _filled(path: str) -> str:
    for name in ("{id}", "{hash}", "{ns}", "{name}", "{version}"):
        path = path.replace(name, {"{id}": ID, "{hash}": "ab" * 32, "{ns}": "default"}.get(name, "x1"))
    return path.replace("{parent:path}", "a").replace("{collection}", "messages")


CONVERSATIONS: list[list[dict[str, object]]] = [
    [{"type": "start", "namespace": "default", "ephemeral": True, "filter": {"events": ".*"}, "options": {}}],
    [{"type": "start", "namespace": "default", "name": "mutant", "autoack": False}, {"type": "ack"}],
    [{"type": "send", "id": "1", "messages": [MESSAGE, {"data": [{"value": 1}]}]}, {"type": "nack", "id": ID}],
    [{"type": "ack", "id": ID, "subscription": {"id": ID, "namespace": "default", "name": "mutant"}}],
]  # fmt: skip


def altered(data: bytes, random: Random) -> bytes:
    """The same with some things done to it."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at = random.randrange(len(data) + 1)
        data = random.choice(CHANGES)(data, at, random)
    return data


def _flip(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :] if at < len(data) else data


def _write(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + random.randbytes(random.randrange(1, 8)) + data[at + 1 :]


def _insert(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + random.choice(WORDS) + data[at:]


def _replace(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + random.choice(WORDS) + data[at + random.randrange(20) :]


def _remove(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + data[at + random.randrange(1, 40) :]


def _repeat(data: bytes, at: int, random: Random) -> bytes:
    part = data[at : at + random.randrange(1, 60)]
    return data[:at] + part * random.choice((2, 3, 50)) + data[at:]


def _cut(data: bytes, at: int, _random: Random) -> bytes:
    return data[:at]


def _move(data: bytes, at: int, random: Random) -> bytes:
    end, to = at + random.randrange(1, 60), random.randrange(len(data) + 1)
    rest = data[:at] + data[end:]
    return rest[:to] + data[at:end] + rest[to:]


CHANGES: tuple[Callable[[bytes, int, Random], bytes], ...] = (
    _flip, _flip, _write, _insert, _insert, _replace, _remove, _repeat, _cut, _move,
)  # fmt: skip


@pytest.mark.seeds(5)
def test_an_altered_request_is_answered_or_hung_up_on(target: Target, seed: int) -> None:
    random, good = Random(seed), templates()
    wrong: dict[bytes, Heard] = {}
    for number in range(ALTERED):
        data = altered(random.choice(good), random)
        heard = ask(target.doors[number % 2], data, within_s=WAIT_S)
        if heard.open or not set(heard.statuses) <= FINE:
            wrong[data] = heard
    assert wrong == {}


@pytest.mark.seeds(5)
def test_an_altered_conversation_is_answered_or_hung_up_on(target: Target, seed: int) -> None:
    random = Random(seed)
    wrong: dict[bytes, Heard] = {}
    for number in range(ALTERED // 4):
        frames = [json.dumps(each).encode() for each in random.choice(CONVERSATIONS)]
        if random.random() < 0.5:  # what is said, or how
            data = b"".join(frame(1, altered(each, random)) for each in frames)
        else:
            data = altered(b"".join(frame(1, each) for each in frames), random)
        heard = ask(target.doors[number % 2], upgrade() + data + frame(8, b"\x03\xe8"), within_s=WAIT_S)
        said = heard.raw.partition(b"\r\n\r\n")[2]
        if heard.open or heard.status != 101 or close_code(said) == 1011:
            wrong[data] = heard
    assert wrong == {}
