"""A disk, and a node that accepts and seals on it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random

import pytest

from tests.outbound.author import Author, open_author
from tests.simulation.disk import Disk


@pytest.fixture
def disk(seed: int, scratch: Path) -> Disk:
    """An empty disk."""
    return Disk(scratch / "disk", Random(seed))


@pytest.fixture
async def author(autojump_clock: object, disk: Disk) -> AsyncGenerator[Author, None]:
    """A node on the disk. The test has to name `autojump_clock` itself."""
    async with open_author(disk) as author:
        yield author
