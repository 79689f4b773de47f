"""What the members say: the last lines of their logs by time, and what follows, as rows."""

import json
import os
from collections.abc import Sequence
from typing import Any

from ffctl.network.plan import Member

TAIL_BYTES = 1 << 18
"""Of each log so much is read back at most."""
PIECE_BYTES = 1 << 16
LINE_BYTES_MAX = 1 << 20


class Journal:
    """The logs of some members: first their last lines, then whatever is added."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._readers = [_Reader(member) for member in members]

    def last(self, count: int) -> list[bytes]:
        """The last lines of all, by time; 0: all that is read back."""
        rows = [row for reader in self._readers for row in reader.back()]
        rows.sort(key=lambda row: row[0])
        return [text for _, text in (rows[-count:] if count else rows)]

    def more(self) -> list[bytes]:
        """What was added since."""
        rows = [row for reader in self._readers for row in reader.read()]
        rows.sort(key=lambda row: row[0])
        return [text for _, text in rows]

    def close(self) -> None:
        """Forget the files."""
        for reader in self._readers:
            reader.close()


class _Reader:
    """One member's log. Rows come with a time to sort by: a line without one follows the line before it."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._fd = -1
        self._rest = b""
        self._time = ""

    def back(self) -> list[tuple[str, bytes]]:
        """The rows of the last part of the file."""
        if not self._is_open():
            return []
        size = os.fstat(self._fd).st_size
        skipped = max(0, size - TAIL_BYTES)
        os.lseek(self._fd, skipped, os.SEEK_SET)
        if skipped:
            self.read_piece()  # the first line is only a part of one
            self._rest = self._rest.partition(b"\n")[2]
        return self.read()

    def read(self) -> list[tuple[str, bytes]]:
        """The rows that can be read now."""
        if not self._is_open():
            return []
        while self.read_piece() and len(self._rest) < LINE_BYTES_MAX:
            pass
        whole, newline, rest = self._rest.rpartition(b"\n")
        self._rest = rest
        return [self._row(line) for line in whole.split(b"\n")] if newline else []

    def read_piece(self) -> bool:
        """Read on; whether there was something."""
        piece = os.read(self._fd, PIECE_BYTES)
        self._rest += piece
        return bool(piece)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_open(self) -> bool:
        if self._fd < 0:
            try:
                self._fd = os.open(self._member.log, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        return True

    def _row(self, line: bytes) -> tuple[str, bytes]:
        name = json.dumps(self._member.name)
        said = parsed(line)
        if said is None:
            text = json.dumps(line.decode("utf-8", "replace"), ensure_ascii=False)
            return self._time, f'{{"member":{name},"message":{text}}}'.encode()
        self._time = str(said.get("time", self._time))
        return self._time, f'{{"member":{name},'.encode() + line.strip()[1:]


def parsed(line: bytes) -> dict[str, Any] | None:
    """A line of ffd's log; None for a line that is none, such as one of Python's."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found else None


def last_words(member: Member) -> str:
    """The last line that a member wrote, in words."""
    journal = Journal([member])
    rows = journal.last(1)
    journal.close()
    return str(json.loads(rows[0])["message"]) if rows else "it said nothing"
