"""`ffctl tail`: events from a WebSocket to stdout, each acknowledged only after stdout has taken it.

A batch is printed, flushed, then acknowledged as a whole: whatever kills the reader, at most one batch comes again.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from ffctl.client import Client, envelope, refused_frame
from ffctl.failure import CONFLICT, FAILED, INTERRUPTED, Failure
from ffctl.interrupts import Interrupts
from ffctl.output import Printer
from ffctl.plain import decode, harmless
from ffctl.stream import Stream
from ffctl.talk import Talk

GOODBYE_S = 2.0


class Frame(msgspec.Struct):
    """What the daemon sends: an event by itself, a batch of them, or an error."""

    type: str
    id: str = ""
    error: str = ""
    sequence: int = 0
    subscription: msgspec.Raw = msgspec.Raw(b"null")
    events: list[msgspec.Raw] = []


class _Identity(msgspec.Struct):
    id: str = ""
    sequence: int = 0


_FRAME = msgspec.json.Decoder(Frame)
_IDENTITY = msgspec.json.Decoder(_Identity)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a tail ends by itself: after `count` events, or when none came for `idle_s` seconds."""

    count: int | None = None
    idle_s: float | None = None


def start_frame(namespace: str, name: str | None, filter: dict[str, Any], options: dict[str, Any]) -> str:
    """The frame that starts a durable subscription by name, or an ephemeral one."""
    if name is not None:
        return json.dumps({"type": "start", "namespace": namespace, "name": name, "autoack": False})
    return json.dumps(
        {
            "type": "start",
            "namespace": namespace,
            "ephemeral": True,
            "autoack": False,
            "filter": filter,
            "options": options,
        },
        ensure_ascii=False,
    )


def listen(path: str, start: str, printer: Printer, talk: Talk, limits: Limits, *, durable: bool, ack: bool) -> None:
    """Print what a subscription delivers until a limit is reached; Ctrl-C ends it with a summary and exit code 130."""
    with Interrupts() as interrupts:
        stream = Stream(path, interrupts)
        listener = Listener(stream, printer, limits, durable=durable, ack=ack)
        try:
            stream.send(start)
            listener.run(interrupts)
            stream.drain(GOODBYE_S)
        except Failure as failure:
            said = f"{failure.text}; {listener.summary()}" if listener.count else failure.text
            hint = listener.way_on() if failure.code == "FFD6004" else failure.hint
            raise Failure(failure.exit_code, failure.code, said, hint) from None
        finally:
            stream.close()
        if interrupts.asked:
            talk.note(listener.summary())
            raise SystemExit(INTERRUPTED)


class Listener:
    """The reader's side of one subscription."""

    def __init__(self, stream: Stream, printer: Printer, limits: Limits, *, durable: bool, ack: bool) -> None:
        self._stream = stream
        self._printer = printer
        self._limits = limits
        self._durable = durable
        self._ack = ack
        self._began = time.monotonic()
        self.count = 0
        self._first = self._last = 0

    def run(self, interrupts: Interrupts) -> None:
        """Until a limit or Ctrl-C."""
        heard = time.monotonic()
        while not interrupts.asked and self.count != self._limits.count:
            idle_s = self._limits.idle_s
            frames, _ = self._stream.wait(None if idle_s is None else heard + idle_s - time.monotonic())
            for frame in frames:
                self._take(frame)
            if frames:
                heard = time.monotonic()
            elif idle_s is not None and time.monotonic() - heard >= idle_s:
                return

    def summary(self) -> str:
        """How many events there were, and which."""
        took = time.monotonic() - self._began
        where = f", sequence {self._first} to {self._last}" if self.count else ""
        return f"{self.count:,} {'event' if self.count == 1 else 'events'} in {took:.1f} s{where}"

    def way_on(self) -> str:
        """What to do when the daemon went away."""
        if self._durable:
            return "nothing is lost: run it again when ffd is back, and it goes on where it stopped"
        return (
            f"run it again when ffd is back, with --from {self._last}"
            if self.count
            else "run it again when ffd is back"
        )

    def _take(self, text: str) -> None:
        frame = _frame(text)
        if frame.type == "event_batch":
            self._deliver(frame, [bytes(event) for event in frame.events])
        elif frame.type in ("protocol_error", "error"):
            raise refused_frame(frame.error)
        elif frame.id:
            self._deliver(frame, [text.rstrip("\n").encode()])

    def _deliver(self, frame: Frame, events: list[bytes]) -> None:
        room = len(events) if self._limits.count is None else self._limits.count - self.count
        if not room:
            return  # it came after the last one wanted: not printed, not acknowledged, so it comes again
        printed = events[:room]
        if printed:
            self._printer.rows(printed)
            self._note(printed)
        if self._ack:
            # In the middle of a batch, each printed event by its own id: what was not printed comes again.
            whole = room >= len(events)
            for id in [frame.id] if whole else [_identity(event).id for event in printed]:
                self._stream.send(f'{{"type":"ack","id":"{id}","subscription":{bytes(frame.subscription).decode()}}}')

    def _note(self, printed: list[bytes]) -> None:
        if not self.count:
            self._first = _identity(printed[0]).sequence
        self._last = _identity(printed[-1]).sequence
        self.count += len(printed)


def _frame(text: str) -> Frame:
    try:
        frame, text_of = envelope(text, _FRAME)
    except ValueError:
        raise Failure(FAILED, "FFD6009", f"a frame of the daemon cannot be read: {harmless(text[:200])}") from None
    if text_of:
        frame.events = [msgspec.Raw(text_of(event).encode()) for event in frame.events]
    return frame


def _identity(event: bytes) -> _Identity:
    return envelope(event.decode(), _IDENTITY)[0]


def same_filter(existing: bytes, wanted: bytes, name: str) -> None:
    """Refuse (exit 4) to go on with a subscription whose filter is another than the one asked for."""
    found, asked = ({key: item for key, item in decode(raw)["filter"].items() if item} for raw in (existing, wanted))
    if found != asked:
        text = f"the subscription {name!r} exists with another filter: {json.dumps(found)}"
        raise Failure(CONFLICT, "FFD6011", text, f"leave the filters out, or `ffctl sub create {name} --replace …`")


def place_of_last(client: Client, count: int, wanted: Any, page: int = 1000) -> str:
    """Where a subscription must begin to deliver the last `count` matching events first: a sequence number, as text."""
    below: list[tuple[str, str]] = []
    newest: int | None = None
    left = count
    while True:
        query = [("sort", "-sequence"), ("limit", str(page)), ("fetchreferences", "true"), *below]
        rows = [decode(raw) for raw in client.events(query)]
        if newest is None:
            newest = int(rows[0]["sequence"]) if rows else -1
        if not count:
            return str(newest)
        for row in rows:
            left -= wanted.matches(row)
            if not left:
                return str(int(row["sequence"]) - 1)
        if len(rows) < page:
            return "-1"
        below = [("sequence", f"[<{rows[-1]['sequence']}")]
