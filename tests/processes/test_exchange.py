"""Two real daemons that exchange private messages over mutual TLS: from nothing, through rotations, stops and kills."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from ffd.model.ids import sha256
from tests.api.uploading import form
from tests.plugins.test_exchange_https import certificate
from tests.processes.node import Answer, House, Node, until
from tests.processes.test_blobs import request_head

CONFIG = """
[org]
name = "{name}"
[node]
name = "{name}-node"
[namespaces.default]
register = true
[ledgers.local]
options = {{ path = "{shared}/ledger.db" }}
[storages.local]
options = {{ path = "{shared}/storage" }}
[exchanges.local]
plugin = "https"
options = {{ port = {port} }}
"""
NAMES = ("alice", "bob")


def members(house: House) -> list[Node]:
    """Two members on one ledger, which nobody introduces."""
    shared = house.folder / "shared"
    shared.mkdir()
    return [Node(house, name, config=CONFIG.format(name=name, shared=shared, port=port())) for name in NAMES]


def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def profiles(node: Node) -> dict[str, Any]:
    """The profiles of the nodes that the network has told this one of."""
    found = node.get("/api/v1/network/nodes")[1]
    return {each["name"]: each["profile"] for each in found if each["messages"]["claim"]}


def wait_known(*nodes: Node) -> None:
    for node in nodes:
        until("all nodes are known", lambda node=node: len(profiles(node)) == len(NAMES))  # type: ignore[misc]


def send(node: Node, value: object, *, confirm: bool = True, **item: object) -> Answer:
    """Send to alice and bob."""
    body = {
        "header": {"topics": ["house"]},
        "data": [item or {"value": value}],
        "group": {"members": [{"identity": f"did:firefly:org/{name}"} for name in NAMES]},
    }
    return node.post(f"/api/v1/messages/private?confirm={str(confirm).lower()}", json.dumps(body).encode())


def got(node: Node) -> list[Any]:
    """The values of private messages, in the order of their events."""
    return node.confirmed("house")


def owed(node: Node) -> list[Any]:
    """What a node has not sent to others yet."""
    return [
        each for each in node.get("/api/v1/operations?limit=1000")[1]
        if each["type"].startswith("dataexchange_send") and each["status"] != "Succeeded"
    ]  # fmt: skip


def certificate_files(node: Node) -> tuple[Path, Path, Path]:
    folder = node.state / "exchange" / "local"
    return folder / "certificate.pem", folder / "key.pem", folder / "next-certificate.pem"


def test_members_come_to_know_each_other_by_themselves_and_exchange_private_messages(house: House) -> None:
    alice, bob = members(house)
    programs = [node.start() for node in (alice, bob)]
    wait_known(alice, bob)
    assert send(alice, "tea").status == 200
    until("bob has it", lambda: got(bob) == ["tea"])
    assert send(bob, "milk").status == 200
    until("alice has it", lambda: got(alice) == ["tea", "milk"])
    until("nothing is owed", lambda: not owed(alice) and not owed(bob))
    for node, program in zip((alice, bob), programs, strict=True):
        node.stop(program)


def test_a_certificate_is_rotated_while_messages_go_on_and_none_is_lost(house: House) -> None:
    alice, bob = members(house)
    programs = [node.start() for node in (alice, bob)]
    wait_known(alice, bob)
    send(alice, 0)
    file, key, next = certificate_files(alice)
    new, new_key = certificate(house.folder, "new", org="alice", unit="alice-node")
    next.write_bytes(new.read_bytes())
    until("both are published", lambda: profiles(bob)["alice-node"]["cert"].count("BEGIN") == 2)
    send(alice, 1)
    new_key.replace(key)
    new.replace(file)
    next.unlink()
    send(alice, 2)
    send(bob, 3)
    until("one is published", lambda: profiles(bob)["alice-node"]["cert"] == file.read_text())
    send(alice, 4)
    for node in (alice, bob):
        until("all is there", lambda node=node: sorted(got(node)) == [0, 1, 2, 3, 4])  # type: ignore[misc]
    for program in programs:
        assert "FFD44" not in program.errors(), "nobody was refused for a moment"


def test_a_certificate_that_nobody_knows_is_told_at_the_operation_until_it_is_published(house: House) -> None:
    alice, bob = members(house)
    programs = [node.start() for node in (alice, bob)]
    wait_known(alice, bob)
    send(alice, "tea")
    until("bob has it", lambda: got(bob) == ["tea"])
    bob.stop(programs[1])
    file, key, _ = certificate_files(bob)
    stranger = certificate(house.folder, "stranger", org="bob", unit="bob-node", days=-1)
    kept = file.read_bytes(), key.read_bytes()
    for new, old in zip(stranger, (file, key), strict=True):
        new.replace(old)
    programs[1] = bob.start()
    send(alice, "milk", confirm=False)
    until("alice says why", lambda: [each for each in owed(alice) if "FFD4426" in each.get("error", "")])
    file.write_bytes(kept[0])
    key.write_bytes(kept[1])
    until("bob has it", lambda: got(bob) == ["tea", "milk"])
    until("nothing is owed", lambda: not owed(alice))


def test_a_blob_for_a_member_that_is_killed_comes_when_it_is_back(house: House) -> None:
    alice, bob = members(house)
    programs = [node.start() for node in (alice, bob)]
    wait_known(alice, bob)
    content = os.urandom(3 << 20)
    body = form(content, autometa="true")
    id = json.loads(alice.ask(request_head(len(body)) + body).body)["id"]
    programs[1].kill()
    assert send(alice, None, confirm=False, id=id).status == 202
    until("alice has tried", lambda: [each for each in owed(alice) if each.get("error")])
    bob.start()
    until("bob has it", lambda: len(got(bob)) == 1)
    found = bob.ask(f"GET /api/v1/data/{id}/blob HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n".encode())
    assert sha256(found.body) == sha256(content)


def test_a_large_blob_goes_on_where_it_was_after_either_end_is_killed(house: House) -> None:
    alice, bob = members(house)
    programs = [node.start() for node in (alice, bob)]
    wait_known(alice, bob)
    content = os.urandom(48 << 20)
    body = form(content, autometa="true")
    id = json.loads(alice.ask(request_head(len(body)) + body).body)["id"]
    assert send(alice, None, confirm=False, id=id).status == 202
    first = until("some of it came", lambda: part(bob))
    programs[1].kill()
    kept = part(bob)
    assert first <= kept < len(content)
    programs[1] = bob.start()
    until("more of it came, or all", lambda: part(bob) > kept or not part(bob))
    programs[0].kill()
    alice.start()
    until("bob has it", lambda: len(got(bob)) == 1)
    assert part(bob) == 0
    found = bob.ask(f"GET /api/v1/data/{id}/blob HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n".encode())
    assert sha256(found.body) == sha256(content)


def part(node: Node) -> int:
    """How much of a blob has come that is not whole, in bytes."""
    folder = node.state / "blobs" / ".partial"
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
