"""Strong datatypes over the REST API, as FireFly's end-to-end suite uses them."""

import json
from typing import Any

import trio

from tests.api.rest import Node

SEND = "messages/broadcast"
WIDGET = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
    "required": ["id", "name"],
    "additionalProperties": False,
}


async def define(node: Node, value: Any, *, name: str = "widget", version: str = "1", confirm: bool = True) -> Any:
    """Define a datatype."""
    answer = await node.send("POST", f"datatypes?confirm={confirm}", {"name": name, "version": version, "value": value})
    assert answer.status == (200 if confirm else 202), answer.body
    return json.loads(answer.body)


def of_type(value: Any, *, name: str = "widget", version: str = "1", **item: Any) -> dict[str, Any]:
    """A message with a value that names a datatype."""
    return {"data": [{"value": value, "datatype": {"name": name, "version": version}, **item}]}


async def test_values_follow_a_datatype_from_its_definition_on(node: Node) -> None:
    unknown = await node.send("POST", SEND, of_type({"id": "1", "name": "tea"}))
    assert (unknown.status, unknown.code) == (400, "FF10195")
    await define(node, WIDGET)
    bad = await node.send("POST", SEND, of_type({"id": "1", "nom": "the"}))
    assert (bad.status, bad.code) == (400, "FF10198") and "widget/1" in bad.error
    wrong = await node.send("POST", SEND, of_type({"id": 1, "name": "tea"}))
    assert "at '/id'" in wrong.error
    good = await node.send("POST", f"{SEND}?confirm=true", of_type({"id": "1", "name": "tea"}))
    assert good.status == 200 and json.loads(good.body)["state"] == "confirmed"
    (item,) = await node.get(f"messages/{json.loads(good.body)['header']['id']}/data")
    assert item["datatype"] == {"name": "widget", "version": "1"}


async def test_a_datatype_is_found_as_it_was_defined(node: Node) -> None:
    defined = await define(node, WIDGET)
    assert list(defined) == ["id", "message", "validator", "namespace", "name", "version", "hash", "created", "value"]
    assert await node.get("datatypes/widget/1") == defined
    assert await node.get("datatypes", name="widget") == [defined]
    assert (await node.ask("GET", "datatypes/widget/2")).code == "FF10109"
    message = await node.get(f"messages/{defined['message']}")
    assert (message["header"]["type"], message["header"]["tag"]) == ("definition", "ff_define_datatype")
    assert message["header"]["topics"] == ["1e38979b877aa38656e81181df558f88f10125443911e72204e0984c37f79815"]


async def test_who_hears_of_a_datatype_sees_it(node: Node) -> None:
    defined = await define(node, WIDGET)
    events = await node.get(
        "events", sort="sequence", fetchreferences="true", type=["datatype_confirmed", "message_confirmed"]
    )
    assert [event["type"] for event in events] == ["datatype_confirmed", "message_confirmed"]
    assert events[0]["topic"] == "ff_definition" and events[0]["datatype"] == defined


async def test_the_same_version_is_rejected_the_second_time_and_another_is_not(node: Node) -> None:
    await define(node, WIDGET)
    answer = await node.send("POST", "datatypes?confirm", {"name": "widget", "version": "1", "value": {}})
    assert (answer.status, answer.code) == (500, "FF10269") and "FF10407" in answer.error
    await define(node, {}, version="2", confirm=False)
    await node.until("datatypes", lambda found: len(found) == 2)


REFUSED: dict[str, tuple[Any, str]] = {
    "no name": ({"version": "1", "value": {}}, "FF00140"),
    "a UUID for a name": ({"name": "0f8fad5b-d9cb-469f-a165-70867728950e", "version": "1", "value": {}}, "FF00141"),
    "no version": ({"name": "w", "value": {}}, "FF00140"),
    "no schema": ({"name": "w", "version": "1"}, "FF00109"),
    "a schema that is none": ({"name": "w", "version": "1", "value": {"type": "tea"}}, "FF10196"),
    "a schema that looks elsewhere": ({"name": "w", "version": "1", "value": {"$ref": "http://x.y/z"}}, "FF10196"),
    "a schema that runs in circles": ({"name": "w", "version": "1", "value": {"$ref": "#"}}, "FF10196"),
    "another validator": ({"name": "w", "version": "1", "value": {}, "validator": "none"}, "FF00108"),
}


async def test_what_cannot_be_a_datatype_is_refused_at_once(node: Node) -> None:
    for name, (body, code) in REFUSED.items():
        answer = await node.send("POST", "datatypes", body)
        assert (answer.status, answer.code) == (400, code), (name, answer.error)
    assert await node.get("messages") == []


async def test_nobody_checks_when_the_validator_is_none(node: Node) -> None:
    answer = await node.send("POST", f"{SEND}?confirm", of_type(1, name="nosuch", validator="none"))
    assert answer.status == 200
    answer = await node.send("POST", SEND, {"data": [{"value": 1, "datatype": {"name": "nosuch"}}]})
    assert answer.code == "FF10195"


async def test_data_that_is_uploaded_follows_its_datatype_too(node: Node) -> None:
    await define(node, {"type": "integer"}, name="number")
    item = {"datatype": {"name": "number", "version": "1"}}
    assert (await node.send("POST", "data", {"value": "x", **item})).code == "FF10198"
    assert (await node.send("POST", "data", {"value": 1, **item})).status == 201


async def test_a_schema_made_to_hang_hangs_nobody(node: Node) -> None:
    await define(node, {"type": "string", "pattern": "^(a+)+$"}, name="slow")
    with trio.fail_after(10):
        answer = await node.send("POST", SEND, of_type("a" * 100_000 + "b", name="slow"))
        assert answer.code == "FF10198"
    laughs = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(50)} | {"a50": {}}
    answer = await node.send(
        "POST", "datatypes", {"name": "l", "version": "1", "value": {"$defs": laughs, "$ref": "#/$defs/a0"}}
    )
    assert answer.code == "FF10196"
    assert await node.get("/livez") == {"live": True}
