"""The node's signing key: an Ed25519 key in a file of its own, made at the first start."""

from __future__ import annotations

from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.model.errors import Broken
from ffd.ports.wallet import KEY_FILE_BYTES_MAX, pem_of, read_pem
from ffd.world import World

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
    key = read_pem(content)
    if key is None:
        raise Broken("FFD1302", f"key file {path} holds no Ed25519 private key in PEM: restore it from a backup")
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
        await world.write_file(path, pem_of(key))
        return key
    finally:
        lock.release()
