"""From any released schema to today's: numbered steps, each one transaction, preceded by a snapshot.

`user_version` counts the steps taken (https://www.sqlite.org/pragma.html#pragma_user_version); `application_id` says
that the file is ours, so that a wrong path in the configuration cannot turn somebody else's database into ours.
"""

from __future__ import annotations

from contextlib import closing
from functools import cache
from importlib import resources
from pathlib import Path

import apsw

from ffd.model.errors import Invalid
from ffd.store.transaction import writing

APPLICATION_ID = 0x46464400  # "FFD"
SNAPSHOT_TIMEOUT_MS = 10_000


def migrate(connection: apsw.Connection, path: Path, now: int) -> None:
    """Bring the database at `path` to the newest schema. Raises Invalid when it is not ours, or from the future."""
    version = check_ours(connection, path)
    if version == len(steps()):
        return
    if version:
        _snapshot(connection, path, version)
    with writing(connection):
        # Another process may have come first; now nobody can.
        version = check_ours(connection, path)
        for number, statements in enumerate(steps()[version:], start=version + 1):
            connection.execute(statements)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


@cache
def steps() -> tuple[str, ...]:
    """The statements of each step, oldest first."""
    folder = resources.files("ffd.store") / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple(file.read_text(encoding="utf-8") for file in files)


def check_ours(connection: apsw.Connection, path: Path) -> int:
    """The schema version of the database. Raises Invalid."""
    with connection:  # one look: another process may be making the tables
        version: int = connection.pragma("user_version")
        application: int = connection.pragma("application_id")
        empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if application != APPLICATION_ID and not (empty and version == 0):
        raise Invalid("FFD3010", f"{path} is a database of another program: choose another state directory")
    if version > len(steps()):
        raise Invalid(
            "FFD3011",
            f"{path} has schema {version}, this ffd knows {len(steps())}: run the newer ffd that wrote it, "
            f"or restore the snapshot {path.name}.schema-{len(steps())} beside it",
        )
    return version


def _snapshot(connection: apsw.Connection, path: Path, version: int) -> None:
    # Over what an attempt before this one left: a backup is one transaction of the file that it fills.
    with closing(
        apsw.Connection(str(path.with_name(f"{path.name}.schema-{version}")), vfs=connection.open_vfs)
    ) as copy:
        copy.set_busy_timeout(SNAPSHOT_TIMEOUT_MS)
        with copy.backup("main", connection, "main") as backup:
            backup.step()
