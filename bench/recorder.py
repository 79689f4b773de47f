"""An ffd that also writes down what it says to its database: `python -m bench.recorder FILE ARGUMENTS-OF-FFD`.

The daemon is the real one; only APSW is told to report each statement with its values. Transactions are written to FILE
when the daemon has stopped, in the order in which they ended.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

Statement = tuple[str, Any]
"""SQL and the values bound to it, None for none."""
Recorded = tuple[float, list[Statement]]
"""A transaction: when it ended (monotonic), and its statements."""

DATABASE = "ffd.db"
ENDS = ("COMMIT", "ROLLBACK", "END")


class Recorder:
    """Follows every connection of this process to the node's database."""

    def __init__(self) -> None:
        self.transactions: list[Recorded] = []
        self._lock = threading.Lock()

    def follow(self, connection: apsw.Connection) -> None:
        """A hook for APSW: called for each new connection."""
        if connection.filename.endswith(DATABASE):
            connection.set_exec_trace(self._tracer(reading=bool(connection.open_flags & apsw.SQLITE_OPEN_READONLY)))

    def _tracer(self, *, reading: bool) -> Callable[[apsw.Cursor, str, Any], bool]:
        open: list[Statement] = []
        inside = indexing = False

        def trace(_cursor: apsw.Cursor, sql: str, values: Any) -> bool:
            nonlocal open, inside, indexing
            word = sql.lstrip()[:12].upper()
            if reading and word.startswith(("PRAGMA", "ATTACH", "DETACH")):
                return True  # the settings of a reader are not those of the writer
            indexing = indexing or word.startswith("ATTACH")
            if indexing:
                return True  # what the search index costs is ffd's, and nothing that SQLite would do for the rows
            open.append((sql, values))
            if word.startswith("BEGIN"):
                inside = True
            elif word.strip(" ;") in ENDS:
                inside = False
            if not inside:
                with self._lock:
                    self.transactions.append((time.monotonic(), open))
                open = []
            return True

        return trace


def main() -> int:
    """Run ffd and record it."""
    recorder = Recorder()
    apsw.connection_hooks.append(recorder.follow)
    from ffd.daemon.cli import main as ffd

    code = ffd(sys.argv[2:])
    Path(sys.argv[1]).write_bytes(pickle.dumps(recorder.transactions, protocol=5))
    return code


if __name__ == "__main__":
    sys.exit(main())
