"""Several tenants on one node: local namespaces of one network, each with an organisation of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.api.uploading import form
from tests.processes.node import House, Node, Program, until
from tests.processes.test_blobs import request_head
from tests.processes.test_exchange import port

SHARED = """
[ledgers.local]
options = {{ path = "{shared}/ledger.db" }}
[storages.local]
options = {{ path = "{shared}/storage" }}
[exchanges.local]
plugin = "https"
options = {{ port = {port} }}
"""
TENANT = """
[namespaces.{name}]
network_name = "market"
org = "{name}-org"
node = "{name}-node"
register = true
"""
HOMES = {"one": ("alice", "bob"), "two": ("charlie",)}
EVERYBODY = ("alice", "bob", "charlie")


class Market:
    """Three tenants on two nodes; all of them are known to each other."""

    def __init__(self, house: House) -> None:
        shared = house.folder / "shared"
        shared.mkdir()
        self._nodes: dict[str, Node] = {}
        self.programs: list[Program] = []
        for home, tenants in HOMES.items():
            config = f'[org]\nname = "{home}"\n[node]\nname = "{home}"\ndefault_namespace = "{tenants[0]}"\n'
            config += SHARED.format(shared=shared, port=port()) + "".join(TENANT.format(name=each) for each in tenants)
            node = Node(house, home, config=config)
            self._nodes |= dict.fromkeys(tenants, node)
            self.programs.append(node.start())
        for name in EVERYBODY:
            until("all nodes are known", lambda name=name: self._known(name))  # type: ignore[misc]

    def _known(self, tenant: str) -> bool:
        return len([each for each in self.get(tenant, "network/nodes") if each["messages"]["claim"]]) == len(EVERYBODY)

    def node(self, tenant: str) -> Node:
        return self._nodes[tenant]

    def get(self, tenant: str, path: str) -> Any:
        status, found = self._nodes[tenant].get(f"/api/v1/namespaces/{tenant}/{path}")
        assert status == 200, found
        return found

    def send(self, tenant: str, value: object, to: Sequence[str] = (), **item: object) -> None:
        """Send to some nodes, or to all, and wait until the sender has it confirmed."""
        body: dict[str, Any] = {"header": {"topics": ["stall"]}, "data": [item or {"value": value}]}
        if to:
            members = [
                {"identity": f"did:firefly:org/{each}-org", "node": f"did:firefly:node/{each}-node"} for each in to
            ]
            body["group"] = {"members": members}
        path = f"/api/v1/namespaces/{tenant}/messages/{'private' if to else 'broadcast'}?confirm=true"
        answer = self._nodes[tenant].post(path, json.dumps(body).encode())
        assert answer.status == 200, answer

    def upload(self, tenant: str, content: bytes) -> str:
        body = form(content, autometa="true")
        head = request_head(len(body)).replace(b"/api/v1/", f"/api/v1/namespaces/{tenant}/".encode())
        answer = self._nodes[tenant].ask(head + body)
        assert answer.status == 201, answer
        return str(json.loads(answer.body)["id"])

    def download(self, tenant: str, item: str) -> bytes:
        head = f"GET /api/v1/namespaces/{tenant}/data/{item}/blob HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n"
        return self._nodes[tenant].ask(head.encode()).body

    def heard(self, tenant: str) -> list[Any]:
        """The values of the messages that a tenant has, in the order of their events."""
        events = self.get(tenant, "events?type=message_confirmed&topic=stall&sort=sequence&limit=1000")
        found = self.get(tenant, "messages?fetchdata=true&limit=1000&topics=stall")
        values = {each["header"]["id"]: each["data"][0].get("value") for each in found}
        return [values[each["reference"]] for each in events]

    def wait_heard(self, tenant: str, count: int) -> list[Any]:
        until(f"{tenant} has {count}", lambda: len(self.heard(tenant)) >= count)
        return self.heard(tenant)


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


def test_two_tenants_of_a_node_and_one_of_another_are_three_members_of_one_network(market: Market) -> None:
    """FireFly's end-to-end test of multi-tenancy: broadcasts, private messages by node, a blob."""
    for tenant in EVERYBODY:
        market.send(tenant, f"hello from {tenant}")
    market.send("alice", "for bob", to=("alice", "bob"))
    market.send("bob", "for alice", to=("alice", "bob"))
    market.send("charlie", "for alice", to=("alice", "charlie"))
    hello = {f"hello from {each}" for each in EVERYBODY}
    heard = {each: market.wait_heard(each, count) for each, count in (("alice", 6), ("bob", 5), ("charlie", 4))}
    assert heard["alice"][:3] == heard["bob"][:3] == heard["charlie"][:3]
    assert set(heard["alice"][:3]) == hello
    assert heard["alice"][3:] == ["for bob", "for alice", "for alice"]
    assert heard["bob"][3:] == ["for bob", "for alice"]
    assert heard["charlie"][3:] == ["for alice"]

    content = bytes(range(256)) * 100
    item = market.upload("bob", content)
    market.send("bob", None, id=item)
    market.send("bob", None, to=("alice", "bob", "charlie"), id=item)
    for tenant, count in (("alice", 8), ("bob", 7), ("charlie", 6)):
        market.wait_heard(tenant, count)
        assert market.download(tenant, item) == content
    for tenant in EVERYBODY:
        until(f"all that {tenant} asked for is done", lambda tenant=tenant: all_done(market, tenant))  # type: ignore[misc]
        transactions = {each["id"] for each in market.get(tenant, "transactions?limit=1000")}
        pinned = {each["tx"]["id"] for each in market.get(tenant, "blockchainevents?limit=1000")}
        assert pinned <= transactions, "each tenant has the transactions of its network, for itself"
    for home, program in zip(("alice", "charlie"), market.programs, strict=True):
        market.node(home).stop(program)


def all_done(market: Market, tenant: str) -> bool:
    return all(each["status"] == "Succeeded" for each in market.get(tenant, "operations?limit=1000"))
