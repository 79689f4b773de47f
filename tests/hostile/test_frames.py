"""WebSocket frames that no client would send."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress

import pytest

from tests.hostile.target import Target, converse, in_background
from tests.hostile.wire import Heard, close_code, connect, frame, hear_until, upgrade


def frames_in(heard: Heard) -> bytes:
    return heard.raw.partition(b"\r\n\r\n")[2]


HUGE_CLAIM = b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4)
FRAMES: dict[str, tuple[int, bytes]] = {
    "no mask": (1002, frame(1, b"{}", mask=False)),
    "reserved bit 1": (1002, frame(1, b"{}", reserved=4)),
    "reserved bit 2": (1002, frame(1, b"{}", reserved=2)),
    "reserved bit 3": (1002, frame(1, b"{}", reserved=1)),
    "opcode 3": (1002, frame(3, b"{}")),
    "opcode 7": (1002, frame(7)),
    "opcode 11": (1002, frame(11)),
    "opcode 15": (1002, frame(15, b"x")),
    "a ping of 126": (1002, frame(9, b"x" * 126)),
    "a close of 126": (1002, frame(8, b"\x03\xe8" + b"x" * 124)),
    "a ping of a megabyte": (1002, frame(9, b"x" * 1_000_000)),
    "a ping in pieces": (1002, frame(9, b"x", final=False)),
    "a close in pieces": (1002, frame(8, b"\x03\xe8", final=False)),
    "a piece of nothing": (1002, frame(0, b"x")),
    "a text within a text": (1002, frame(1, b"{", final=False) + frame(1, b"}")),
    "no UTF-8": (1007, frame(1, b"\xff\xfe")),
    "an overlong slash": (1007, frame(1, b"\xc0\xaf")),
    "a surrogate": (1007, frame(1, b"\xed\xa0\x80")),
    "half a character at the end": (1007, frame(1, b"\xe2\x82")),
    "half a character in two pieces": (1007, frame(1, b"\xe2", final=False) + frame(0, b"\x28")),
    "a close of one byte": (1002, frame(8, b"\x03")),
    "a close with 1005": (1002, frame(8, (1005).to_bytes(2, "big"))),
    "a close with 1006": (1002, frame(8, (1006).to_bytes(2, "big"))),
    "a close with 999": (1002, frame(8, (999).to_bytes(2, "big"))),
    "a close with 65535": (1002, frame(8, (65535).to_bytes(2, "big"))),
    "a close whose reason is no UTF-8": (1007, frame(8, b"\x03\xe8\xff")),
    "a farewell": (1000, frame(8, b"\x03\xe8bye")),
    "a farewell of its own": (4999, frame(8, (4999).to_bytes(2, "big"))),
    "a frame of 2^62": (1009, HUGE_CLAIM + b" " * 9_000_000),
    "a frame of 2^63": (1002, b"\x81\xff" + (2**63).to_bytes(8, "big") + bytes(4)),
    "a length that could be shorter": (1002, b"\x81\xfe\x00\x05" + bytes(4) + b"12345"),
    "a length that could be much shorter": (1002, b"\x81\xff" + (5).to_bytes(8, "big") + bytes(4) + b"12345"),
    "nine megabytes": (1009, frame(1, b" " * 9_000_000)),
    "nine megabytes in pieces": (1009, frame(1, b"", final=False) + frame(0, b" " * 100_000, final=False) * 95),
    "pieces of nothing": (1009, frame(1, b"{", final=False) + frame(0, b"", final=False) * 100_000),
    "binary that is no JSON": (1000, frame(2, bytes(range(256)))),
    "a deep frame": (1000, frame(1, b"[" * 100_000)),
    "a field twice": (1000, frame(1, b'{"type":"start","namespace":"default","name":"a","name":"b"}')),
    "a type that is a list": (1000, frame(1, b'{"type":["send"]}')),
    "nothing": (1000, frame(1, b"")),
    "a null": (1000, frame(1, b"null")),
    "an ack of a megabyte": (1000, frame(1, b'{"type":"ack","id":"' + b"x" * 1_000_000 + b'"}')),
}


@pytest.mark.parametrize("code, data", FRAMES.values(), ids=FRAMES)
def test_hostile_frames_close_their_connection_alone(target: Target, code: int, data: bytes) -> None:
    told = code == 1000 and data[0] & 0x0F != 8  # which takes its time: we never answer ffd's farewell
    for where in (target.tcp,) if told else target.doors:
        heard = converse(where, data)
        assert heard.status == 101 and not heard.open, heard
        assert close_code(frames_in(heard)) == code, frames_in(heard)[:300]
        if told:
            assert b"FF1" in frames_in(heard), "it is told why"


def test_a_flood_of_pings_is_answered_and_holds_up_nobody(target: Target) -> None:
    pings = frame(9, b"flood") * 3_000

    def attack() -> None:
        assert converse(target.tcp, pings + frame(8, b"\x03\xe8")).raw.count(b"\x8a\x05flood") == 3_000

    in_background(threading.Thread(target=attack), target, seconds=1)


def test_a_flood_of_pings_that_nobody_reads_holds_up_its_sender(target: Target) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            end = stack.enter_context(connect(target.tcp))
            end.sendall(upgrade())
            end.setblocking(False)
            with suppress(OSError):
                while True:
                    end.send(frame(9, b"x" * 100) * 1000)
        for _ in range(10):
            target.check_alive()


def test_sends_of_no_sense_are_answered_one_by_one(target: Target) -> None:
    many = b",".join([b"{}"] * 3_000_000)
    for body in (
        b'{"type":"send","id":"1","messages":[' + many[:7_000_000].rpartition(b",")[0] + b"]}",
        b'{"type":"send","id":"1","messages":{}}',
        b'{"type":"send","id":"1"}',
        b'{"type":"send","id":"1","messages":[{"data":[{"value":' + b"[" * 20_000 + b"]" * 20_000 + b"}]}]}",
    ):
        with connect(target.tcp) as end:
            end.sendall(upgrade() + frame(1, body))
            heard = hear_until(end, b'"error":"FF')
        assert b'"type":"error"' in heard and b'"error":"FF' in heard, heard[-500:]


def test_starts_without_end_are_refused(target: Target) -> None:
    starts = b"".join(
        frame(1, b'{"type":"start","namespace":"default","ephemeral":true,"filter":{"events":"x"}}') for _ in range(600)
    )
    heard = converse(target.tcp, starts)
    assert b"FFD2402" in heard.raw and not heard.open
