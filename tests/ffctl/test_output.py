"""Every command prints the same data in every shape."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ffctl.plain import decode, yaml
from tests.ffctl.conftest import Ffctl
from tests.ffctl.standin import Node, uid

ONE: dict[str, list[str]] = {
    "broadcast": ["broadcast", "--topic", "t", "hello"],
    "status": ["status"],
    "wait ready": ["wait", "ready"],
    "msg show": ["msg", "show", uid(1)],
    "event show": ["event", "show", uid(2 * 10**6)],
    "batch show": ["batch", "show", uid(5)],
    "sub show": ["sub", "show", "worker"],
    "sub create": ["sub", "create", "another"],
    "version": ["version"],
    "alone": [],
}

MANY: dict[str, list[str]] = {
    "msg list": ["msg", "list"],
    "msg list --data": ["msg", "list", "--data"],
    "event list": ["event", "list"],
    "batch list": ["batch", "list"],
    "pin list": ["pin", "list"],
    "sub list": ["sub", "list"],
    "sub delete": ["sub", "delete", "worker"],
    "help exit-codes": ["help", "exit-codes"],
    "tail": ["tail", "--from", "oldest", "--count", "3"],
    "tail of a subscription": ["tail", "worker", "--count", "3"],
    "broadcast --lines": ["broadcast", "--lines", "@lines"],
    "broadcast --lines --confirm": ["broadcast", "--lines", "@lines", "--confirm"],
}

STREAMS = ("tail", "tail of a subscription", "broadcast --lines", "broadcast --lines --confirm")


@pytest.fixture(autouse=True)
def _some_of_everything(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(node.path.parent)
    (node.path.parent / "lines").write_text("a\nb\nc\n")
    for text in ("one", "two\u202e\x1b", {"three": 3}):
        node.broadcast({"header": {"topics": ["t"], "tag": "x"}, "data": [{"value": text}]})
    batch = {"id": uid(5), "type": "broadcast", "created": "2026-03-01T12:00:00Z", "manifest": {"messages": [{}]}}
    node.rows["batches"] = [batch]
    pin = {"namespace": "default", "hash": "ab" * 32, "batch": uid(5), "index": 0, "dispatched": True}
    node.rows["pins"] = [{"sequence": number, **pin} for number in (0, 1)]
    node.subscribe({"name": "worker", "transport": "websockets", "options": {"firstEvent": "oldest"}})


def again(node: Node) -> None:
    """The same state before each run, so that outputs may be compared."""
    for name in node.rows:
        node.rows[name].clear()
    node.offsets.clear()


@pytest.fixture
def printed(node: Node, here: Ffctl, _some_of_everything: None) -> Callable[[list[str], str], str]:
    kept = json.dumps(node.rows)
    offsets = dict(node.offsets)

    def output(words: list[str], shape: str) -> str:
        node.until_nobody_reads()
        node.rows.update(json.loads(kept))
        node.offsets.update(offsets)
        done = here(*words, "-o", shape)
        assert done.code == 0, done.err
        return done.out

    return output


Printed = Callable[[list[str], str], str]


@pytest.mark.parametrize("words", ONE.values(), ids=ONE)
def test_one_object_is_the_same_in_every_shape(words: list[str], printed: Printed) -> None:
    value = json.loads(printed(words, "json"))
    assert isinstance(value, dict)
    assert json.loads(printed(words, "ndjson")) == value
    assert printed(words, "ndjson").count("\n") == 1
    assert printed(words, "yaml") == yaml(decode(printed(words, "json")))
    assert printed(words, "id").strip()
    if words:
        assert printed(words, "table").count("\n") == len(leaves(value))


@pytest.mark.parametrize(("name", "words"), MANY.items(), ids=MANY)
def test_a_list_is_the_same_in_every_shape(name: str, words: list[str], printed: Printed) -> None:
    raw = printed(words, "json")
    values = stream(raw) if name in STREAMS else json.loads(raw)
    assert isinstance(values, list) and values
    assert [json.loads(line) for line in printed(words, "ndjson").splitlines()] == values
    assert printed(words, "yaml") == yaml(decode(json.dumps(values)))
    assert len(printed(words, "id").split()) == len(values)
    table = printed(words, "table").splitlines()
    assert len(table) == len(values) and len({line.count("\t") for line in table}) == 1


def stream(raw: str) -> list[Any]:
    """Objects one after another."""
    found, place = [], 0
    while place < len(raw):
        value, place = json.JSONDecoder().raw_decode(raw, place)
        found.append(value)
        place += 1
    return found


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict) and value:
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def test_an_empty_list_is_an_empty_list(node: Node, here: Ffctl) -> None:
    again(node)
    assert here("msg", "list").out == ""
    assert here("msg", "list", "-o", "ndjson").out == ""
    assert json.loads(here("msg", "list", "-o", "json").out) == []


def test_a_format_names_what_it_wants(here: Ffctl) -> None:
    done = here(
        "tail", "--from", "oldest", "--count", "3", "--format", r"{topic}\t{value}|{tag}|{message.header.tag}|{no.such}"
    )
    assert done.lines[0] == "t\tone|x|x|" and done.lines[2] == 't\t{"three":3}|x|x|'
    assert here("msg", "list", "--format", "{id} {state}").lines[0] == f"{uid(1)} confirmed"


def test_a_format_on_a_pipe_gives_texts_as_they_are(here: Ffctl) -> None:
    assert here("tail", "--from", "oldest", "--count", "2", "--format", "{value}").out == "one\ntwo\u202e\x1b\n"


@pytest.mark.parametrize("template", ["{", "{}", "{a!r}", "{a:3}", "}"])
def test_a_format_that_cannot_be_read_is_refused(template: str, here: Ffctl) -> None:
    done = here("msg", "list", "--format", template)
    assert done.code == 2 and "--format" in done.err


def test_a_format_and_a_shape_exclude_one_another(here: Ffctl) -> None:
    assert here("msg", "list", "--format", "{id}", "-o", "json").code == 2


def test_the_common_options_stand_before_or_after_the_command(here: Ffctl) -> None:
    assert (
        here("-o", "id", "msg", "list").out
        == here("msg", "-o", "id", "list").out
        == here("msg", "list", "-o", "id").out
    )
    assert here("-o", "json", "msg", "list", "-o", "id").out == here("msg", "list", "-o", "id").out


def test_ffctl_alone_says_how_the_node_does_and_what_to_do_next(here: Ffctl) -> None:
    said = here().out
    assert "node_1" in said and "Next:" in said and "ffctl tail" in said
