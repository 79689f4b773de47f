"""What a setting is: its default, unit, bounds and meaning; and how a table of TOML becomes one frozen value.

Every fault of a table is found in one reading, each with the file, line and key it stands at, or the environment
variable it came from.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from ffd.model.names import check_name
from ffd.model.times import parse_duration, parse_size


class EnvText(str):
    """A value that came from the environment, where everything is text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: how its value is read and shown, and what it means."""

    type: str
    read: Callable[[object], object]
    meaning: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    default: str | None = None
    """What the manual says of the default where the value itself does not tell."""

    def accept(self, value: object) -> object:
        """The value in its own type; ValueError or `Invalid` says what is wrong with it."""
        result = self.read(value)
        if isinstance(result, int | float) and not isinstance(result, bool):
            self._check_bounds(result)
        return result

    def _check_bounds(self, number: float) -> None:
        if self.least is not None and number < self.least:
            raise ValueError(f"{number:g} is too small: at least {self.least:g}{self._in_unit()}")
        if self.most is not None and number > self.most:
            raise ValueError(f"{number:g} is too large: at most {self.most:g}{self._in_unit()}")

    def _in_unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


@dataclass(frozen=True, slots=True)
class Described:
    """One row of the manual's table of keys."""

    key: str
    type: str
    default: str
    unit: str
    meaning: str


# The kinds of keys ----------------------------------------------------------------------------------------------------


def text(default: str, meaning: str, *, shown: str | None = None) -> Any:
    """A key whose value is any text."""
    return _key(default, Setting("text", _read_text, meaning, default=shown))


def name(default: str, meaning: str, *, shown: str | None = None) -> Any:
    """A key whose value is a name as FireFly allows it."""
    return _key(default, Setting("name", lambda value: check_name(_read_text(value), "name"), meaning, default=shown))


def choice(default: str, options: tuple[str, ...], meaning: str) -> Any:
    """A key whose value is one of a few words."""

    def read(value: object) -> str:
        if value not in options:
            raise ValueError(f"{value!r} is not one of {', '.join(options)}{suggest(str(value), options)}")
        return str(value)

    return _key(default, Setting(" | ".join(options), read, meaning))


def words(options: tuple[str, ...], meaning: str, *, shown: str) -> Any:
    """A key whose value is a list of some words of a few; in the environment, with commas between them."""

    def read(value: object) -> tuple[str, ...]:
        listed = [word.strip() for word in value.split(",")] if isinstance(value, EnvText) else value
        if not isinstance(listed, list | tuple):
            raise ValueError(f"must be a list of words, not {value!r}")
        for word in listed:
            if word not in options:
                raise ValueError(f"{word!r} is not one of {', '.join(options)}{suggest(str(word), options)}")
        return tuple(listed)

    return _key((), Setting("list of words", read, meaning, default=shown))


def texts(meaning: str, *, shown: str) -> Any:
    """A key whose value is a list of texts; in the environment, with commas between them."""

    def read(value: object) -> tuple[str, ...]:
        listed = [word.strip() for word in value.split(",")] if isinstance(value, EnvText) else value
        if not isinstance(listed, list | tuple):
            raise ValueError(f"must be a list of texts, not {named(value)}")
        return tuple(_read_text(each) for each in listed)

    return _key((), Setting("list of texts", read, meaning, default=shown))


def count(default: int, meaning: str, *, unit: str, least: int = 1, most: int | None = None) -> Any:
    """A key whose value is a whole number of things."""
    return _key(default, Setting("number", _read_count, meaning, unit, least, most))


def switch(default: bool, meaning: str) -> Any:
    """A key that is true or false."""
    return _key(default, Setting("switch", _read_switch, meaning, default=str(default).lower()))


def size(default: str, meaning: str, *, least: int = 0, most: int | None = None) -> Any:
    """A key whose value is a number of bytes, or a text like `800Kb` in units of 1024."""
    return _key(parse_size(default), Setting("size", _read_size, meaning, "bytes", least, most, default))


def seconds(default: float, meaning: str, *, least: float = 0, most: float | None = None) -> Any:
    """A key whose value is a number of seconds, or a duration like `250ms` or `1h2m`."""
    return _key(default, Setting("duration", _read_seconds, meaning, "seconds", least, most))


def mode(default: int, meaning: str) -> Any:
    """A key whose value is the access mode of a file, in octal."""
    return _key(default, Setting("mode", _read_mode, meaning, "octal", 0, 0o777, f"0o{default:03o}"))


def options(meaning: str) -> Any:
    """A key whose value is a table that somebody else reads."""
    empty = Setting("table", _read_table, meaning, default="none")
    return field(default_factory=dict, metadata={"setting": empty})


def section(of: type) -> Any:
    """A table with keys of its own."""
    return field(default_factory=of, metadata={"section": of})


def tables(of: type, **given: object) -> Any:
    """A table of tables by name, each with the keys of `of`; `given` are there when the file names none."""
    return field(default_factory=lambda: dict(given), metadata={"tables": of})


def _key(default: object, setting: Setting) -> Any:
    return field(default=default, metadata={"setting": setting})


# Reading --------------------------------------------------------------------------------------------------------------


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {named(value)}")
    return str(value)


def _read_switch(value: object) -> bool:
    if isinstance(value, EnvText) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {named(value)}")
    return value


def _read_count(value: object) -> int:
    if isinstance(value, EnvText) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be a whole number, not {named(value)}")
    return value


def _read_size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be a number of bytes or a text like '800Kb', not {named(value)}")
    return parse_size(value)


def _read_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be a number of seconds or a text like '250ms', not {named(value)}")
    if isinstance(value, float) or (isinstance(value, EnvText) and re.fullmatch(r"[0-9]*\.[0-9]+", value)):
        return float(value)
    return parse_duration(value, bare_s=1.0)


def _read_mode(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3}", value):
        return int(value.removeprefix("0o"), 8)
    if isinstance(value, int) and 0 <= value <= 0o777:
        return value
    raise ValueError(f"{value!r} is not a mode: write it in octal, like 0o600 or '0600'")


def _read_table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {named(value)}")
    return value


def suggest(word: str, known: Any) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def named(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


# Describing -----------------------------------------------------------------------------------------------------------


def describe(of: type, prefix: str = "") -> list[Described]:
    """A row for each key of a section and of what is in it, in the order of its text."""
    rows: list[Described] = []
    hints = get_type_hints(of)
    for key in fields(of):
        path = f"{prefix}{key.name}"
        if "setting" in key.metadata:
            rows.append(_described(path, key))
        elif "section" in key.metadata:
            rows += describe(hints[key.name], f"{path}.")
        else:
            rows += describe(get_args(hints[key.name])[1], f"{path}.NAME.")
    return rows


def _described(path: str, key: Field[Any]) -> Described:
    setting: Setting = key.metadata["setting"]
    default = setting.default if setting.default is not None else f"{key.default}"
    return Described(path, setting.type, default, setting.unit, setting.meaning)
