"""What a node is made of: the store, the plugins, and its place in each namespace, opened in this order."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ffd.daemon.config import Config
from ffd.daemon.keys import signing_key
from ffd.daemon.membership import join, org_of
from ffd.daemon.peers import RegisteredPeers
from ffd.model.errors import Broken
from ffd.model.namespace import Namespace
from ffd.outbound.flushes import DISPATCHERS, FlushRecord
from ffd.plugins import registry
from ffd.ports.exchange import Exchange
from ffd.ports.ledger import Ledger
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import SharedStorage
from ffd.ports.wallet import Wallet, public_text
from ffd.store import Store, open_store
from ffd.store.blobfiles import BlobFiles, BlobLimits
from ffd.world import World

REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room in this user's quota",
    errno.EROFS: "make its file system writable",
    errno.EEXIST: "move the file away that is in its place",
    errno.ENOTDIR: "move the file away that is in its place",
    errno.ENOENT: "make the folder it is to be in",
}
"""What a person can do when a folder, or a file in it, cannot be made."""
DATABASE, BLOBS, KEY, ORG_KEY = "ffd.db", "blobs", "keys/org.pem", "org.{org}.pem"


@dataclass(frozen=True, slots=True)
class Member:
    """The node's part in one namespace."""

    namespace: Namespace
    ledger: Ledger
    storage: SharedStorage
    exchange: Exchange
    flushes: Mapping[str, FlushRecord] = field(default_factory=lambda: {name: FlushRecord() for name in DISPATCHERS})


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a node is made of, open; `members` by the local name of the namespace."""

    world: World
    config: Config
    store: Store
    blobs: BlobFiles
    members: Mapping[str, Member]
    wallet: Wallet
    process: str


@asynccontextmanager
async def open_parts(config: Config, world: World) -> AsyncIterator[Parts]:
    """Open everything, and close it in reverse on every way out."""
    home = Path(config.state_dir)
    with usable(home):
        world.make_directory(home)
        wallet = Wallet(await signing_key(world, home / KEY), world, (home / KEY).parent)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(world, home / DATABASE))
        with usable(home / BLOBS):
            blobs = BlobFiles(world, store, home / BLOBS, blob_limits(config))
        ledgers = await _open_ledgers(stack, config, world, wallet)
        storages = await _open_storages(stack, config, world, wallet)
        peers = {name: RegisteredPeers(store) for name in config.exchanges}
        exchanges = await _open_exchanges(stack, config, world, wallet, peers)
        members: dict[str, Member] = {}
        for name, each in config.namespaces.items():
            ledger, storage, exchange = ledgers[each.ledger], storages[each.storage], exchanges[each.exchange]
            key = await _key_of(config, world, name, ledger)
            namespace = await join(world, store, config, name, ledger, exchange, key)
            peers[each.exchange].join(namespace.network_name, namespace.number)
            members[name] = Member(namespace, ledger, storage, exchange)
        yield Parts(world, config, store, blobs, members, wallet, process=str(os.getpid()))


async def _key_of(config: Config, world: World, namespace: str, ledger: Ledger) -> str:
    """The key that signs in a namespace: each organisation has its own."""
    org = org_of(config, namespace)
    if org == config.org.name:
        return ledger.default_key()
    with usable(Path(config.state_dir)):
        path = Path(config.state_dir) / KEY
        return public_text(await signing_key(world, path.with_name(ORG_KEY.format(org=org))))


def blob_limits(config: Config) -> BlobLimits:
    """The bounds of blobs that come in."""
    return BlobLimits(config.limits.blob_bytes_max, config.limits.disk_reserve_bytes)


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Make what lies at `path`; what the system says against that is a refusal, not a bug. Raises Broken."""
    try:
        yield
    except OSError as error:
        what = error.filename or path
        wanted = REMEDIES.get(error.errno or 0, "make it writable by this user")
        raise Broken("FFD1105", f"{what} cannot be used ({error.strerror}): {wanted}, or choose another") from error


def _setting(config: Config, world: World, wallet: Wallet, name: str, options: Mapping[str, object]) -> PluginSetting:
    home, org, node = Path(config.state_dir), config.org.name, config.node.name
    return PluginSetting(world, name, options, home, wallet, org, node)


async def _open_ledgers(stack: AsyncExitStack, config: Config, world: World, wallet: Wallet) -> dict[str, Ledger]:
    return {
        name: await stack.enter_async_context(
            registry.ledger_opener(each.plugin)(_setting(config, world, wallet, name, each.options))
        )
        for name, each in config.ledgers.items()
    }


async def _open_storages(
    stack: AsyncExitStack, config: Config, world: World, wallet: Wallet
) -> dict[str, SharedStorage]:
    return {
        name: await stack.enter_async_context(
            registry.storage_opener(each.plugin)(_setting(config, world, wallet, name, each.options))
        )
        for name, each in config.storages.items()
    }


async def _open_exchanges(
    stack: AsyncExitStack, config: Config, world: World, wallet: Wallet, peers: Mapping[str, RegisteredPeers]
) -> dict[str, Exchange]:
    return {
        name: await stack.enter_async_context(
            registry.exchange_opener(each.plugin)(_setting(config, world, wallet, name, each.options), peers[name])
        )
        for name, each in config.exchanges.items()
    }
