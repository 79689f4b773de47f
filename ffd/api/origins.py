"""Where a request says it was sent to, and which web page had it sent. No I/O.

A browser runs other people's programs beside its user's credentials and inside its user's network. Two headers that no
such program can forge tell of it: a page that a strange name server moved to our address (DNS rebinding) still sends
its own name as Host, and a page of another site sends its Origin.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ffd.api import refusals
from ffd.api.heads import Head
from ffd.model.errors import FfdError, Invalid
from ffd.model.origin import host_of, normal_origin, spelling

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Request-Timeout, X-FireFly-Request-ID"
EXPOSED = "X-FFD, X-FireFly-Request-ID, x-ff-blob-hash-sha256, x-ff-blob-size, Content-Disposition"
PREFLIGHT_S = 600
"""How long a browser may remember what it was allowed."""

_HARMLESS = ("GET", "HEAD", "OPTIONS")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sites:
    """Which names are ours and whose pages may use us: `hosts` as `host_of` gives them, `origins` as browsers do."""

    hosts: Collection[str] = ()
    origins: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a request is told about its origin: headers of its answer, and whether that is all it asked for."""

    headers: Headers = ()
    preflight: bool = False


def greet(head: Head, sites: Sites, scheme: str, local: str) -> Greeting:
    """What holds for a request that came by `scheme` to our address `local`. Raises FFD2031, FFD2032 (403)."""
    host = _checked_host(head, sites, local)
    origin = _origin_of(head)
    vary = (("Vary", "Origin"),) if sites.origins else ()
    if origin is None or origin == normal_origin(f"{scheme}://{host}"):
        return Greeting(vary)
    if origin not in sites.origins:
        if head.method in _HARMLESS and not head.upgrades and not _is_preflight(head):
            return Greeting(vary)  # a browser shows that page nothing of the answer
        raise Invalid(
            refusals.ORIGIN,
            f"pages of {origin[:80]} may not use this node: name that origin in http.cors_origins if they may",
        )
    if _is_preflight(head):
        return Greeting(_preflight(origin), preflight=True)
    return Greeting((*_allowed(origin), ("Access-Control-Expose-Headers", EXPOSED), ("Vary", "Origin")))


def _checked_host(head: Head, sites: Sites, local: str) -> str:
    values = head.values("host")
    value = values[0] if values else ""
    host = host_of(value)
    if host is None or not (host == "localhost" or host == spelling(local) or host in sites.hosts):
        raise _strange_host(value)
    return value


def _strange_host(value: str) -> FfdError:
    return Invalid(refusals.HOST, f"Host {value[:80]!r} is not a name of this node: add it to http.hosts if it is")


def _origin_of(head: Head) -> str | None:
    """The page's origin, None when it is no page that asks; one that cannot be told is `null`, as browsers say."""
    values = head.values("origin")
    if not values:
        return None
    return (normal_origin(values[0]) if len(values) == 1 else None) or "null"


def _is_preflight(head: Head) -> bool:
    return head.method == "OPTIONS" and bool(head.values("access-control-request-method"))


def _allowed(origin: str) -> Headers:
    # Named, and never by a star: a star would let any page use the user's credentials.
    return ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")


def _preflight(origin: str) -> Headers:
    return (
        *_allowed(origin),
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", HEADERS),
        ("Access-Control-Max-Age", str(PREFLIGHT_S)),
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    )
