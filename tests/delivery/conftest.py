"""An empty log of events."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.delivery.eventlog import EventLog, open_log


@pytest.fixture
async def log(autojump_clock: object, seed: int, scratch: Path) -> AsyncGenerator[EventLog, None]:
    """A log without events. The test has to name `autojump_clock` itself."""
    async with open_log(scratch / "log", seed) as log:
        yield log
