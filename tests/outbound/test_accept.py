"""What is accepted, what is refused with which code, and what is stored of it: all or nothing."""

import json
from typing import Any

import pytest
import trio

from ffd.model.errors import Conflict, FfdError, Full, Invalid
from ffd.model.ids import parse_uuid, sha256
from ffd.model.message import Header, parse_header
from ffd.model.namespace import org_did
from ffd.outbound.accept import GATHERING_MAX, Accepted, AcceptLimits
from ffd.outbound.draft import ITEMS_MAX, LARGE_BYTES, parse_message, parse_send
from ffd.store import blobs, data
from ffd.store.blobs import BlobRow
from tests.outbound.author import LIMITS, Author, draft, headed, key_of, open_author
from tests.simulation.disk import Disk, Loss

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_an_accepted_message_is_complete(author: Author, autojump_clock: object) -> None:
    (accepted,) = await author.accept(
        {"header": {"tag": "t", "topics": ["b", "a"], "cid": NOBODY}, "data": [{"value": 1}, {"value": " x "}]}
    )
    header = parse_header(accepted.message.header)
    assert header == Header(
        id=accepted.id_text, cid=NOBODY, type="broadcast", txtype="batch_pin", author=org_did("me"), key=key_of("me"),
        created=header.created, namespace="network", topics=("b", "a"), tag="t", datahash=header.datahash,
    )  # fmt: skip
    assert author.rows("SELECT id, state FROM messages JOIN message_states ON message = sequence") == [
        (accepted.id, "ready")
    ]
    assert author.rows("SELECT value FROM data ORDER BY sequence") == [("1",), ('" x "',)]


async def test_what_the_sender_may_not_set_is_not_taken(author: Author, autojump_clock: object) -> None:
    given = {"id": NOBODY, "type": "private", "namespace": "other", "created": "2001-01-01T00:00:00Z", "group": "x"}
    (accepted,) = await author.accept(headed(**given) | {"hash": "x", "state": "confirmed", "batch": NOBODY})
    header = parse_header(accepted.message.header)
    assert header.id != NOBODY and header.created != given["created"]
    assert (header.type, header.namespace, header.group) == ("broadcast", "network", "")


@pytest.mark.parametrize(
    "given, txtype",
    [("", "batch_pin"), ("unpinned", "batch_pin"), ("Contract_Invoke_Pin", "contract_invoke_pin"), ("x", "batch_pin")],
)
async def test_a_broadcast_is_always_pinned(author: Author, autojump_clock: object, given: str, txtype: str) -> None:
    (accepted,) = await author.accept(headed(txtype=given))
    assert parse_header(accepted.message.header).txtype == txtype


# Refusals ---------------------------------------------------------------------------------------------------------


def with_data(*items: Any) -> dict[str, Any]:
    """A message with these data items."""
    return {"data": list(items)}


REFUSED: dict[str, tuple[Any, str]] = {
    "a topic that is no name": (headed(topics=["ok", "not ok"]), "FF00140"),
    "an empty topic": (headed(topics=[""]), "FF00140"),
    "no topic in the list": (headed(topics=[None]), "FF00140"),
    "a topic twice": (headed(topics=["a", "b", "a"]), "FF00133"),
    "eleven topics": (headed(topics=[f"t{n}" for n in range(11)]), "FF00134"),
    "a tag that is no name": (headed(tag="no tag!"), "FF00140"),
    "a cid that is no id": (headed(cid="yesterday"), "FF00138"),
    "an unknown author": (headed(author="zoe"), "FF10206"),
    "an unknown key": (headed(key=key_of("zoe")), "FF10206"),
    "a key that is somebody else's": (headed(key=key_of("bob")), "FFD2502"),
    "an author who is somebody else": (headed(author="bob"), "FFD2502"),
    "an unknown key in a known author's name": (headed(author="carl", key=key_of("carl")), "FFD2502"),
    "no value": (with_data({}), "FF10205"),
    "a value that is null": (with_data({"value": None}), "FF10205"),
    "a second item without a value": (with_data({"value": 1}, {"validator": "json"}), "FF10205"),
    "data that nobody knows": (with_data({"id": NOBODY}), "FF10204"),
    "data by something that is no id": (with_data({"id": "mine"}), "FF00138"),
    "an unknown validator": (with_data({"value": 1, "validator": "magic"}), "FF00108"),
    "an unknown datatype": (with_data({"value": 1, "datatype": {"name": "tea", "version": "1"}}), "FF10195"),
    "an unknown blob": (with_data({"value": 1, "blob": {"hash": "ab" * 32}}), "FF10239"),
    "a key of 257 characters": (headed() | {"idempotencyKey": "k" * 257}, "FF00135"),
    "a value that is too large": (with_data({"value": "x" * 10_000}), "FF10327"),
    "values that are too large together": (with_data(*[{"value": "x" * 4_500}] * 2), "FF10327"),
    "a value whose bytes are too many": (with_data({"value": "\u20ac" * 3_000}), "FF10327"),
}


@pytest.mark.parametrize("message, code", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_wrong_is_refused_and_leaves_nothing(
    author: Author, autojump_clock: object, message: Any, code: str
) -> None:
    assert await author.codes(message) == [code]
    assert [author.count(table) for table in ("messages", "message_states", "data", "message_data")] == [0] * 4
    assert await author.codes(message, "tea") == [code, ""], "and does not spoil what is sent with it"
    assert [author.count(table) for table in ("messages", "message_states", "data", "message_data")] == [1] * 4


async def test_a_datatype_is_no_obstacle_when_nobody_validates(author: Author, autojump_clock: object) -> None:
    item = {"value": 1, "validator": "none", "datatype": {"name": "tea", "version": "1"}}
    assert await author.codes(with_data(item)) == [""]


async def test_the_largest_message_is_taken_and_one_byte_more_is_not(author: Author, autojump_clock: object) -> None:
    most = LIMITS.message_bytes_max - 1024 - 256 - len('""')
    assert await author.codes("x" * most, "x" * (most + 1)) == ["", "FF10327"]


async def test_a_backlog_at_its_limit_takes_no_more_and_none_of_a_frame(author: Author, autojump_clock: object) -> None:
    await author.accept(*range(99))
    with pytest.raises(Full, match="FFD2501.*99 messages wait.*limit is 100"):
        await author.accept("two", "too many")
    assert author.count("messages") == 99
    await author.accept("one more")
    await author.store.write(author.sealer.seal_page)
    await author.accept("there is room again")


async def test_a_disk_without_room_takes_nothing(disk: Disk, autojump_clock: object) -> None:
    limits = AcceptLimits(disk_reserve_bytes=8 << 20)
    async with open_author(disk, limits=limits) as author:
        disk.free_bytes = (8 << 20) - 1
        with pytest.raises(Full, match="FFD3002: 7 MiB are free .*, and 8 MiB are kept"):
            await author.accept("tea")
        disk.free_bytes = 8 << 20
        await author.accept("tea")


# Idempotency keys ---------------------------------------------------------------------------------------------------


def keyed(key: str) -> dict[str, Any]:
    return headed() | {"idempotencyKey": key}


def check_refused(result: Accepted | FfdError, first: Accepted) -> None:
    assert isinstance(result, Conflict)
    assert str(result) == f"FF10430: Idempotency key 'k' already used for message '{first.id_text}'"


async def test_a_key_is_good_once_within_a_frame(author: Author, autojump_clock: object) -> None:
    first, second, other = await author.acceptor.accept([draft(keyed("k")), draft(keyed("k")), draft(keyed("j"))])
    assert isinstance(first, Accepted) and isinstance(other, Accepted)
    check_refused(second, first)
    assert author.count("messages") == author.count("data") == 2


@pytest.mark.parametrize("together", [True, False])
async def test_a_key_is_good_once_over_many_frames(author: Author, autojump_clock: object, together: bool) -> None:
    """Frames that come together are stored together, and each hears of its own."""
    frames = []
    for _ in range(3):
        frames.append(author.acceptor.begin([draft("tea"), draft(keyed("k"))]))
        if not together:
            await frames[-1].wait()
    results = [await frame.wait() for frame in frames]
    first = results[0][1]
    assert isinstance(first, Accepted)
    for teas, result in results[1:]:
        assert isinstance(teas, Accepted)
        check_refused(result, first)
    assert author.count("messages") == 4


async def test_a_key_is_good_once_over_restarts(disk: Disk, autojump_clock: object) -> None:
    async with open_author(disk) as author:
        (first,) = await author.accept(keyed("k"))
        disk.lose_power()
    disk.come_back(Loss.DROP)
    async with open_author(disk) as author:
        (again,) = await author.acceptor.accept([draft(keyed("k"))])
        check_refused(again, first)


async def test_a_key_of_a_refused_message_is_still_good(author: Author, autojump_clock: object) -> None:
    refused = headed(tag="no tag!") | {"idempotencyKey": "k"}
    assert await author.codes(refused, keyed("k")) == ["FF00140", ""]


async def test_frames_that_come_together_keep_their_order(author: Author, autojump_clock: object) -> None:
    frames = [author.acceptor.begin([draft([n, m]) for m in range(7)]) for n in range(GATHERING_MAX // 50)]
    results = [each for frame in frames for each in await frame.wait()]
    ids = [each.id for each in results if isinstance(each, Accepted)]
    assert author.rows("SELECT id FROM messages ORDER BY sequence") == [(id,) for id in ids]
    assert len(ids) == len(results)


async def test_one_who_stops_waiting_takes_nobody_with_it(author: Author, autojump_clock: object) -> None:
    gone, stays = author.acceptor.begin([draft("gone")]), author.acceptor.begin([draft("stays")])
    with trio.CancelScope() as scope:
        scope.cancel()
        await gone.wait()
    (accepted,) = await stays.wait()
    assert isinstance(accepted, Accepted)
    assert author.count("messages") == 2, "it was begun, and may be accepted: nobody was told that it was not"


# Data by reference --------------------------------------------------------------------------------------------------


async def test_data_that_is_here_may_be_sent_again_by_its_id(author: Author, autojump_clock: object) -> None:
    (first,) = await author.accept(with_data({"value": {"tea": 4}}))
    item = first.message.items[0]
    refs = [{"id": item.id}, {"id": item.id.upper(), "hash": f"0x{item.hash.hex().upper()}"}]
    again = await author.accept(*[with_data(ref, {"value": n}) for n, ref in enumerate(refs)])
    assert all(json.loads(each.message.data)[0] == json.loads(first.message.data)[0] for each in again)
    assert author.rows("SELECT value FROM data ORDER BY sequence") == [('{"tea":4}',), ("0",), ("1",)]
    assert author.count("message_data") == 5


async def test_data_with_a_blob_that_is_not_here_is_not_sent_on(author: Author, autojump_clock: object) -> None:
    (first,) = await author.accept("tea")
    blob = '{"hash":"' + "ab" * 32 + '","size":3}'
    await author.store.write(lambda tx: tx.execute("UPDATE data SET blob = ?", (blob,)))
    assert await author.codes(with_data({"id": first.message.items[0].id})) == ["FF10239"]


async def test_data_by_id_must_have_the_hash_that_it_is_said_to_have(author: Author, autojump_clock: object) -> None:
    (first,) = await author.accept("tea")
    assert await author.codes(with_data({"id": first.message.items[0].id, "hash": "ab" * 32})) == ["FF10204"]


async def test_data_twice_in_one_message_is_refused(author: Author, autojump_clock: object) -> None:
    (first,) = await author.accept("tea")
    ref = {"id": first.message.items[0].id}
    assert await author.codes(with_data(ref, ref)) == ["FF00129"]


async def test_a_sealed_message_has_its_data_by_reference_too(author: Author, autojump_clock: object) -> None:
    (first,) = await author.accept("tea")
    await author.accept(with_data({"id": first.message.items[0].id}))
    (batch,) = await author.store.write(author.sealer.seal_page)
    items = json.loads(batch.payload)["payload"]["data"]
    assert [item["id"] for item in items] == [first.message.items[0].id] * 2, "once for each message (FireFly 4.5)"


async def test_what_is_deleted_between_the_look_at_it_and_the_writing_refuses_its_message_alone(
    author: Author, autojump_clock: object
) -> None:
    """The sequence of the item that went may belong to another one by then."""
    (first,) = await author.accept("tea")
    (item,) = first.message.items
    number = author.namespace.number
    deleting = author.store.begin(lambda tx: data.delete(tx, data.sequence_of(tx, number, parse_uuid(item.id)) or 0))
    accepting = author.acceptor.begin([draft({"data": [{"id": item.id}]}), draft("cake")])
    await deleting.wait()
    refused, accepted = await accepting.wait()
    assert isinstance(refused, Invalid) and refused.code == "FF10204"
    assert isinstance(accepted, Accepted)
    assert [value for (value,) in author.rows("SELECT value FROM data")] == ['"cake"']


async def test_a_blob_that_goes_meanwhile_refuses_its_message(author: Author, autojump_clock: object) -> None:
    number, hash = author.namespace.number, sha256(b"tea")
    await author.store.write(lambda tx: blobs.record(tx, number, BlobRow(hash, 3, 1)))
    forgetting = author.store.begin(lambda tx: blobs.forget(tx, number, hash))
    accepting = author.acceptor.begin([draft({"data": [{"blob": {"hash": hash.hex()}}]}), draft("cake")])
    await forgetting.wait()
    refused, accepted = await accepting.wait()
    assert isinstance(refused, Invalid) and refused.code == "FF10204"
    assert isinstance(accepted, Accepted)


async def test_a_message_that_can_never_fit_costs_no_work(author: Author, autojump_clock: object) -> None:
    """Its values would be read, hashed and given ids one by one, to be refused in the end."""
    white = b" " * LARGE_BYTES
    (accepted,) = await author.accept(b'{"data":[{"value":[1,' + white + b"2]}]}")
    assert accepted.message.size < LARGE_BYTES, "white space is not counted"
    large = b'{"data":' + listed(b'{"value":[1,2]}', ITEMS_MAX) + b',"x":"' + white + b'"}'
    assert await author.codes(large) == ["FF10327"]


def listed(item: bytes, count: int) -> bytes:
    """A list of so many of them."""
    return b"[" + b",".join([item] * count) + b"]"


MANY = listed(b"{}", 100_000)
SENSELESS = {
    "data": b'{"data":' + MANY + b"}",
    "recipients": b'{"group":{"members":' + MANY + b"}}",
    "messages in a frame": b'{"type":"send","messages":' + MANY + b"}",
    "data in a frame": b'{"type":"send","messages":' + listed(b'{"data":' + listed(b"{}", 9_000) + b"}", 11) + b"}",
}


@pytest.mark.parametrize("raw", SENSELESS.values(), ids=SENSELESS)
def test_lists_of_no_sense_are_refused_before_they_are_read(raw: bytes) -> None:
    with pytest.raises(Invalid, match=r"^FFD2104: .* 10000|^FFD2037: "):
        (parse_send if b"send" in raw else parse_message)(raw)
