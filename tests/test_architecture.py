"""What knows what: the floors of the layout, the words that belong to one room, and the seam to the world."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffd.plugins.registry import OURS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FLOOR_0 = {"model", "world"}
ROLE = FLOOR_0 | {"ports", "store"}
MAY_IMPORT = {
    "model": set(),
    "world": {"model"},
    "ports": FLOOR_0,
    "store": FLOOR_0,
    "outbound": ROLE,
    "inbound": ROLE,
    "delivery": ROLE,
    "plugins": FLOOR_0 | {"ports", "store"},
    "api": ROLE | {"outbound", "inbound", "delivery", "plugins"},
    "daemon": ROLE | {"outbound", "inbound", "delivery", "plugins", "api"},
    "ffctl": {"model"},
}
"""What a room may import besides itself. Roles never import one another: tables stand between them."""

SQL = re.compile(
    r"\bSELECT\b.+\bFROM\b|\bINSERT\s+(OR\s+\w+\s+)?INTO\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE\s+FROM\b|\bCREATE\s+(TABLE|INDEX)\b"
    r"|^\s*PRAGMA\b",
    re.DOTALL,
)
FILE_CALLS = {"read_text", "read_bytes", "write_text", "write_bytes", "touch", "mkdir", "rmdir", "unlink", "iterdir"}
OUTSIDE_THE_SEAM = {
    "ffd/world/*.py": "it is the seam",
    "ffd/daemon/notify.py": "the service manager's protocol, before there is a World, tested against a real socket",
    "ffd/daemon/streams.py": "the standard streams, before there is a World: they hold no data",
}
OWN_FILES = {
    "ffd/world/files.py": "it is the seam",
    "ffd/world/real.py": "it is the seam",
    "ffd/daemon/config.py": "reads its file before there is a World",
    "ffd/api/page.py": "reads the page that lies beside it in the package",
    "ffd/store/migrate.py": "reads the schema that lies beside it in the package",
}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] == "ffctl" or len(parts) == 1 else parts[1]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or inside a function, with a dotted name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_of(names: Iterator[str]) -> set[str]:
    parts = (name.split(".") for name in names)
    return {part[1] for part in parts if part[0] == "ffd" and len(part) > 1} & set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules("ffd", "ffctl"), ids=place)
def test_a_room_imports_only_lower_floors(path: Path) -> None:
    if room(path) not in MAY_IMPORT:
        assert place(path) in ("ffd/__init__.py", "ffd/__main__.py")
        return
    assert rooms_of(imported(path)) - {room(path)} <= MAY_IMPORT[room(path)]


@pytest.mark.parametrize("path", modules("ffd/plugins"), ids=place)
def test_a_plugin_knows_no_other_plugin_and_of_the_store_its_own_table_at_most(path: Path) -> None:
    mine = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    names = set(imported(path))
    assert names & (plugins() - {mine}) == set()
    kinds = {name.split(".")[2] for name in names if name.startswith("ffd.plugins.")}
    assert len(path.relative_to(ROOT).parts) == 3 or kinds <= {path.parent.name}
    assert {name for name in names if name.startswith("ffd.store.")} <= {"ffd.store.chain"}


def plugins() -> set[str]:
    """The modules that can be named in a configuration."""
    return {module for group in OURS.values() for module, _ in group.values()}


@pytest.mark.parametrize("path", modules("ffd/model"), ids=place)
def test_the_model_is_values_and_rules_without_any_io(path: Path) -> None:
    outside = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
    assert outside <= {"ffd", "msgspec", "jsonschema_rs"}


@pytest.mark.parametrize("path", modules("ffd", "ffctl"), ids=place)
def test_sql_is_spoken_in_the_store_alone(path: Path) -> None:
    if room(path) == "store":
        return
    tree = ast.parse(path.read_text())
    said = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in said if SQL.search(text)] == []


@pytest.mark.parametrize("path", modules("ffd"), ids=place)
def test_files_are_reached_through_the_world(path: Path) -> None:
    if place(path) in OWN_FILES:
        return
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    opened = [f"line {call.lineno}" for call in calls if isinstance(call, ast.Name) and call.id == "open"]
    methods = [f"line {call.lineno}" for call in calls if isinstance(call, ast.Attribute) and call.attr in FILE_CALLS]
    assert opened + methods == []


FORBIDDEN = """
import time
import random
import uuid
import secrets
import socket
import sqlite3
import threading
import os
import datetime
import trio

os.urandom(8)
os.open("x", 0)
datetime.datetime.now(datetime.UTC)
trio.open_file("x")
trio.to_thread.run_sync(print)
open("x")
"""


@pytest.mark.parametrize("folder", ["model", "store", "delivery", "plugins/ledger", "api", "daemon"])
def test_the_lint_rule_of_the_seam_is_on(folder: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--select=TID251,PTH123", "--output-format=concise"]
    done = subprocess.run(
        [*command, f"--stdin-filename=ffd/{folder}/probe.py", "-"],
        input=FORBIDDEN, capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.stdout.count("TID251") == 12
    assert done.stdout.count("PTH123") == 1


def test_the_seam_has_no_holes_but_the_named_ones() -> None:
    ignores = PROJECT["tool"]["ruff"]["lint"]["per-file-ignores"]
    holes = {path for path, rules in ignores.items() if path.startswith("ffd/") and {"TID251", "TID"} & set(rules)}
    assert holes == set(OUTSIDE_THE_SEAM)
    assert [place(path) for path in modules("ffd") if re.search(r"noqa:[^\n]*TID251", path.read_text())] == []


@pytest.mark.parametrize("arguments", ["['--help']", "['broadcast', '--help']", "['sub', '--help']"])
def test_the_way_to_a_help_text_loads_neither_trio_nor_apsw(arguments: str) -> None:
    script = f"""
import sys
from ffctl.app import main
sys.argv = ["ffctl", *{arguments}]
try:
    main()
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "Usage" in done.stdout or "usage" in done.stdout
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint({"trio", "apsw", "hypercorn", "starlette", "cryptography", "re2"})


def test_the_daemon_never_loads_pydantic() -> None:
    script = "import sys, ffd.daemon.host, ffd.daemon.cli, ffd.daemon.node; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert {"pydantic", "typer", "rich"}.isdisjoint(done.stdout.split())
