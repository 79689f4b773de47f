"""Every operator of FireFly's filters on real rows: what is asked in a query string, and which rows are found."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ffd.api.filters import parse_filter
from ffd.model.data import BlobRef, Data, DatatypeRef, data_hash
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import Header, TxParent, seal
from ffd.model.query import COLLECTIONS
from ffd.model.times import parse_time
from ffd.store import (
    Store,
    Transaction,
    batches,
    collections,
    events,
    messages,
    namespaces,
    offsets,
    open_store,
    operations,
    pins,
)
from ffd.store import search as searching
from ffd.store.batches import BatchRow
from ffd.store.collection import Collection
from ffd.store.collections import BATCHES, DATA, EVENTS, MESSAGES, OPERATIONS, PINS, SUBSCRIPTIONS, TRANSACTIONS
from ffd.store.events import NewEvent
from ffd.store.messages import NewMessage
from ffd.store.operations import PIN_BATCH, OperationRow
from ffd.store.pins import PinnedBatch, WaitingPin
from ffd.store.subscriptions import SubscriptionRow
from ffd.store.subscriptions import create as create_subscription
from ffd.world import RealWorld

HERE, ELSEWHERE = 1, 2
COLLECTIONS_HERE: dict[str, Collection[Any]] = {
    each.name: each
    for each in (
        MESSAGES, DATA, EVENTS, BATCHES, PINS, SUBSCRIPTIONS, TRANSACTIONS, OPERATIONS,
        collections.IDENTITIES, collections.NODES, collections.ORGANIZATIONS,
    )
}  # fmt: skip
PARENT = format_uuid(sha256(b"parent")[:16])


def uid(name: str) -> bytes:
    """The id of what a test calls `name`."""
    return sha256(name.encode())[:16]


# name: tag, topics, cid, created, and what became of it
MESSAGES_HERE = {
    "a": ("red", "one", "", "2024-03-01T12:00:00Z", "confirmed 10"),
    "b": ("Red", "one two", "", "2024-03-01T12:00:00.5Z", "confirmed 10"),
    "c": ("o_f", "two", "a", "2024-03-01T12:00:01Z", "rejected 30"),
    "d": ("", "three", "a", "2024-03-01T12:00:02.25Z", "sent"),
    "e": ("blue", "one.two", "", "2024-03-01T12:00:02.3Z", "ready"),
}


def new_message(name: str) -> NewMessage:
    tag, topics, cid, created, _ = MESSAGES_HERE[name]
    item = Data(id=format_uuid(uid(f"data {name}")), hash=data_hash(f'"{name}"', None), created=5, value=f'"{name}"')
    header = Header(
        id=format_uuid(uid(name)), cid=format_uuid(uid(cid)) if cid else "", txtype="batch_pin", key="k",
        author="did:firefly:org/o", created=created, namespace="net", topics=tuple(topics.split()), tag=tag,
        txparent=TxParent("token_transfer", PARENT) if name == "e" else None,
    )  # fmt: skip
    sealed = seal(header, [item.ref])
    key = f"key-{name}" if name in "ab" else None
    return NewMessage(uid(name), sealed.header_json, sealed.hash, sealed.refs_json, 1, [item], key)


def fill_messages(tx: Transaction) -> None:
    batches.insert(tx, new_batch(1, "batch", sent=20))
    first = messages.append(tx, HERE, [new_message(name) for name in MESSAGES_HERE], state="ready", known={})
    messages.put_in_batch(tx, list(range(first, first + 4)), 1)
    for sequence, (*_, fate) in enumerate(MESSAGES_HERE.values(), first):
        state, _, when = fate.partition(" ")
        if state == "confirmed":
            messages.confirm(tx, [sequence], int(when))
        elif state == "rejected":
            messages.reject(tx, sequence, "FF10202: because", int(when))
    messages.append(tx, ELSEWHERE, [new_message("a")], state="ready", known={})


def new_batch(sequence: int, name: str, *, sent: int | None = None, confirmed: int | None = None) -> BatchRow:
    return BatchRow(
        sequence=sequence, id=uid(name), namespace=HERE, type="broadcast", node=None, group_hash=None, author="o",
        key="k", created=sequence, hash=sha256(name.encode()), manifest="{}", tx=uid(f"tx {name}"), tx_type="batch_pin",
        sealed=1, payload_hash=None, payload_ref=f"ref-{name}", sent=sent, confirmed=confirmed,
    )  # fmt: skip


def fill_events(tx: Transaction) -> None:
    kinds = ("transaction_submitted", "message_confirmed", "message_confirmed", "message_rejected")
    events.append(
        tx,
        [
            NewEvent(uid(f"event {n}"), HERE, kind, uid("ab"[n % 2]), uid("c") if n == 2 else None, None, f"t{n}", n)
            for n, kind in enumerate(kinds, 1)
        ],
    )
    events.append(tx, [NewEvent(uid("event 5"), ELSEWHERE, kinds[0], uid("a"), None, None, "t1", 5)])


def fill_pins(tx: Transaction) -> None:
    pinned = PinnedBatch(
        uid("entry"), "ledger", "1", "0x", 9, "signer", "action", uid("tx"), uid("batch"), sha256(b"batch"), "ref",
        [sha256(topic) for topic in (b"one", b"two", b"three")],
    )  # fmt: skip
    pins.record(tx, HERE, [pinned], 7)
    pins.leave_waiting(tx, HERE, [WaitingPin(2, sha256(b"two"), uid("batch"), None, None, "payload", "x")], 8)
    offsets.move(tx, offsets.AGGREGATOR, "here", to=2)


def fill_others(tx: Transaction) -> None:
    blob = BlobRef("ab" * 32, 1500, "a/f.txt", "/a", "Qm")
    rich = Data(id=format_uuid(uid("rich")), hash=sha256(b"rich"), created=9, value='{"n":1}', validator="none",
                datatype=DatatypeRef("widget", "v1"), blob=blob)  # fmt: skip
    messages.append_data(tx, HERE, [(100, rich, None)])
    batches.insert(tx, new_batch(2, "second", confirmed=40))
    for name, filter in (("s1", '{"events":"message_.*"}'), ("s2", "{}")):
        row = SubscriptionRow(0, uid(name), HERE, name, "websockets", filter, '{"firstEvent":"-1"}', 3, None)
        create_subscription(tx, row, limit=10)
    operations.ensure_transaction(tx, HERE, uid("tx batch"), "batch_pin", 4, blockchain_id="0xA")
    operation = OperationRow(
        uid("op"), HERE, uid("tx batch"), PIN_BATCH, "Failed", "ledger", '{"batch":"x"}', None, "no", 4, 6, None
    )
    operations.insert(tx, operation)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:

        def fill(tx: Transaction) -> None:
            assert [namespaces.ensure(tx, name, "net", 1)[0] for name in ("here", "elsewhere")] == [HERE, ELSEWHERE]
            for part in (fill_messages, fill_events, fill_pins, fill_others):
                part(tx)

        await store.write(fill)
        yield store


NAMES = {uid(name): name for name in [*MESSAGES_HERE, "batch", "second", "s1", "s2", "tx batch", "op"]}
NAMES |= {uid(f"event {n}"): str(n) for n in range(1, 6)}


def name_of(row: Any) -> str:
    """What the test calls the thing in a row."""
    if isinstance(row, collections.ShownPin):
        return str(row.sequence)
    if isinstance(row, Data):
        return "rich" if row.id == format_uuid(uid("rich")) else str(row.value).strip('"')
    return NAMES[row.id]


async def found(store: Store, collection: str, query: str) -> list[str]:
    asked = parse_filter(collection, query)
    return await store.read(
        lambda tx: [name_of(row) for row in searching.search(tx, COLLECTIONS_HERE[collection], HERE, asked).rows]
    )


A, NOBODY = format_uuid(uid("a")), format_uuid(uid("nobody"))

# In FireFly's default order: what waits first, the newest first; then by confirmation, the newest first.
MESSAGE_QUERIES = {
    "all": ("", "e d c b a"),
    "equal": ("tag=red", "a"),
    "equal in any case": ("tag=:RED", "b a"),
    "not equal finds those without": ("tag=!red", "e d c b"),
    "not equal in any case": ("tag=!:red", "e d c"),
    "nothing": ("tag=?", "d"),
    "the empty text is nothing": ("tag=", "d"),
    "anything": ("tag=!?", "e c b a"),
    "contains": ("tag=@e", "e b a"),
    "contains looks at case": ("tag=@R", "b"),
    "contains in any case": ("tag=:@R", "b a"),
    "contains not": ("tag=!@e", "d c"),
    "contains not, in any case": ("tag=!:@R", "e d c"),
    "_ means itself": ("tag=@_f", "c"),
    "_ is no wildcard": ("tag=@r_d", ""),
    "% is no wildcard": ("tag=^r%25d", ""),
    "starts with": ("tag=^re", "a"),
    "starts with in any case": ("tag=:^re", "b a"),
    "starts not with": ("tag=!^re", "e d c b"),
    "ends with": ("tag=$ed", "b a"),
    "ends with more than there is": ("tag=$xxred", ""),
    "ends with in any case": ("tag=:$ED", "b a"),
    "ends not with": ("tag=!$ed", "e d c"),
    "text after": ("tag=>blue", "c a"),
    "text before": ("tag=<blue", "d b"),
    "one of two": ("tag=red&tag=blue", "e a"),
    "both of two": ("tag=[^r&tag=[$d", "a"),
    "two fields": ("tag=$ed&topics=one", "a"),
    "a single topic": ("topics=one", "a"),
    "several topics as one text": ("topics=one,two", "b"),
    "a topic among others": ("topics=@two", "e c b"),
    "by id": (f"id={A}", "a"),
    "by id in other letters": (f"id={A.upper()}", "a"),
    "by two ids": (f"id={A}&id={format_uuid(uid('e'))}", "e a"),
    "by a part of an id": (f"id=^{A[:13]}", "a"),
    "by a part of an id in other letters": (f"id=:@{A[4:20].upper()}", "a"),
    "every id but one": (f"id=!{A}", "e d c b"),
    "what is no id": ("id=a", ""),
    "all but what is no id": ("id=!a", "e d c b a"),
    "an answer to": (f"cid={A}", "d c"),
    "an answer to nothing": ("cid=?", "e b a"),
    "an answer to something": ("cid=!?", "d c"),
    "null is not unequal": (f"cid=!{NOBODY}", "d c"),
    "by batch": (f"batch={format_uuid(uid('batch'))}", "d c b a"),
    "in no batch": ("batch=?", "e"),
    "by transaction": (f"txid={format_uuid(uid('tx batch'))}", "d c b a"),
    "by parent": (f"txparent.type=token_transfer&txparent.id={PARENT}", "e"),
    "without a parent": ("txparent.id=?", "d c b a"),
    "in a state": ("state=sent", "d"),
    "in one of two states": ("state=ready&state=rejected", "e c"),
    "with a reason": ("rejectreason=^FF10202", "c"),
    "created at": ("created=2024-03-01T12:00:00.500Z", "b"),
    "created since": ("created=>=2024-03-01T12:00:02.25Z", "e d"),
    "created before": (f"created=<{parse_time('2024-03-01T12:00:01Z')}", "b a"),
    "not confirmed": ("confirmed=?", "e d"),
    "settled": ("confirmed=!?", "c b a"),
    "by hash": (f"hash={new_message('a').hash.hex()}", "a"),
    "by hash with 0x": (f"hash=0x{new_message('a').hash.hex().upper()}", "a"),
    "by a part of a hash": (f"hash=^{new_message('a').hash.hex()[:10]}", "a"),
    "by idempotency key": ("idempotencykey=key-b", "b"),
    "without an idempotency key": ("idempotencykey=?", "e d c"),
    "by type in other letters": ("type=:BROADCAST&author=$o&key=k&txtype=batch_pin", "e d c b a"),
    "by author that is not": ("author=x", ""),
    "by sequence": ("sequence=>=4", "e d"),
    "quotes and semicolons are text": ("tag=%27%3B+DROP+TABLE+messages--", ""),
    "sorted": ("sort=txtype,-created", "e d c b a"),
    "sorted downwards": ("sort=-created", "e d c b a"),
    "sorted by time, not by its text": ("sort=created", "a b c d e"),
    "sorted by sequence": ("sort=sequence", "a b c d e"),
    "sorted as forced": ("sort=sequence&descending", "e d c b a"),
    "sorted by nothing known": ("sort=nosuch", "e d c b a"),
    "a page": ("skip=1&limit=2", "d c"),
    "past the end": ("skip=9", ""),
    "no limit": ("limit=0", "e d c b a"),
}


@pytest.mark.parametrize("query, names", MESSAGE_QUERIES.values(), ids=MESSAGE_QUERIES)
async def test_messages_are_found(store: Store, query: str, names: str) -> None:
    assert await found(store, "messages", query) == names.split()


OTHER_QUERIES = {
    "events, the newest first": ("events", "", "4 3 2 1"),
    "events of a type": ("events", "type=message_confirmed", "3 2"),
    "events of a reference": ("events", f"reference={A}", "4 2"),
    "events with a correlator": ("events", "correlator=!?", "2"),
    "events after a sequence": ("events", "sequence=>2", "4 3"),
    "events of a topic": ("events", "topic=$3", "3"),
    "batches": ("batches", "", "second batch"),
    "batches that are here": ("batches", "confirmed=!?", "second"),
    "a batch by its transaction": ("batches", f"tx.id={format_uuid(uid('tx batch'))}", "batch"),
    "a batch by its reference": ("batches", "payloadref=ref-second", "second"),
    "batches without a group": ("batches", "group=?&node=?", "second batch"),
    "pins": ("pins", "", "3 2 1"),
    "pins that became events": ("pins", "dispatched=true", "1"),
    "pins that did not": ("pins", "dispatched=false", "3 2"),
    "pins but for those that did not": ("pins", "dispatched=!false", "1"),
    "pins of a batch": ("pins", f"batch={format_uuid(uid('batch'))}&index=>0", "3 2"),
    "a pin by its hash": ("pins", f"hash={sha256(b'two').hex()}", "2"),
    "pins that are masked": ("pins", "masked=true", ""),
    "data": ("data", "limit=2", "rich e"),
    "data by value": ("data", "value=@n", "rich"),
    "data by datatype": ("data", "datatype.name=widget&datatype.version=v1", "rich"),
    "data without a datatype": ("data", "datatype.name=?&limit=1", "e"),
    "data by blob": ("data", f"blob.hash={'AB' * 32}&blob.size=>1000&blob.path=/a", "rich"),
    "data without a blob": ("data", "blob.hash=?&sort=sequence", "e d c b a"),
    "subscriptions": ("subscriptions", "sort=name", "s1 s2"),
    "subscriptions to some events": ("subscriptions", "events=^message", "s1"),
    "subscriptions by their filter": ("subscriptions", "filters=@message", "s1"),
    "subscriptions by a filter that is none, and by what is in theirs": ("subscriptions", "filters={&events=", ""),
    "transactions": ("transactions", "type=batch_pin", "tx~batch"),
    "transactions by what the ledger calls them": ("transactions", "blockchainids=:0xa", "tx~batch"),
    "operations": ("operations", "status=Failed&error=no&input=@batch", "op"),
    "operations of a transaction": ("operations", f"tx={format_uuid(uid('tx batch'))}&retry=?", "op"),
    "operations with an output": ("operations", "output=!?", ""),
    "identities": ("identities", "", ""),
    "nodes": ("nodes", "name=x", ""),
    "organisations": ("organizations", "parent=?", ""),
}


@pytest.mark.parametrize("collection, query, names", OTHER_QUERIES.values(), ids=OTHER_QUERIES)
async def test_others_are_found(store: Store, collection: str, query: str, names: str) -> None:
    assert await found(store, collection, query) == [name.replace("~", " ") for name in names.split()]


@pytest.mark.parametrize("collection", COLLECTIONS_HERE)
async def test_every_field_can_be_compared_in_every_way_and_sorted_by(store: Store, collection: str) -> None:
    for field, kind in COLLECTIONS[collection].items():
        for sign in ("", "!", "?", "!?", ">", ">=", "<", "<="):
            await found(store, collection, f"{field}={sign}{'' if '?' in sign else 1}")
        for sign in (":", "!:", "@", ":@", "!@", "!:@", "^", ":^", "!^", "$", ":$", "!$") if kind.textual else ():
            await found(store, collection, f"{field}={sign}1&sort=-{field}")
            await found(store, collection, f"{field}={sign}{A}&sort={field}")


async def test_a_count_is_of_all_that_match_and_not_of_the_page(store: Store) -> None:
    asked = parse_filter("messages", "tag=$ed&limit=1&count")

    def unit(tx: Transaction) -> tuple[int, int | None]:
        page = searching.search(tx, MESSAGES, HERE, asked)
        return len(list(page.rows)), page.total

    assert await store.read(unit) == (1, 2)


async def test_a_row_is_read_when_it_is_taken(store: Store) -> None:
    """Whoever has enough stops: a thousand values of the largest size must not be in memory before that."""
    read: list[Any] = []

    def watched(row: tuple[Any, ...]) -> Data:
        read.append(row)
        return DATA.read(row)

    asked = parse_filter("data", "limit=0")

    def unit(tx: Transaction) -> None:
        next(searching.search(tx, replace(DATA, read=watched), HERE, asked).rows)

    await store.read(unit)
    assert len(read) == 1


async def test_a_count_that_was_not_asked_is_not_made(store: Store) -> None:
    asked = parse_filter("messages", "")
    assert (await store.read(lambda tx: searching.search(tx, MESSAGES, HERE, asked))).total is None


async def test_one_is_found_by_its_id_in_its_namespace_only(store: Store) -> None:
    assert store.peek(lambda tx: searching.find(tx, EVENTS, ELSEWHERE, uid("event 5"))) is not None
    assert store.peek(lambda tx: searching.find(tx, EVENTS, HERE, uid("event 5"))) is None


async def test_a_page_without_limit_is_refused_when_it_is_too_large(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "ROWS_MAX", 4)
    with pytest.raises(Invalid, match="FF00192"):
        await found(store, "messages", "limit=0")
    assert await found(store, "events", "limit=0") == ["4", "3", "2", "1"]


async def test_the_pages_of_an_order_with_equals_neither_overlap_nor_miss(store: Store) -> None:
    pages = [await found(store, "messages", f"sort=type&limit=2&skip={skip}") for skip in (0, 2, 4)]
    assert [name for page in pages for name in page] == ["a", "b", "c", "d", "e"]
