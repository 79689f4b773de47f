"""The node's signing key: an Ed25519 key in a file of its own, made at the first start."""

from __future__ import annotations

from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ffd.model.errors import Broken
from ffd.world import World

KEY_FILE_BYTES_MAX = 4096
LOCK_SUFFIX = ".lock"
LOCK_LOOK_S = 0.05


async def signing_key(world: World, path: Path) -> Ed25519PrivateKey:
    """The key in `path` (PKCS #8, PEM), made and stored before it is used when there is none. Raises Broken."""
    return await _read(world, path) or await _make(world, path)


async def _read(world: World, path: Path) -> Ed25519PrivateKey | None:
    try:
        content = await world.read_file(path, bytes_max=KEY_FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Broken("FFD1301", f"key file {path} cannot be read ({error.strerror}): give it to this user") from error
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):  # its text speaks of formats, at length, and links to a library's manual
        raise Broken("FFD1302", f"key file {path} holds no private key in PEM: restore it from a backup") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Broken("FFD1302", f"key file {path} holds no Ed25519 key: restore it from a backup")
    return key


async def _make(world: World, path: Path) -> Ed25519PrivateKey:
    """A new key, unless another process that starts just now has made one: whoever signs must find its key again."""
    world.make_directory(path.parent)
    # The holder may be another process, which nobody here can wait for.
    while (lock := world.try_lock(path.with_name(path.name + LOCK_SUFFIX))) is None:  # noqa: ASYNC110
        await trio.sleep(LOCK_LOOK_S)
    try:
        if made := await _read(world, path):
            return made
        key = Ed25519PrivateKey.from_private_bytes(world.entropy(32))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        await world.write_file(path, pem)
        return key
    finally:
        lock.release()
