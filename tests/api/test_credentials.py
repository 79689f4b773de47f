"""Files of tokens and passwords, and how a password is checked without costing bcrypt each time."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest
import trio

from ffd.api.caller import Caller
from ffd.api.credentials import (
    REFUSED_S,
    REMEMBERED_MAX,
    REMEMBERED_S,
    WAITING_MAX,
    Credentials,
    parse_passwords,
    parse_tokens,
)
from ffd.model.errors import Full, Invalid
from ffd.world import RealWorld

TOKEN = "0123456789abcdef"
HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()


class Counting(RealWorld):
    """The real world, in line, that counts how often it has to think; `slow_s` each time."""

    def __init__(self, slow_s: float = 0) -> None:
        super().__init__()
        self.thoughts = 0
        self._slow_s = slow_s

    async def compute(self, work: Callable[..., Any], *args: Any) -> Any:
        self.thoughts += 1
        await trio.sleep(self._slow_s)
        return work(*args)


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def users(world: RealWorld, text: str = f"ali:{HASH}\n") -> Credentials:
    return Credentials(world, {}, parse_passwords(text, "p"))


def test_a_file_of_tokens_names_each_and_may_limit_it() -> None:
    hashed = hashlib.sha256(b"another-token-of-length").hexdigest()
    text = f"# ours\n\nci {TOKEN}\n  app\tsha256:{hashed.upper()}   sales,default\n"
    found = {each.digest: each.caller for each in parse_tokens(text, "t").values()}
    assert found == {
        hashlib.sha256(TOKEN.encode()).digest(): Caller("token ci"),
        bytes.fromhex(hashed): Caller("token app", frozenset({"sales", "default"})),
    }


WRONG_TOKENS = {
    "no token": "ci",
    "too many words": f"ci {TOKEN} a b",
    "a short token": "ci short",
    "a token with a space's escape": "ci 0123456789%20abcdef",
    "a hash that is none": "ci sha256:12",
    "a name that is none": f"c:i {TOKEN}",
    "a namespace that is none": f"ci {TOKEN} a,,b",
    "a name twice": f"ci {TOKEN}\nci {TOKEN}x",
    "a token twice": f"ci {TOKEN}\ncd {TOKEN}",
    "a token and its hash": f"ci {TOKEN}\ncd sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}",
}


@pytest.mark.parametrize("text", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_what_is_wrong_in_a_file_of_tokens_is_told_by_line_and_without_the_token(text: str) -> None:
    with pytest.raises(Invalid, match=rf"^FFD1402: /t:{2 + text.count(chr(10))}: ") as refused:
        parse_tokens("# a comment\n" + text, "/t")
    assert all(word not in refused.value.text for word in (TOKEN, "short", "%20"))


WRONG_PASSWORDS = {
    "a password in clear": "ali:secret",
    "Apache's MD5": "ali:$apr1$6VRRgk.j$9bFNGCdMTdRsTLBkBFvXU.",
    "SHA-1": "ali:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    "no user": f":{HASH}",
    "nothing": "ali",
    "a cost of days": f"ali:{HASH.replace('$04$', '$31$')}",
    "a salt that is none": f"ali:{HASH[:28]}z{HASH[29:]}",
    "a user twice": f"ali:{HASH}\nali:{HASH}",
}


@pytest.mark.parametrize("text", WRONG_PASSWORDS.values(), ids=WRONG_PASSWORDS)
def test_what_is_wrong_in_a_file_of_passwords_is_told_by_line_and_without_the_hash(text: str) -> None:
    with pytest.raises(Invalid, match=rf"^FFD1402: /p:{2 + text.count(chr(10))}: ") as refused:
        parse_passwords("\n" + text, "/p")
    assert all(word not in refused.value.text for word in ("secret", "$apr1", "W6ph", HASH[8:]))


async def test_all_that_htpasswd_writes_is_read() -> None:
    for kind in ("$2y$", "$2b$", "$2a$"):
        found = await users(Counting(), f"ali:{HASH.replace('$2b$', kind)}\n").find(basic("ali", "right"))
        assert found == Caller("user ali")


async def test_a_long_password_counts_as_far_as_bcrypt_takes_it() -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    known = users(Counting(), f"ali:{hashed}")
    assert await known.find(basic("ali", "x" * 100)) and not await known.find(basic("ali", "x" * 71))


async def test_a_thousand_requests_think_once(autojump_clock: object) -> None:
    world = Counting(slow_s=0.1)
    known = users(world)
    heard: list[Caller | None] = []

    async def ask() -> None:
        heard.append(await known.find(basic("ali", "right")))

    async with trio.open_nursery() as nursery:
        for _ in range(WAITING_MAX):
            nursery.start_soon(ask)
    for _ in range(1000):
        await ask()
    assert heard == [Caller("user ali")] * (1000 + WAITING_MAX) and world.thoughts == 1
    await trio.sleep(REMEMBERED_S + 1)
    await ask()
    assert world.thoughts == 2, "a password that was changed works for a minute at most"


async def test_a_wrong_password_thinks_once_in_a_while_and_as_long_for_unknown_users(autojump_clock: object) -> None:
    world = Counting()
    known = users(world)
    for user in ("ali", "bob"):
        for _ in range(100):
            assert await known.find(basic(user, "wrong")) is None
    assert world.thoughts == 2
    await trio.sleep(REFUSED_S + 0.1)
    assert await known.find(basic("ali", "wrong")) is None and world.thoughts == 3
    assert await known.find(basic("ali", "right")) == Caller("user ali")


async def test_guesses_are_checked_one_by_one_and_their_queue_has_an_end(autojump_clock: object) -> None:
    known = users(Counting(slow_s=0.1))
    assert await known.find(basic("ali", "right"))
    refused = 0

    async def guess(number: int) -> None:
        nonlocal refused
        try:
            assert await known.find(basic("ali", f"guess {number}")) is None
        except Full:
            refused += 1

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(WAITING_MAX * 3):
            nursery.start_soon(guess, number)
        await trio.sleep(0.05)
        assert await known.find(basic("ali", "right")) == Caller("user ali"), "who is remembered does not wait"
    assert refused == WAITING_MAX * 2
    assert trio.current_time() - began == pytest.approx(WAITING_MAX * 0.1, rel=0.1)


async def test_what_is_remembered_has_a_bound() -> None:
    known = users(Counting())
    for number in range(REMEMBERED_MAX + 50):
        assert await known.find(basic(f"nobody{number}", "x")) is None
    assert len(known._passwords._wrong) == REMEMBERED_MAX
