"""A real node as its user has it: processes, files, a socket; everything is asked and told from outside.

What runs for long writes into files, never into pipes: a program that is killed has said what it said, and the story
looks at it whenever it likes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apsw

from ffctl.interrupts import Interrupts
from ffctl.stream import Stream

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
FFD = (sys.executable, "-m", "ffd")
FFCTL = (sys.executable, "-m", "ffctl")
PATIENCE_S = 60.0
"""How long anything may take on a machine that does much else; what waits so long hangs."""
LOOK_S = 0.01
RECEIVE_BYTES = 1 << 16


def until(what: str, look: Callable[[], T | None], deadline_s: float = PATIENCE_S) -> T:
    """The first answer of `look` that is true; fails with `what` when there is none by the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"after {deadline_s:g} s still not so: {what}"
        time.sleep(LOOK_S)


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Program:
    """A program that runs, with what it says in two files."""

    def __init__(
        self,
        command: Sequence[str],
        said: Path,
        env: Mapping[str, str],
        *,
        stdin: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.out, self.err = said.with_suffix(".out"), said.with_suffix(".err")
        with open(stdin or os.devnull, "rb") as given, open(self.out, "wb") as out, open(self.err, "wb") as err:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(env), stdin=given, stdout=out, stderr=err, pass_fds=pass_fds
            )
        self.pid = self._process.pid
        self._counted, self._count = 0, 0

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def wait(self, deadline_s: float = PATIENCE_S) -> Done:
        """How it ended, once it has."""
        try:
            code = self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self._process.args!r} still runs; it said: {self.errors()}") from None
        return Done(code, self.out.read_text(), self.errors())

    def lines(self) -> list[str]:
        """The whole lines it has written so far."""
        return self.out.read_text().rpartition("\n")[0].splitlines()

    def count(self) -> int:
        """How many whole lines it has written so far."""
        with open(self.out, "rb") as out:
            out.seek(self._counted)
            more = out.read()
        self._counted += len(more)
        self._count += more.count(b"\n")
        return self._count

    def errors(self) -> str:
        """What it has said on stderr so far."""
        return self.err.read_text(errors="replace")

    def logged(self, text: str) -> bool:
        """Did it say this on stderr?"""
        return text in self.errors()


class House:
    """All programs of one story; none of them outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs: list[Program] = []

    def start(
        self, *command: str, env: Mapping[str, str], stdin: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> Program:
        said = self.folder / f"program-{len(self._programs)}"
        program = Program(command, said, env, stdin=stdin, pass_fds=pass_fds)
        self._programs.append(program)
        return program

    def close(self) -> None:
        for program in self._programs:
            program.kill()


class Node:
    """A state folder and a socket; several may share a state folder."""

    def __init__(self, house: House, name: str = "node", *, state: Path | None = None, config: str = "") -> None:
        self.house = house
        self.folder = house.folder / name
        self.folder.mkdir()
        self.state = state or self.folder / "state"
        self.socket = self.folder / "s"
        self.database = self.state / "ffd.db"
        self.config = self.folder / "ffd.toml"
        self.config.write_text(config)
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8",
            "FFD_SOCKET": str(self.socket), "FFD_STATE_DIR": str(self.state), "FFD_CONFIG": str(self.config),
        }  # fmt: skip

    # The daemon

    def launch(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> Program:
        """Start the daemon and do not wait for it; `before` is a program that becomes it."""
        return self.house.start(*before, *FFD, *arguments, env=self.env | dict(env or {}), pass_fds=pass_fds)

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> Program:
        """Start the daemon; it is ready when this returns."""
        program = self.launch(*arguments, env=env, before=before, pass_fds=pass_fds)
        self.wait_ready(program)
        return program

    def wait_ready(self, program: Program) -> None:
        """Until the daemon is ready, or has ended, which is a failure."""

        def look() -> bool:
            assert program.code is None, f"ffd ended with {program.code}: {program.errors()}"
            return self.is_ready()

        until("ffd is ready", look)

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, program: Program) -> Done:
        """SIGTERM; it must drain and end well."""
        program.signal(signal.SIGTERM)
        done = program.wait()
        assert done.code == 0, done.err
        return done

    # What its users do

    def ffctl(self, *words: str, stdin: str | bytes = b"") -> Done:
        """Run one command to its end."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*FFCTL, *words], input=given, capture_output=True, timeout=PATIENCE_S * 2, check=False, env=self.env
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, *words: str, stdin: str | bytes = b"") -> str:
        """Run one command that must end well, and give what it printed."""
        done = self.ffctl(*words, stdin=stdin)
        assert done.code == 0, (words, done)
        return done.out

    def begin(self, *words: str, stdin: Path | None = None) -> Program:
        """Start a command that goes on by itself."""
        return self.house.start(*FFCTL, *words, env=self.env, stdin=stdin)

    def get(self, target: str) -> tuple[int, Any]:
        """The status and the JSON of a GET; OSError when nobody answers."""
        answer = self.ask(f"GET {target} HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n\r\n".encode())
        return answer.status, json.loads(answer.body)

    def ask(self, request: bytes) -> Answer:
        """What comes back for these bytes on a connection of their own; OSError when nobody answers."""
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(PATIENCE_S)
            end.connect(str(self.socket))
            with suppress(BrokenPipeError, ConnectionResetError):  # it may be answered before it is read to its end
                end.sendall(request)
            return Answer(_read_all(end))

    @contextmanager
    def websocket(self) -> Iterator[WebSocket]:
        """A WebSocket of an app."""
        with Interrupts() as interrupts:
            stream = Stream(str(self.socket), interrupts)
            try:
                yield WebSocket(stream)
            finally:
                stream.close()

    def status(self) -> Any:
        """`ffctl status`."""
        return json.loads(self.run("status", "-o", "json"))

    def broadcast(self, topic: str, value: str) -> None:
        """Send a message, and wait until it is confirmed."""
        body = json.dumps({"header": {"topics": [topic]}, "data": [{"value": value}]})
        answer = self.post("/api/v1/messages/broadcast?confirm=true", body.encode())
        assert answer.status == 200, answer

    def post(self, target: str, body: bytes, *headers: str) -> Answer:
        """What a POST of JSON is answered; OSError when nobody answers."""
        lines = [
            f"POST {target} HTTP/1.1",
            "Host: ffd",
            "Connection: close",
            "Content-Type: application/json",
            *headers,
        ]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        return self.ask(head.encode() + body)

    def confirmed(self, topic: str) -> list[str]:
        """The values of the confirmed messages of a topic, in the order of their events."""
        _, told = self.get(f"/api/v1/events?type=message_confirmed&topic={topic}&sort=sequence&limit=1000")
        _, found = self.get(f"/api/v1/messages?fetchdata=true&limit=1000&topics={topic}")
        values = {message["header"]["id"]: message["data"][0]["value"] for message in found}
        return [values[event["reference"]] for event in told]

    def facts(self) -> Any:
        """What `ffctl status` says of ffd itself."""
        return self.get("/api/v1/status")[1]["ffd"]

    def sequences(self) -> Any:
        """What grows with anything that is kept."""
        return self.facts()["sequences"]

    def settled(self) -> bool:
        """Is nothing under way?"""
        return bool(self.facts()["backlog"] == {"unsent": 0, "unconfirmed": 0})

    def wait_settled(self) -> None:
        until("everything that was accepted is confirmed", self.settled)

    # What is on disk

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the database of a node that is stopped."""
        return query(self.database, sql, *values)


class Answer:
    """An HTTP answer."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split(" ", 2)[1]) if self.head else 0

    def __repr__(self) -> str:
        return f"{self.head.splitlines()[:1]} {self.body[:300]!r}"


class WebSocket:
    """Frames in, frames out."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._heard: list[Any] = []

    def send(self, frame: object) -> None:
        """Send a frame: a text as it is, anything else as JSON."""
        self._stream.send(frame if isinstance(frame, str) else json.dumps(frame))

    def receive(self) -> Any:
        """The next frame; `ffctl.failure.Failure` when the daemon hangs up."""
        end = time.monotonic() + PATIENCE_S
        while not self._heard:
            assert time.monotonic() < end, "no frame came"
            frames, _ = self._stream.wait(1.0)
            self._heard += [json.loads(frame) for frame in frames]
        return self._heard.pop(0)


def query(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a database that nobody else has open; a change is kept."""
    connection = apsw.Connection(str(database))
    try:
        return list(connection.execute(sql, values))
    finally:
        connection.close()


def _read_all(end: socket.socket) -> bytes:
    answer = bytearray()
    with suppress(ConnectionResetError):
        while block := end.recv(RECEIVE_BYTES):
            answer += block
    if not answer:
        raise ConnectionResetError("no answer")
    return bytes(answer)
