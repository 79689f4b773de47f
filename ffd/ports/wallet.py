"""The keys that this node signs with: Ed25519 keys in files of their own, all in one folder.

One of them is the organisation's and was there first; others are made for identities of their own. A key that another
process of the node made, or that a person put there, is found when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ffd.model.errors import Full
from ffd.world import World

KEY_FILE_BYTES_MAX = 4096
KEYS_MAX = 10_000
SUFFIX = ".pem"


def public_text(key: Ed25519PrivateKey) -> str:
    """A key as messages name it: its public half in lower-case hex."""
    return key.public_key().public_bytes_raw().hex()


def pem_of(key: Ed25519PrivateKey) -> bytes:
    """A key as it is kept (PKCS #8, PEM)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_pem(content: bytes) -> Ed25519PrivateKey | None:
    """The Ed25519 key in a file; None when it holds none."""
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


class Wallet:
    """The signing keys of one node; `default` signs when nobody names a key. Without a folder it is the only one."""

    def __init__(self, default: Ed25519PrivateKey, world: World | None = None, folder: Path | None = None) -> None:
        self.default = default
        self._world = world
        self._folder = folder
        self._keys = {public_text(default): default}
        self._seen: set[str] = set()

    def find(self, key: str) -> Ed25519PrivateKey | None:
        """The key with this public half, if it is here. On a miss the folder is looked through for new files."""
        if key not in self._keys:
            self._look()
        return self._keys.get(key)

    def public_keys(self) -> list[str]:
        """The public halves of all keys, the default one first."""
        self._look()
        return list(self._keys)

    async def make(self) -> str:
        """A new key, on disk when this returns; its public half. Raises Full when there are too many."""
        if self._world is None or self._folder is None or len(self._keys) >= KEYS_MAX:
            raise Full("FFD4030", f"this node has {len(self._keys)} keys, and makes no more: use one of them")
        key = Ed25519PrivateKey.from_private_bytes(self._world.entropy(32))
        text = public_text(key)
        await self._world.write_file(self._folder / f"{text}{SUFFIX}", pem_of(key))
        self._keys[text] = key
        return text

    def _look(self) -> None:
        for name in self._new_names():
            self._seen.add(name)
            if self._world is None or self._folder is None or len(self._keys) >= KEYS_MAX:
                return
            content = self._world.read_now(self._folder / name, bytes_max=KEY_FILE_BYTES_MAX)
            key = None if content is None else read_pem(content)
            if key is not None:
                self._keys.setdefault(public_text(key), key)

    def _new_names(self) -> Iterable[str]:
        if self._world is None or self._folder is None:
            return ()
        return [
            name
            for name in self._world.names_in(self._folder)
            if name.endswith(SUFFIX) and not name.startswith(".") and name not in self._seen
        ]
