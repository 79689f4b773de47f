"""From a table of TOML to one frozen value, with every fault that the table has.

Each fault names the file, line and key it stands at, or the environment variable that it came from.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from ffd.daemon.settings import named, suggest
from ffd.model.errors import Invalid

T = TypeVar("T")


class Reading:
    """One reading of one file and what lies over it; `from_env` has the variable or argument that a key came from."""

    def __init__(self, name: str, source: str, from_env: Mapping[tuple[str, ...], str]) -> None:
        self._name = name
        self._lines = source.splitlines()
        self._from_env = from_env
        self._faults: list[tuple[int, str]] = []

    def fault(self, key: tuple[str, ...], what: str) -> None:
        """Note that something is wrong with `key`, and where it stands."""
        line = line_of(key, self._lines)
        if variable := self._from_env.get(key) or (None if line else self._below(key)):
            self._faults.append((0, f"{variable}: {what}"))
            return
        place = f"{self._name}:{line}: " if line else f"{self._name}: " if self._name else ""
        self._faults.append((line, f"{place}{'.'.join(key)}: {what}"))

    def _below(self, key: tuple[str, ...]) -> str | None:
        """The variable that made a table which stands nowhere in the file."""
        return next((name for each, name in self._from_env.items() if each[: len(key)] == key), None)

    def faults(self) -> list[str]:
        """A line for each thing that is wrong, in the order of the file."""
        return [what for _, what in sorted(self._faults)]

    def section(self, of: type[T], table: object, at: tuple[str, ...]) -> T:
        """The value of `of` that a table describes; what is wrong in it is noted, and has its default here."""
        if not isinstance(table, dict):
            self.fault(at, f"must be a table, not {named(table)}")
            return of()
        known = {each.name: each for each in fields(of)}  # type: ignore[arg-type]
        for name in table:
            if name not in known:
                self.fault((*at, name), f"unknown key{suggest(name, known)}")
        values = {name: self._value(known[name], table[name], (*at, name)) for name in table if name in known}
        return of(**{name: value for name, value in values.items() if value is not MISSING})

    def _value(self, key: Field[Any], value: object, at: tuple[str, ...]) -> object:
        if "section" in key.metadata:
            return self.section(key.metadata["section"], value, at)
        if "tables" in key.metadata:
            return self._tables(key.metadata["tables"], value, at)
        try:
            return key.metadata["setting"].accept(value)
        except ValueError as wrong:
            self.fault(at, str(wrong))
        except Invalid as wrong:
            self.fault(at, wrong.text)
        return MISSING

    def _tables(self, of: type[T], value: object, at: tuple[str, ...]) -> object:
        if not isinstance(value, dict):
            self.fault(at, f"must be a table of tables, not {named(value)}")
            return MISSING
        return {name: self.section(of, table, (*at, name)) for name, table in value.items()}


def line_of(key: tuple[str, ...], lines: list[str]) -> int:
    """The number of the line where a key of a TOML file stands, or its nearest table; 0 if neither is to be seen.

    tomllib keeps no places, so this looks for headers and for keys at the start of a line. A key inside a text of
    several lines may mislead it, which costs a wrong line number in a message.
    """
    best, found, here = 0, 0, ()  # type: int, int, tuple[str, ...]
    for number, line in enumerate(lines, 1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
            here = _split_key(header[1])
            seen = here
        elif named := re.match(r"""\s*((?:[A-Za-z0-9_.\s-]|"[^"]*"|'[^']*')+?)\s*=""", line):
            seen = (*here, *_split_key(named[1]))
        else:
            continue
        if key[: len(seen)] == seen and len(seen) > best:
            best, found = len(seen), number
    return found


def _split_key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""", dotted))
