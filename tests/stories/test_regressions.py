"""What once went wrong, each told as the story in which it did."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.daemon.config import NamespaceConfig
from ffd.delivery.dispatcher import Dispatcher
from ffd.inbound import turns
from ffd.inbound.rewind import key_known
from ffd.model.errors import Conflict, FfdError
from ffd.model.namespace import LEDGER_VERIFIER, org_did
from ffd.model.subscription import parse_subscription
from ffd.outbound.draft import parse_message
from ffd.plugins.ledger.signing import body_text, sign
from ffd.ports.ledger import BATCH_PIN_ACTION, BatchPin
from ffd.ports.transport import Delivery
from ffd.store import Transaction, identities
from ffd.store.identities import ORG, IdentityRow
from tests.world import Cast, Node, draft, named, read_event

KEY_FILE = "keys/org.pem"


def refusal(node: Node) -> FfdError:
    """Why a node did not start."""
    failure = node.failure
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    assert isinstance(failure, FfdError), failure
    return failure


async def test_a_node_whose_key_is_known_under_another_name_says_so(world: Cast, autojump_clock: object) -> None:
    """Every message that it accepted under the new name would have been rejected by all."""
    (alice,) = await world.nodes("alice")
    await alice.broadcast("tea")
    await alice.heard(1)
    await alice.stop()

    called = alice.config
    alice.config = named(called, "alicia", called.node.name)
    assert not await alice.start()
    assert isinstance(refusal(alice), Conflict) and refusal(alice).code == "FFD1303"
    assert "did:firefly:org/alice, " in str(refusal(alice)) and "did:firefly:org/alicia" in str(refusal(alice))

    alice.config = called
    assert await alice.start()
    await alice.broadcast("cake")
    assert await alice.heard(2) == ["tea", "cake"]


async def test_what_waited_for_a_key_goes_on_when_the_node_is_given_that_key(
    world: Cast, autojump_clock: object
) -> None:
    """Two nodes of one organisation, first with a key each, then with one."""
    world.strangers.update(("alice", "bob"))
    alice, bob = world.make_node("alice"), world.make_node("bob")
    for node in (alice, bob):
        node.config = named(node.config, "house", node.config.node.name)
    await alice.start()
    await bob.start()
    await bob.broadcast("dinner is ready")
    (blocked,) = await alice.wait_blocked()
    assert blocked.cause == "author"

    await alice.stop()
    shutil.copy(bob.disk.root / KEY_FILE, alice.disk.root / KEY_FILE)
    await alice.start()
    assert await alice.heard(1) == ["dinner is ready"]


LAB = {"default": NamespaceConfig("default"), "lab": NamespaceConfig("lab")}


async def know(node: Node, namespace: str, other: Node) -> None:
    """Let a node know who the other one is in a namespace."""
    place, did = node.desk.namespace(namespace), org_did(other.name)
    key = other.desk.namespace(namespace).key
    row = IdentityRow(node.desk.world.new_id(), did, ORG, None, other.name, None, place.created)

    def unit(tx: Transaction) -> None:
        found = identities.register(tx, place.number, row)
        identities.add_verifier(tx, place.number, place.name, found, LEDGER_VERIFIER, key, place.created)
        key_known(tx, place.number, key)

    await node.store.write(unit)


async def wait_heard_in(node: Node, namespace: str, count: int) -> None:
    """Until so many messages are confirmed in a namespace."""
    number = node.desk.namespace(namespace).number
    confirmed = "SELECT count(*) FROM events WHERE type = 'message_confirmed' AND namespace = ?"
    with trio.fail_after(600):
        while node.rows(confirmed, number) != [(count,)]:  # noqa: ASYNC110 - no bell tells of this
            await trio.sleep(0.1)


class Watched(dict[str, bytes]):
    """A shelf that knows what it was asked for."""

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__(content)
        self.for_: set[str] = set()

    def get(self, reference: str, default: Any = None) -> Any:
        self.for_.add(reference)
        return super().get(reference, default)


async def test_a_namespace_that_is_joined_late_has_its_whole_history(world: Cast, autojump_clock: object) -> None:
    """The ledger had been read beyond its pins, for the namespaces that the node knew then."""
    alice, bob = world.make_node("alice"), world.make_node("bob", namespaces=LAB)
    await alice.start()
    await bob.start()
    await bob.desk.acceptors["lab"].accept([draft(n, topics=["t"]) for n in range(3)])
    await wait_heard_in(bob, "lab", 3)
    await bob.broadcast("for all")
    assert await alice.heard(1) == ["for all"]

    await alice.stop()
    alice.config = replace(alice.config, namespaces=LAB)
    asked = world.shelf.content = Watched(world.shelf.content)
    await alice.start()
    await know(alice, "lab", bob)
    await wait_heard_in(alice, "lab", 3)
    await bob.broadcast("for all again")
    assert await alice.heard(2) == ["for all", "for all again"]
    (old, _) = alice.rows("SELECT payload_hash FROM batches WHERE namespace = 1 ORDER BY sequence")
    assert old[0].hex() not in asked.for_, "what is here is not fetched again"


async def test_a_namespace_changes_its_network_only_when_nothing_is_under_way(
    world: Cast, autojump_clock: object
) -> None:
    """A batch that was sealed for the one network would have been sent to the other, and confirmed nowhere."""
    (alice,) = await world.nodes("alice")
    alice.ledger_faults.away = True
    await alice.broadcast("tea")
    await alice.stop()

    before = alice.config
    alice.config = replace(before, namespaces={"default": NamespaceConfig("elsewhere")})
    assert not await alice.start()
    assert refusal(alice).code == "FFD1304" and "(1)" in str(refusal(alice))

    alice.config = before
    alice.ledger_faults.away = False
    await alice.start()
    assert await alice.heard(1) == ["tea"]
    await alice.stop()
    alice.config = replace(before, namespaces={"default": NamespaceConfig("elsewhere")})
    await alice.start()
    await alice.broadcast("cake")
    assert await alice.heard(2) == ["tea", "cake"]


def pin_by_hand(world: Cast, pin: BatchPin) -> None:
    """A member writes to the ledger what it likes."""
    body = body_text(pin)
    world.chain.append(
        *sign(Ed25519PrivateKey.from_private_bytes(bytes(32)), body), body, pin.payload_ref + pin.batch.hex()
    )


def forged(reference: str, *, tx: bytes = bytes(16), number: int = 1) -> BatchPin:
    """A pin of a batch that nobody has."""
    return BatchPin("default", BATCH_PIN_ACTION, tx, bytes([number]) * 16, bytes(32), reference, [bytes([number]) * 32])


async def test_a_payload_is_taken_though_another_pin_names_its_transaction_and_its_place(
    world: Cast, autojump_clock: object
) -> None:
    """The pin that came first was believed to be the one that the payload was fetched for."""
    alice, bob = await world.nodes("alice", "bob")
    alice.ledger_faults.away = bob.storage_faults.hide_all = True
    await alice.broadcast("tea")
    with trio.fail_after(600):
        while not world.shelf.content:  # noqa: ASYNC110 - no bell tells of this
            await trio.sleep(0.1)
    ((tx,),) = alice.rows("SELECT tx FROM batches")
    (reference,) = world.shelf.content
    pin_by_hand(world, forged(reference, tx=tx))
    alice.ledger_faults.away = False
    await bob.wait_blocked(2)
    bob.storage_faults.hide_all = False
    assert await bob.heard(1) == ["tea"]


async def test_payloads_that_never_come_do_not_keep_the_others_from_being_fetched(
    world: Cast, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places for downloads were held for ever by what nobody has."""
    monkeypatch.setattr(turns, "OPEN_MAX", 3)
    alice, bob = await world.nodes("alice", "bob")
    for number in range(1, 9):
        pin_by_hand(world, forged(f"{number:064d}", number=number))
    await bob.wait_blocked(8)
    bob.storage_faults.hide_all = True
    await alice.broadcast("late")
    await bob.wait_blocked(9)
    bob.storage_faults.hide_all = False
    assert await bob.heard(1) == ["late"]
    tried = bob.rows("SELECT count(*) FROM operations WHERE type LIKE '%download%' AND error IS NOT NULL")
    assert tried == [(8,)], "each had its turn"


class Ear:
    """An app that acknowledges what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.dispatcher: Dispatcher | None = None

    def placed(self, dispatcher: Dispatcher | None) -> None:
        self.dispatcher = dispatcher

    async def deliver(self, delivery: Delivery) -> None:
        await trio.lowlevel.checkpoint()
        for event in [read_event(json.loads(text)) for text in delivery.events]:
            self.heard += event.values
            assert self.dispatcher is not None and self.dispatcher.ack(event.id)


async def test_an_app_that_connects_while_the_disk_is_full_is_served_when_there_is_room(
    world: Cast, autojump_clock: object
) -> None:
    """To lead is to write, and the refusal of that write ended the connection."""
    (alice,) = await world.nodes("alice")
    await alice.broadcast("tea")
    await alice.heard(1)
    request = parse_subscription(b'{"name":"second","options":{"firstEvent":"oldest","withData":true}}')
    await alice.desk.subscriptions.create(alice.namespace, request)
    alice.disk.full = True
    ear = Ear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.desk.subscriptions.serve_durable, alice.namespace, "second", ear, ear.placed)
        await trio.sleep(30)
        alice.disk.full = False
        with trio.fail_after(600):
            while ear.heard != ["tea"]:  # noqa: ASYNC110 - no bell tells of this
                await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def test_a_message_with_many_datatypes_is_refused_or_confirmed(world: Cast, autojump_clock: object) -> None:
    """The names of datatypes were not weighed: a payload could be larger than any other member would read."""
    alice, bob = await world.nodes("alice", "bob")
    item = {"validator": "none", "value": 1, "datatype": {"name": "n" * 64, "version": "v" * 64}}
    for count in (10, 2000):
        sent = parse_message(json.dumps({"data": [item] * count}).encode())
        (got,) = await alice.desk.acceptors["default"].accept([sent])
        if isinstance(got, FfdError):
            assert (count, got.code) == (2000, "FF10327")
        else:
            await bob.settled([got.id_text])


@pytest.mark.parametrize("field", ["name", "version"])
async def test_the_name_of_a_datatype_is_a_name(world: Cast, autojump_clock: object, field: str) -> None:
    (alice,) = await world.nodes("alice")
    item = {"validator": "none", "value": 1, "datatype": {"name": "n", "version": "1"} | {field: "n" * 900_000}}
    sent = parse_message(json.dumps({"data": [item]}).encode())
    (got,) = await alice.desk.acceptors["default"].accept([sent])
    assert isinstance(got, FfdError) and got.code == "FF00140"
