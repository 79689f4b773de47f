"""stdout: the answer, as a table, JSON, NDJSON, YAML or ids, the same data in each.

Rows are JSON objects as the daemon wrote them, so JSON goes out digit for digit as it came. On a terminal a table has a
header and is cut to the width; on a pipe it has neither: columns end at tabs and nothing is shortened.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ffctl.failure import FAILED, PIPE_CLOSED, Failure, usage
from ffctl.plain import decode, harmless, lookup, text_of, visible, yaml
from ffctl.settings import Settings

Cell = str | Callable[[Any], Any]
"""Where a value stands in an object, like `header.tag`, or a function of the object."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, where its value is, and its usual width in cells (0: as wide as it must be).

    On a terminal that is too narrow for all columns it is `narrow` cells wide, if that is given, and a time is short.
    """

    title: str
    cell: Cell
    width: int = 0
    narrow: int = 0
    time: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """How one kind of object is shown: its columns, what identifies it, and short names for `--format`."""

    columns: tuple[Column, ...]
    id: Cell = "id"
    names: tuple[tuple[str, Cell], ...] = ()


def write(text: str) -> None:
    """Data to stdout, all of it; `SystemExit` 141 when its reader went away, `Failure` when it takes no more."""
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> BaseException:
    """How to end when stdout took no more."""
    # Python would complain when it flushes at its end: give it something to flush to.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return SystemExit(PIPE_CLOSED)
    text = f"stdout cannot be written: {error.strerror}"
    return Failure(FAILED, "FFD6013", text, "make room, or print elsewhere; what was done until then stands")


def show(settings: Settings, row: bytes, view: View) -> None:
    """Print one object; as a table: a line for each field."""
    if settings.shape == "table" and not settings.format:
        write(_fields(decode(row), settings))
    else:
        Printer(settings, view, single=True).rows([row])


def show_all(settings: Settings, rows: Sequence[bytes], view: View) -> None:
    """Print a list of objects; as JSON: one array."""
    if settings.shape == "json" and not settings.format:
        write(pretty(b"[" + b",".join(rows) + b"]"))
    else:
        Printer(settings, view).rows(rows, last=True)


def pretty(raw: bytes) -> str:
    """JSON with two spaces of indentation, its numbers and texts untouched; as it came if msgspec cannot lay it out."""
    import msgspec

    try:
        text = msgspec.json.format(raw, indent=2)
    except (msgspec.DecodeError, RecursionError):
        text = raw  # half a surrogate pair, or great depth: a sender's right
    return harmless(text.decode("utf-8", "replace")) + "\n"


class Printer:
    """Prints objects one after another, as they come; every `rows` call is on stdout when it returns."""

    def __init__(self, settings: Settings, view: View, *, single: bool = False) -> None:
        self._view = view
        self._single = single
        self._table = _Table(settings, view) if settings.shape == "table" and not settings.format else None
        self._text = self._way(settings)

    def rows(self, rows: Sequence[bytes], *, last: bool = False) -> None:
        """Print these; `last` says that no others follow, so that a table's columns may fit what there is."""
        if self._table:
            write(self._table.text([decode(row) for row in rows], fit=last))
        elif rows:
            write(self._text(rows))

    def _way(self, settings: Settings) -> Callable[[Sequence[bytes]], str]:
        if settings.format:
            return Template(settings.format, self._view, raw=not sys.stdout.isatty()).text
        return {
            "json": lambda rows: "".join(map(pretty, rows)),
            "ndjson": _ndjson,
            "yaml": self._yaml,
            "id": self._ids,
            "table": lambda rows: "",
        }[settings.shape]

    def _yaml(self, rows: Sequence[bytes]) -> str:
        values = [decode(row) for row in rows]
        return yaml(values[0]) if self._single else yaml(values)

    def _ids(self, rows: Sequence[bytes]) -> str:
        return "".join(f"{visible(text_of(_at(decode(row), self._view.id)))}\n" for row in rows)


def _ndjson(rows: Sequence[bytes]) -> str:
    return harmless(b"\n".join(rows).decode("utf-8", "replace")) + "\n"


def _at(value: Any, cell: Cell) -> Any:
    return lookup(value, cell) if isinstance(cell, str) else cell(value)


class Template:
    r"""`--format '{topic} {id}'`: names are paths into the object (`message.header.tag`), `\t` and `\n` are meant."""

    def __init__(self, template: str, view: View, *, raw: bool) -> None:
        import string

        names = dict(view.names)
        self._raw = raw
        self._parts: list[tuple[str, Cell | None]] = []
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise usage(f"--format {template!r} cannot be read: {error}", "write it like '{topic} {id}'") from None
        for literal, name, spec, conversion in parsed:
            if name == "" or spec or conversion:
                raise usage(f"--format {template!r}: only names may stand in braces", "write it like '{topic} {id}'")
            text = literal.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0")
            self._parts.append((text, names.get(name, name) if name else None))

    def text(self, rows: Iterable[bytes]) -> str:
        """The lines for these objects."""
        return "".join([self._line(decode(row)) for row in rows])

    def _line(self, value: Any) -> str:
        show: Callable[[str], str] = str if self._raw else visible
        return (
            "".join(
                literal + (show(text_of(_at(value, cell))) if cell is not None else "") for literal, cell in self._parts
            )
            + "\n"
        )


_GAP: Final = "  "
SHORT_TIME: Final = 13
LAST_CELLS: Final = 40
"""A terminal is too narrow when the last column, mostly the value, has less than this."""


def _room() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def short_time(text: str, today: str) -> str:
    """A time of the daemon, short: `11:35:59.604Z` on the day `today`, else `11-23T11:35Z`, or `2025-11-23`."""
    if text.startswith(today):
        clock, _, fraction = text[len(today) + 1 :].removesuffix("Z").partition(".")
        return f"{clock}.{fraction[:3]:0<3}Z"
    if text[:5] == today[:5]:
        return f"{text[5:16]}Z"
    return text[:10]


class _Table:
    """Rows under each other: aligned and cut on a terminal, tabs and whole values on a pipe."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._columns = view.columns
        self._terminal = sys.stdout.isatty()
        self._bold = settings.colors(sys.stdout)
        self._widths: list[int] = []
        self._narrow = False
        self._header = self._terminal

    def text(self, values: Sequence[Any], *, fit: bool) -> str:
        """Lines for these rows, the header before the first of all."""
        cells = [[visible(text_of(_at(value, column.cell))) for column in self._columns] for value in values]
        if not self._terminal:
            return "".join("\t".join(row) + "\n" for row in cells)
        if not self._widths:
            self._widths = self._measure(cells, fit)
            self._narrow = self._too_wide(fit)
            if self._narrow:
                self._widths = self._measure(self._shortened(cells), fit)
        if self._narrow:
            cells = self._shortened(cells)
        lines = [self._line(row) for row in cells]
        if self._header:
            self._header = False
            head = self._line([column.title for column in self._columns])
            lines.insert(0, f"\x1b[1m{head}\x1b[0m" if self._bold else head)
        return "".join(line + "\n" for line in lines)

    def _measure(self, cells: list[list[str]], fit: bool) -> list[int]:
        from rich.cells import cell_len

        widths = []
        for place, column in enumerate(self._columns):
            widest = max([cell_len(row[place]) for row in cells] + [len(column.title)])
            short = SHORT_TIME if column.time else column.narrow
            usual = short if self._narrow and short else column.width
            widths.append(widest if fit else max(widest, usual))
        return widths

    def _too_wide(self, fit: bool) -> bool:
        """Whether the columns before the last one leave it less than `LAST_CELLS`, or all that it will ever need."""
        *before, last = self._widths
        wanted = min(last, LAST_CELLS) if fit else LAST_CELLS
        return sum(before) + len(_GAP) * len(before) + wanted > _room()

    def _shortened(self, cells: list[list[str]]) -> list[list[str]]:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        return [
            [short_time(cell, today) if column.time else cell for cell, column in zip(row, self._columns, strict=True)]
            for row in cells
        ]

    def _line(self, row: list[str]) -> str:
        from rich.cells import cell_len, set_cell_size

        line = _GAP.join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, self._widths, strict=True)
        ).rstrip()
        room = _room()
        return line if cell_len(line) <= room else set_cell_size(line, room - 1) + "…"


def _fields(value: Any, settings: Settings) -> str:
    """One object as a table: `path  value`, a line each, what is nested under dotted names."""
    pairs = list(_flat(value, ""))
    if not sys.stdout.isatty():
        return "".join(f"{visible(name)}\t{visible(text)}\n" for name, text in pairs)
    width = max([len(name) for name, _ in pairs] or [0])
    start, end = ("\x1b[1m", "\x1b[0m") if settings.colors(sys.stdout) else ("", "")
    return "".join(f"{start}{visible(name):<{width}}{end}{_GAP}{visible(text)}\n" for name, text in pairs)


def _flat(value: Any, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for place, item in enumerate(value):
            yield from _flat(item, f"{path}.{place}")
    else:
        yield path, ", ".join(map(text_of, value)) if isinstance(value, list) and value else _word(value)


def _word(value: Any) -> str:
    """A value of a field: `-` for none."""
    return text_of(value) if value or value is False else "-"
