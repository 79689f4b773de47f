"""One request as a handler sees it, and the handler's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import msgspec
import trio
from starlette.requests import ClientDisconnect, Request

from ffd.api import filters, refusals
from ffd.api.caller import Caller
from ffd.api.desk import Desk
from ffd.api.envelope import check_names
from ffd.model.canonical import decode_envelope
from ffd.model.errors import FfdError, Full, Invalid, NotFound
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.namespace import EVERY_NAMESPACE, EVERYWHERE, Namespace
from ffd.model.query import Condition, Group, Query
from ffd.model.times import parse_duration
from ffd.store import Transaction, search
from ffd.store.collection import Collection

R = TypeVar("R")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])

LIST_BYTES_MAX = 64 * 1024 * 1024
"""A list whose values are larger than this together is refused: it must fit into the memory of both ends."""


class Stream(Protocol):
    """What an answer gives out piece by piece: `size` bytes in all. Whoever sends the answer closes it."""

    @property
    def size(self) -> int: ...

    async def read(self) -> bytes:
        """The next piece; nothing at the end."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON text, or a stream of bytes instead; with neither it has no body."""

    status: int
    text: str | None
    stream: Stream | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Call:
    """One request: its namespace, the parts of its path, its query and its body."""

    def __init__(self, desk: Desk, request: Request) -> None:
        self.desk = desk
        self.path: Mapping[str, str] = request.path_params
        self.late: FfdError | None = None
        """What to answer when the deadline passes from now on; None for the common word."""
        self.deadline = trio.CancelScope()
        """Within it the answer is made."""
        self._request = request

    @cached_property
    def namespace(self) -> Namespace:
        """The namespace in the path, or the default one; all of them where the route spans them.

        Raises NotFound FF10436.
        """
        name = self.path.get("ns", self.desk.default_namespace)
        return EVERYWHERE if name == EVERY_NAMESPACE else self.desk.namespace(name)

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return cast(Caller, self._request.state.caller)

    @property
    def request_id(self) -> str:
        """The id that the client gave its request, or that the door did."""
        return str(getattr(self._request.state, "request_id", "?"))

    @cached_property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """The query string, decoded. Raises Invalid when it is too long."""
        return filters.parse_pairs(str(self._request.scope["query_string"].decode("latin-1")))

    @cached_property
    def timeout_s(self) -> float:
        """How long the answer may take: what the request says, within the limit. Raises Invalid FF00137."""
        text = self._request.headers.get("request-timeout", "")
        limits = self.desk.limits
        return max(0.0, min(parse_duration(text, bare_s=1) if text else limits.request_s, limits.request_max_s))

    def flag(self, *names: str) -> bool:
        """Is a switch of the query on, under any of its names?"""
        return any(filters.flag([value for name, value in self.pairs if name == each]) for each in names)

    def value(self, name: str) -> str:
        """What the query string says under a name first; empty when it does not."""
        return next((value for key, value in self.pairs if key == name), "")

    def query(self, collection: str) -> Query:
        """What the query string asks of a collection. Raises Invalid."""
        filters.check_names(collection, self.pairs)
        return filters.parse_filter(collection, self.pairs)

    def id(self, name: str) -> bytes:
        """An id in the path. Raises Invalid FF00138."""
        return parse_uuid(self.path[name])

    @property
    def content_type(self) -> str:
        """What the body says that it is."""
        return self._request.headers.get("content-type", "")

    @property
    def content_length(self) -> int:
        """How long the body will be; 0 when it does not say."""
        return int(self._request.headers.get("content-length", "0"))

    async def pieces(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Give the body to `take` piece by piece, each when the one before was taken.

        How long that may take is the door's affair, which looks at the rate: the deadline counts from the end on.
        """
        self.deadline.deadline = inf
        message: MutableMapping[str, Any] = {"more_body": True}
        while message.get("more_body", False):
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            if message["body"]:
                await take(message["body"])
        self.deadline.deadline = trio.current_time() + self.timeout_s

    async def body(self) -> bytes:
        """The whole body. Raises Invalid FF00162 (415), FFD2036, Full (413) without taking more of it.

        It must say that it is JSON. Under the types with which programs send nothing it must be empty: FireFly passes
        over what else is in it, and so would send an empty message for a client that forgot to say JSON.
        """
        kind = self._request.headers.get("content-type")
        if not refusals.is_bare(kind):
            refusals.check_json(kind)
        most = self.desk.limits.request_bytes_max
        taken = bytearray()
        async with aclosing(self._request.stream()) as pieces:
            async for piece in pieces:
                if len(taken) + len(piece) > most:
                    raise Full(refusals.BODY_TOO_LARGE, f"The body is larger than {most} bytes: send less at once")
                taken += piece
                if refusals.is_bare(kind) and taken:
                    refusals.check_json(kind)
        check_names(bytes(taken))
        return bytes(taken)

    async def check_empty(self) -> None:
        """Take in the body of a request that says all in its path: nothing, or an object that nobody reads.

        Raises Invalid as `body`, and FFD2101 or FFD2104 for anything else.
        """
        if body := await self.body():
            decode_envelope(body, _OBJECT)


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


def object_of(text: str) -> Answer:
    """One object."""
    return Answer(200, text)


async def listing(
    call: Call,
    collection: Collection[R],
    show: Callable[[Transaction, R], str],
    *,
    only: Condition | Group | None = None,
) -> Answer:
    """The rows of a collection that the query string asks for, of those that are `only` so; read off the event loop."""
    query = call.query(collection.name)
    if only is not None:
        query = search.narrowed(query, only)

    def unit(tx: Transaction) -> tuple[list[str], int | None]:
        found = search.search(tx, collection, call.namespace.number, query)
        return bounded(show(tx, row) for row in found.rows), found.total

    return list_of(*await call.desk.store.read(unit))


def list_of(texts: Sequence[str], total: int | None = None) -> Answer:
    """Objects in their order: a bare array, or with the counts when these were asked."""
    items = f"[{','.join(texts)}]"
    return Answer(200, items if total is None else f'{{"count":{len(texts)},"total":{total},"items":{items}}}')


def bounded(texts: Iterable[str]) -> list[str]:
    """The texts, taken one by one. Raises Invalid as soon as they are too large for one answer."""
    taken, size = [], 0
    for text in texts:
        size += len(text)
        if size > LIST_BYTES_MAX:
            raise Invalid("FFD2020", f"The list is larger than {LIST_BYTES_MAX} bytes: ask for fewer rows by limit")
        taken.append(text)
    return taken


def one_of(call: Call, collection: Collection[R], name: str, what: str) -> R:
    """The row whose id is in the path, read at once. Raises Invalid FF00138, NotFound FF10109."""
    id = call.id(name)
    found = call.desk.store.peek(lambda tx: search.find(tx, collection, call.namespace.number, id))
    if found is None:
        raise not_found(call, what, format_uuid(id))
    return found


def not_found(call: Call, what: str, id: str) -> NotFound:
    """FF10109 for one thing that is not there."""
    return NotFound("FF10109", f"Not found: no {what} {id[:80]} in namespace '{call.namespace.name}'")
