"""Refusals as HTTP answers: a status and `{"error":"CODE: text"}`.

FireFly binds a status to the outermost code of an error ([reference 10.1, 10.4]); a code of which it says nothing, and
each of ours that is not named here, is answered by what the caller can do about it: the class of the refusal.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ffd.model.canonical import json_string
from ffd.model.errors import Away, Broken, Conflict, FfdError, Full, Invalid, NotFound

log = logging.getLogger(__name__)

MALFORMED = "FFD2001"
"""The head of a request is not HTTP/1.1 as we take it."""
AMBIGUOUS = "FFD2002"
"""Where the request ends can be read in two ways, or not at all."""
HEAD_TOO_LARGE = "FFD2003"
TARGET_TOO_LONG = "FFD2004"
HTTP_VERSION = "FFD2005"
TRANSFER_CODING = "FFD2006"
BODY_TOO_LARGE = "FFD2007"
CONNECTIONS = "FFD2008"
UPGRADE_NEEDED = "FFD2009"
HANDSHAKE = "FFD2010"
METHOD = "FFD2011"
UNKNOWN = "FFD2012"
"""A failure of ours: the log has it under the request's id."""
BODIES = "FFD2013"
REFUSED = "FFD2014"
"""What the web framework refused for a reason of its own."""
UPLOADS = "FFD2015"
HOST = "FFD2031"
"""A Host that is not ours."""
ORIGIN = "FFD2032"
"""A web page of another site had it sent."""
PASSWORDS = "FFD2033"
NOT_TLS = "FFD2034"
NOT_PLAIN = "FFD2035"
CUT_OFF = "FFD2038"

_CODES: Mapping[int, str] = {
    400: "FF10327 FF10328",  # limits, but the remedy is another message
    401: "FF00169",
    403: f"FF00170 {HOST} {ORIGIN}",
    404: "FF00164 FF00167 FF00205 FF10109 FF10143 FF10187 FF10207 FF10209 FF10210 FF10226 FF10239 FF10241 FF10303"
    " FF10356 FF10436",
    405: f"FF00213 FF00214 {METHOD}",
    408: "FF00166 FF10260",
    409: "FF10124 FF10193 FF10216 FF10407 FF10430 FF10431 FF10432 FF10447 FF10448 FF10449 FF10450 FF10451",
    412: "FF10441 FF10446",
    413: f"{BODY_TOO_LARGE} FFD3101",
    414: TARGET_TOO_LONG,
    415: "FF00162",
    426: UPGRADE_NEEDED,
    431: HEAD_TOO_LARGE,
    500: f"FF10225 FF10269 FF10277 {UNKNOWN}",
    501: TRANSFER_CODING,
    503: f"{CONNECTIONS} {BODIES} {UPLOADS} FFD3004",
    505: HTTP_VERSION,
    507: "FFD3002 FFD3003 FFD4018 FFD4105",  # no room, or no writing, on the disk
}
STATUSES: Mapping[str, int] = {code: status for status, codes in _CODES.items() for code in codes.split()}
"""The status bound to a code, whatever the class of the refusal that carries it."""

_CLASSES: tuple[tuple[type[FfdError], int], ...] = (
    (Invalid, 400), (NotFound, 404), (Conflict, 409), (Full, 429), (Away, 503), (Broken, 500),
)  # fmt: skip


def status_of(error: FfdError) -> int:
    """The HTTP status of a refusal: by its own `status` (a subclass may say one), its code, else its class."""
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    by_class = next((status for kind, status in _CLASSES if isinstance(error, kind)), 500)
    return STATUSES.get(error.code, by_class)


def refusal(error: FfdError) -> tuple[int, bytes]:
    """Status and body of the answer to a request that is refused."""
    return status_of(error), error_body(str(error))


def error_body(text: str) -> bytes:
    """FireFly's error object with its newline."""
    return f'{{"error":{json_string(text)}}}\n'.encode()


def unknown(error: BaseException, request_id: str) -> FfdError:
    """The refusal that stands for a failure of ours, logged here, once, with its traceback; it tells no internals."""
    log.error("request %s failed", request_id, exc_info=error)
    return _unknown(request_id)


def timed_out(request_id: str, after_s: float, cause: str = "") -> FfdError:
    """FF00166, 408: the request's deadline has passed; the outcome of what it asked for is not known."""
    text = f"The request with id '{request_id}' timed out after {after_s * 1000:.2f}ms"
    return Away("FF00166", f"{text}: {cause}" if cause else text)


def late(what: str, after_s: float) -> FfdError:
    """FF00166, 408, for a request that never came whole, so that it has no id."""
    return Away("FF00166", f"The request timed out after {after_s * 1000:.2f}ms: {what}")


def raw_answer(error: FfdError, version: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The refusal as the bytes of a last HTTP/1.1 answer, for a request that no framework has seen."""
    status, body = refusal(error)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-FFD: {version}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in (*headers, *extra_headers(error))),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def last_answer(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """An answer of the framework as the bytes of a last HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode("ascii"), b"connection: close"]
    return b"\r\n".join([*lines, *[name + b": " + value for name, value in headers], b"", body])


def extra_headers(error: FfdError) -> list[tuple[str, str]]:
    """What some refusals say in a header: how to upgrade (426), how to say who one is (401)."""
    if error.code != UPGRADE_NEEDED:
        return list(getattr(error, "headers", ()))
    return [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]


def is_bare(content_type: str | None) -> bool:
    """Is this a type under which a request may come without any JSON (FireFly reference 10.1)?"""
    return _media_type(content_type) in ("application/x-www-form-urlencoded", "text/plain")


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def check_json(content_type: str | None) -> None:
    """Refuse (FF00162, 415) a body that does not say it is JSON, as FireFly does even when there is none."""
    if _media_type(content_type) != "application/json":
        raise Invalid("FF00162", f"Invalid content type '{(content_type or '')[:80]}': send application/json")


def response(error: FfdError) -> Response:
    """The refusal as the framework's answer."""
    status, body = refusal(error)
    return Response(body, status, media_type="application/json")


async def refuse(_request: Request, error: Exception) -> Response:
    """Starlette's handler for the refusals."""
    return response(cast(FfdError, error))


async def refuse_route(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own refusals: no such path, another method, and the rest."""
    raised = cast(HTTPException, error)
    answer = response(_route_refusal(request, raised))
    answer.status_code = raised.status_code
    answer.headers.update(raised.headers or {})
    return answer


async def refuse_unknown(request: Request, _error: Exception) -> Response:
    """Starlette's handler for anything else; it raises the failure once more, and the door logs it then."""
    return response(_unknown(str(getattr(request.state, "request_id", "?"))))


HANDLERS: Mapping[Any, Any] = {FfdError: refuse, HTTPException: refuse_route, Exception: refuse_unknown}
"""For `Starlette(exception_handlers=dict(HANDLERS))`."""


def _route_refusal(request: Request, raised: HTTPException) -> FfdError:
    if raised.status_code == 404:
        return NotFound("FF10109", "Not found")
    if raised.status_code == 405:
        allowed = (raised.headers or {}).get("Allow", "another one")
        return Invalid(METHOD, f"{request.method} is not offered here: use {allowed}")
    return Invalid(REFUSED, str(raised.detail))


def _unknown(request_id: str) -> FfdError:
    return Broken(UNKNOWN, f"The request with id '{request_id}' failed inside ffd: its log says why under that id")
