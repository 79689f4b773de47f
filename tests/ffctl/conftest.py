"""The command line run for real: as a process, or in this one where only its words matter."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ffctl.app import run
from ffctl.failure import Failure
from ffctl.settings import Settings
from tests.ffctl.standin import Node, standing_in

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Ffctl = Callable[..., Done]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a path short enough for a socket's 108 bytes."""
    folder = tempfile.mkdtemp(prefix="ffctl-", dir="/tmp")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def node(place: Path) -> Iterator[Node]:
    """A stand-in for the daemon."""
    with standing_in(place / "ffd.sock") as standin:
        yield standin


def environment(path: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(path.parent), "FFD_SOCKET": str(path), "COLUMNS": "80",
        "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **more,
    }  # fmt: skip


COMMAND = [sys.executable, "-m", "ffctl"]


@pytest.fixture
def ffctl(place: Path) -> Ffctl:
    """Run ffctl as a process on the socket of this test."""

    def command(*args: str, stdin: str | bytes = b"", **env: str) -> Done:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*COMMAND, *args], input=given, capture_output=True, timeout=60, check=False,
            env=environment(place / "ffd.sock", **env), cwd=place,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return command


@pytest.fixture
def here(place: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Ffctl:
    """Run ffctl in this process: its data and its exit code."""
    monkeypatch.setenv("FFD_SOCKET", str(place / "ffd.sock"))
    monkeypatch.setenv("COLUMNS", "80")

    def command(*args: str) -> Done:
        capfdbinary.readouterr()
        try:
            code, said = run(list(args), Settings()), ""
        except Failure as failure:
            code, said = failure.exit_code, f"{failure}\n{failure.hint}"
        except SystemExit as ended:
            code, said = int(str(ended.code)), ""
        sys.stdout.flush()
        caught = capfdbinary.readouterr()
        return Done(code, caught.out.decode(), caught.err.decode() + said)

    return command
