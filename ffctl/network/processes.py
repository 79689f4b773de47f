"""Members as processes of their own, which stay when ffctl ends: started, found again, and asked to stop.

Which process a member is stands in its folder, with the moment at which that process began: a number alone may be
somebody else's by now.
"""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ffctl.network.plan import Member

LOG_BYTES_MAX = 8 << 20
"""A log that is longer at a start is put aside; the one put aside before is forgotten."""
FOREIGN = (
    "FFD_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
)  # fmt: skip
"""Variables that would tell a member something else than its configuration does."""


def command(member: Member) -> list[str]:
    """How its ffd is run: by the Python, and from the packages, that run ffctl."""
    return [sys.executable, "-P", "-m", "ffd", "--config", str(member.config)]


def start(member: Member) -> int:
    """Start its ffd, as a process that nobody's terminal ends; its number."""
    _make_room(member.log)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with open(member.log, "ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own program
            command(member), cwd=member.folder, env=environ, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    member.pid_file.write_text(f"{process.pid} {_began(process.pid)}\n")
    return process.pid


def running(member: Member) -> int | None:
    """The number of its process, if that was started here and still runs."""
    try:
        pid, began = member.pid_file.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if began != "" and _began(int(pid)) == began else None


def stop(pid: int) -> None:
    """Ask a process to stop: it drains first."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def wait_ended(pids: list[int], deadline_s: float) -> list[int]:
    """Wait until these processes have ended; those that run on after so long."""
    end = time.monotonic() + deadline_s
    left = []
    for pid in pids:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if _began(pid) and not select.select([watched], [], [], max(0.0, end - time.monotonic()))[0]:
                left.append(pid)
        finally:
            os.close(watched)
    return left


def forget(member: Member) -> None:
    """It was stopped: its number says nothing any more."""
    member.pid_file.unlink(missing_ok=True)


def _began(pid: int) -> str:
    """The moment a process began, in the kernel's ticks; nothing when there is none, or it only waits to be buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    return "" if fields[0] in ("Z", "X") else fields[19]


def _make_room(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
