"""`ffd` as typed: what it prints, and its exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from ffd import __version__
from ffd.daemon.cli import main


def ffd(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FFD_CONFIG", "FFD_SOCKET", "FFD_STATE_DIR", "FFD_ROLES"):
        monkeypatch.delenv(name, raising=False)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ffd(capsys, "--version") == (0, f"ffd {__version__}\n", "")


def test_help_tells_exit_codes_and_signals(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ffd(capsys, "--help")
    assert code == 0
    assert "exit codes:" in out
    assert "SIGHUP reloads" in out


def test_a_good_configuration_is_called_good(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "ffd.toml"
    file.write_text('[node]\nname = "north"\n')
    arguments = ("--config", str(file), "--check-config", "--socket", "/s", "--state-dir", "/d")
    assert ffd(capsys, *arguments) == (0, "good: state in /d, socket /s\n", "")


def test_a_wrong_configuration_is_told_line_by_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ffd.toml").write_text("[batch]\nmesages_max = 3\n[bacth]\n")
    monkeypatch.setenv("FFD_CONFIG", "ffd.toml")
    assert ffd(capsys) == (
        2,
        "",
        "ffd: FFD1001: ffd.toml:2: batch.mesages_max: unknown key; did you mean messages_max?\n"
        "ffd: FFD1001: ffd.toml:3: bacth: unknown key; did you mean batch?\n",
    )


WRONG = {
    "an unknown option": ("--cofnig", "unrecognized arguments: --cofnig"),
    "an unknown role": ("--roles=intakes", "--roles: 'intakes' is not one of"),
    "an unknown level": ("--log-level=loud", "--log-level: 'loud' is not one of"),
    "no such file": ("--config=/nowhere.toml", "/nowhere.toml: cannot be read: No such file"),
}


@pytest.mark.parametrize(("argument", "told"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_end_with_2(capsys: pytest.CaptureFixture[str], argument: str, told: str) -> None:
    code, out, err = ffd(capsys, argument)
    assert (code, out) == (2, "")
    assert told in err


OPTION = '[ledgers.local]\noptions = { pth = "x" }\n'


def test_an_option_that_a_plugin_does_not_have_ends_with_2_too(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ffd.toml"
    file.write_text(OPTION)
    done = subprocess.run(
        [sys.executable, "-m", "ffd", "--config", file, "--socket", tmp_path / "s", "--state-dir", tmp_path / "state"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "ffd: FFD1202: plugin local has no option pth: it knows path\n")


@pytest.mark.parametrize("where", ["> /dev/full", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_check_that_nobody_hears_has_its_exit_code(where: str) -> None:
    line = f'exec "{sys.executable}" -m ffd --check-config {where}'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_checks_load_no_more_than_they_need() -> None:
    script = "import sys; from ffd.daemon.cli import main; main(['--check-config']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "ffd.daemon.config" in loaded
    assert loaded.isdisjoint({"trio", "apsw", "pydantic", "starlette", "hypercorn", "cryptography", "typer", "rich"})
