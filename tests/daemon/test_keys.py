"""The node's signing key: made once, kept for ever."""

from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.daemon.keys import signing_key
from ffd.world import RealWorld


async def test_processes_that_start_together_for_the_first_time_have_one_key(tmp_path: Path) -> None:
    """The last one to write would have taken the key from under the others, which sign with theirs until they stop."""
    keys: list[Ed25519PrivateKey] = []

    async def start() -> None:
        keys.append(await signing_key(RealWorld(), tmp_path / "keys" / "org.pem"))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(start)
    kept = await signing_key(RealWorld(), tmp_path / "keys" / "org.pem")
    assert {key.private_bytes_raw() for key in keys} == {kept.private_bytes_raw()}
