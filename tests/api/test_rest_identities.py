"""Identities over the REST API: claimed, verified, updated, found; keys; and what FireFly's end-to-end suite does."""

import json
from typing import Any
from urllib.parse import quote

from tests.api.rest import Node

UUID = "00000000-0000-4000-8000-000000000000"


async def post(node: Node, target: str, body: Any, *, status: int = 200, method: str = "POST") -> Any:
    """Send, and take the answer, which must have this status."""
    answer = await node.send(method, target, body)
    assert answer.status == status, answer.body
    return json.loads(answer.body)


async def new_key(node: Node) -> str:
    return str((await post(node, "keys", {}, status=201))["key"])


async def custom(node: Node, name: str, key: str = "", **more: Any) -> Any:
    """A custom identity, confirmed."""
    return await post(node, "identities?confirm", {"name": name, "key": key or await new_key(node), **more})


async def test_a_node_claims_its_organisation_and_itself(node: Node) -> None:
    (before,) = await node.get("network/organizations")
    assert before["messages"]["claim"] is None
    org = await post(node, "network/organizations/self?confirm", {})
    assert {**before, "messages": org["messages"]} == org and org["messages"]["claim"]
    machine = await post(node, "network/nodes/self?confirm=true", {})
    assert machine["parent"] == org["id"] and machine["messages"]["claim"]
    for path in ("organizations", "nodes"):
        again = await node.send("POST", f"network/{path}/self", {})
        assert (again.status, again.code) == (409, "FF10407")
    claim = await node.get(f"messages/{org['messages']['claim']}", fetchdata="true")
    assert claim["header"]["tag"] == "ff_identity_claim" and claim["header"]["type"] == "definition"
    (item,) = claim["data"]
    assert item["validator"] == "definition" and item["value"]["identity"] == {
        "id": org["id"], "did": org["did"], "type": "org", "namespace": "", "name": "org0",
        "messages": {"claim": None, "verification": None, "update": None},
    }  # fmt: skip


async def test_without_confirm_the_answer_comes_at_once(node: Node) -> None:
    org = await post(node, "network/organizations/self", {}, status=202)
    assert org["messages"]["claim"] and "created" not in org
    await node.until(f"identities/{org['id']}", lambda found: found["messages"] == org["messages"])


async def test_a_custom_identity_on_a_fresh_node_brings_its_organisation_along(node: Node) -> None:
    key = await new_key(node)
    child = await custom(node, "child", key, description="a child", profile={"n": 1})
    org = await node.get("network/organizations/org0")
    assert child["did"] == "did:firefly:child" and child["parent"] == org["id"] and child["type"] == "custom"
    assert child["messages"]["claim"] and child["messages"]["verification"] and org["messages"]["claim"]
    assert (child["description"], child["profile"]) == ("a child", {"n": 1})
    (verifier,) = await node.get(f"identities/{child['id']}/verifiers")
    assert (verifier["value"], verifier["identity"]) == (key, child["id"])


async def test_custom_identities_speak_with_their_own_keys(node: Node) -> None:
    one, other = await custom(node, "one"), await custom(node, "other")
    for identity in (one, other):
        message = await node.broadcast("hello", author=identity["did"])
        (verifier,) = await node.get(f"identities/{identity['id']}/verifiers")
        assert (message["header"]["author"], message["header"]["key"]) == (identity["did"], verifier["value"])
        by_key = await post(
            node, "messages/broadcast?confirm", {"header": {"key": verifier["value"]}, "data": [{"value": "hello"}]}
        )
        assert by_key["header"]["author"] == identity["did"] and by_key["state"] == "confirmed"
    grand = await custom(node, "grand", parent=one["did"])
    assert grand["parent"] == one["id"]


async def test_a_key_that_somebody_has_is_rejected(node: Node) -> None:
    key = await new_key(node)
    await custom(node, "first", key)
    sent = await post(node, "identities", {"name": "second", "key": key}, status=202)
    (event,) = await node.until("events?type=message_rejected&fetchreferences", len)
    assert event["reference"] == sent["messages"]["claim"] and event["message"]["header"]["type"] == "definition"
    answer = await node.send("POST", "identities?confirm", {"name": "third", "key": key})
    assert (answer.status, answer.code) == (500, "FF10269") and "FF10453" in answer.error
    assert [each["name"] for each in await node.get("identities?type=custom")] == ["first"]


async def test_an_update_replaces_description_and_profile(node: Node) -> None:
    child = await custom(node, "child", description="old", profile={"a": 1})
    updated = await post(node, f"identities/{child['id']}?confirm", {"profile": {"b": 2}}, method="PATCH")
    assert updated["profile"] == {"b": 2} and "description" not in updated and updated["messages"]["update"]
    sent = await post(
        node, f"identities/{child['id']}", {"description": "new", "profile": {}}, method="PATCH", status=202
    )
    await node.until(f"identities/{child['id']}", lambda found: found.get("description") == "new")
    assert sent["messages"]["update"] != updated["messages"]["update"]
    events = await node.get("events?type=identity_updated&fetchreferences&sort=sequence")
    assert [event["identity"]["did"] for event in events] == [child["did"]] * 2
    missing = await node.send("PATCH", f"identities/{child['id']}", {"description": "x"})
    assert (missing.status, missing.code) == (400, "FF10480")
    assert (await node.send("PATCH", f"identities/{UUID}", {"profile": {}})).status == 404


async def test_a_profile_of_a_node_keeps_the_name_of_its_data_exchange(node: Node) -> None:
    org = await post(node, "network/organizations/self?confirm", {})
    body = {"name": "machine", "type": "node", "parent": org["id"], "profile": {"id": "peer", "cert": "c"}}
    machine = await post(node, "identities?confirm", body)
    updated = await post(node, f"identities/{machine['id']}?confirm", {"profile": {"cert": "d"}}, method="PATCH")
    assert updated["profile"] == {"cert": "d", "id": "peer"}
    (verifier,) = await node.get(f"identities/{machine['id']}/verifiers")
    assert (verifier["type"], verifier["value"]) == ("dx_peer_id", "peer")


async def test_an_identity_is_found_by_everything_that_names_it(node: Node) -> None:
    child = await custom(node, "child")
    org, machine = (await node.get("network/organizations"))[0], (await node.get("network/nodes"))[0]
    by_did = [f"{path}/{org['did']}" for path in ("identities", "network/identities")]
    found: list[tuple[Any, list[str]]] = [
        (child, [f"identities/{child['id']}", f"identities/{child['did']}", f"network/identities/{child['did']}"]),
        (org, [*by_did, f"identities/{quote(org['did'], safe='')}"]),
        (org, ["network/organizations/org0", f"network/organizations/{org['id']}"]),
        (machine, [f"network/nodes/{machine['name']}", f"network/nodes/{machine['id']}"]),
    ]
    for row, targets in found:
        for target in targets:
            assert await node.get(target) == row, target
            with_verifiers = await node.get(target, fetchverifiers="true")
            assert with_verifiers.pop("verifiers") is not None and with_verifiers == row
    listed = await node.get("identities", fetchverifiers="true", type="custom")
    assert [each["verifiers"][0]["type"] for each in listed] == ["ed25519_public_key"]


MISSING = {
    f"identities/{UUID}": "FF10109",
    "identities/did:firefly:org/nobody": "FF10109",
    "identities/nobody": "FF00138",
    "identities/did:web:x": "FF10109",
    "network/organizations/nobody": "FF10109",
    "network/nodes/org0": "FF10109",
    f"network/nodes/{UUID}": "FF10109",
    "network/diddocs/did:firefly:nobody": "FF10109",
    "network/identities/nobody": "FF10349",
    f"verifiers/{'0' * 64}": "FF10109",
    "verifiers/x": "FF00106",
    f"identities/{UUID}/verifiers": "FF10109",
}


async def test_who_is_not_there_is_not_found(node: Node) -> None:
    for target, code in MISSING.items():
        assert (await node.ask("GET", target)).code == code, target


REFUSED: dict[str, tuple[Any, int, str]] = {
    "no name": ({"key": "0" * 64}, 400, "FF00140"),
    "a bad name": ({"name": "a b", "key": "0" * 64}, 400, "FF00140"),
    "a name of the reserved kind": ({"name": "org/x", "key": "0" * 64}, 400, "FF00140"),
    "no key": ({"name": "x"}, 400, "FF10352"),
    "a key that is none": ({"name": "x", "key": "tea"}, 400, "FF00106"),
    "a key that is elsewhere": ({"name": "x", "key": "0" * 64}, 400, "FFD2502"),
    "an unknown type": ({"name": "x", "type": "thing"}, 400, "FF00126"),
    "an unknown parent": ({"name": "x", "parent": UUID}, 400, "FF10214"),
    "an unknown parent's DID": ({"name": "x", "parent": "did:firefly:nobody"}, 500, "FF10277"),
    "a parent that cannot be one": ({"name": "x", "parent": "did:firefly:node/node0"}, 400, "FF10365"),
    "a profile that is no object": ({"name": "x", "key": "0" * 64, "profile": []}, 400, "FFD2104"),
    "no object": ([], 400, "FFD2104"),
}


async def test_what_cannot_be_claimed_is_refused_at_once(node: Node) -> None:
    for name, (body, status, code) in REFUSED.items():
        answer = await node.send("POST", "identities", body)
        assert (answer.status, answer.code) == (status, code), (name, answer.error)
    assert await node.get("messages") == []


async def test_keys_are_made_and_listed_and_verifiers_found(node: Node) -> None:
    (own,) = await node.get("keys")
    made = await new_key(node)
    assert await node.get("keys") == [own, {"key": made}]
    (verifier,) = await node.get("verifiers")
    assert verifier["value"] == own["key"] and await node.get(f"verifiers/{verifier['hash']}") == verifier
    for body in ({"value": f"0x{made.upper()}"}, {"type": "ed25519_public_key", "value": made}):
        assert await post(node, "verifiers/resolve", body) == {"type": "ed25519_public_key", "value": made}
    assert await post(node, "verifiers/resolve", {"type": "dx_peer_id", "value": "x"})
    assert (await node.send("POST", "verifiers/resolve", {"type": "tea", "value": "x"})).code == "FF10428"


async def test_a_did_document_is_what_others_can_read(node: Node) -> None:
    (org,), (verifier,) = await node.get("network/organizations"), await node.get("verifiers")
    document = await node.get(f"identities/{org['id']}/did")
    assert await node.get(f"network/diddocs/{org['did']}") == document
    assert document["id"] == org["did"] and document["authentication"] == [f"#{verifier['hash']}"]
    (method,) = document["verificationMethod"]
    assert method["id"] == verifier["hash"] and method["type"] == "Ed25519VerificationKey2020"
    assert method["publicKeyMultibase"].startswith("z6Mk")


async def test_an_organisation_may_be_called_like_the_end_of_a_route(node: Node) -> None:
    for name in ("did", "verifiers"):
        org = await post(node, "network/organizations?confirm", {"name": name, "key": await new_key(node)})
        assert await node.get(f"identities/{org['did']}") == org


async def test_an_organisation_is_claimed_with_a_key_of_its_own(node: Node) -> None:
    org = await post(node, "network/organizations?confirm", {"name": "other", "key": await new_key(node)})
    assert org["did"] == "did:firefly:org/other" and "parent" not in org
    message = await node.broadcast("hello", author="other")
    assert message["header"]["author"] == org["did"]
