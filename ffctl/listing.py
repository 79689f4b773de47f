"""`list` commands: the last N of a collection, or all of it, page by page, and then what is new.

The daemon pages by `limit` (1000 at most) and sorts; this walks a collection by the value of its sort key, so the pages
fit together while rows are added, and memory is bounded by N.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from ffctl.interrupts import Interrupts
from ffctl.output import Printer, View, show_all
from ffctl.plain import decode, lookup, text_of
from ffctl.settings import Settings
from ffctl.talk import Talk

PAGE = 1000
POLL_S = 0.5
SEEN_MAX = 20_000

Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the daemon: how a page of it is asked for, its view, and what it is walked by.

    `field` is the filter's name of the key and `key` its path in the JSON. A key that is a sequence number is exact for
    following; times are not (a message from another node may come late), so those follow by what was seen.
    """

    fetch: Callable[[Query], list[bytes]]
    view: View
    field: str = "sequence"
    key: str = "sequence"


def show_list(settings: Settings, collection: Collection, query: Query, *, last: int, follow: bool) -> None:
    """Print the last `last` rows (0: all) that match, oldest first; with `follow` go on with new ones until Ctrl-C."""
    seen = _Seen(collection, query) if follow else None
    if settings.shape == "json" and not follow:
        show_all(settings, list(_rows(collection, query, last)), collection.view)
        return
    printer = Printer(settings, collection.view)
    rows = _rows(collection, query, last)
    while page := list(islice(rows, PAGE)):
        printer.rows(page, last=not follow and len(page) < PAGE)
        if seen:
            seen.add(page)
    if seen:
        _follow(settings, collection, query, printer, seen)


def _rows(collection: Collection, query: Query, last: int) -> Iterator[bytes]:
    if not last:
        return _walk(collection, query, ascending=True, page=PAGE)
    return iter(list(islice(_walk(collection, query, ascending=False, page=min(last, PAGE)), last))[::-1])


def _walk(collection: Collection, query: Query, *, ascending: bool, page: int) -> Iterator[bytes]:
    """All rows in the order of the key; rows with equal keys are passed by counting them."""
    base = [*query, ("sort", _sort(collection, ascending=ascending)), ("limit", str(page))]
    key, count = "", 0
    while True:
        after = [(collection.field, f"[{'>=' if ascending else '<='}{key}"), ("skip", str(count))] if key else []
        rows = collection.fetch([*base, *after])
        yield from rows
        if len(rows) < page:
            return
        keys = [text_of(lookup(decode(row), collection.key)) for row in rows]
        same = len(keys) - next((at for at, other in enumerate(reversed(keys)) if other != keys[-1]), len(keys))
        count = count + len(rows) if keys[-1] == key else len(keys) - same
        key = keys[-1]


def _sort(collection: Collection, *, ascending: bool) -> str:
    sign = "" if ascending else "-"
    keys = [collection.field] if collection.field == "sequence" else [collection.field, "sequence"]
    return ",".join(sign + key for key in keys)


class _Seen:
    """What `--follow` need not print again: the highest sequence number, or the ids of the newest rows."""

    def __init__(self, collection: Collection, query: Query) -> None:
        self._collection = collection
        self._ids: dict[str, None] = {}
        self.sequence = -1
        newest = [*query, ("sort", _sort(collection, ascending=False))]
        if collection.key == "sequence":
            self.add(collection.fetch([*newest, ("limit", "1")]))
        else:
            self.add(collection.fetch([*newest, ("limit", str(PAGE))]))

    def add(self, rows: list[bytes]) -> list[bytes]:
        """Those of `rows` that are new."""
        new = []
        for row in rows:
            value = decode(row)
            if self._collection.key == "sequence":
                if int(value["sequence"]) > self.sequence:
                    self.sequence = int(value["sequence"])
                    new.append(row)
            elif (id := text_of(lookup(value, str(self._collection.view.id)))) not in self._ids:
                self._ids[id] = None
                new.append(row)
        for id in list(islice(self._ids, max(0, len(self._ids) - SEEN_MAX))):
            del self._ids[id]
        return new


def _follow(settings: Settings, collection: Collection, query: Query, printer: Printer, seen: _Seen) -> None:
    import select

    from ffctl.failure import INTERRUPTED

    count = 0
    with Interrupts() as interrupts:
        while not interrupts.asked:
            new = seen.add(_news(settings, collection, query, seen))
            printer.rows(new)
            count += len(new)
            if len(new) < PAGE:
                select.select([interrupts], [], [], POLL_S)
    Talk(settings).note(f"{count:,} new")
    raise SystemExit(INTERRUPTED)


def _news(settings: Settings, collection: Collection, query: Query, seen: _Seen) -> list[bytes]:
    """Candidates for what is new, oldest first."""
    if collection.key == "sequence":
        return collection.fetch(
            [*query, ("sequence", f"[>{seen.sequence}"), ("sort", "sequence"), ("limit", str(PAGE))]
        )
    return collection.fetch([*query, ("sort", _sort(collection, ascending=False)), ("limit", str(PAGE))])[::-1]
