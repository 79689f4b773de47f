"""JSON that is none, that has no end, or that can be read in two ways, in the body of a request."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from tests.hostile.target import API, BROADCAST, QUICK_S, SUBSCRIPTIONS, Target
from tests.hostile.wire import ask, request

DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECTS = '{"a":' * 100_000 + "1" + "}" * 100_000
MANY = ",".join(["{}"] * 2_000_000)
BODIES: dict[str, tuple[str, bytes]] = {
    "a deep value": ("FF", f'{{"data":[{{"value":{DEEP}}}]}}'.encode()),
    "a deep value of objects": ("FF", f'{{"data":[{{"value":{DEEP_OBJECTS}}}]}}'.encode()),
    "a deep header": ("FF", f'{{"header":{DEEP_OBJECTS}}}'.encode()),
    "a deep field nobody knows": ("FF", f'{{"x":{DEEP},"data":[{{"value":1}}]}}'.encode()),
    "depth without end": ("FF", b"[" * 5_000_000),
    "objects without end": ("FF", b'{"a":' * 1_000_000),
    "a field twice": ("FFD2036", b'{"data":[{"value":1}],"data":[{"value":2}]}'),
    "a field twice in the header": ("FFD2036", b'{"header":{"topics":["a"],"topics":["b"]},"data":[{"value":1}]}'),
    "a field twice in an item": ("FFD2036", b'{"data":[{"value":1,"value":2}]}'),
    "a field twice, once with escapes": ("FFD2036", b'{"data":[{"value":1}],"d\\u0061ta":[]}'),
    "bytes that are no UTF-8": ("FFD2102", b'{"data":[{"value":"\xff\xfe"}]}'),
    "an overlong slash": ("FFD2102", b'{"data":[{"value":"\xc0\xaf"}]}'),
    "a surrogate in UTF-8": ("FFD2102", b'{"data":[{"value":"\xed\xa0\x80"}]}'),
    "half a character": ("FFD2102", b'{"data":[{"value":"\xe2\x82'),
    "UTF-16": ("FFD2102", '{"data":[{"value":"x"}]}'.encode("utf-16")),
    "UTF-16 without a mark": ("FF", '{"data":[]}'.encode("utf-16-le")),
    "a byte order mark": ("FF", b'\xef\xbb\xbf{"data":[{"value":1}]}'),
    "compressed": ("FFD2102", gzip.compress(b'{"data":[{"value":1}]}')),
    "NaN": ("FF", b'{"data":[{"value":NaN}]}'),
    "Infinity": ("FF", b'{"data":[{"value":-Infinity}]}'),
    "a number with a zero before it": ("FF", b'{"data":[{"value":007}]}'),
    "a number in hex": ("FF", b'{"data":[{"value":0x10}]}'),
    "a raw NUL": ("FF", b'{"data":[{"value":"\x00"}]}'),
    "a raw line feed": ("FF", b'{"data":[{"value":"a\nb"}]}'),
    "a comma at the end": ("FF", b'{"data":[{"value":1},]}'),
    "a comment": ("FF", b'{"data":[{"value":1}]/**/}'),
    "single quotes": ("FF", b"{'data':[]}"),
    "two bodies": ("FF", b'{"data":[{"value":1}]}{"data":[{"value":1}]}'),
    "half a body": ("FF", b'{"data":[{"value":1'),
    "nothing but space": ("FF", b"   \n"),
    "another type of field": ("FFD2104", b'{"header":[],"data":{}}'),
    "a number for a topic": ("FFD2104", b'{"header":{"topics":[1e400]},"data":[{"value":1}]}'),
    "two million items": ("FF", b'{"data":[' + MANY.encode() + b"]}"),
    "half a million values": ("FF", b'{"data":[' + b",".join([b'{"value":1}'] * 500_000) + b"]}"),
    "a million topics": ("FF0013", b'{"header":{"topics":[' + b",".join([b'"a"'] * 1_000_000) + b"]}}"),
    "a topic of a megabyte": ("FF00140", b'{"header":{"topics":["' + b"a" * 1_000_000 + b'"]},"data":[{"value":1}]}'),
    "an author of a megabyte": ("FF", b'{"header":{"author":"' + b"a" * 1_000_000 + b'"},"data":[{"value":1}]}'),
    "a key of a megabyte": ("FF00135", b'{"idempotencyKey":"' + b"a" * 1_000_000 + b'","data":[{"value":1}]}'),
    "half surrogate pairs without end": ("FF10327", b'{"data":[{"value":"' + b"\\ud800" * 500_000 + b'"}]}'),
    "signs that are escaped": ("FF10327", b'{"data":[{"value":"' + b"<" * 800_000 + b'"}]}'),
    "a tag that is a path": ("FF00140", b'{"header":{"tag":"../../evil"},"data":[{"value":1}]}'),
    "a topic that is a path": ("FF00140", b'{"header":{"topics":["../evil"]},"data":[{"value":1}]}'),
    "a topic with a NUL": ("FF00140", b'{"header":{"topics":["a\\u0000"]},"data":[{"value":1}]}'),
    "SQL in an author": ("FF", b'{"header":{"author":"x\' OR 1=1 --"},"data":[{"value":1}]}'),
    "an id that is a path": ("FF", b'{"data":[{"id":"../../evil"}]}'),
}


@pytest.mark.parametrize("code, body", BODIES.values(), ids=BODIES)
def test_hostile_json_is_refused(target: Target, code: str, body: bytes) -> None:
    began = time.monotonic()
    for where in target.doors:
        heard = ask(where, request("POST", BROADCAST, "Connection: close", body=body), eof=False)
        assert 400 <= heard.status < 500 and heard.code.startswith(code), heard.raw[:500]
    assert time.monotonic() - began < 2 * QUICK_S


def test_memory_stays_bounded_whatever_was_sent(target: Target) -> None:
    """After the bodies above: eight megabytes of small objects must not become a gigabyte."""
    status = Path(f"/proc/{target.daemon.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 400 * 1024, f"{peak} KiB"


NUMBERS = (
    "1e400",
    "1" * 400,
    "-1",
    "99999999999999999999",
    "1.5",
    "true",
    '"65536"',
    '"1e9"',
    "[]",
    "{}",
    "NaN",
    "1e5",
)


def test_numbers_out_of_all_bounds_are_refused(target: Target) -> None:
    wrong = {}
    for number in NUMBERS:
        for field in ("readAhead", "firstEvent", "batchTimeout", "batch"):
            body = f'{{"name":"s","options":{{"{field}":{number}}}}}'.encode()
            heard = ask(target.tcp, request("POST", SUBSCRIPTIONS, "Connection: close", body=body))
            if heard.status == 201:
                assert ask(target.tcp, request("DELETE", f"{SUBSCRIPTIONS}/s")).status == 204
            elif not 400 <= heard.status < 500 or not heard.code.startswith("FF"):
                wrong[field, number] = heard
        for path in ("pins/rewind",):
            body = f'{{"sequence":{number}}}'.encode()
            heard = ask(target.tcp, request("POST", f"{API}/{path}", "Connection: close", body=body))
            if heard.status >= 500 or not heard.status:
                wrong[path, number] = heard
    assert wrong == {}


def test_a_duration_that_never_ends_is_refused_or_cut(target: Target) -> None:
    for text in ("1e309", "9" * 400, "-1", "1e9h", "NaN", "inf", "\xff", "1h" * 5000):
        heard = ask(target.tcp, request("GET", f"{API}/status", f"Request-Timeout: {text}", "Connection: close"))
        assert heard.status in (200, 400, 408), (text, heard)
