"""A real `ffd` with a state folder and a socket of its own, and what the kernel knows of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trio.lowlevel import enable_ki_protection

from bench.wire import Failed, Rest

PROGRAM = (str(Path(sys.executable).parent / "ffd"),)
ROOT = Path(__file__).resolve().parent.parent
READY_S, STOP_S = 20.0, 20.0
POLL_S = 0.002
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOG_SHOWN_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Node:
    """A daemon that runs; `ready_s` from its start to its first 200 on /readyz."""

    pid: int
    socket: Path
    state: Path
    ready_s: float

    def cpu_s(self) -> float:
        """CPU seconds that the process has used, all its threads, user and system (proc(5))."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def rss(self) -> int:
        """Bytes in memory now."""
        return self._status("VmRSS")

    def peak_rss(self) -> int:
        """The most bytes in memory so far."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise Failed(f"/proc/{self.pid}/status has no {name}")


@contextmanager
@enable_ki_protection
def running(program: Sequence[str], folder: Path, *arguments: str) -> Iterator[Node]:
    """A ready ffd on the state in `folder`; stopped, and reaped, on every way out. `program` is its command.

    Ctrl-C waits until it is ready, and until it has stopped.
    """
    socket, state, log = folder / "ffd.sock", folder / "state", folder / "ffd.log"
    with log.open("a") as output:
        began = time.monotonic()
        # A session of its own: Ctrl-C reaches us, and we stop it.
        process = subprocess.Popen(
            [*program, "--socket", socket, "--state-dir", state, *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=_environment(),
            cwd=ROOT,
        )  # fmt: skip
        try:
            _wait_ready(process, socket)
            yield Node(process.pid, socket, state, time.monotonic() - began)
            if process.poll() is not None:
                raise Failed(f"ffd ended by itself with {process.returncode}")
        except Exception:
            # The folder is about to go, and the log with it.
            sys.stderr.write(f"--- the end of ffd's log\n{_tail(log)}\n---\n")
            raise
        finally:
            _stop(process)


def _environment() -> dict[str, str]:
    # What the user has set for their own daemon must not change what is measured.
    return {name: value for name, value in os.environ.items() if not name.startswith("FFD_")}


def _wait_ready(process: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"ffd ended with {process.returncode} before it was ready")
        with suppress(OSError), Rest(socket) as rest:
            if rest.ask("GET", "/readyz")[0] == 200:
                return
        time.sleep(POLL_S)
    raise Failed(f"ffd was not ready after {READY_S:g} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise Failed(f"ffd had not stopped {STOP_S:g} s after SIGTERM; it was killed") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_SHOWN_BYTES:].strip()
