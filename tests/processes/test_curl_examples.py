"""The examples of docs/api.md and of the README, run by a shell in their order, against a fresh daemon each."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ffd.api.app import ROUTES
from ffd.api.description import PATHS
from ffd.api.route import Route
from tests.processes.node import PATIENCE_S, ROOT, House, Node

PAGE = ROOT / "docs" / "api.md"
README = ROOT / "README.md"
SPY = (
    r'up() { curl --max-time 60 -w "%{stderr}${BASH_LINENO[-2]} %{http_code} %{method} %{url}\n" '
    r'-sS --unix-socket "$S" "$@"; }'
)
"""What stands in for the page's own function: each call tells its line, and what it was answered."""
TRANSCRIPT = "$ "


@dataclass(frozen=True)
class Command:
    """One command of the page, from its first line to its last, and the statuses that its calls may have."""

    first: int
    last: int
    text: str
    statuses: frozenset[int]


@dataclass(frozen=True)
class Call:
    """What one call of curl was answered."""

    line: int
    status: int
    method: str
    url: str


def commands(page: str) -> Iterator[Command]:
    """The commands of the page: all of a block of `sh`, and what stands behind `$ ` in a transcript."""
    lines, at, block = page.split("\n"), 0, ""
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            block = "" if block else (line[3:] or "transcript")
        elif block == "sh" or (block == "transcript" and line.startswith(TRANSCRIPT)):
            last = at
            text = line.removeprefix(TRANSCRIPT)
            while text.count("'") % 2:
                last += 1
                text += f"\n{lines[last]}"
            if text.strip():
                yield Command(at + 1, last + 1, text, statuses(text, lines[last + 1], block))
            at = last
        at += 1


def statuses(text: str, next_line: str, block: str) -> frozenset[int]:
    """What the page says of a command's calls: a number behind it, a refusal below it, or nothing, which is success."""
    told = re.search(r"  # (\d{3})$", text)
    if told:
        return frozenset({int(told[1])})
    if block == "sh":
        return frozenset({200})
    return frozenset({400, 404, 409} if next_line.startswith('{"error"') else {200, 201, 202})


def script_of(found: list[Command]) -> str:
    """The commands on the lines that they have in the page, so that a shell names these."""
    text, at = "", 1
    for command in found:
        text += "\n" * (command.first - at) + command.text
        at = command.last
    return text + "\n"


@dataclass(frozen=True)
class Ran:
    """The page after it ran: its commands, what came of every call, and the folder in which it did."""

    commands: list[Command]
    calls: list[Call]
    folder: Path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The page, run once."""
    with closing(House(tmp_path_factory.mktemp("curl"))) as house:
        yield run_page(PAGE, house)


def run_page(page: Path, house: House) -> Ran:
    """What became of the examples of a page."""
    node = Node(house)
    node.start()
    found = list(commands(page.read_text()))
    folder = node.folder / "shell"
    folder.mkdir()
    return Ran(found, run(script_of(found), node, folder), folder)


def run(script: str, node: Node, folder: Path) -> list[Call]:
    """Run the page as a shell does."""
    spied = re.sub(r"^S=.*$", f"S='{node.socket}'", script, flags=re.MULTILINE)
    spied = re.sub(r"^up\(\) .*$", lambda _: SPY, spied, flags=re.MULTILINE)
    (folder / "page.sh").write_text(spied)
    done = subprocess.run(
        ["bash", "-u", "page.sh"], capture_output=True, text=True, cwd=folder, timeout=PATIENCE_S * 2, check=False
    )
    lines = [line.split(" ", 3) for line in done.stderr.splitlines()]
    odd = [line for line in done.stderr.splitlines() if not re.match(r"\d+ \d{3} [A-Z]+ http", line)]
    assert not odd, odd
    return [Call(int(line), int(status), method, url) for line, status, method, url in lines]


def test_every_call_of_the_page_is_answered_as_the_page_says(page: Ran) -> None:
    assert_answered_as_told(page)


def test_every_call_of_the_readme_is_answered_as_it_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    with closing(House(tmp_path_factory.mktemp("readme"))) as house:
        assert_answered_as_told(run_page(README, house))


def assert_answered_as_told(page: Ran) -> None:
    wrong = [
        (call, command.text)
        for call in page.calls
        for command in page.commands
        if command.first <= call.line <= command.last and call.status not in command.statuses
    ]
    assert wrong == []
    made = {call.line for call in page.calls}
    silent = [
        command.text
        for command in page.commands
        if re.search(r"(^|\()(api|up) ", command.text) and not made & set(range(command.first, command.last + 1))
    ]
    assert silent == [], "each calls once at least"


def test_every_route_is_called_on_the_page(page: Ran) -> None:
    asked = {(call.method, urlsplit(call.url).path) for call in page.calls}

    def is_called(route: Route) -> bool:
        paths = [path for method, path in asked if method == route.method]
        return any(matches(each, path) for each in route.paths for path in paths)

    assert [f"{route.method} {route.shown_path}" for route in ROUTES if not is_called(route)] == []
    assert {("GET", path.replace("{ns}", "default")) for path in PATHS} <= asked


def matches(template: str, path: str) -> bool:
    """Is this a path of that template?"""
    parts = re.split(r"\{\w+(:path)?\}", template)
    pattern = "".join(re.escape(part) if n % 2 == 0 else (".+" if part else "[^/]+") for n, part in enumerate(parts))
    return re.fullmatch(pattern, path) is not None


def test_what_the_page_made_is_what_it_says(page: Ran) -> None:
    assert (page.folder / "copy.jpg").read_text() == "a picture of tea\n"
    assert '"with pleasure"' in (page.folder / "reply.json").read_text()
