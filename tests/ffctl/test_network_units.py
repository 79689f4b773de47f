"""`ffctl network up --systemd`: members as units of the user's manager."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ffctl.conftest import Done, Ffctl

STANDIN = Path(__file__).parent / "systemctl"


@pytest.fixture
def managed(place: Path, ffctl: Ffctl) -> Ffctl:
    """Run ffctl where a systemctl stands in for one that has a manager."""
    programs = place / "bin"
    programs.mkdir()
    shutil.copy(STANDIN, programs / "systemctl")

    def command(*args: str, **env: str) -> Done:
        path = f"{programs}:/usr/bin:/bin"
        return ffctl(*args, PATH=path, XDG_CONFIG_HOME=str(place / "config"), **env)

    return command


ODD_NAME = "p %h $HOME"
"""A folder whose name would mean something in a unit."""


def test_units_are_well_formed_whatever_the_folder_is_called(place: Path, ffctl: Ffctl) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    assert ffctl("network", "init", "--members", "1", ODD_NAME).code == 0
    unit = place / ODD_NAME / "member1" / "ffd-p--h--HOME-member1.service"
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place), "XDG_RUNTIME_DIR": str(place)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_members_run_as_units_and_are_unlinked_when_they_are_down(place: Path, managed: Ffctl) -> None:
    assert managed("network", "init", "--members", "2", ODD_NAME).code == 0
    up = managed("network", "up", "--systemd", ODD_NAME, "--format", "{member} {state} {service}")
    try:
        assert up.lines == [f"member{n} ready ffd-p--h--HOME-member{n}.service" for n in (1, 2)], up.err
        assert managed("--socket", f"{ODD_NAME}/member1/ffd.sock", "broadcast", "--confirm", "hello").code == 0
        assert len(list((place / "config/systemd/user").iterdir())) == 2
        assert "ready" in managed("network", "logs", ODD_NAME, "member2").out
    finally:
        down = managed("network", "down", ODD_NAME)
    assert down.code == 0 and "2 of 2" in down.err
    assert list((place / "config/systemd/user").iterdir()) == []
    assert managed("network", "status", ODD_NAME, "--format", "{state}").lines == ["down", "down"]


def test_a_unit_of_another_network_is_left_alone(place: Path, managed: Ffctl) -> None:
    assert managed("network", "init", "--members", "1", "--name", "same", "one").code == 0
    assert managed("network", "init", "--members", "1", "--name", "same", "two").code == 0
    assert managed("network", "up", "--systemd", "one").code == 0
    taken = managed("network", "up", "--systemd", "two")
    assert taken.code == 4 and "is another network's" in taken.err
    assert managed("network", "status", "one", "--format", "{state}").out == "ready\n"
    assert managed("network", "down", "one").code == 0


def test_without_a_manager_it_says_what_else_there_is(managed: Ffctl) -> None:
    assert managed("network", "init", "--members", "1", "play").code == 0
    done = managed("network", "up", "--systemd", "play", NO_MANAGER="1")
    assert done.code == 7 and "Failed to connect to bus" in done.err and "without --systemd" in done.err
