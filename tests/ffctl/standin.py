"""A daemon's door for the tests of the command line: real sockets, HTTP and WebSocket, and FireFly's answers in memory.

It stands in where a test wants what a healthy ffd will not do (hang up in the middle, refuse, reject, stay silent) and
where only the shape of an answer matters. What ffctl and ffd do together is tested against the real daemon.
"""

import json
import operator
import re
import socketserver
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import UUID

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Request, TextMessage
from wsproto.utilities import LocalProtocolError

Row = dict[str, Any]
BASE = "/api/v1/namespaces/default/"
KEYS = {
    "messages": "header.", "events": "", "batches": "", "pins": "", "subscriptions": "", "groups": "", "identities": "",
}  # fmt: skip
IDS = {"messages": "header.id", "groups": "hash"}


def uid(number: int) -> str:
    return str(UUID(int=number, version=4))


@dataclass
class Node:
    """What the stand-in holds, and how it misbehaves."""

    path: Path
    header: str | None = "0.1.0"
    ready: bool = True
    confirm: bool = True
    hang_up_after_frames: int | None = None
    goodbye_at_frame: int | None = None
    reject: frozenset[str] = frozenset()
    refuse: frozenset[str] = frozenset()
    batch_events: int = 50
    limit_bytes: int | None = None
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in KEYS})
    keys: dict[str, str] = field(default_factory=dict)
    acks: list[str] = field(default_factory=list)
    starts: list[Row] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, Row]] = field(default_factory=list)
    reply: Row | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    readers: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def broadcast(self, message: Row) -> Row:
        """Accept a message as ffd does, and confirm or reject it at once."""
        with self.changed:
            number = len(self.rows["messages"]) + 1
            data = message.get("data", [])
            if json.dumps(data[0].get("value")) in self.refuse:
                return {"error": "FF00140: Field 'header.topics[0]' must be a name"}
            if (key := message.get("idempotencyKey")) in self.keys:
                return {"error": f"FF10430: Idempotency key '{key}' already used for message '{self.keys[key]}'"}
            if key:
                self.keys[key] = uid(number)
            rejected = json.dumps(data[0].get("value")) in self.reject
            created = f"2026-03-01T12:00:{number // 1000 % 60:02d}.{number % 1000:03d}Z"
            header = {
                "id": uid(number), "type": "broadcast", "author": "did:firefly:org/alice", "created": created,
                "namespace": "default", "topics": ["default"], **message.get("header", {}),
            }  # fmt: skip
            row = {
                "header": header, "hash": f"{number:064x}", "state": "rejected" if rejected else "confirmed",
                "data": [{"id": uid(10**6 + number), "hash": "ab" * 32, **item} for item in data],
            }  # fmt: skip
            if rejected:
                row["rejectReason"] = "FF10201: hashes do not match"
            self.rows["messages"].append(row)
            for topic in header["topics"] if self.confirm else []:
                sequence = len(self.rows["events"])
                self.rows["events"].append({
                    "id": uid(2 * 10**6 + sequence), "sequence": sequence,
                    "type": "message_rejected" if rejected else "message_confirmed", "namespace": "default",
                    "reference": header["id"], "topic": topic, "created": created, "message": row,
                })  # fmt: skip
            self.changed.notify_all()
        return row

    def subscribe(self, definition: Row) -> tuple[int, Row]:
        if any(row["name"] == definition["name"] for row in self.rows["subscriptions"]):
            return 409, {"error": "FF10193: Subscription already exists"}
        options = {**definition.get("options", {})}
        options["firstEvent"] = str(self.place(options.get("firstEvent", "newest")))
        row = {
            "id": uid(3 * 10**6 + len(self.rows["subscriptions"])), "namespace": "default", **definition,
            "options": options, "created": "2026-03-01T12:00:00Z", "updated": None,
        }  # fmt: skip
        self.rows["subscriptions"].append(row)
        self.offsets[row["name"]] = int(options["firstEvent"])
        return 201, row

    def until_nobody_reads(self) -> None:
        """Wait until every connection is over and its offset is kept."""
        with self.changed:
            assert self.changed.wait_for(lambda: not self.readers, 10)

    def place(self, first: str) -> int:
        return -1 if first == "oldest" else len(self.rows["events"]) - 1 if first == "newest" else int(first)


class Door(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    node: Node

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what several tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the tests' stderr."""

    def do_GET(self) -> None:
        node, url = self.server.node, urllib.parse.urlsplit(self.path)
        node.asked.append(self.path)
        if url.path == "/ws":
            Socket(self).run()
        elif url.path == "/readyz":
            self.answer(
                200 if node.ready else 503, {"ready": node.ready, "reasons": [] if node.ready else ["starting"]}
            )
        elif url.path == f"{BASE}status":
            self.answer(200, self.status())
        else:
            self.collection(url.path.removeprefix(BASE), urllib.parse.parse_qsl(url.query))

    def do_POST(self) -> None:
        node, url = self.server.node, urllib.parse.urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        node.posted.append((url.path.removeprefix(BASE), body))
        if url.path == f"{BASE}subscriptions":
            return self.answer(*node.subscribe(body))
        row = node.broadcast(body)
        if "error" in row:
            return self.answer(409 if "FF10430" in row["error"] else 400, row)
        if "confirm" in url.query and row["state"] == "rejected":
            return self.answer(500, {"error": f"FF10269: Message with ID '{row['header']['id']}' was rejected."})
        if url.path.endswith("/requestreply"):
            late = {"error": f"FF10260: The request with id 'x' timed out: message '{row['header']['id']}' is sent"}
            return self.answer(200 if node.reply else 408, node.reply or late)
        return self.answer(202, row)

    def do_DELETE(self) -> None:
        rows = self.server.node.rows["subscriptions"]
        rows[:] = [row for row in rows if row["id"] != self.path.rpartition("/")[2]]
        self.answer(204, None)

    def status(self) -> Row:
        node = self.server.node
        limits = {} if node.limit_bytes is None else {"limits": {"messageBytes": node.limit_bytes}}
        return {
            "namespace": "default", "node": {"name": "node_1", "registered": True, "id": uid(7)},
            "org": {"name": "alice", "registered": True},
            "ffd": {
                "version": "0.1.0", "pid": 4711, "uptimeSeconds": 12.5, "socket": str(node.path),
                "sequences": {"messages": len(node.rows["messages"]), "events": len(node.rows["events"])},
                "backlog": {"unsent": 0, "unconfirmed": 0}, "blocked": [], "subscriptions": [], **limits,
            },
        }  # fmt: skip

    def collection(self, path: str, query: list[tuple[str, str]]) -> None:
        name, _, id = path.partition("/")
        rows = self.server.node.rows.get(name, [])
        if id:
            found = [row for row in rows if at(row, IDS.get(name, "id")) == id]
            return self.answer(200, found[0]) if found else self.answer(404, {"error": "FF10109: Not found"})
        return self.answer(200, selected(name, rows, query))

    def answer(self, status: int, body: object) -> None:
        raw = b"" if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        if self.server.node.header:
            self.send_header("X-FFD", self.server.node.header)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def selected(name: str, rows: list[Row], query: list[tuple[str, str]]) -> list[Row]:
    """As much of FireFly's filters as the command line uses."""
    options = {key: text for key, text in query if key in ("limit", "skip", "sort")}
    wanted: dict[str, list[str]] = {}
    for key, text in query:
        if key not in options and not key.startswith("fetch"):
            wanted.setdefault(key, []).append(text)
    numbered = [{**row, "#": number} for number, row in enumerate(rows)]
    found = [row for row in numbered if all(matches(name, row, key, texts) for key, texts in wanted.items())]
    for key in reversed(options.get("sort", "-sequence").split(",")):
        field_name = key.removeprefix("-")
        path = "#" if field_name == "sequence" else f"{KEYS[name]}{field_name}"
        found.sort(key=lambda row, path=path: at(row, path), reverse=key.startswith("-"))  # type: ignore[misc]
    start = int(options.get("skip", "0"))
    stop = start + (int(options.get("limit", "25")) or len(found))
    return [{key: item for key, item in row.items() if key != "#"} for row in found[start:stop]]


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq,
    "^": str.startswith, "$": str.endswith, "@": operator.contains,
}  # fmt: skip


def matches(name: str, row: Row, key: str, texts: list[str]) -> bool:
    value = at(row, "#" if key == "sequence" else key if key in row else f"{KEYS[name]}{key}")
    if isinstance(value, list):
        value = ",".join(value)
    results = []
    for text in texts:
        found = re.fullmatch(r"\[?(>=|<=|>|<|=|\^|\$|@)?(.*)", text, re.DOTALL)
        assert found
        operand = int(found[2]) if isinstance(value, int) else found[2]
        results.append(COMPARE[found[1] or "="](value, operand))
    return all(results) if any(text.startswith("[") for text in texts) else any(results)


def at(row: Any, path: str) -> Any:
    for step in path.split("."):
        row = row.get(step, "") if isinstance(row, dict) else ""
    return row


class Socket:
    """One WebSocket: subscriptions are delivered in batches, each after the ack of the one before."""

    def __init__(self, handler: Handler) -> None:
        self.node = handler.server.node
        self.sock = handler.connection
        self.ws = WSConnection(ConnectionType.SERVER)
        self.head = handler.requestline.encode() + b"\r\n" + handler.headers.as_bytes()
        self.lock = threading.Lock()
        self.frames = 0
        self.acked = threading.Event()
        self.open = True

    def run(self) -> None:
        try:
            self.serve()
        except OSError:
            pass  # the client is gone
        finally:
            self.end()

    def serve(self) -> None:
        self.ws.receive_data(self.head)
        headers = [(b"X-FFD", self.node.header.encode())] if self.node.header else []
        parts: list[str] = []
        while True:
            for event in self.ws.events():
                if isinstance(event, Request):
                    self.put(AcceptConnection(extra_headers=headers))
                elif isinstance(event, Message):
                    parts.append(event.data)
                    if event.message_finished:
                        self.take(json.loads("".join(parts)))
                        parts.clear()
                elif isinstance(event, CloseConnection):
                    return self.put(event.response())
            data = self.sock.recv(1 << 16)
            if not data or not self.open:
                return None
            self.ws.receive_data(data)

    def end(self) -> None:
        with self.node.changed:
            self.open = False
            self.acked.set()
            self.node.changed.notify_all()
        self.sock.close()

    def put(self, *events: Any) -> None:
        with self.lock:
            self.sock.sendall(b"".join([self.ws.send(event) for event in events if event]))

    def say(self, frame: Row, goodbye: CloseConnection | None = None) -> None:
        self.put(TextMessage(json.dumps(frame, separators=(",", ":"), ensure_ascii=False) + "\n"), goodbye)

    def take(self, frame: Row) -> None:
        self.frames += 1
        if self.node.hang_up_after_frames is not None and self.frames > self.node.hang_up_after_frames:
            self.open = False
            self.sock.shutdown(2)
        elif frame["type"] == "send":
            self.node.posted += [("send", message) for message in frame["messages"]]
            rows = [self.node.broadcast(message) for message in frame["messages"]]
            goodbye = CloseConnection(1001, "ffd stops") if self.frames == self.node.goodbye_at_frame else None
            self.say({"type": "accepted", "id": frame["id"], "messages": [
                row if "error" in row else {"id": row["header"]["id"], "hash": row["hash"]} for row in rows
            ]}, goodbye)  # fmt: skip
        elif frame["type"] == "ack":
            self.node.acks.append(frame["id"])
            self.acked.set()
        elif frame["type"] == "start":
            self.node.starts.append(frame)
            with self.node.changed:
                self.node.readers += 1
            threading.Thread(target=self.deliver, args=(frame,), daemon=True).start()

    def deliver(self, start: Row) -> None:
        node, name = self.node, start.get("name", "")
        options = start.get("options", {})
        offset = node.offsets[name] if name else node.place(options.get("firstEvent", "newest"))
        topic = re.compile(start.get("filter", {}).get("topic", ""))
        try:
            self.deliver_from(offset, name, topic)
        finally:
            with node.changed:
                node.readers -= 1
                node.changed.notify_all()

    def deliver_from(self, offset: int, name: str, topic: re.Pattern[str]) -> None:
        def something() -> bool:
            return len(node.rows["events"]) > offset + 1 or not self.open

        node = self.node
        number = 0
        while self.open:
            with node.changed:
                node.changed.wait_for(something, 0.2)
                events = node.rows["events"][offset + 1 : offset + 1 + node.batch_events]
            if not events:
                continue
            subscription = {"id": uid(9), "namespace": "default", "name": name or uid(9)}
            wanted = [{**event, "subscription": subscription} for event in events if topic.search(event["topic"])]
            offset += len(events)
            if wanted:
                number += 1
                self.acked.clear()
                try:
                    self.say({"type": "event_batch", "id": uid(4 * 10**6 + number), "subscription": subscription,
                              "events": wanted})  # fmt: skip
                except (OSError, LocalProtocolError):
                    return  # the reader is gone
                self.acked.wait(20)
                if not self.node.acks or self.node.acks[-1] != uid(4 * 10**6 + number):
                    return
            if name:
                node.offsets[name] = offset


@contextmanager
def standing_in(path: Path) -> Iterator[Node]:
    """A stand-in on a Unix socket, for as long as the block runs."""
    with Door(str(path), Handler) as door:
        door.node = Node(path)
        thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield door.node
        finally:
            door.shutdown()
            thread.join()
