"""Databases of yesterday, of tomorrow and of others."""

from pathlib import Path

import apsw
import pytest

from ffd.model.errors import Broken, Invalid
from ffd.store import open_store
from ffd.store.migrate import APPLICATION_ID, migrate, steps
from ffd.world import Database, RealWorld

NOW = 1_800_000_000_000_000_000


def test_a_new_file_gets_the_newest_schema_and_says_whose_it_is(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "ffd.db"))
    migrate(connection, tmp_path / "ffd.db", NOW)
    assert connection.pragma("application_id") == APPLICATION_ID
    assert connection.pragma("user_version") == len(steps())
    before = list(connection.execute("SELECT name, sql FROM sqlite_schema"))
    migrate(connection, tmp_path / "ffd.db", NOW)
    assert list(connection.execute("SELECT name, sql FROM sqlite_schema")) == before
    connection.close()


def test_a_database_from_the_future_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ffd.db"
    connection = apsw.Connection(str(path))
    migrate(connection, path, NOW)
    connection.execute(f"PRAGMA user_version = {len(steps()) + 1}")
    with pytest.raises(Invalid, match=f"FFD3011.*schema {len(steps()) + 1}.*newer ffd"):
        migrate(connection, path, NOW)
    assert connection.pragma("user_version") == len(steps()) + 1
    connection.close()


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 7", "PRAGMA application_id = 5"]
)
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ffd.db"
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    before = list(connection.execute("SELECT sql FROM sqlite_schema"))
    if "application_id" in statement:
        migrate(connection, path, NOW)  # an empty file is anybody's
    else:
        with pytest.raises(Invalid, match="FFD3010.*another program"):
            migrate(connection, path, NOW)
        assert list(connection.execute("SELECT sql FROM sqlite_schema")) == before
    connection.close()


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ffd.db"
    path.write_bytes(b"not a database, but a letter to a friend\n" * 100)
    before = path.read_bytes()
    with pytest.raises(Broken, match="FFD3008.*is not a database"):
        async with open_store(RealWorld(), path):
            pass
    assert path.read_bytes() == before


class ReadOnlyWorld(RealWorld):
    """What SQLite does with a file that its user may only read: it opens it so, and says nothing."""

    async def open_database(self, path: Path, *, read_only: bool = False) -> Database:
        return await super().open_database(path, read_only=True)


async def test_a_file_that_may_only_be_read_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ffd.db"
    async with open_store(RealWorld(), path):
        pass
    with pytest.raises(Broken, match=f"FFD3003: {path} cannot be written"):
        async with open_store(ReadOnlyWorld(), path):
            pass
