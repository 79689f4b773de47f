"""The contract of ledgers, which every kind of ledger keeps."""

from dataclasses import replace
from itertools import pairwise

import pytest
import trio
import trio.testing

from ffd.model.errors import Broken, Invalid
from ffd.model.ids import sha256
from ffd.plugins.ledger.signing import Entry, entry_hash
from ffd.plugins.registry import LEDGERS as GROUP
from ffd.plugins.registry import OURS
from ffd.ports.ledger import BATCH_PIN_ACTION, CONTRACT_INVOKE_PIN_ACTION, BatchPin, Ledger
from ffd.ports.wallet import public_text
from tests.plugins.ledgers import LEDGERS, SharedLedger, everything, fill, key_of, pin

PATIENCE_S = 10


def test_every_ledger_that_comes_with_ffd_is_bound_by_this_contract() -> None:
    assert set(LEDGERS) == set(OURS[GROUP])


# What is written, and in what order


async def test_every_reader_finds_the_same_entries_in_the_same_order_for_ever(shared: SharedLedger) -> None:
    alice, bob, carol = [await shared.node(name) for name in ("alice", "bob", "carol")]
    for number in range(6):
        await fill((alice, bob)[number % 2], f"batch {number}")
    first = await everything(alice, limit=1)
    assert await everything(bob, limit=4) == await everything(carol) == first
    assert [event.pin for event in first] == [pin(f"batch {number}") for number in range(6)]
    await fill(carol, "one more")
    for reader in (alice, bob, carol):
        assert (await everything(reader))[:6] == first


async def test_positions_rise_as_text(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    await fill(alice, *map(str, range(25)))
    positions = [event.position for event in await everything(alice)]
    assert len(positions) == 25
    assert all(one < other for one, other in pairwise(positions))


async def test_a_reader_that_comes_back_goes_on_where_it_left(shared: SharedLedger) -> None:
    async with shared.visit("alice") as alice:
        await fill(alice, *"abcde")
        before = await everything(alice)
    async with shared.visit("alice") as alice:
        for number, event in enumerate(before, 1):
            assert await everything(alice, after=event.position) == before[number:]
            assert list(await alice.events(after=event.position, limit=2)) == before[number : number + 2]


PINS = {
    "contexts in their own order, the same one twice": pin("a", "topic 2", "topic 1", "topic 2"),
    "no payload reference, as private batches have it": pin("a", payload_ref=""),
    "a reference with all kinds of characters": pin("a", payload_ref='Qm/…\x00 "\\\u2028😀'),
    "an action of a contract": BatchPin(
        "net", CONTRACT_INVOKE_PIN_ACTION, bytes(16), b"\xff" * 16, bytes(32), "r", [b"\xff" * 32]
    ),
    "another network's name": BatchPin("ns/ü", BATCH_PIN_ACTION, b"t" * 16, b"b" * 16, b"h" * 32, "r", [b"c" * 32]),
}


@pytest.mark.parametrize("written", PINS.values(), ids=PINS)
async def test_a_pin_is_read_as_it_was_written(shared: SharedLedger, written: BatchPin) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    transaction = await alice.submit(written, request="r", key=alice.default_key())
    (found,) = await everything(bob)
    assert found.pin == written
    assert (found.transaction, found.signer) == (transaction, alice.default_key())


async def test_two_nodes_that_append_at_once_lose_nothing(shared: SharedLedger) -> None:
    names = {node: [f"{node} {number}" for number in range(15)] for node in ("alice", "bob")}
    async with trio.open_nursery() as nursery:
        for node in names:
            nursery.start_soon(fill, await shared.node(node), *names[node])
    found = [event.pin.batch for event in await everything(await shared.node("carol")) if event.pin]
    assert len(found) == 30
    for own in names.values():
        batches = [pin(name).batch for name in own]
        assert [batch for batch in found if batch in batches] == batches


# Once, whatever happens to the answer


async def test_a_request_that_was_taken_before_changes_nothing_and_succeeds(shared: SharedLedger) -> None:
    async with shared.visit("alice") as alice:
        first = await fill(alice, "a", "b")
        assert await fill(alice, "a", "b") == first
    async with shared.visit("alice") as alice:
        assert await fill(alice, "b", "a") == first[::-1]
        assert [event.transaction for event in await everything(alice)] == first


async def test_two_processes_that_submit_one_request_at_once_make_one_entry(shared: SharedLedger) -> None:
    answers: list[list[str]] = []

    async def submit(ledger: Ledger) -> None:
        answers.append(await fill(ledger, *"abcde"))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(submit, await shared.node("alice"))
    events = await everything(await shared.node("bob"))
    assert answers == [[event.transaction for event in events]] * 3


async def test_the_requests_of_two_members_are_different_ones(shared: SharedLedger) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    assert await fill(alice, "a") != await fill(bob, "a")
    assert [event.signer for event in await everything(alice)] == [alice.default_key(), bob.default_key()]


# Waiting


async def test_who_waits_is_woken_when_another_node_appends(shared: SharedLedger) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    position = ""
    for name in "abc":
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(alice.wait_beyond, position)
                await trio.testing.wait_all_tasks_blocked()
                await fill(bob, name)
        (event,) = await everything(alice, after=position)
        position = event.position


async def test_who_has_something_to_read_does_not_wait(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    await fill(alice, "a", "b")
    first, _ = await everything(alice)
    with trio.fail_after(PATIENCE_S):
        await alice.wait_beyond("")
        await alice.wait_beyond(first.position)


async def test_who_has_read_all_waits(shared: SharedLedger, autojump_clock: object) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    await fill(bob, "a", "b")
    for ledger in (alice, bob):
        with trio.move_on_after(60) as waiting:
            await ledger.wait_beyond((await everything(ledger))[-1].position)
        assert waiting.cancelled_caught
    with trio.move_on_after(60):
        await alice.wait_beyond("")
        return
    raise AssertionError("there was something past the beginning")


# Keys


async def test_a_key_that_is_not_ours_is_refused_and_nothing_is_recorded(shared: SharedLedger) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    for key in (bob.default_key(), "", "no key"):
        with pytest.raises(Invalid):
            await alice.submit(pin("a"), request="a", key=key)
    assert await everything(alice) == []


async def test_a_node_signs_with_every_key_that_it_has(shared: SharedLedger) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    key = public_text(key_of("her other one"))
    assert alice.can_sign(alice.default_key()) and not alice.can_sign(key)
    shared.give_key("alice", key_of("her other one"))
    assert alice.can_sign(key) and not bob.can_sign(key) and not alice.can_sign(bob.default_key())
    for number, signer in enumerate((alice.default_key(), key)):
        await alice.submit(pin(f"batch {number}"), request=str(number), key=signer)
    assert [event.signer for event in await everything(bob)] == [alice.default_key(), key]


async def test_a_key_has_one_spelling(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    key = key_of("alice").public_key().public_bytes_raw().hex()
    assert alice.default_key() == key
    assert alice.normal_key(key) == alice.normal_key(key.upper()) == alice.normal_key(f"0x{key}") == key
    for none in ("", "alice", key[2:], f"{key}00", f"{key[:-1]}g"):
        with pytest.raises(Invalid):
            alice.normal_key(none)


# What is shown


async def test_its_status_counts_its_entries_and_names_the_last(shared: SharedLedger) -> None:
    alice, bob = await shared.node("alice"), await shared.node("bob")
    assert (await alice.status()).height == 0
    hashes = await fill(bob, *"abc")
    found = await alice.status()
    assert (found.height, found.head) == (3, hashes[-1])


async def test_an_option_that_it_does_not_have_is_refused(shared: SharedLedger) -> None:
    with pytest.raises(Invalid, match="has no option speed"):
        async with shared.visit("alice", speed="high"):
            pass


# What a member writes who does not keep the rules

GOOD = '"version":1,"network":"n","action":"a","batchHash":"{h}","payloadRef":"r"'.replace("{h}", "0" * 64)
GARBAGE = {
    "nothing": "",
    "no JSON": "tea at four",
    "no object": "[]",
    "an empty object": "{}",
    "null": "null",
    "a number": "1e999",
    "half an object": "{" + GOOD,
    "ids of one byte less": f'{{{GOOD},"uuids":"{"0" * 62}","contexts":[]}}',
    "ids that are no hex": f'{{{GOOD},"uuids":"{"z" * 64}","contexts":[]}}',
    "contexts that are a text": f'{{{GOOD},"uuids":"{"0" * 64}","contexts":"{"0" * 64}"}}',
    "a context of 31 bytes": f'{{{GOOD},"uuids":"{"0" * 64}","contexts":["{"0" * 62}"]}}',
    "a context that is a number": f'{{{GOOD},"uuids":"{"0" * 64}","contexts":[7]}}',
    "a key that nobody knows": f'{{{GOOD},"uuids":"{"0" * 64}","contexts":[],"more":1}}',
    "deep lists": "[" * 50_000,
    "deep lists where a context should be": f'{{{GOOD},"uuids":"{"0" * 64}","contexts":[{"[" * 50_000}',
    "deep lists under a key that nobody knows": '{"x":' + "[" * 50_000,
    "a huge number": f'{{"version":{"9" * 400}}}',
    "a lone surrogate": '{"network":"\\ud800"}',
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
async def test_what_a_member_signs_that_is_no_pin_is_passed_over(shared: SharedLedger, body: str) -> None:
    alice = await shared.node("alice")
    await fill(alice, "before")
    shared.append_body("mallory", body)
    await fill(alice, "after")
    before, garbage, after = await everything(alice, limit=1)
    assert before.position < garbage.position < after.position
    assert (before.pin, garbage.pin, after.pin) == (pin("before"), None, pin("after"))
    assert await everything(alice, after=garbage.position) == [after]


# What is altered

SIGNED_BY_ANOTHER = key_of("mallory").sign(b"something")
TEXT, TIME = "was altered: its text or its signature is not", "was altered: its time or its hash is not"
ALTERED: dict[str, tuple[dict[str, object], str]] = {
    "a body": ({"body": '{"version":1}'}, TEXT),
    "a signature": ({"signature": SIGNED_BY_ANOTHER}, TEXT),
    "a signer": ({"signer": key_of("mallory").public_key().public_bytes_raw()}, TEXT),
    "a time": ({"timestamp": 1}, TIME),
    "a time before all times": ({"timestamp": -1}, TIME),
    "a hash": ({"hash": sha256(b"something")}, TIME),
    "a hash before": ({"previous": sha256(b"something")}, "does not follow entry 1: one of the two was altered"),
}


@pytest.mark.parametrize("columns, wrong", ALTERED.values(), ids=ALTERED)
async def test_an_entry_that_was_altered_is_named_and_what_stands_before_it_is_still_believed(
    shared: SharedLedger, columns: dict[str, object], wrong: str
) -> None:
    alice = await shared.node("alice")
    await fill(alice, *"abcd")
    before = await everything(alice)
    shared.alter(2, **columns)
    for limit in (1, 2, 10):
        assert list(await alice.events(after="", limit=limit)) == before[: min(limit, 2)]
    with pytest.raises(Broken, match=f"ledger entry 2 {wrong}.*; nothing from there on is believed: stop the nodes"):
        await everything(alice)


async def test_an_altered_entry_is_noticed_by_who_has_read_it_before(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    await fill(alice, *"abc")
    read = (await everything(alice))[1].position
    shared.alter(1, hash=sha256(b"something"))
    with pytest.raises(Broken, match="has another entry 1 than the one that this node has read"):
        await alice.events(after=read, limit=10)


async def test_an_entry_that_its_signer_did_not_sign_is_named_though_the_chain_holds(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    await fill(alice, *"ab")
    forged = replace(shared.entries[1], signer=key_of("mallory").public_key().public_bytes_raw())
    shared.alter(1, signer=forged.signer, hash=hash_of(forged))
    with pytest.raises(Broken, match=f"ledger entry 1 is not signed by {forged.signer.hex()}"):
        await everything(alice)


def hash_of(entry: Entry) -> bytes:
    """What makes an altered entry fit the chain."""
    return entry_hash(entry.previous, entry.height, entry.timestamp, entry.signer, entry.signature, entry.body)


async def test_entries_that_change_places_are_noticed(shared: SharedLedger) -> None:
    alice = await shared.node("alice")
    await fill(alice, *"abcd")
    shared.swap(1, 2)
    with pytest.raises(Broken, match="ledger entry 1 does not follow entry 0: one of the two was altered or replaced"):
        await everything(alice)


@pytest.mark.parametrize("height", [0, 1])
async def test_an_entry_that_is_missing_is_noticed(shared: SharedLedger, height: int) -> None:
    alice = await shared.node("alice")
    await fill(alice, *"abcd")
    shared.remove(height)
    with pytest.raises(Broken, match=f"ledger entry {height} is missing: entry {height + 1} stands"):
        await everything(alice)
