"""Bearer tokens and passwords: what their files say, and whose a request's are.

Neither a token nor a password is kept: tokens as their SHA-256, passwords as the bcrypt hash of their file. bcrypt is
slow on purpose, so a password that was right is remembered for a minute under a keyed hash, and one that was wrong for
a moment; at most one is checked at a time, beside the event loop.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import TypeVar

import bcrypt
import trio

from ffd.api import refusals
from ffd.api.caller import Caller
from ffd.model.errors import Full, Invalid
from ffd.model.names import check_name
from ffd.world import World

V = TypeVar("V")

FILE_BYTES_MAX = 1024 * 1024
TOKEN_CHARS_MIN = 16
"""A token is a password that nobody has to remember: a short one could be tried out."""
BCRYPT_COST_MAX = 14
"""Two doublings above what takes a tenth of a second; 31 would take days, at each wrong guess."""
BCRYPT_BYTES = 72
REMEMBERED_S, REFUSED_S = 60.0, 2.0
REMEMBERED_MAX = 1000
WAITING_MAX = 64
"""Passwords that may wait to be checked."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_TOKEN_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")  # 16 bytes of salt, 23 of hash
_NO_SUCH_USER = b"$2b$%02d$" + b"." * 53


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is let in: `digest` its SHA-256."""

    digest: bytes
    caller: Caller


def parse_tokens(text: str, place: str) -> dict[bytes, Token]:
    """The tokens of a file, by their digest: a line each, `NAME TOKEN [NAMESPACE,NAMESPACE]`.

    The token may be written as `sha256:` and its SHA-256 in hex. Raises Invalid FFD1402 with the line; no message has
    a token in it.
    """
    found: dict[bytes, Token] = {}
    names: set[str] = set()
    for number, line in _lines(text):
        name, token, namespaces = _fields(line, f"{place}:{number}")
        digest = _digest(token, f"{place}:{number}")
        if name in names or digest in found:
            raise Invalid(
                "FFD1402", f"{place}:{number}: token {name} is there already: give each its own name and token"
            )
        names.add(name)
        found[digest] = Token(digest, Caller(f"token {name}", namespaces))
    return found


def parse_passwords(text: str, place: str) -> dict[str, bytes]:
    """The bcrypt hashes of a password file by user, as `htpasswd -B` writes it. Raises Invalid FFD1402."""
    found: dict[str, bytes] = {}
    for number, line in _lines(text):
        user, _, hashed = line.partition(":")
        known = _BCRYPT.fullmatch(hashed)
        if not user or known is None:
            raise Invalid("FFD1402", f"{place}:{number}: not USER:BCRYPT-HASH: write it with htpasswd -B")
        if not 4 <= int(known[1]) <= BCRYPT_COST_MAX:
            raise Invalid(
                "FFD1402",
                f"{place}:{number}: bcrypt's cost {known[1]} is not 4 to {BCRYPT_COST_MAX}: set another by -C",
            )
        if user in found:
            raise Invalid("FFD1402", f"{place}:{number}: the user is there already: leave one line of the two")
        found[user] = hashed.encode()
    return found


class Credentials:
    """Everybody who is let in by a token or a password."""

    def __init__(self, world: World, tokens: Mapping[bytes, Token], passwords: Mapping[str, bytes]) -> None:
        self._tokens = tokens
        self._passwords = Passwords(world, passwords)
        self.challenges = tuple(
            challenge
            for challenge, known in (
                ('Bearer realm="ffd"', tokens),
                ('Basic realm="ffd", charset="UTF-8"', passwords),
            )
            if known
        )
        """How to ask for what would be let in (RFC 9110 11.6.1)."""

    async def find(self, authorization: str) -> Caller | None:
        """Whose credentials an Authorization header holds; None if nobody's. Raises Full FFD2033 (429)."""
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(given.strip(" "))
        if scheme.lower() == "basic":
            user, password = _basic(given.strip(" "))
            if user:
                return await self._passwords.find(user, password)
        return None

    def _of_token(self, given: str) -> Caller | None:
        digest = sha256(given.encode("latin-1")).digest()
        token = self._tokens.get(digest)
        # Found by its hash, whose comparison tells nothing of the token; compared once more in constant time.
        return token.caller if token is not None and hmac.compare_digest(token.digest, digest) else None


class Passwords:
    """Users with passwords, and what is remembered of those that were checked."""

    def __init__(self, world: World, hashes: Mapping[str, bytes]) -> None:
        self._world = world
        self._hashes = hashes
        self._key = world.entropy(32)
        self._right: dict[bytes, tuple[float, Caller]] = {}
        self._wrong: dict[bytes, float] = {}
        self._turn = trio.Lock()
        self._waiting = 0
        # As slow to refuse as a known one: nobody shall find out who is known.
        cost = max((int(each[4:6]) for each in hashes.values()), default=4)
        self._nobody = _NO_SUCH_USER % cost

    async def find(self, user: str, password: bytes) -> Caller | None:
        """The user, if the password is right. Raises Full FFD2033 when too many wait to be checked."""
        mark = blake2b(user.encode() + b"\0" + password, key=self._key, digest_size=32).digest()
        known, caller = self._remembered(mark)
        if known:
            return caller
        if self._waiting >= WAITING_MAX:
            raise Full(refusals.PASSWORDS, f"{WAITING_MAX} passwords wait to be checked: send it again later")
        self._waiting += 1
        try:
            async with self._turn:
                known, caller = self._remembered(mark)  # by who was before us
                return caller if known else await self._check(mark, user, password)
        finally:
            self._waiting -= 1

    async def _check(self, mark: bytes, user: str, password: bytes) -> Caller | None:
        hashed = self._hashes.get(user)
        right = await self._world.compute(_is_right, password, hashed or self._nobody) and hashed is not None
        now = trio.current_time()
        if not right:
            _remember(self._wrong, mark, now + REFUSED_S)
            return None
        caller = Caller(f"user {user}")
        _remember(self._right, mark, (now + REMEMBERED_S, caller))
        return caller

    def _remembered(self, mark: bytes) -> tuple[bool, Caller | None]:
        now = trio.current_time()
        until, caller = self._right.get(mark, (0.0, None))
        return (True, caller) if until > now else (self._wrong.get(mark, 0.0) > now, None)


def _remember(kept: dict[bytes, V], mark: bytes, what: V) -> None:
    kept.pop(mark, None)
    while len(kept) >= REMEMBERED_MAX:
        del kept[next(iter(kept))]
    kept[mark] = what


def _is_right(password: bytes, hashed: bytes) -> bool:
    # bcrypt takes no more, nor does htpasswd; and knows no NUL.
    return b"\0" not in password and bcrypt.checkpw(password[:BCRYPT_BYTES], hashed)


def _basic(given: str) -> tuple[str, bytes]:
    """User and password of RFC 7617; nobody when there are none."""
    try:
        user, _, password = b64decode(given, validate=True).partition(b":")
        return user.decode(), password
    except (NotBase64, ValueError):
        return "", b""


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _fields(line: str, place: str) -> tuple[str, str, frozenset[str] | None]:
    fields = line.split()
    if not 2 <= len(fields) <= 3:
        raise Invalid("FFD1402", f"{place}: not NAME TOKEN [NAMESPACES]: {len(fields)} words")
    try:
        name = check_name(fields[0], "name")
        namespaces = frozenset(check_name(each, "name") for each in fields[2].split(",")) if fields[2:] else None
    except Invalid:
        raise Invalid(
            "FFD1402", f"{place}: the name and the namespaces must be of letters, digits and . _ -, at most 64"
        ) from None
    return name, fields[1], namespaces


def _digest(token: str, place: str) -> bytes:
    if hashed := _TOKEN_HASH.fullmatch(token):
        return bytes.fromhex(hashed[1])
    if len(token) < TOKEN_CHARS_MIN or not _TOKEN.fullmatch(token):
        raise Invalid(
            "FFD1402",
            f"{place}: the token is not {TOKEN_CHARS_MIN} or more letters, digits and . _ ~ + / -: make one with "
            "openssl rand -hex 32",
        )
    return sha256(token.encode()).digest()
