"""Times are nanoseconds, read and written as Go does; durations are seconds; sizes are bytes."""

from typing import Any

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as some

from ffd.model.errors import Invalid
from ffd.model.times import (
    NS,
    STORED_MAX,
    STORED_MIN,
    ZERO_TIME,
    format_time,
    normal_time,
    parse_duration,
    parse_size,
    parse_stored_time,
    parse_time,
    time_json,
)
from tests.model.vectors import cases

all_times = some.integers(-62_167_219_200 * NS, 253_402_300_800 * NS - 1)


@cases("time")
def test_a_time_is_read_as_firefly_reads_it(given: dict[str, str], expected: dict[str, Any]) -> None:
    if not expected["valid"]:
        with pytest.raises(Invalid, match=expected["code"]):
            parse_time(given["text"])
        with pytest.raises(Invalid, match=expected["code"]):
            normal_time(given["text"])
        return
    output = expected["output"]
    assert time_json(parse_time(given["text"])) == ("null" if output is None else f'"{output}"')
    assert normal_time(given["text"]) == (output or "")


@any_of(all_times)
def test_a_time_comes_back_from_its_text(ns: int) -> None:
    assert parse_time(format_time(ns)) == ns
    assert normal_time(format_time(ns)) == ("" if ns == ZERO_TIME else format_time(ns))


@any_of(all_times, some.integers(0, 24), some.integers(0, 59), some.sampled_from("+-"))
def test_a_time_with_a_zone_is_the_same_moment(ns: int, hours: int, minutes: int, sign: str) -> None:
    offset = (hours * 3600 + minutes * 60) * NS * (1 if sign == "+" else -1)
    if not -62_167_219_200 * NS <= ns + offset < 253_402_300_800 * NS:
        return
    text = format_time(ns + offset).removesuffix("Z")
    assert parse_time(f"{text}{sign}{hours:02d}:{minutes:02d}") == ns


def test_none_is_null() -> None:
    assert time_json(None) == "null"


def test_the_calendar_ends_where_four_digits_do() -> None:
    assert format_time(parse_time("0000-02-29T00:00:00Z")) == "0000-02-29T00:00:00Z"
    for text in ("9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01", "-9223372036854775808"):
        with pytest.raises(Invalid, match="FF00136"):
            parse_time(text)


def test_what_a_row_cannot_hold_is_refused_where_rows_are_made() -> None:
    assert parse_stored_time(format_time(STORED_MAX)) == STORED_MAX
    assert parse_stored_time(format_time(STORED_MIN)) == STORED_MIN
    for text in ("2262-04-11T23:47:16.854775808Z", "1677-09-21T00:12:43.145224191Z", "9999-12-31T23:59:59Z"):
        with pytest.raises(Invalid, match="FF00136"):
            parse_stored_time(text)


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("250ms", 0.25), ("1h2m", 3720.0), ("1.5s", 1.5), ("-1m", -60.0), ("+2us", 2e-6), ("3µs", 3e-6),
        ("1h1ns", 3600.000000001), (".5s", 0.5), ("1.s", 1.0), ("0", 0.0), ("250", 0.25), (250, 0.25), ("-250", -0.25),
    ],
)  # fmt: skip
def test_a_duration_is_gos_or_milliseconds(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


def test_a_bare_number_may_mean_seconds() -> None:
    assert parse_duration("120", bare_s=1) == 120


@pytest.mark.parametrize(
    "text", ["", "s", "1.5", "1x", "1 s", "1s ", "1h 2m", "ms", ".s", "1e3s", "2562048h", "\uff11s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="FF00137"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text, size",
    [("800Kb", 819_200), ("50Mb", 52_428_800), ("1024", 1024), (7, 7), ("1 GiB", 1 << 30), ("2k", 2048)],
)  # fmt: skip
def test_a_size_is_in_binary_units(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "Kb", "-1", "1.5Mb", "1 Zb", "1ib", "9" * 16])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="FFD1001"):
        parse_size(text)
