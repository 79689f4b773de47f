"""What is private stays with its members: nothing of group, topic, members or content is on the ledger, on the shared
storage, or on the node of somebody else.

The author of a pin can be known, by the key that signed it; whom it is for, and that two pins belong together, cannot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffd.model.ids import sha256
from tests.api.uploading import BOUNDARY, form
from tests.network.members import Member, Network
from tests.processes.node import House, query, until

TOPIC, TAG, NAME = "the-takeover", "very-secret-tag", "the-conspirators"
VALUE, OTHER_VALUE = "we buy at seven", "no, at eight"
BLOB = b"a plan of the building " * 4000
FILE = "plan-of-the-building.txt"


@pytest.fixture
def network(house: House) -> Iterator[Network]:
    """Alice and bob have secrets; carol is of the network, and not one of them."""
    found = Network(house, "alice", "bob", "carol")
    found.start()
    yield found
    found.stop()


def whisper(author: Member, *topics: str, value: str, **more: object) -> dict[str, object]:
    """A private message among alice and bob, once it is confirmed."""
    group = {"name": NAME, "members": [{"identity": "alice"}, {"identity": "bob"}]}
    header = {"topics": topics, "tag": TAG}
    return author.send("private?confirm=true", {"header": header, "group": group, "data": [{"value": value}], **more})


def upload(member: Member) -> str:
    """Store a blob; the id of its data item."""
    body = form(BLOB, FILE, autometa="true")
    head = (
        f"POST /api/v1/data HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    answer = member.node.ask(head.encode() + body)
    assert answer.status == 201, answer
    return str(json.loads(answer.body)["id"])


def conspire(network: Network) -> list[str]:
    """Everything that is done in private, in every way; the hashes of the groups."""
    alice, bob = network["alice"], network["bob"]
    first = whisper(alice, TOPIC, value=VALUE)
    whisper(alice, TOPIC, value=VALUE)
    whisper(bob, TOPIC, f"{TOPIC}-2", value=OTHER_VALUE)
    whisper(alice, TOPIC, value="", data=[{"id": upload(alice)}])
    header = {"topics": [TOPIC], "tag": TAG, "txtype": "unpinned"}
    group = {"name": NAME, "members": [{"identity": "alice"}, {"identity": "bob"}]}
    alice.send("private?confirm=true", {"header": header, "group": group, "data": [{"value": VALUE}]})
    alone = {"name": f"{NAME}-2", "members": [{"identity": "alice"}]}
    second = alice.send(
        "private?confirm=true", {"header": {"topics": [TOPIC]}, "group": alone, "data": [{"value": VALUE}]}
    )
    for member in (alice, bob):
        until("all of it is on both", lambda member=member: len(told(member)) == (6 if member is alice else 5))  # type: ignore[misc]
    return [str(sent["header"]["group"]) for sent in (first, second)]  # type: ignore[index]


def told(member: Member) -> list[dict[str, object]]:
    return member.find("messages?type=private&state=confirmed")


def secrets(groups: list[str]) -> set[bytes]:
    """All that must not be found, in every form in which it could be written."""
    texts = [TOPIC, f"{TOPIC}-2", TAG, NAME, f"{NAME}-2", VALUE, OTHER_VALUE, FILE, BLOB[:23].decode()]
    words = [text.encode() for text in texts]
    raw = [bytes.fromhex(group) for group in groups]
    hashes = [sha256(word) for word in words] + [sha256(BLOB), sha256(json.dumps(VALUE).encode())]
    # The context of a private topic, and its pins as long as nobody knows the group (FireFly reference 2).
    contexts = [sha256(TOPIC.encode() + group) for group in raw]
    whole = [*words, *raw, *hashes, *contexts]
    return {form for each in whole for form in (each, each.hex().encode(), each.hex().upper().encode())}


def leaks(folder: Path, unwanted: set[bytes]) -> list[str]:
    """What of this is in the files below a folder, or in their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    contents = [(str(path), path.read_bytes() + str(path.relative_to(folder)).encode()) for path in files]
    return [f"{name}: {each!r}" for name, content in contents for each in unwanted if each in content]


def entries(network: Network) -> list[dict[str, object]]:
    return [json.loads(body) for (body,) in query(network.ledger, "SELECT body FROM entries ORDER BY height")]


def stored(network: Network) -> set[Path]:
    return {path for path in (network.shared / "storage").rglob("*") if path.is_file()}


def test_nothing_private_is_on_the_ledger_the_storage_or_with_others(network: Network) -> None:
    files, pins = stored(network), len(entries(network))
    groups = conspire(network)
    carol = network["carol"]
    until("carol has read the ledger", lambda: carol.node.facts()["ledger"]["height"] == len(entries(network)))
    assert stored(network) == files, "what is private is not on the shared storage, not even in cipher"
    found = secrets(groups)
    assert leaks(network.shared, found) == []
    assert leaks(carol.node.state, found) == []
    assert leaks(network["bob"].node.state, found) != [], "the search finds what is there"
    check_pins(network, pins)
    assert carol.find("groups") == carol.find("messages?type=private") == carol.find("messages?type=groupinit") == []
    assert carol.node.facts()["blocked"] == [], "pins of others hold up nobody"


def check_pins(network: Network, first: int) -> None:
    """What the ledger says of a private batch: its author's key, random ids, a hash, and contexts of one use each."""
    private = [entry for entry in entries(network)[first:] if not entry["payloadRef"]]
    assert len(private) == len(entries(network)) - first, "nothing else was sent meanwhile"
    for entry in private:
        assert set(entry) == {"version", "network", "action", "uuids", "batchHash", "payloadRef", "contexts"}
    contexts = [context for entry in private for context in entry["contexts"]]  # type: ignore[attr-defined]
    assert len(set(contexts)) == len(contexts), (
        "a context that comes again would tell that two messages belong together"
    )
    about = [json.dumps(entry) for entry in private]
    names = [node["id"] for member in network.members.values() for node in member.find("network/nodes")]
    names += [org["id"] for member in network.members.values() for org in member.find("network/organizations")]
    assert not [name for name in names for text in about if str(name).replace("-", "") in text or str(name) in text]
