"""What all rooms share: the seed, the clock, a cast of nodes.

A story's seed comes from its name, so that it is the same each time. `FFD_SEED=17 python -m pytest tests/stories` runs
stories, and tests of many seeds, with that one; `FFD_SEEDS=1000` gives tests of many seeds so many of them. When a
seeded test fails, its report says how to replay it.
"""

import os
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import apsw
import pytest

from tests.world import Cast, open_cast

SHARED_MEMORY = Path("/dev/shm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that runs with many seeds says how many by its mark `seeds(count)`."""
    mark = metafunc.definition.get_closest_marker("seeds")
    if mark is not None:
        one = os.environ.get("FFD_SEED")
        count = int(os.environ.get("FFD_SEEDS", mark.args[0]))
        metafunc.parametrize("seed", [int(one)] if one else range(count))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seeds(count): run with so many seeds; FFD_SEEDS and FFD_SEED change that")
    # SQLite says in its log what the tests do to it on purpose.
    apsw.config(apsw.SQLITE_CONFIG_LOG, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how to have it again; where all must run (FFD_TESTS_WHOLE), a test that is skipped fails."""
    report = yield
    if report.skipped and os.environ.get("FFD_TESTS_WHOLE"):
        report.outcome, report.longrepr = "failed", f"skipped where all tests must run: {report.longrepr}"
    seed = getattr(item, "funcargs", {}).get("seed")
    if report.failed and seed is not None:
        node = item.nodeid.partition("[")[0]
        report.sections.append(("seed", f"seed {seed}; replay it: FFD_SEED={seed} python -m pytest '{node}'"))
    return report


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What decides everything random in this test."""
    return int(os.environ.get("FFD_SEED", zlib.crc32(request.node.nodeid.encode())))


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory where there is such a thing: the simulated disks need no real one."""
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="ffd-tests-", dir=parent))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def world(autojump_clock: object, seed: int, scratch: Path) -> AsyncIterator[Cast]:
    """The world of one story. The story has to name `autojump_clock` itself: pytest-trio looks for its clock there."""
    async with open_cast(seed, scratch) as cast:
        yield cast
