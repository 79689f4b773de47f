"""Regular expressions built to hang, wherever users may give one."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from urllib.parse import quote

from tests.hostile.target import API, BROADCAST, QUICK_S, SUBSCRIPTIONS, Target, converse
from tests.hostile.wire import ask, frame, request

BOMBS = (
    "(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){25}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:(?:a{0,30}){0,30}){0,30}",
    "a{1000}{1000}", "((a{100}){100}){100}", "(((((((((a*)*)*)*)*)*)*)*)*)*$", "(?=a)+", "(a)\\1+", "(?P<x>a)(?P=x)",
    "[a-z]{1,1000}[a-z]{1,1000}$", "." * 50_000, "(" * 50_000, "[" * 1000, "a**", "\\p{Greek}{1000}", "\\C*",
    "(?i:" * 999, "x*" * 5000, "|" * 50_000, "\x00", "\\", "[z-a]", "*", "(?#" + "a" * 10_000 + ")",
)  # fmt: skip
FIELDS = ("events", "topic", "message.tag", "message.author", "message.group", "transaction.type")


def filter_of(field: str, bomb: str) -> dict[str, object]:
    outer, _, inner = field.partition(".")
    return {outer: {inner: bomb} if inner else bomb}


def test_expressions_built_to_hang_do_not(target: Target) -> None:
    taken, wrong = [], {}
    for number, bomb in enumerate(BOMBS):
        for field in FIELDS[number % len(FIELDS) :][:2]:
            began = time.monotonic()
            body = json.dumps({"name": f"b{number}", "filter": filter_of(field, bomb)}).encode()
            heard = ask(target.tcp, request("PUT", SUBSCRIPTIONS, "Connection: close", body=body))
            if not (heard.status == 200 or (heard.status == 400 and heard.code.startswith("FF"))):
                wrong[bomb[:40]] = heard.raw[:300]
            if time.monotonic() - began > QUICK_S:
                wrong[bomb[:40]] = b"slow"
            if heard.status == 200:
                taken.append(f"b{number}")
    assert wrong == {}
    with listening(target, sorted(set(taken))):
        began = time.monotonic()
        body = json.dumps({"header": {"topics": ["a" * 64], "tag": "a" * 64}, "data": [{"value": "a" * 5000}]}).encode()
        heard = ask(target.tcp, request("POST", f"{BROADCAST}?confirm", "Connection: close", body=body))
        assert heard.status == 200
        target.check_alive()
        assert time.monotonic() - began < QUICK_S, "delivery goes on beside all of them"
    for name in set(taken):
        assert ask(target.tcp, request("DELETE", f"{SUBSCRIPTIONS}/{name}")).status == 204


class listening(ExitStack):
    """Someone hears all these subscriptions."""

    def __init__(self, target: Target, names: list[str]) -> None:
        super().__init__()
        app = self.enter_context(target.node.websocket())
        for name in names:
            app.send({"type": "start", "namespace": "default", "name": name, "autoack": True})


def test_expressions_in_a_url_do_not_hang_either(target: Target) -> None:
    for bomb in BOMBS:
        for field in ("filter.events", "filter.topic", "filter.message.tag", "filter.tag"):
            query = f"ephemeral&namespace=default&{field}={quote(bomb[:9000])}"
            began = time.monotonic()
            heard = converse(target.tcp, frame(8, b"\x03\xe8"), target=f"/ws?{query}"[:40_000])
            assert heard.status in (101, 400), heard.raw[:300]
            assert time.monotonic() - began < QUICK_S, bomb[:40]


def test_a_schema_built_to_hang_does_not(target: Target) -> None:
    for number, bomb in enumerate(("^(a+)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$")):
        schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": bomb}}}
        body = json.dumps({"name": f"bomb{number}", "version": "1", "value": schema}).encode()
        heard = ask(target.tcp, request("POST", f"{API}/datatypes?confirm", "Connection: close", body=body))
        assert heard.status in (200, 400, 404), heard
        if heard.status != 200:
            continue
        value = {"datatype": {"name": f"bomb{number}", "version": "1"}, "value": {"x": "a" * 100_000 + "!"}}
        began = time.monotonic()
        body = json.dumps({"data": [value]}).encode()
        heard = ask(target.tcp, request("POST", BROADCAST, "Connection: close", body=body))
        assert heard.status in (202, 400), heard
        assert time.monotonic() - began < QUICK_S, bomb
