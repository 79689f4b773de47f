"""A program that appends to a ledger file: `FILE HOME COUNT` pins, each under a request of its own that it repeats.

It says what it has appended, a line each, once the ledger has answered.
"""

import sys
from pathlib import Path

import trio

from ffd.plugins.ledger.file import open_file_ledger
from ffd.ports.plugin import PluginSetting
from ffd.ports.wallet import Wallet
from ffd.world import RealWorld
from tests.plugins.ledgers import key_of, pin


async def append(file: str, home: Path, count: int) -> None:
    world, name = RealWorld(), home.name
    setting = PluginSetting(world, "shared", {"path": file}, home, Wallet(key_of(name)), name, name)
    async with open_file_ledger(setting) as ledger:
        for number in range(count):
            batch = f"{name} {number}"
            hash = await ledger.submit(pin(batch), request=batch, key=ledger.default_key())
            sys.stdout.write(f"{number} {hash}\n")
            sys.stdout.flush()


trio.run(append, sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
