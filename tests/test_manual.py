"""The manual says what the programs do: generated pages are fresh, hand-written ones name what there is."""

import ast
import grp
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.api.app import ROUTES
from ffd.api.description import PATHS
from ffd.api.route import API
from ffd.daemon.config import describe_config, load_config
from ffd.model.errors import Full, NotFound
from ffd.ports.plugin import PluginSetting
from ffd.ports.wallet import Wallet
from ffd.world import RealWorld

ROOT = Path(__file__).parent.parent
MAN = ROOT / "man"
PROGRAMS = Path(sys.executable).parent
PAGES = sorted(MAN.glob("*.[1-8]"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
DESIGN, PLUGIN = MAN / "ffd-design.7", MAN / "ffd-plugin.7"
OWN_CODE = re.compile(r"FFD\d{4}")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LOCAL = re.compile(r"(?<![\w.])/(?:home|root|work|Users|opt/venv)/|(?:localhost|127\.0\.0\.1|10\.\d+\.\d+\.\d+)[:/]")
"""Paths and hosts that only one machine has."""
READY_S, STOP_S = 30, 30


def plain(page: Path) -> str:
    """The text of a manual page without its escapes."""
    return page.read_text().replace("\\-", "-").replace("\\(aq", "'").replace("\\&", "")


def test_what_is_generated_is_fresh() -> None:
    done = subprocess.run([sys.executable, MAN / "generate", "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_option_of_ffd_has_its_place_in_the_manual() -> None:
    said = subprocess.run([PROGRAMS / "ffd", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"--([a-z-]+)", said)
    described = set(re.findall(r"^\.It .*?Fl Fl ([a-z-]+)", plain(MAN / "ffd.8"), re.MULTILINE))
    assert described == set(options)


def test_every_variable_of_ffd_is_in_the_manual() -> None:
    said = subprocess.run([PROGRAMS / "ffd", "--help"], capture_output=True, text=True, check=True).stdout
    for variable in re.findall(r"FFD_[A-Z]+\b(?:__KEY)?", said):
        assert f".It Ev {variable}" in plain(MAN / "ffd.8"), variable


def test_every_key_of_the_configuration_is_in_the_manual() -> None:
    page = plain(MAN / "ffd.toml.5")
    assert re.findall(r"^\.It Va (\S+)", page, re.MULTILINE)[: len(describe_config())] == [
        each.key for each in describe_config()
    ]


def test_the_example_of_a_configuration_is_a_good_one(tmp_path: Path) -> None:
    example = plain(MAN / "ffd.toml.5").partition(".Bd -literal -offset indent\n")[2].partition(".Ed")[0]
    assert tomllib.loads(example)["ledgers"]["shared"]["plugin"] == "file"
    file = tmp_path / "ffd.toml"
    mine = grp.getgrgid(os.getgid()).gr_name  # that of the example need not be on this machine
    file.write_text(example.replace('"apps"', f'"{mine}"'))
    assert load_config(file, {"HOME": str(tmp_path)}).namespaces["sales"].ledger == "shared"


def test_every_code_is_in_the_table_of_errors() -> None:
    used = {
        code
        for room in ("ffd", "ffctl")
        for path in (ROOT / room).rglob("*.py")
        for code in OWN_CODE.findall(path.read_text())
    }
    listed = set(re.findall(r"^\| `(FFD\d{4})` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
    assert listed == used


def test_every_route_is_in_the_description_of_the_api() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    listed = set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", page, re.MULTILINE))
    assert listed == {(route.method, route.shown_path) for route in ROUTES} | {("GET", path) for path in PATHS}
    assert f"`{API}/namespaces/NAME/`" in page


def test_the_client_in_the_description_of_the_api_works(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    client = tmp_path / "client.py"
    client.write_text(page.partition("```python\n")[2].partition("```")[0])
    with daemon(tmp_path) as socket:
        done = subprocess.run(
            [sys.executable, client, socket], capture_output=True, text=True, check=True, timeout=READY_S
        )
    accepted, event = map(json.loads, done.stdout.splitlines())
    assert [sorted(each) for each in accepted["messages"]] == [["hash", "id"], ["error"]]
    assert event["message"]["header"]["id"] == accepted["messages"][0]["id"]
    assert event["message"]["data"][0]["value"] == {"item": 7}


async def test_the_storage_in_the_description_of_plugins_keeps_what_it_promises() -> None:
    example = (
        plain(PLUGIN).partition("A whole storage")[2].partition(".Bd -literal -offset indent\n")[2].partition(".Ed")[0]
    )
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - it is ours
    key = Ed25519PrivateKey.generate()
    async with names["open_shelf"](PluginSetting(RealWorld(), "shelf", {}, ROOT, Wallet(key))) as shelf:
        reference = await shelf.put(b"one")
        assert await shelf.put(b"one") == reference and await shelf.get(reference, bytes_max=3) == b"one"
        with pytest.raises(NotFound):
            await shelf.get("0" * 64, bytes_max=3)
        with pytest.raises(Full):
            await shelf.get(reference, bytes_max=2)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
    for anchor in re.findall(r"\]\(#([^)]*)\)", document.read_text()):
        assert anchor in anchors(document), f"{document.name} links to #{anchor}"


@pytest.mark.parametrize("document", [*DOCUMENTS, *PAGES], ids=lambda path: path.name)
def test_nothing_is_said_of_one_machine(document: Path) -> None:
    assert LOCAL.findall(document.read_text()) == []


@pytest.mark.parametrize(
    "page", [DESIGN, PLUGIN, ROOT / "docs" / "errors.md", MAN / "ffd.8"], ids=lambda path: path.name
)
def test_the_modules_and_folders_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"(?<![\w/])((?:ffd|ffctl|tests|packaging|docs)/[\w/.-]*\w)", plain(page))
    missing = {name for name in named if not (ROOT / name).exists()} - {"ffd/ffd.sock"}
    assert named and missing == set()


def test_every_test_that_the_page_on_reliability_names_exists() -> None:
    named = TEST_ID.findall((ROOT / "docs" / "reliability.md").read_text())
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or (test and test not in functions_in(file))
    ]
    assert named and missing == []


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@contextmanager
def daemon(folder: Path) -> Iterator[Path]:
    """The socket of an ffd that is ready, and keeps all it has in `folder`."""
    socket = folder / "s"
    process = subprocess.Popen([PROGRAMS / "ffd", "--socket", socket, "--state-dir", folder / "state"])
    try:
        wait = [PROGRAMS / "ffctl", "--socket", socket, "wait", "ready", "-q", "--timeout", f"{READY_S}s"]
        subprocess.run(list(map(str, wait)), check=True, stdout=subprocess.DEVNULL)
        yield socket
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
