"""Networks of real processes: each story has its own folder, and leaves nothing running."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.node import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Where the programs of one story live."""
    home = House(tmp_path)
    try:
        yield home
    finally:
        home.close()
