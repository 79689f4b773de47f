"""Help texts and manual pages are kept as files, so that a change is seen; FFD_GOLDEN=write writes them anew."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ffctl.conftest import ROOT, Ffctl

GOLDEN = Path(__file__).parent / "golden"

COMMANDS = (
    "", "broadcast", "tail", "status", "wait", "wait ready", "sub", "sub create", "sub list", "sub show", "sub delete",
    "msg", "msg list", "msg show", "event", "event list", "event show", "batch", "batch list", "batch show",
    "batch cancel",
    "pin", "pin list", "op", "op list", "op show", "op retry",
    "send", "request", "identity", "identity register", "identity list", "identity show", "group",
    "group list", "group show", "network", "network init", "network up", "network down",
    "network status", "network logs", "version", "help", "completion",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_is_as_kept(command: str, here: Ffctl) -> None:
    kept = GOLDEN / f"{'-'.join(['ffctl', *command.split()])}.txt"
    said = here(*command.split(), "--help").out
    if os.environ.get("FFD_GOLDEN") == "write":
        kept.write_text(said)
    assert said == kept.read_text()
    assert here(*command.split(), "-h").out == said == here("help", *command.split()).out


def test_no_command_is_without_a_kept_help() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {"-".join(["ffctl", *name.split()]) for name in COMMANDS}


def test_no_summary_of_a_command_is_cut_and_no_word_is_pythons(here: Ffctl) -> None:
    for command in COMMANDS:
        said = here(*command.split(), "--help").out
        assert not re.search(r"[a-z,]\.\.\.$", said, re.MULTILINE), command
        assert not re.search(r"<(?:str|int|list)|\{[A-Z]|\d<=|>=\d", said), command


def test_help_on_nothing_is_refused(here: Ffctl) -> None:
    assert here("help", "nonsense").code == 2
    assert here("help", "tail", "nonsense").code == 2


def test_the_manual_is_as_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, "man/build.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_is_well_formed() -> None:
    pages = sorted(str(path) for path in (ROOT / "man").glob("ffctl*.1"))
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
