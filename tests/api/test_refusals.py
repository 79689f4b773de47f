"""What a refused request is told."""

import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ffd.api.refusals import HANDLERS, check_json, refusal, timed_out, unknown
from ffd.model.errors import Away, Broken, Conflict, FfdError, Full, Invalid, NotFound

STATUSES = {
    "a wrong request": (Invalid("FFD2999", "x"), 400),
    "nothing there": (NotFound("FFD2999", "x"), 404),
    "there already": (Conflict("FFD2999", "x"), 409),
    "a limit": (Full("FFD2999", "x"), 429),
    "a limit of size": (Full("FFD2007", "x"), 413),
    "a full disk": (Full("FFD3002", "x"), 507),
    "somebody is away": (Away("FFD2999", "x"), 503),
    "our own rows": (Broken("FFD2999", "x"), 500),
    "a key that was used": (Conflict("FF10430", "x"), 409),
    "FireFly's status beats the class": (Invalid("FF10226", "x"), 404),
    "the outermost code counts": (Invalid("FF10206", "Invalid author: FF10277: nobody"), 400),
    "the inner one alone": (Invalid("FF10277", "nobody"), 500),
    "not yet started": (Away("FF10446", "x"), 412),
    "rejected while waiting": (Broken("FF10269", "x"), 500),
    "too large for a batch": (Full("FF10327", "x"), 400),
    "another content type": (Invalid("FF00162", "x"), 415),
    "who are you": (Invalid("FF00169", "x"), 401),
    "you may not": (Invalid("FF00170", "x"), 403),
    "a plain refusal": (FfdError("FFD2999", "x"), 500),
}


@pytest.mark.parametrize("error, status", STATUSES.values(), ids=STATUSES)
def test_a_refusal_has_fireflys_status_or_that_of_its_class(error: FfdError, status: int) -> None:
    assert refusal(error)[0] == status


def test_a_refusal_may_say_its_own_status() -> None:
    class DiskFull(Full):
        """A limit whose remedy is another disk."""

        status = 507

    assert refusal(DiskFull("FFD3999", "x")) == (507, b'{"error":"FFD3999: x"}\n')


def test_the_body_is_fireflys_json() -> None:
    assert refusal(Invalid("FF00140", 'a "b" <c>\n\ud800é'))[1] == (
        '{"error":"FF00140: a \\"b\\" \\u003cc\\u003e\\n\ufffdé"}\n'.encode()
    )


def test_a_failure_of_ours_is_logged_once_and_tells_no_internals(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, body = refusal(unknown(ZeroDivisionError("secret"), "r7"))
    assert status == 500 and b"r7" in body and b"secret" not in body
    assert [record.exc_info is not None for record in caplog.records] == [True] and "r7" in caplog.text


def test_a_timeout_names_the_request() -> None:
    assert refusal(timed_out("r7", 1.5, "FF10260: slow")) == (
        408,
        b'{"error":"FF00166: The request with id \'r7\' timed out after 1500.00ms: FF10260: slow"}\n',
    )


@pytest.mark.parametrize("good", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken(good: str) -> None:
    check_json(good)


@pytest.mark.parametrize("bad", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_what_is_not_json_is_refused(bad: str | None) -> None:
    with pytest.raises(Invalid, match="FF00162"):
        check_json(bad)


async def ask(method: str, path: str) -> tuple[int, str]:
    """One request to a small app with our handlers, spoken in ASGI."""

    async def refusing(_request: Request) -> Response:
        raise Conflict("FF10193", "exists")

    app = Starlette(routes=[Route("/x", refusing, methods=["POST"])], exception_handlers=dict(HANDLERS))
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    await app(scope, receive, send)
    start, body = sent
    assert isinstance(start["status"], int) and isinstance(body["body"], bytes)
    return start["status"], json.loads(body["body"])["error"]


async def test_the_framework_refuses_in_our_words() -> None:
    assert await ask("POST", "/x") == (409, "FF10193: exists")
    assert await ask("POST", "/nowhere") == (404, "FF10109: Not found")
    assert await ask("DELETE", "/x") == (405, "FFD2011: DELETE is not offered here: use POST")
