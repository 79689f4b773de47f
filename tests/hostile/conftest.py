"""One daemon stands all of it: after each case it must confirm a broadcast, and its log must hold no failure."""

from collections.abc import Iterator

import pytest

from tests.hostile.target import CONFIG, Target
from tests.processes.node import House, Node


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    house = House(tmp_path_factory.mktemp("hostile"))
    try:
        node = Node(house, config=CONFIG)
        daemon = node.start()
        yield Target(node, daemon)
        assert daemon.code is None, daemon.errors()
        node.wait_settled()
        node.stop(daemon)
        assert "Traceback" not in daemon.errors() and '"level":"error"' not in daemon.errors(), daemon.errors()
        assert not [path for path in node.folder.rglob("*") if "evil" in path.name], "a name led to a file"
    finally:
        house.close()


@pytest.fixture(autouse=True)
def lives_on(target: Target) -> Iterator[None]:
    yield
    assert target.daemon.code is None, target.daemon.errors()
    target.check_alive()
