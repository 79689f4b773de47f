"""The schema, as a file to read beside every change; and the way from an older one, which must not lose a row."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import trio

from ffd.model.errors import Invalid
from ffd.store import migrate, open_store
from ffd.store.migrate import steps
from ffd.world import RealWorld

GOLDEN = Path(__file__).with_name("schema.golden.sql")
NOW = 1
NEXT = "CREATE TABLE news (text TEXT NOT NULL) STRICT;"
WRONG = "CREATE TABLE more (text TEXT NOT NULL) STRICT; CREATE TABLE more (again TEXT) STRICT;"


@pytest.fixture
def path(scratch: Path) -> Path:
    return scratch / "ffd.db"


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    """A database of this version with a row in it."""
    with closing(apsw.Connection(str(path))) as connection:
        migrate.migrate(connection, path, NOW)
        connection.execute("INSERT INTO cursors (ledger, position) VALUES ('local', '7')")
        yield connection


def schema_of(connection: apsw.Connection) -> str:
    rows = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name")
    return "".join(f"{row[0]};\n\n" for row in rows)


def test_a_new_database_has_the_schema_that_was_reviewed(connection: apsw.Connection) -> None:
    """After a new step: write what this finds to the golden file, and look at the difference."""
    assert schema_of(connection) == GOLDEN.read_text(encoding="utf-8")


def test_every_table_is_strict_and_refers_to_what_exists(connection: apsw.Connection) -> None:
    tables = list(connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"))
    assert [name for name, strict in tables if not strict and not name.startswith("sqlite_")] == []
    assert connection.execute("PRAGMA foreign_key_check").get is None


def test_an_older_database_is_brought_up_with_its_rows_and_a_snapshot_beside_it(
    connection: apsw.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = len(steps())
    monkeypatch.setattr(migrate, "steps", lambda: (*steps(), NEXT))
    migrate.migrate(connection, path, NOW)
    assert connection.pragma("user_version") == now + 1
    assert connection.execute("SELECT position FROM cursors").get == "7"
    assert connection.execute("SELECT count(*) FROM news").get == 0
    with closing(apsw.Connection(str(path.with_name(f"ffd.db.schema-{now}")))) as snapshot:
        assert snapshot.pragma("user_version") == now
        assert snapshot.execute("SELECT position FROM cursors").get == "7"
        assert schema_of(snapshot) == GOLDEN.read_text(encoding="utf-8")


def test_a_step_that_fails_changes_nothing_and_can_be_tried_again(
    connection: apsw.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema_of(connection), connection.pragma("user_version")
    with monkeypatch.context() as broken:
        broken.setattr(migrate, "steps", lambda: (*steps(), NEXT, WRONG))
        with pytest.raises(apsw.SQLError):
            migrate.migrate(connection, path, NOW)
    assert (schema_of(connection), connection.pragma("user_version")) == before
    connection.execute("UPDATE cursors SET position = '8'")
    monkeypatch.setattr(migrate, "steps", lambda: (*steps(), NEXT))
    migrate.migrate(connection, path, NOW)
    assert connection.execute("SELECT position FROM cursors").get == "8"
    with closing(apsw.Connection(str(path.with_name(f"ffd.db.schema-{len(steps())}")))) as snapshot:
        assert snapshot.execute("SELECT position FROM cursors").get == "8"


def test_who_comes_second_finds_the_steps_taken(
    connection: apsw.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process takes its steps between our look and our lock."""
    now = len(steps())
    monkeypatch.setattr(migrate, "steps", lambda: (*steps(), NEXT, "CREATE TABLE last (x INT) STRICT;"))
    snapshot = migrate._snapshot

    def slow_snapshot(mine: apsw.Connection, where: Path, version: int) -> None:
        snapshot(mine, where, version)
        with closing(apsw.Connection(str(path))) as other:
            other.execute(NEXT)
            other.execute(f"PRAGMA user_version = {now + 1}")

    monkeypatch.setattr(migrate, "_snapshot", slow_snapshot)
    migrate.migrate(connection, path, NOW)
    assert connection.pragma("user_version") == now + 2


async def test_many_may_open_a_new_database_at_once(path: Path) -> None:
    versions: list[int] = []

    async def arrive() -> None:
        async with open_store(RealWorld(), path) as store:
            versions.append(store.peek(lambda tx: tx.value("PRAGMA user_version")))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(arrive)
    assert versions == [len(steps())] * 6


REFUSED = {
    "of another program": ("CREATE TABLE theirs (x)", "FFD3010"),
    "of a newer ffd": (f"PRAGMA user_version = {len(steps()) + 1}", "FFD3011"),
}


@pytest.mark.parametrize("statement, code", REFUSED.values(), ids=REFUSED)
async def test_a_database_that_is_refused_is_left_as_it_was_to_the_byte(path: Path, statement: str, code: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        if code == "FFD3011":
            migrate.migrate(connection, path, NOW)
        connection.execute(statement)
    before = read_all(path.parent)
    for _ in range(2):
        with pytest.raises(Invalid, match=code):
            async with open_store(RealWorld(), path):
                pass
    assert read_all(path.parent) == before


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_identities_and_their_keys_come_along_from_the_first_schema(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step makes both tables anew."""
    with closing(apsw.Connection(str(path))) as connection:
        with monkeypatch.context() as then:
            then.setattr(migrate, "steps", lambda: steps()[:1])
            migrate.migrate(connection, path, NOW)
        connection.execute("INSERT INTO namespaces (id, name, network_name, created) VALUES (1, 'default', 'n', 1)")
        for id in (b"b" * 16, b"a" * 16):
            connection.execute(
                "INSERT INTO identities (id, namespace, did, type, name, created) VALUES (?, 1, ?, 'org', ?, 1)",
                (id, f"did:{id.decode()}", id.decode()),
            )
        connection.execute("INSERT INTO verifiers VALUES (1, x'00', ?, 'key', 'k', 1)", (b"a" * 16,))
        connection.execute("PRAGMA foreign_keys = ON")
        migrate.migrate(connection, path, NOW)
        assert list(connection.execute("SELECT sequence, id FROM identities ORDER BY sequence")) == [
            (1, b"b" * 16), (2, b"a" * 16),
        ]  # fmt: skip
        assert connection.execute("SELECT identity FROM verifiers").get == b"a" * 16
        assert connection.execute("PRAGMA foreign_key_check").get is None
