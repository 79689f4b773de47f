"""docs/errors.md: every code that an error of ffd or ffctl carries, with its sentences, read from the source itself.

An error is made by a call with a code and a text beside it. Codes may be constants, texts may be f-strings, variables,
or parameters of a function that only adds the code; then the calls of that function count.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ffctl import failure
from ffd.api.refusals import STATUSES

CODE = re.compile(r"FF(?:D\d{4}|\d{5})")
TOLD = re.compile(r"(FF(?:D\d{4}|\d{5})): (.+)", re.DOTALL)
FIREFLY = re.compile(r"FF\d{5}")
RANGES = {
    "FFD1": "configuration and daemon",
    "FFD2": "API, messages and what they carry",
    "FFD3": "store",
    "FFD4": "ledger, shared storage and data exchange",
    "FFD5": "delivery",
    "FFD6": "ffctl",
}
CLASSES = {"Invalid": 400, "NotFound": 404, "Conflict": 409, "Full": 429, "Away": 503, "Broken": 500}
"""The families of errors, and the HTTP status of each where its code has none of its own."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
HEAD = """\
# Errors
<!-- Written by `make man` from the source; do not edit. -->
An error is a code and one sentence that says what is wrong with which value and what to do. REST answers carry it as
`{"error":"CODE: sentence"}`, WebSocket frames as `error`, `ffd` and `ffctl` print `ffd: CODE: sentence` on stderr.

| family | what the caller can do | HTTP |
|---|---|---|
| Invalid | change the request | 400 |
| NotFound | there is no such thing, or not yet | 404 |
| Conflict | it exists already, in this or another form | 409 |
| Full | a limit is reached: send less, later, or make room | 429, 413, 507 |
| Away | something does not answer; what is stored goes on being tried | 503, 408 |
| Broken | our own rows contradict each other, or the disk failed | 500 |

The HTTP column below is the status when such an error ends a request; many are only ever seen in the log, in
`ffctl status` or at a start. What stands in braces is the value at hand; a dash, or "the cause follows", where the
source leaves that to the moment.
"""


@dataclass
class Entry:
    """What is known of one code."""

    sentences: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)


class Source:
    """All modules of the two programs, and what their errors say."""

    def __init__(self, root: Path) -> None:
        self.entries: dict[str, Entry] = defaultdict(Entry)
        self._trees = {
            path.relative_to(root).as_posix(): ast.parse(path.read_text())
            for room in ("ffd", "ffctl")
            for path in sorted((root / room).rglob("*.py"))
        }
        self._constants = {name: code for tree in self._trees.values() for name, code in _constants(tree)}
        self._bases = {name: base for tree in self._trees.values() for name, base in _bases(tree)}
        self._wrappers: dict[str, tuple[str, str, int]] = {}
        for place, function in self._functions():
            self._read(place, function)
        for place, function in self._functions():
            self._read_wrapped(place, function)

    def _functions(self) -> Iterator[tuple[str, Function]]:
        for place, tree in self._trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield place, node

    def _read(self, place: str, function: Function) -> None:
        """The errors that a function makes itself."""
        pieces = {part for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                for at, argument in enumerate(node.args[:-1]):
                    code = self._code(argument)
                    if code:
                        self._note(place, function, code, self._kind(node), node.args[at + 1])
            told = TOLD.fullmatch(_text(node)) if isinstance(node, ast.Constant | ast.JoinedStr) else None
            if told and node not in pieces:
                self._add(place, told[1], "", told[2])
            if isinstance(node, ast.Constant) and CODE.fullmatch(str(node.value)):
                self._add(place, str(node.value), "", "")

    def _read_wrapped(self, place: str, function: Function) -> None:
        """The errors that a function makes by calling one that adds the code."""
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and _name(node.func) in self._wrappers:
                code, kind, at = self._wrappers[_name(node.func)]
                if at < len(node.args):
                    for text in _texts(node.args[at], function):
                        self._add(place, code, kind, text)

    def _note(self, place: str, function: Function, code: str, kind: str, text: ast.expr) -> None:
        parameters = [each.arg for each in function.args.args]
        if isinstance(text, ast.Name) and text.id in parameters and not list(_assigned(function, text.id)):
            self._wrappers[function.name] = code, kind, parameters.index(text.id)
            return
        for sentence in _texts(text, function) or [""]:
            self._add(place, code, kind, sentence)

    def _add(self, place: str, code: str, kind: str, sentence: str) -> None:
        entry = self.entries[code]
        entry.places.add(place)
        if kind:
            entry.kinds.add(kind)
        if sentence and sentence not in entry.sentences:
            entry.sentences.append(sentence)

    def _code(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            return node.value
        return self._constants.get(_name(node), "")

    def _kind(self, call: ast.Call) -> str:
        """The family of the error, or the exit code of ffctl's."""
        name = _name(call.func)
        if name == "Failure":
            return _exit(call.args[0])
        while name not in CLASSES and name in self._bases:
            name = self._bases[name]
        return name if name in CLASSES else ""


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names of a module that stand for a code."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and CODE.fullmatch(_text(node.value)):
            yield _name(node.targets[0]), _text(node.value)


def _bases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.bases:
            yield node.name, _name(node.bases[0])


def _name(node: ast.AST) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _exit(node: ast.expr) -> str:
    code = getattr(failure, _name(node), None)
    return f"exit {code}" if isinstance(code, int) else ""


def _assigned(function: Function, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(_name(target) == name for target in node.targets):
            yield node.value


def _texts(node: ast.expr, function: Function) -> list[str]:
    """The sentences that an expression may be; none when it is made of other errors' sentences."""
    if isinstance(node, ast.Name):
        return [text for value in _assigned(function, node.id) for text in _texts(value, function)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, function) + _texts(node.orelse, function)
    text = _text(node)
    return [text] if text else []


def _text(node: ast.AST) -> str:
    """A text with the values in it named."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(f"{{{_named(part.value)}}}" if isinstance(part, ast.FormattedValue) else _text(part)
                       for part in node.values)  # fmt: skip
    return ""


def _named(node: ast.AST) -> str:
    """A short name for a value: the last word of where it comes from."""
    if isinstance(node, ast.Name | ast.Attribute):
        return _name(node).strip("_")
    if isinstance(node, ast.Subscript):
        return _named(node.value)
    if isinstance(node, ast.BinOp):
        return _named(node.left)
    if isinstance(node, ast.Call):
        inner = [_named(each) for each in node.args if not isinstance(each, ast.Constant | ast.GeneratorExp)]
        return inner[0] if inner else _named(node.func)
    if isinstance(node, ast.BoolOp):
        return _named(node.values[0])
    return "…"


def table(root: Path) -> str:
    """The whole page."""
    entries = Source(root).entries
    parts = [HEAD]
    for start, what in RANGES.items():
        parts += [f"\n## {start}xxx: {what}\n", _rows(entries, start)]
    parts += [
        "\n## FireFly's own codes\nWhere FireFly has a code for a case, it is the one that is used.\n",
        _rows(entries, "FF", FIREFLY),
    ]
    return "".join(parts)


def _rows(entries: dict[str, Entry], start: str, shape: re.Pattern[str] = CODE) -> str:
    rows = [_row(code, entries[code]) for code in sorted(entries) if code.startswith(start) and shape.fullmatch(code)]
    how = "exit code" if start == "FFD6" else "family, HTTP"
    return "".join([f"\n| code | {how} | sentence | where |\n|---|---|---|---|\n", *rows])


def _row(code: str, entry: Entry) -> str:
    kinds = ", ".join(_kind(code, kind) for kind in sorted(entry.kinds)) or "-"
    sentences = "<br>".join(_cell(sentence) for sentence in entry.sentences) or "(the cause follows)"
    places = ", ".join(f"`{place}`" for place in sorted(entry.places))
    return f"| `{code}` | {kinds} | {sentences} | {places} |\n"


def _kind(code: str, kind: str) -> str:
    return f"{kind} {STATUSES.get(code, CLASSES[kind])}" if kind in CLASSES else kind.removeprefix("exit ")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
