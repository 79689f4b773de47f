"""The daemon's REST routes over its Unix socket, one method a route; with `stream.py` all that knows of a socket.

Answers are the daemon's JSON as bytes. What it refuses is raised as `Failure` with the exit code for its status.
"""

import http.client
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode

from ffctl.failure import BLOCKED, CONFLICT, FAILED, NOT_FOUND, TIMED_OUT, UNREACHABLE, USAGE, Failure
from ffctl.plain import decode

if TYPE_CHECKING:
    from msgspec.json import Decoder

ANSWER_S = 150.0
"""How long an answer may take: past the daemon's own deadline of 120 s, so that its word on it arrives."""
ANSWER_BYTES_MAX = 1 << 30

T = TypeVar("T")
Query = Iterable[tuple[str, str]]

_EXIT_BY_STATUS: Mapping[int, int] = {
    400: USAGE,
    404: NOT_FOUND,
    408: TIMED_OUT,
    409: CONFLICT,
    412: BLOCKED,
    413: USAGE,
    415: USAGE,
    503: BLOCKED,
}
_CODE = re.compile(r"(FFD?\d{4,5}): (.*)", re.DOTALL)
_MESSAGE = re.compile(r"[Mm]essage (?:with ID )?'([0-9a-f-]{36})'")
_REJECTED = "FF10269"  # FireFly answers 500 when a message that was waited for is rejected


class Client:
    """The daemon behind the socket at `path`, asked about one namespace; a connection for each question."""

    def __init__(self, path: str, namespace: str, *, timeout_s: float = ANSWER_S) -> None:
        self.path = path
        self.namespace = namespace
        self._timeout_s = timeout_s
        self._base = f"/api/v1/namespaces/{quote(namespace, safe='')}"

    def status(self) -> bytes:
        """What the node is and how it does."""
        return self._ask("GET", f"{self._base}/status")

    def ready(self) -> tuple[bool, bytes]:
        """Whether the node is ready, and its reasons if not."""
        status, body = self._answer("GET", "/readyz")
        if status not in (200, 503):
            raise refusal(status, body)
        return status == 200, body.rstrip(b"\n")

    def broadcast(self, message: bytes, *, confirm_s: float | None = None) -> bytes:
        """Send a broadcast; with `confirm_s` wait that many seconds for its confirmation."""
        return self._post("messages/broadcast", message, confirm_s)

    def send_private(self, message: bytes, *, confirm_s: float | None = None) -> bytes:
        """Send a private message; with `confirm_s` wait that many seconds for its confirmation."""
        return self._post("messages/private", message, confirm_s)

    def request(self, message: bytes, *, reply_s: float) -> bytes:
        """Send a request; its reply, which is waited for so many seconds."""
        return self._post("messages/requestreply", message, reply_s, confirm=False)

    def messages(self, query: Query) -> list[bytes]:
        """Messages that match."""
        return self._list("messages", query)

    def message(self, id: str, *, data: bool) -> bytes:
        """One message, its data values inside if wanted."""
        return self._ask("GET", f"{self._base}/messages/{uuid(id)}{'?fetchdata=true' if data else ''}")

    def events(self, query: Query) -> list[bytes]:
        """Events that match."""
        return self._list("events", query)

    def event(self, id: str, *, references: bool) -> bytes:
        """One event, what it speaks of inside if wanted."""
        query = "?fetchreference=true" if references else ""
        return self._ask("GET", f"{self._base}/events/{uuid(id)}{query}")

    def batches(self, query: Query) -> list[bytes]:
        """Batches that match."""
        return self._list("batches", query)

    def batch(self, id: str) -> bytes:
        """One batch."""
        return self._ask("GET", f"{self._base}/batches/{uuid(id)}")

    def cancellation(self, id: str) -> bytes:
        """What giving up a batch would do."""
        return self._ask("POST", f"{self._base}/batches/{uuid(id)}/cancel?dryrun=true", body=b"{}")

    def cancel_batch(self, id: str, *, wait_s: float) -> None:
        """Give up a batch that cannot leave; it is done when this returns."""
        self._post(f"batches/{uuid(id)}/cancel", b"{}", wait_s, confirm=False)

    def pins(self, query: Query) -> list[bytes]:
        """Pins that match."""
        return self._list("pins", query)

    def operations(self, query: Query) -> list[bytes]:
        """Operations that match."""
        return self._list("operations", query)

    def operation(self, id: str) -> bytes:
        """One operation."""
        return self._ask("GET", f"{self._base}/operations/{uuid(id)}")

    def retry_operation(self, id: str) -> bytes:
        """Do an operation once more; the new one."""
        return self._ask("POST", f"{self._base}/operations/{uuid(id)}/retry", body=b"{}")

    def groups(self, query: Query) -> list[bytes]:
        """Groups that match."""
        return self._list("groups", query)

    def group(self, hash: str) -> bytes:
        """One group, by its hash."""
        return self._ask("GET", f"{self._base}/groups/{quote(hash, safe='')}")

    def identities(self, query: Query) -> list[bytes]:
        """Identities that match."""
        return self._list("identities", query)

    def identity(self, id: str) -> bytes:
        """One identity, by its id or DID, with what proves it."""
        return self._ask("GET", f"{self._base}/identities/{quote(id, safe=':/')}?fetchverifiers=true")

    def identity_of(self, kind: str, name: str) -> bytes:
        """One of `organizations` or `nodes` by its name, with what proves it."""
        return self._ask("GET", f"{self._base}/network/{kind}/{quote(name, safe='')}?fetchverifiers=true")

    def claim(self, identity: bytes, *, confirm_s: float | None) -> bytes:
        """Claim an identity; with `confirm_s` wait so many seconds until it is known."""
        return self._post("identities", identity, confirm_s)

    def claim_own(self, kind: str, *, confirm_s: float | None) -> bytes:
        """Claim what the node is itself: of `organizations` its own, of `nodes` itself."""
        return self._post(f"network/{kind}/self", b"{}", confirm_s)

    def make_key(self) -> bytes:
        """A new key of this node, for an identity of its own."""
        return self._ask("POST", f"{self._base}/keys", body=b"{}")

    def subscriptions(self, query: Query) -> list[bytes]:
        """Durable subscriptions that match."""
        return self._list("subscriptions", query)

    def subscription(self, id: str) -> bytes:
        """One durable subscription with its offset."""
        return self._ask("GET", f"{self._base}/subscriptions/{quote(id, safe='')}?fetchstatus=true")

    def create_subscription(self, definition: bytes, *, replace: bool = False) -> bytes:
        """Create a durable subscription; `replace` changes the one that has this name."""
        return self._ask("PUT" if replace else "POST", f"{self._base}/subscriptions", body=definition)

    def delete_subscription(self, id: str) -> None:
        """Delete a durable subscription and its offset."""
        self._ask("DELETE", f"{self._base}/subscriptions/{quote(id, safe='')}")

    def _post(self, route: str, body: bytes, wait_s: float | None, *, confirm: bool = True) -> bytes:
        """Ask for something that can be waited for, `wait_s` seconds; without them the first answer will do."""
        target = f"{self._base}/{route}"
        if wait_s is None:
            return self._ask("POST", target, body=body)
        patience = {"Request-Timeout": f"{max(1, round(wait_s * 1000))}ms"}
        return self._ask(
            "POST", f"{target}?confirm=true" if confirm else target, body=body, wait_s=wait_s, headers=patience
        )

    def _list(self, collection: str, query: Query) -> list[bytes]:
        import msgspec

        body = self._ask("GET", f"{self._base}/{collection}?{urlencode(list(query))}")
        try:
            rows, text_of = envelope(body.decode(), msgspec.json.Decoder(list[msgspec.Raw]))
        except ValueError as error:
            raise not_ffd(self.path, f"its list of {collection} cannot be read: {error}") from None
        return [text_of(row).encode() if text_of else bytes(row) for row in rows]

    def _ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        wait_s: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        status, answer = self._answer(method, target, body=body, wait_s=wait_s, headers=headers)
        if status >= 300:
            raise refusal(status, answer)
        return answer.rstrip(b"\n")

    def _answer(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        wait_s: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        connection = _UnixConnection(self.path, self._timeout_s + wait_s)
        all_headers = {"Connection": "close", **(headers or {})}
        if body:
            all_headers["Content-Type"] = "application/json"
        try:
            return _exchange(connection, self.path, method, target, body, all_headers)
        except TimeoutError:
            raise Failure(
                TIMED_OUT,
                "FFD6005",
                f"no answer from {self.path} in {self._timeout_s + wait_s:g} s",
                "what was asked may still happen: look with `ffctl status`",
            ) from None
        except (http.client.HTTPException, ValueError) as error:
            raise not_ffd(self.path, f"it does not speak HTTP ({type(error).__name__})") from None
        except OSError as error:
            failure = lost(self.path, error)
            failure.hint = failure.hint if method != "GET" else "ask again: nothing was to change"
            raise failure from None
        finally:
            connection.close()


def _exchange(
    connection: http.client.HTTPConnection,
    path: str,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    # A body that is too large is answered before it is read to its end: the answer may be there.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, target, body=body, headers=headers)
    response = connection.getresponse()
    if response.getheader("X-FFD") is None:
        raise not_ffd(path, "its answer has no X-FFD header")
    answer = response.read(ANSWER_BYTES_MAX)
    return response.status, answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("ffd", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = cast(Any, connect(self._path, cast(float, self.timeout)))


def uuid(text: str) -> str:
    """An id as the daemon writes it; `Failure` 2 when it is none, which the daemon would not always say as clearly."""
    from ffd.model.errors import Invalid
    from ffd.model.ids import format_uuid, parse_uuid

    try:
        return format_uuid(parse_uuid(text))
    except Invalid as wrong:
        raise Failure(USAGE, wrong.code, wrong.text) from None


def envelope(text: str, decoder: "Decoder[T]") -> tuple[T, Callable[[bytes | memoryview], str] | None]:
    """What the daemon sent, decoded; if it holds a value that msgspec refuses, also the way from raw parts to texts.

    A value is its sender's: JSON allows half a surrogate pair and any depth. Raises ValueError when it is no JSON.
    """
    import msgspec

    try:
        return decoder.decode(text), None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        from ffd.model.canonical import decode_envelope
        from ffd.model.errors import Invalid

        try:
            return decode_envelope(text, decoder)
        except Invalid as error:
            raise ValueError(str(error)) from None


def connect(path: str, timeout_s: float) -> socket.socket:
    """A connection to the Unix socket at `path`; `Failure` 5 says why there is none and how to get one."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    try:
        sock.connect(path)
    except (OSError, ValueError) as error:
        sock.close()
        raise _unreachable(path, error) from None
    return sock


def _unreachable(path: str, error: Exception) -> Failure:
    start = "start one with `ffd`, or name its socket with --socket or FFD_SOCKET"
    if isinstance(error, FileNotFoundError):
        return Failure(UNREACHABLE, "FFD6002", f"no ffd is running: there is no socket {path}", start)
    if isinstance(error, ConnectionRefusedError) and not os.path.isfile(path):
        return Failure(UNREACHABLE, "FFD6002", f"no ffd is running: nobody listens on {path}", start)
    if isinstance(error, ConnectionRefusedError):
        return Failure(UNREACHABLE, "FFD6002", f"{path} is not a socket", start)
    if isinstance(error, PermissionError):
        hint = "the socket belongs to another user: run as that user, or join the group that may use it"
        return Failure(UNREACHABLE, "FFD6002", f"{path} may not be opened by this user", hint)
    if isinstance(error, TimeoutError | BlockingIOError):
        return Failure(TIMED_OUT, "FFD6005", f"{path} takes no connections", "the daemon may be overloaded")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Failure(UNREACHABLE, "FFD6002", f"cannot connect to {path}: {reason}", start)


def lost(path: str, error: Exception | None = None) -> Failure:
    """The connection ended in the middle."""
    reason = f" ({error.strerror or error})" if isinstance(error, OSError) else ""
    hint = "the outcome of what was just sent is unknown; an idempotency key makes it safe to send it again"
    return Failure(UNREACHABLE, "FFD6004", f"the connection to {path} was lost{reason}", hint)


def not_ffd(path: str, why: str) -> Failure:
    """Something listens there, but it is another program."""
    hint = "name ffd's socket with --socket or FFD_SOCKET"
    return Failure(UNREACHABLE, "FFD6003", f"what listens on {path} is not ffd: {why}", hint)


def refusal(status: int, body: bytes) -> Failure:
    """The daemon's own words on why not, with the exit code for its status."""
    try:
        text = str(decode(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = f"FFD6009: the daemon answered {status} with {body[:200].decode('utf-8', 'replace')!r}"
    code, words = code_and_words(text)
    exit_code = BLOCKED if code == _REJECTED else _EXIT_BY_STATUS.get(status, FAILED)
    return Failure(exit_code, code, words, _hint(code, words))


def _hint(code: str, words: str) -> str:
    """What helps with this refusal; it names the message that the refusal is about."""
    message = _MESSAGE.search(words)
    return _HINTS.get(code, "").replace("ID", message[1] if message else "ID")


def refused_frame(text: str) -> Failure:
    """The daemon's words in an error frame, which has no status: the exit code is that of its code."""
    code, words = code_and_words(text)
    inner = code_and_words(words.removeprefix("Invalid data: "))
    if code == "FF10176" and inner[0]:
        code, words = inner
    return Failure(
        _EXIT_BY_CODE.get(code, USAGE if code.startswith("FF00") else FAILED), code, words, _hint(code, words)
    )


def code_and_words(text: str) -> tuple[str, str]:
    """`FF10430: Idempotency key…` in its two parts; no code if there is none."""
    found = _CODE.match(text)
    return (found[1], found[2]) if found else ("", text)


_EXIT_BY_CODE = {
    "FF10187": NOT_FOUND,
    "FF10436": NOT_FOUND,
    "FF10171": USAGE,
    "FF10176": USAGE,
    "FF10191": USAGE,
    "FF10192": USAGE,
    "FF10430": CONFLICT,
}
_HINTS = {
    "FF10187": "leave --namespace out for `default`",
    "FF10269": "the message's rejectReason says why: `ffctl msg show ID`",
    "FF10436": "leave --namespace out for `default`",
    "FF10430": "it was accepted before: nothing is lost",
    "FF10193": "change it, and keep its offset, with `ffctl sub create --replace`",
    "FF10277": "`ffctl identity list` shows who is registered",
    "FF10260": "see how far it has come with `ffctl msg show ID`, and what holds it up with `ffctl`",
    "FF00166": "it may have been done: look, or send again with an idempotency key",
}
