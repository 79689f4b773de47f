"""A member of the network that takes things in."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.inbound.member import Member, open_member


@pytest.fixture
async def member(autojump_clock: object, seed: int, scratch: Path) -> AsyncGenerator[Member, None]:
    """A member that knows Alice and Bob. The test has to name `autojump_clock` itself."""
    async with open_member(scratch / "member", seed) as member:
        await member.meet("alice", "bob")
        yield member
