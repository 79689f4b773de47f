"""The kinds of ledger and of shared storage that the contracts bind: each contract test runs with every one."""

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from ffd.plugins.ledger import memory as memory_ledger
from ffd.plugins.sharedstorage import memory as memory_storage
from tests.plugins.exchanges import EXCHANGES, Exchanges, HttpsExchanges, MemoryExchanges
from tests.plugins.ledgers import LEDGERS, FileLedgers, MemoryLedgers, SharedLedger
from tests.plugins.storages import STORAGES, DirectoryStorages, SharedStorages


@pytest.fixture
async def lasting() -> AsyncGenerator[AsyncExitStack, None]:
    """What stays open until the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=sorted(LEDGERS))
def shared(
    request: pytest.FixtureRequest, scratch: Path, lasting: AsyncExitStack
) -> Generator[SharedLedger, None, None]:
    """A ledger of each kind."""
    yield LEDGERS[request.param](scratch, lasting)
    memory_ledger.CHAINS.pop(str(scratch), None)


@pytest.fixture
def file(scratch: Path, lasting: AsyncExitStack) -> FileLedgers:
    """A ledger file."""
    return FileLedgers(scratch, lasting)


@pytest.fixture
def in_memory(scratch: Path, lasting: AsyncExitStack) -> Generator[MemoryLedgers, None, None]:
    """A ledger in memory."""
    yield MemoryLedgers(scratch, lasting)
    memory_ledger.CHAINS.pop(str(scratch), None)


@pytest.fixture(params=sorted(STORAGES))
def storages(
    request: pytest.FixtureRequest, scratch: Path, lasting: AsyncExitStack
) -> Generator[SharedStorages, None, None]:
    """A shared storage of each kind."""
    yield STORAGES[request.param](scratch, lasting)
    memory_storage.SHELVES.pop(str(scratch), None)


@pytest.fixture
def directory(scratch: Path, lasting: AsyncExitStack) -> DirectoryStorages:
    """A shared storage in a directory."""
    return DirectoryStorages(scratch, lasting)


@pytest.fixture(params=sorted(EXCHANGES))
async def exchanges(
    request: pytest.FixtureRequest, scratch: Path, lasting: AsyncExitStack, nursery: trio.Nursery
) -> AsyncGenerator[Exchanges, None]:
    """Data exchanges of each kind."""
    found = EXCHANGES[request.param](scratch, lasting, nursery)
    yield found
    if isinstance(found, MemoryExchanges):
        found.forget()


@pytest.fixture
def https(scratch: Path, lasting: AsyncExitStack, nursery: trio.Nursery) -> HttpsExchanges:
    """Data exchanges over mutual TLS."""
    return HttpsExchanges(scratch, lasting, nursery)
