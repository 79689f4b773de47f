"""Options that several commands share, and what their texts mean."""

import time
from typing import Annotated

import typer

from ffctl import live
from ffctl.failure import USAGE, Failure, usage

NS = 1_000_000_000
SHOWN = 7
"""Of a list of words so many are shown when none of them is near what was written."""

Topics = Annotated[
    list[str] | None,
    typer.Option(
        "-t", "--topic", metavar="TOPIC", autocompletion=live.topics, help="Only this topic, exactly; may be repeated."
    ),
]
Tag = Annotated[str | None, typer.Option(metavar="TAG", help="Only messages with this tag, exactly.")]
Author = Annotated[str | None, typer.Option(metavar="DID", help="Only messages of this author.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        autocompletion=live.event_types,
        help="Only events of this type, like message_confirmed; may be repeated.",
    ),
]
Regexes = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="KEY=REGEX",
        autocompletion=live.filter_keys,
        help="A filter of the subscription as it is: events, topic, message.tag, message.author, message.group, "
        "transaction.type, blockchainevent.name or blockchainevent.listener, and a regular expression (RE2).",
    ),
]
Everything = Annotated[
    bool,
    typer.Option("--all", help="All events, not only those of messages: transactions, ledger events, definitions."),
]
First = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHERE",
        autocompletion=live.places,
        help="Begin with the oldest event, after the newest, or after a sequence number.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Only what was created at or after TIME: RFC 3339, or how long ago, like 90s or 2h."
    ),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what was created before TIME.")]
Last = Annotated[int, typer.Option("-n", "--last", min=0, metavar="N", help="The last N; 0 for all.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what is new, until Ctrl-C.")]
Timeout = Annotated[str, typer.Option(metavar="DURATION", help="Give up after this long, like 500ms, 30s or 2m.")]


def seconds(text: str, option: str) -> float:
    """A duration as given on the command line, in seconds: `30`, `30s`, `500ms`, `1h30m`; never negative."""
    from ffd.model.errors import FfdError
    from ffd.model.times import parse_duration

    try:
        found = parse_duration(text, bare_s=1.0)
    except FfdError:
        raise usage(f"{option} {text!r} is not a duration", "write one like 500ms, 30s or 1h30m") from None
    if found < 0:
        raise usage(f"{option} {text} is negative", "write one like 500ms, 30s or 1h30m")
    return found


def moment(text: str, option: str) -> str:
    """A time as given on the command line, as RFC 3339: itself, or so long before now."""
    from ffd.model.errors import FfdError
    from ffd.model.times import format_time, parse_duration, parse_time

    try:
        if text == "now":
            return format_time(time.time_ns())
        if text[:1].isdigit() and text[-1:].isalpha() and text[-1:] != "Z":
            return format_time(time.time_ns() - round(parse_duration(text) * NS))
        return format_time(parse_time(text))
    except FfdError:
        hint = "write 2026-03-01T12:00:00Z, or how long ago, like 90s or 2h"
        raise usage(f"{option} {text!r} is not a time", hint) from None


def window(since: str | None, until: str | None) -> list[tuple[str, str]]:
    """The filter on `created` for --since and --until; several values of one field are joined by `[`."""
    query = []
    if since is not None:
        query.append(("created", f"[>={moment(since, '--since')}"))
    if until is not None:
        query.append(("created", f"[<{moment(until, '--until')}"))
    return query


def with_id(field: str, id: str | None) -> list[tuple[str, str]]:
    """The filter for a field that equals this id; `Failure` 2 when it is none, which would only match nothing."""
    from ffctl.client import uuid

    return [] if id is None else [(field, f"={uuid(id)}")]


def with_hash(field: str, hash: str | None) -> list[tuple[str, str]]:
    """The filter for a field that equals this hash of 64 hex digits; `Failure` 2 when it is none."""
    from ffd.model.errors import Invalid
    from ffd.model.ids import parse_hash

    try:
        return [] if hash is None else [(field, f"={parse_hash(hash).hex()}")]
    except Invalid as wrong:
        raise Failure(USAGE, wrong.code, wrong.text) from None


def known(option: str, values: list[str] | None, words: tuple[str, ...]) -> list[str] | None:
    """The values of an option that takes words of a list; `Failure` 2 for another, which would never match."""
    for value in values or ():
        if value not in words:
            from difflib import get_close_matches

            near = get_close_matches(value, words, 1)
            more = ", …" if len(words) > SHOWN else ""
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(words[:SHOWN])}{more}"
            raise usage(f"{option} {value!r} is unknown", hint)
    return values


def exactly(field: str, values: list[str] | str | None) -> list[tuple[str, str]]:
    """The filter for a field that equals one of `values`; `=` keeps a text that begins with an operator."""
    if values is None:
        return []
    return [(field, f"={value}") for value in ([values] if isinstance(values, str) else values)]
