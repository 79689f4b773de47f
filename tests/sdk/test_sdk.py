"""FireFly's official SDK for Node, as it is published, against real daemons over TCP.

The stories are in `suite/`, in Node's own test runner; each starts the ffd of this tree, and some kill it. Here each
file is run, and what fails in it is shown. `make test` installs what they need when npm is there.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITE = sorted(HERE.glob("suite/*.test.js"))
NODE_LEAST = (18, 15)
PATIENCE_S = 180
FAILURE = re.compile(r"^ *not ok .*?^ *\.\.\.$", re.MULTILINE | re.DOTALL)
OUTCOME = re.compile(r"^ *(not ok|ok) \d+ - (.*)", re.MULTILINE)


@pytest.fixture(scope="session")
def node() -> str:
    """The Node to run with; skips what cannot run without it."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("the SDK's stories need Node: install nodejs and npm")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in said.strip().removeprefix("v").split(".")[:2])
    if version < NODE_LEAST:
        pytest.skip(f"the SDK's stories need Node {'.'.join(map(str, NODE_LEAST))} or newer, this is {said.strip()}")
    if not (HERE / "node_modules" / "@hyperledger" / "firefly-sdk").is_dir():
        pytest.skip("the SDK is not installed: make test installs it when npm is there")
    return found


@pytest.mark.parametrize("file", SUITE, ids=lambda file: file.name.removesuffix(".test.js"))
def test_the_sdk(node: str, file: Path, tmp_path: Path) -> None:
    outcomes, said = run(node, file, tmp_path)
    assert outcomes, said
    failed = [name for name, good in outcomes.items() if not good]
    told = "\n\n".join(FAILURE.findall(said)) or said
    assert not failed, f"{len(failed)} of {len(outcomes)} failed: {'; '.join(failed)}\n\n{told}"


def run(node: str, file: Path, folder: Path) -> tuple[dict[str, bool], str]:
    """Run one file of stories: whether each went well, and all that was said. Nothing of it runs on after that."""
    process = subprocess.Popen(
        [node, "--test", "--test-reporter=tap", str(file)],
        cwd=HERE, env=environment(folder), start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{file.name} still runs after {PATIENCE_S} s; it said: {late.output!r}") from None
    finally:
        end_session(process)
    outcomes = {name: word == "ok" for word, name in OUTCOME.findall(said)}
    if process.returncode and all(outcomes.values()):
        outcomes[f"{file.name} ended with {process.returncode}"] = False
    return outcomes, said


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's own settings, but how programs are found."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8",
        "FFD_PYTHON": sys.executable, "FF_SDK_LOG_LEVEL": "NONE",
    }  # fmt: skip


def end_session(process: subprocess.Popen[str]) -> None:
    """End it with the daemons that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def test_the_lock_names_no_registry() -> None:
    """Packages come from where the npm of whoever installs is told to; the hashes say whether they are these."""
    lock = (HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock and '"integrity"' in lock
    assert '"node_modules/@hyperledger/firefly-sdk"' in lock
