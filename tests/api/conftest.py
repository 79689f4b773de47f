"""A node for the tests that need nothing special of it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.api.rest import Node, open_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Node, None]:
    """A node with all its roles."""
    async with open_node(tmp_path) as node:
        yield node
