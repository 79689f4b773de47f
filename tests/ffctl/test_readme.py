"""The README's example of a network, run as it stands there."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.ffctl.conftest import ROOT, Ffctl, environment

SECTION = "## Three members\n"
MARK = "@@@"
PATIENCE_S = 120


@dataclass
class Step:
    """A command of the transcript, and what it prints there."""

    command: str
    out: str = ""


def steps(section: str) -> list[Step]:
    """What stands behind `$`, with the lines that go on behind `>`, and what is printed below it."""
    found: list[Step] = []
    for line in section.splitlines():
        text = line.removeprefix("    ")
        if text == line:
            continue
        if text.startswith("$ "):
            found.append(Step(text[2:]))
        elif text.startswith("> "):
            found[-1].command += f"\n{text[2:]}"
        else:
            found[-1].out += f"{text}\n"
    return found


def test_the_network_of_the_readme_does_what_is_written_there(place: Path, ffctl: Ffctl) -> None:
    section = (ROOT / "README.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    programs = place / "bin"
    programs.mkdir()
    (programs / "ffctl").write_text(f'#!/bin/sh\nexec {sys.executable} -m ffctl "$@"\n')
    (programs / "ffctl").chmod(0o755)
    env = environment(place / "ffd.sock")
    env["PATH"] = f"{programs}:{env['PATH']}"
    told = steps(section)
    script = "".join(f"{step.command}\necho {MARK}\n" for step in told)
    try:
        done = subprocess.run(
            ["bash", "-uc", script], env=env, cwd=place, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.stderr == ""
        printed = done.stdout.split(f"{MARK}\n")[:-1]
        assert [Step(step.command, out) for step, out in zip(told, printed, strict=True)] == told
    finally:
        ffctl("network", "down", "play")
