"""The contract of shared storages, which every kind of storage keeps."""

import pytest
import trio

from ffd.model.errors import Away, Full, Invalid, NotFound
from ffd.model.ids import sha256
from ffd.plugins.registry import OURS
from ffd.plugins.registry import STORAGES as GROUP
from tests.plugins.storages import STORAGES, SharedStorages, Text

ROOMY = 10_000_000
CONTENTS = {
    "nothing": b"",
    "a text": "tea at four, four o\u2019clock".encode(),
    "every byte": bytes(range(256)),
    "a megabyte": b"tea\n" * 250_000,
}


def test_every_storage_that_comes_with_ffd_is_bound_by_this_contract() -> None:
    assert set(STORAGES) == set(OURS[GROUP])


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
async def test_what_one_member_puts_every_member_gets(storages: SharedStorages, content: bytes) -> None:
    alice, bob = await storages.node("alice"), await storages.node("bob")
    reference = await alice.put(content)
    assert await bob.get(reference, bytes_max=ROOMY) == content
    assert await alice.get(reference, bytes_max=ROOMY) == content


async def test_the_same_bytes_have_the_same_reference_and_others_have_another(storages: SharedStorages) -> None:
    async with storages.visit("alice") as alice:
        first, other = await alice.put(b"one"), await alice.put(b"two")
    async with storages.visit("bob") as bob:
        assert await bob.put(b"one") == first != other
        assert await bob.get(other, bytes_max=3) == b"two"


async def test_many_may_put_the_same_at_once(storages: SharedStorages) -> None:
    references: set[str] = set()

    async def put(name: str) -> None:
        references.add(await (await storages.node(name)).put(b"one" * 10_000))

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(put, f"node {number}")
    (reference,) = references
    assert await (await storages.node("reader")).get(reference, bytes_max=ROOMY) == b"one" * 10_000


async def test_what_is_not_there_yet_is_not_found_and_then_it_is(storages: SharedStorages) -> None:
    alice, bob = await storages.node("alice"), await storages.node("bob")
    reference = sha256(b"late").hex()
    with pytest.raises(NotFound, match="has not stored it yet"):
        await bob.get(reference, bytes_max=ROOMY)
    assert await alice.put(b"late") == reference
    assert await bob.get(reference, bytes_max=ROOMY) == b"late"


async def test_what_is_larger_than_wanted_is_not_read(storages: SharedStorages) -> None:
    alice = await storages.node("alice")
    reference = await alice.put(b"12345")
    assert await alice.get(reference, bytes_max=5) == b"12345"
    for bytes_max in (4, 0):
        with pytest.raises(Full, match=f"{bytes_max} bytes"):
            await alice.get(reference, bytes_max=bytes_max)


ALTERED = {"other bytes": b"54321", "fewer": b"123", "none": b"", "more": b"123456"}


@pytest.mark.parametrize("content", ALTERED.values(), ids=ALTERED)
async def test_what_was_altered_is_never_given_out_and_is_mended_by_whoever_puts_it_again(
    storages: SharedStorages, content: bytes
) -> None:
    alice, bob = await storages.node("alice"), await storages.node("bob")
    reference = await alice.put(b"12345")
    storages.alter(reference, content)
    with pytest.raises(Invalid, match="was altered"):
        await bob.get(reference, bytes_max=ROOMY)
    assert await alice.put(b"12345") == reference
    assert await bob.get(reference, bytes_max=ROOMY) == b"12345"


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
async def test_a_stream_is_what_the_whole_is(storages: SharedStorages, content: bytes) -> None:
    alice, bob = await storages.node("alice"), await storages.node("bob")
    reference = await alice.put_stream(Text(content))
    assert await bob.get(reference, bytes_max=ROOMY) == content
    assert await bob.put(content) == reference
    taken = Text()
    await bob.get_stream(reference, taken, bytes_max=len(content))
    assert taken.content == content


async def test_a_stream_that_breaks_off_leaves_nothing_and_says_what_broke_it(storages: SharedStorages) -> None:
    alice, content = await storages.node("alice"), b"tea\n" * 1000
    for fails_at in (0, 2000, 4000):
        with pytest.raises(Away, match="broke off"):
            await alice.put_stream(Text(content, fails_at=fails_at))
    with pytest.raises(NotFound):
        await alice.get_stream(sha256(content).hex(), Text(), bytes_max=ROOMY)
    reference = await alice.put_stream(Text(content))
    with pytest.raises(Full, match="takes no more"):
        await alice.get_stream(reference, Text(fails_at=0), bytes_max=ROOMY)


async def test_many_may_put_one_stream_at_once(storages: SharedStorages) -> None:
    references: set[str] = set()

    async def put(name: str) -> None:
        references.add(await (await storages.node(name)).put_stream(Text(b"one" * 10_000)))

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(put, f"node {number}")
    (reference,) = references
    assert await (await storages.node("reader")).get(reference, bytes_max=ROOMY) == b"one" * 10_000


async def test_a_stream_larger_than_wanted_is_not_taken(storages: SharedStorages) -> None:
    alice = await storages.node("alice")
    reference = await alice.put(b"12345")
    for bytes_max in (4, 0):
        taken = Text()
        with pytest.raises(Full, match=f"{bytes_max} bytes"):
            await alice.get_stream(reference, taken, bytes_max=bytes_max)
        assert taken.content == b""


@pytest.mark.parametrize("content", ALTERED.values(), ids=ALTERED)
async def test_a_stream_of_what_was_altered_ends_in_a_refusal(storages: SharedStorages, content: bytes) -> None:
    alice = await storages.node("alice")
    reference = await alice.put_stream(Text(b"12345"))
    storages.alter(reference, content)
    with pytest.raises(Invalid, match="was altered"):
        await alice.get_stream(reference, Text(), bytes_max=ROOMY)
    assert await alice.put_stream(Text(b"12345")) == reference
    await alice.get_stream(reference, Text(), bytes_max=ROOMY)


SECRET = b"a secret beside the storage"
DIGITS = sha256(SECRET).hex()
HOSTILE = {
    "nothing": "",
    "a dot": ".",
    "the folder above": "..",
    "a path upwards": "../secret",
    "a path upwards of the right length": "../" * 20 + "etc1",
    "digits that begin a path upwards": f"../{DIGITS[:61]}",
    "an absolute path": "/etc/passwd",
    "an absolute path of the right length": f"/{DIGITS[1:]}",
    "a slash among digits": f"{DIGITS[:2]}/{DIGITS[2:]}",
    "a NUL": f"{DIGITS[:63]}\x00",
    "a NUL behind digits": f"{DIGITS}\x00",
    "a newline behind digits": f"{DIGITS}\n",
    "a digit too many": f"{DIGITS}0",
    "a digit too few": DIGITS[:63],
    "digits of another alphabet": "\u0661" * 64,
    "a percent sign": "%2e%2e%2f" * 7 + "0",
    "a URL": f"http://localhost/{DIGITS}",
    "a very long one": "0" * 1_000_000,
}


@pytest.mark.parametrize("reference", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_reference_leads_nowhere(storages: SharedStorages, reference: str) -> None:
    alice = await storages.node("alice")
    for name in ("secret", DIGITS[2:], DIGITS):
        (storages.root / name).write_bytes(SECRET)
    with pytest.raises((Invalid, NotFound)) as refused:
        await alice.get(reference, bytes_max=ROOMY)
    with pytest.raises((Invalid, NotFound)):
        await alice.get_stream(reference, Text(), bytes_max=ROOMY)
    assert len(str(refused.value)) < 1000, "a stranger's text does not fill the log"


async def test_an_option_that_it_does_not_have_is_refused(storages: SharedStorages) -> None:
    with pytest.raises(Invalid, match="has no option speed"):
        async with storages.visit("alice", speed="high"):
            pass
