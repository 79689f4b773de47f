"""ffctl starts fast because it loads little: what each way loads is held here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ffctl.conftest import ROOT, environment
from tests.ffctl.standin import Node

ALWAYS_TOO_MUCH = {
    "trio",
    "apsw",
    "cryptography",
    "httpx",
    "pydantic",
    "asyncio",
    "ffd.daemon",
    "ffd.store",
    "ffd.world",
}
STREAMS = {"wsproto", "h11"}
CALLS = {"http.client", "msgspec"}
PERSON = {"rich"}

WAYS: dict[str, tuple[list[str], set[str]]] = {
    "the first help": (["--help"], STREAMS | CALLS | PERSON),
    "a command's help": (["tail", "--help"], STREAMS | CALLS | PERSON),
    "a noun's help": (["sub", "create", "--help"], STREAMS | CALLS | PERSON),
    "what a network needs to be told": (["network", "up", "--help"], STREAMS | CALLS | PERSON),
    "a mistake": (["msg", "list", "-n", "x"], STREAMS | CALLS | PERSON),
    "the exit codes": (["help", "exit-codes"], STREAMS | CALLS | PERSON),
    "a completion script": (["completion", "bash"], STREAMS | CALLS | PERSON),
    "a call": (["status"], STREAMS | PERSON),
    "a message": (["broadcast", "--topic", "t", "hello", "-o", "ndjson"], STREAMS | PERSON),
    "a private message": (["send", "--to", "org2", "hello", "-o", "ndjson"], STREAMS | PERSON),
    "a list": (["msg", "list"], STREAMS | PERSON),
    "a stream": (["tail", "--idle", "10ms"], PERSON),
}

SCRIPT = """
import sys
from ffctl.app import main
sys.argv = ["ffctl", *sys.argv[1:]]
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(("words", "too_much"), WAYS.values(), ids=WAYS)
def test_nothing_is_loaded_that_is_not_needed(words: list[str], too_much: set[str], node: Node) -> None:
    loaded = modules(node, words)
    assert loaded.isdisjoint(ALWAYS_TOO_MUCH | too_much)


@pytest.mark.parametrize("words", [["t"], ["sub", "show", ""], ["tail", "--topic", ""]])
def test_completion_loads_no_more_than_a_call(words: list[str], node: Node) -> None:
    assert modules(node, words, _FFCTL_COMPLETE="zsh").isdisjoint(ALWAYS_TOO_MUCH | STREAMS | PERSON)


def test_ctrl_c_while_it_loads_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt  # it came while this was loaded\n")
    done = subprocess.run(
        [sys.executable, "-m", "ffctl", "status"], capture_output=True, text=True, check=False, timeout=30, cwd=ROOT,
        env={**environment(tmp_path / "s"), "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def modules(node: Node, words: list[str], **env: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=False, cwd=ROOT,
        env=environment(node.path, **env),
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split())
