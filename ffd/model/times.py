"""Times are integer nanoseconds since 1970 in UTC, since hashed texts carry nine digits; durations are seconds.

FireFly's rules ([reference 1.1], firefly-common `timeutils.go`) are Go's: RFC 3339 with any zone, fractions of any
length cut at nine digits, and numbers in a string as seconds, milliseconds or nanoseconds by their size.
"""

import re
from functools import lru_cache

from ffd.model.errors import Invalid

NS = 1_000_000_000
"""Nanoseconds in a second."""
ZERO_TIME = -62_135_596_800 * NS
"""0001-01-01T00:00:00Z: Go's "no time"; written as `null`, or left out."""
STORED_MIN, STORED_MAX = -(2**63), 2**63 - 1
"""What a row can hold: the years 1677 to 2262."""

_ZERO_TEXT = "0001-01-01T00:00:00Z"
_DAY_S = 86_400
_YEAR_MIN_S = -62_167_219_200  # 0000-01-01: Go prints and reads four digits of year
_YEAR_MAX_S = 253_402_300_800  # 10000-01-01
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_NORMAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{0,8}[1-9])?Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DURATION = re.compile(r"([+-]?)((?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_MAX_S = (2**63 - 1) / NS
_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([kKmMgGtT])i?)?[bB]?")
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@lru_cache(maxsize=1024)  # what is written together has one time
def format_time(ns: int) -> str:
    """RFC 3339 in UTC with `Z`, up to nine digits of fraction, trailing zeros dropped: `2024-03-01T12:00:02.1Z`."""
    seconds, fraction = divmod(ns, NS)
    if not fraction:
        return f"{_second_text(seconds)}Z"
    return f"{_second_text(seconds)}.{fraction:09d}".rstrip("0") + "Z"


def time_json(ns: int | None) -> str:
    """The JSON of a time: its text in quotes, `null` for none and for Go's zero time."""
    return "null" if ns is None or ns == ZERO_TIME else f'"{format_time(ns)}"'


def parse_time(text: str) -> int:
    """Nanoseconds from RFC 3339 or a number in text (below 1e10 seconds, below 1e15 ms, else ns); `Invalid` FF00136.

    The result may lie outside of what a row can hold: `parse_stored_time` refuses that.
    """
    if _NORMAL.fullmatch(text) and (start := _minute_start(text[:16])) is not None:
        return (start + int(text[17:19])) * NS + int(text[20:-1].ljust(9, "0"))
    found = _RFC3339.fullmatch(text)
    ns = _from_number(text) if found is None else _from_fields(*found.groups())
    if ns is None or not _YEAR_MIN_S <= ns // NS < _YEAR_MAX_S:
        raise _bad_time(text)
    return ns


def normal_time(text: str) -> str:
    """The text that `format_time` gives for any spelling that `parse_time` takes; empty for Go's zero time."""
    if _NORMAL.fullmatch(text) and text != _ZERO_TEXT and _minute_start(text[:16]) is not None:
        return text
    ns = parse_time(text)
    return "" if ns == ZERO_TIME else format_time(ns)


def parse_stored_time(text: str) -> int:
    """`parse_time`, refusing (FF00136) what 64 bits of nanoseconds cannot hold, where FireFly overflows silently."""
    ns = parse_time(text)
    if not STORED_MIN <= ns <= STORED_MAX:
        raise _bad_time(text)
    return ns


def parse_duration(value: str | int, *, bare_s: float = 0.001) -> float:
    """Seconds from a Go duration (`250ms`, `1h2m`) or a bare number of `bare_s` seconds each; `Invalid` FF00137.

    A bare number means milliseconds, but seconds in the `Request-Timeout` header: pass `bare_s=1`.
    """
    text = str(value)
    seconds = int(text) * bare_s if _NUMBER.fullmatch(text) else _from_units(text)
    if abs(seconds) > _DURATION_MAX_S:
        raise _bad_duration(text)
    return seconds


def parse_size(value: str | int) -> int:
    """Bytes from a number or a text in binary units: `800Kb` is 819200; else `Invalid` FFD1001."""
    found = _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise Invalid("FFD1001", f"{str(value)[:80]!r} is not a size: write bytes, or like 800Kb or 50Mb")
    return int(found[1]) * _SIZE_UNITS[(found[2] or "").lower()]


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    day, rest = divmod(seconds, _DAY_S)
    year, month, day_of_month = _civil(day)
    return f"{year:04d}-{month:02d}-{day_of_month:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


def _from_fields(
    year: str, month: str, day: str, hour: str, minute: str, second: str,
    fraction: str | None, sign: str | None, zone_hour: str | None, zone_minute: str | None,
) -> int | None:  # fmt: skip
    start = _minute_start(f"{year}-{month}-{day}T{hour:0>2}:{minute}")
    if start is None or second > "59":
        return None
    ns = (start + int(second)) * NS
    if fraction:
        ns += int(fraction[:9].ljust(9, "0"))
    if sign and zone_hour and zone_minute:
        if zone_hour > "24" or zone_minute > "60":  # Go's own bounds, one past the sensible ones
            return None
        offset = (int(zone_hour) * 3600 + int(zone_minute) * 60) * NS
        ns += offset if sign == "-" else -offset
    return ns


@lru_cache(maxsize=1024)
def _minute_start(text: str) -> int | None:
    """The second at which a minute, like `2024-03-01T12:00`, starts; None if the calendar has no such minute."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute = int(text[11:13]), int(text[14:])
    if not 1 <= month <= 12 or not 1 <= day <= _days_in(year, month) or hour > 23 or minute > 59:
        return None
    return _days(year, month, day) * _DAY_S + hour * 3600 + minute * 60


def _from_number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    if not STORED_MIN <= number <= STORED_MAX:
        return None
    return number * (NS if number < 10**10 else 1_000_000 if number < 10**15 else 1)


def _from_units(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise _bad_duration(text)
    total = sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION_PART.findall(found[2]))
    return -total if found[1] == "-" else total


def _days_in(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 (Hinnant's `days_from_civil`: years that start in March, in eras of 400)."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day counted from 1970-01-01: the way back of `_days`."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def _bad_time(text: str) -> Invalid:
    return Invalid("FF00136", f"Cannot parse time {text[:80]!r}: write RFC 3339, like 2024-03-01T12:00:00Z")


def _bad_duration(text: str) -> Invalid:
    return Invalid("FF00137", f"Unable to parse {text[:80]!r} as a duration: write one like 250ms or 1h2m")
