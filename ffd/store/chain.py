"""The embedded ledger's file: a second database, beside or away from the node's, that several nodes may share.

Appending takes the file's write lock first, so that the entries of all nodes have one order; nobody updates or deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from ffd.model.errors import Away, Broken, Full, Invalid
from ffd.store.engine import READER_PRAGMAS, prepare_connection, readable
from ffd.store.transaction import writing

APPLICATION_ID = 0x4646_4C00  # "FFL"
SCHEMA_VERSION = 1
PRAGMAS = (*READER_PRAGMAS, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
SCHEMA = """
    CREATE TABLE entries (
        height    INTEGER PRIMARY KEY,
        previous  BLOB NOT NULL,
        timestamp INTEGER NOT NULL,
        signer    BLOB NOT NULL,
        signature BLOB NOT NULL,
        body      TEXT NOT NULL,
        hash      BLOB NOT NULL,
        request   TEXT NOT NULL,
        UNIQUE (signer, request)
    ) STRICT;"""


class EntryRow(NamedTuple):
    """One entry; `timestamp` in nanoseconds, `previous` and `hash` 32 bytes."""

    height: int
    previous: bytes
    timestamp: int
    signer: bytes
    signature: bytes
    body: str
    hash: bytes


COLUMNS = "height, previous, timestamp, signer, signature, body, hash"


def prepare(connection: apsw.Connection, path: Path) -> None:
    """Make the file a ledger if it is new. Raises Invalid when it is something else."""
    with readable(connection):
        _is_new(connection, path)  # before the first setting: to turn a file to WAL is to write it
    prepare_connection(connection, PRAGMAS)
    with writing(connection):
        if _is_new(connection, path):
            connection.execute(SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_new(connection: apsw.Connection, path: Path) -> bool:
    if connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        return True
    if connection.pragma("application_id") != APPLICATION_ID:
        raise Invalid("FFD4016", f"{path} is no ledger of ffd: choose another path for the ledger")
    if connection.pragma("user_version") > SCHEMA_VERSION:
        raise Invalid("FFD4017", f"{path} was written by a newer ffd: run that one")
    return False


def append(
    connection: apsw.Connection,
    *,
    signer: bytes,
    signature: bytes,
    body: str,
    request: str,
    now: int,
    genesis: bytes,
    link: Callable[[bytes, int], bytes],
    check: Callable[[], None] = lambda: None,
) -> bytes:
    """The hash of the entry for this request: a new last one, or the one that it made before.

    `link` gives the hash of an entry from the hash before it and its height. `check` raises, while nobody else can
    append, when nothing may be built on what is there.
    """
    try:
        with writing(connection):
            found: bytes | None = connection.execute(
                "SELECT hash FROM entries WHERE signer = ? AND request = ?", (signer, request)
            ).get
            if found is None:
                check()
                found = _append_last(connection, (now, signer, signature, body, request), genesis, link)
    except (apsw.BusyError, apsw.FullError, apsw.ReadOnlyError) as error:
        raise Full(
            "FFD4018", f"the ledger file cannot be written now ({error}): make room, or let others finish"
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise _as_damaged(connection, error) from error
    except apsw.IOError as error:
        raise Broken("FFD4019", f"the ledger file failed ({error}): the last entry may or may not be stored") from error
    return found


def _append_last(
    connection: apsw.Connection,
    values: tuple[int, bytes, bytes, str, str],
    genesis: bytes,
    link: Callable[[bytes, int], bytes],
) -> bytes:
    last = connection.execute("SELECT height, hash FROM entries ORDER BY height DESC LIMIT 1").get
    height, previous = (last[0] + 1, last[1]) if last else (0, genesis)
    now, signer, signature, body, request = values
    hash = link(previous, height)
    connection.execute(
        f"INSERT INTO entries ({COLUMNS}, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (height, previous, now, signer, signature, body, hash, request),
    )
    return hash


@contextmanager
def _reading(connection: apsw.Connection) -> Iterator[None]:
    try:
        yield
    except (apsw.BusyError, apsw.CantOpenError) as error:
        raise Away(
            "FFD4022", f"ledger {connection.filename} cannot be read now ({error}): it is tried again"
        ) from error
    except (apsw.CorruptError, apsw.NotADBError, apsw.IOError, UnicodeDecodeError) as error:
        raise _as_damaged(connection, error) from error


def _as_damaged(connection: apsw.Connection, error: Exception) -> Broken:
    return Broken("FFD4023", f"ledger {connection.filename} is damaged ({error}): restore it from a backup")


def after(connection: apsw.Connection, height: int, limit: int) -> list[EntryRow]:
    """The entries past `height`, and the one at it, for its hash; -1 begins with the first. Raises Away, Broken."""
    with _reading(connection):
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM entries WHERE height >= ? ORDER BY height LIMIT ?", (height, limit + (height >= 0))
        )
        return [EntryRow(*row) for row in rows]


def head(connection: apsw.Connection) -> tuple[int, bytes] | None:
    """Height and hash of the last entry. Raises Away, Broken."""
    with _reading(connection):
        found: tuple[int, bytes] | None = connection.execute(
            "SELECT height, hash FROM entries ORDER BY height DESC LIMIT 1"
        ).get
    return found


def tail(connection: apsw.Connection) -> list[EntryRow]:
    """The last two entries, or as many as there are, in their order. Raises Away, Broken."""
    with _reading(connection):
        rows = connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY height DESC LIMIT 2")
        return [EntryRow(*row) for row in rows][::-1]


def version(connection: apsw.Connection) -> int:
    """A number that changes when another connection has committed: https://www.sqlite.org/pragma.html#pragma_data_version"""
    with _reading(connection):
        found: int = connection.execute("PRAGMA data_version").get
    return found
