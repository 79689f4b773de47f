"""`ffctl broadcast --lines`: a stream of messages, pipelined over the WebSocket.

Lines are read as they come. A frame is sent when it is full, or when nothing else is in flight, so a slow producer is
sent at once and a fast one in large frames. What is in flight, and what is read ahead of it, is bounded.
"""

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ffctl.client import refused_frame
from ffctl.failure import BLOCKED, FAILED, INTERRUPTED, TIMED_OUT, USAGE, Failure, bad_input, read_some
from ffctl.interrupts import Interrupts
from ffctl.output import Printer
from ffctl.stream import Stream
from ffctl.talk import Talk

FRAME_MESSAGES = 50
FRAME_BYTES = 1 << 18
FRAMES_IN_FLIGHT = 12
READ_BYTES = 1 << 18
MESSAGE_BYTES_MAX = 1 << 21
"""What is not even tried: a frame may hold 4 MiB, and the default limit of a message is far below."""
SHOWN_MAX = 10
DRAW_S = 0.1
END_S = 5.0

_USED = re.compile(r"FF10430\b.*'([0-9a-f-]{36})'")


class _Result(msgspec.Struct):
    id: str = ""
    hash: str = ""
    error: str = ""


class _Reference(msgspec.Struct):
    rejectReason: str = ""


class _Event(msgspec.Struct):
    type: str = ""
    reference: str = ""
    message: _Reference | None = None


class _Frame(msgspec.Struct):
    type: str
    id: str = ""
    error: str = ""
    reference: str = ""
    message: _Reference | None = None
    subscription: msgspec.Raw = msgspec.Raw(b"null")
    messages: list[_Result] = []
    events: list[_Event] = []


_read = msgspec.json.Decoder(_Frame).decode


@dataclass(slots=True)
class Tally:
    """What became of the lines so far."""

    accepted: int = 0
    already: int = 0
    confirmed: int = 0
    rejected: int = 0
    refused: int = 0
    began: float = field(default_factory=time.monotonic)

    def text(self) -> str:
        """`100,000 accepted in 4.2 s (23,800/s)`, and what else there is to say."""
        if not self.accepted:
            return ", ".join(["0 accepted", *self._rest()])
        took = max(time.monotonic() - self.began, 1e-9)
        rate = self.accepted / took
        shown = round(rate, -2) if rate >= 1000 else round(rate)
        return ", ".join([f"{self.accepted:,} accepted in {took:.1f} s ({shown:,.0f}/s)", *self._rest()])

    @property
    def answered(self) -> int:
        """The lines that the daemon has answered."""
        return self.accepted + self.already + self.refused

    def _rest(self) -> list[str]:
        return [
            f"{count:,} {word}"
            for count, word in (
                (self.already, "accepted before"),
                (self.confirmed, "confirmed"),
                (self.rejected, "rejected"),
                (self.refused, "refused"),
            )
            if count
        ]


def too_long(number: int) -> Failure:
    """A line that no daemon takes."""
    text = f"line {number} is too long: more than {MESSAGE_BYTES_MAX >> 20} MiB as a message"
    return Failure(USAGE, "FFD6008", text, "send it in parts")


class Lines:
    """Lines of a file descriptor, numbered from 1, read without waiting for more than there is."""

    def __init__(self, fd: int, name: str = "stdin") -> None:
        self.fd = fd
        self._name = name
        self.ended = False
        self.number = 0
        self.read = 0
        info = os.fstat(fd)
        self.size = info.st_size if stat.S_ISREG(info.st_mode) else 0
        self.problem: Failure | None = None
        """A line that is no text: the lines before it were given."""
        self._rest = b""

    def more(self) -> list[str]:
        """Whole lines of the next block; the last line need not end with a newline."""
        block = read_some(self.fd, READ_BYTES, self._name)
        self.read += len(block)
        self.ended = not block
        whole, newline, rest = (self._rest + block).rpartition(b"\n")
        if self.ended:
            whole, newline, rest = self._rest, self._rest, b""
        self._rest = rest
        if len(rest) > MESSAGE_BYTES_MAX:
            raise too_long(self.number + 1)
        if not newline:
            return []
        lines = self._decoded(whole)
        self.number += len(lines)
        return lines

    def _decoded(self, whole: bytes) -> list[str]:
        try:
            return whole.decode().split("\n")
        except UnicodeDecodeError as error:
            good = whole[: error.start].rpartition(b"\n")[0] if b"\n" in whole[: error.start] else None
            lines = [] if good is None else good.decode().split("\n")
            text = f"line {self.number + len(lines) + 1} is not UTF-8: byte 0x{whole[error.start]:02x}"
            self.problem = bad_input(text, "convert it first")
            return lines


class Sender:
    """Lines in, accepted messages out; with `confirm` each is followed until it is confirmed or rejected."""

    def __init__(
        self,
        stream: Stream,
        lines: Lines,
        message_of: Callable[[str, int], str | None],
        namespace: str,
        printer: Printer | None,
        talk: Talk,
        *,
        confirm: bool,
        timeout_s: float,
    ) -> None:
        self._stream = stream
        self._lines = lines
        self._message_of = message_of
        self._head = f'{{"type":"send","namespace":{msgspec.json.encode(namespace).decode()},"id":"'
        self._printer = printer
        self._talk = talk
        self._confirm = confirm
        self._timeout_s = timeout_s
        self._frame = 0
        self._waiting: deque[tuple[int, str]] = deque()
        self._flying: dict[str, list[int]] = {}
        self._unconfirmed: dict[str, tuple[int, str]] = {}
        self._early: dict[str, tuple[str, str]] = {}
        self._problem: Failure | None = None
        self._drawn = 0.0
        self.tally = Tally()

    @property
    def unknown(self) -> list[int]:
        """The lines that were sent and not answered."""
        return [number for numbers in self._flying.values() for number in numbers]

    def run(self, interrupts: Interrupts) -> None:
        """Send all lines; after Ctrl-C only wait for what is in flight, after a bad line send what came before it."""
        moved = time.monotonic()
        while not self._done(stopping := interrupts.asked):
            frames, readable = self._stream.wait(1.0, also=self._wants(stopping))
            for frame in frames:
                self._settle(frame)
            if readable and not self._problem:
                self._read()
            if not stopping:
                self._send()
            if frames or readable or self._idle():
                moved = time.monotonic()
            elif time.monotonic() - moved > (END_S if stopping else self._timeout_s):
                self._too_late()
            self._draw()
        if self._problem:
            raise self._problem

    def _done(self, stopping: bool) -> bool:
        if self._flying:
            return False
        if stopping or self._waiting:
            return stopping
        return self._problem is not None or (self._lines.ended and not self._unconfirmed)

    def _idle(self) -> bool:
        """Nothing is asked of the daemon: a slow producer may take its time."""
        return not self._flying and not self._unconfirmed and not self._waiting

    def _wants(self, stopping: bool) -> int | None:
        enough = len(self._waiting) >= FRAME_MESSAGES * FRAMES_IN_FLIGHT
        over = stopping or self._lines.ended or self._problem is not None
        return None if over or enough else self._lines.fd

    def _read(self) -> None:
        number = self._lines.number
        try:
            lines = self._lines.more()
        except Failure as failure:
            self._problem = failure
            return
        for line in lines:
            number += 1
            try:
                message = self._message_of(line, number)
            except Failure as failure:
                self._problem = Failure(failure.exit_code, failure.code, f"line {number}: {failure.text}", failure.hint)
                return
            if message is not None and len(message) > MESSAGE_BYTES_MAX:
                self._problem = too_long(number)
                return
            if message is not None:
                self._waiting.append((number, message))
        self._problem = self._lines.problem

    def _send(self) -> None:
        while self._waiting and len(self._flying) < FRAMES_IN_FLIGHT and not self._stream.full:
            full = len(self._waiting) >= FRAME_MESSAGES
            if not full and self._flying and not self._lines.ended and not self._problem:
                return  # more may come before the daemon answers
            numbers: list[int] = []
            messages: list[str] = []
            size = 0
            while self._waiting and len(messages) < FRAME_MESSAGES:
                number, message = self._waiting[0]
                size += len(message)
                if messages and size > FRAME_BYTES:
                    break
                self._waiting.popleft()
                numbers.append(number)
                messages.append(message)
            self._frame += 1
            self._flying[str(self._frame)] = numbers
            self._stream.send(f'{self._head}{self._frame}","messages":[{",".join(messages)}]}}')

    def _settle(self, text: str) -> None:
        try:
            frame = _read(text)
        except msgspec.DecodeError as error:
            raise Failure(FAILED, "FFD6009", f"a frame of the daemon cannot be read: {error}") from None
        if frame.type == "accepted":
            self._accept(self._flying.pop(frame.id, []), frame.messages)
        elif frame.type == "event_batch":
            self._hear(frame.events)
            self._ack(frame)
        elif frame.type in ("message_confirmed", "message_rejected"):
            self._hear([_Event(frame.type, frame.reference, frame.message)])
            self._ack(frame)
        elif frame.type in ("error", "protocol_error"):
            numbers = self._flying.pop(frame.id, [])
            self.tally.refused += len(numbers)
            self._waiting.clear()
            refused = refused_frame(frame.error)
            where = f"{_span(numbers)}: " if numbers else ""
            if not self._problem:  # those behind it are refused for the same reason
                self._problem = Failure(refused.exit_code, refused.code, f"{where}{refused.text}", refused.hint)

    def _accept(self, numbers: list[int], results: list[_Result]) -> None:
        rows = []
        for number, result in zip(numbers, results, strict=True):
            if not result.error:
                self.tally.accepted += 1
                if self._confirm:
                    self._follow(number, result)
                elif self._printer:
                    rows.append(_row(number, result.id, "accepted", hash=result.hash))
            elif used := _USED.match(result.error):
                self.tally.already += 1
                rows.append(_row(number, used[1], "duplicate"))
            else:
                self.tally.refused += 1
                if self.tally.refused <= SHOWN_MAX:
                    self._talk.error(f"line {number}: {result.error}")
                rows.append(_row(number, "", "refused", error=result.error))
        if not self._flying:
            self._early.clear()  # whatever was heard early of somebody else's messages
        self._print(rows)

    def _follow(self, number: int, result: _Result) -> None:
        if early := self._early.pop(result.id, None):
            self._decided(number, result.id, result.hash, *early)
        else:
            self._unconfirmed[result.id] = (number, result.hash)

    def _hear(self, events: list[_Event]) -> None:
        for event in events:
            reason = event.message.rejectReason if event.message else ""
            if known := self._unconfirmed.pop(event.reference, None):
                self._decided(known[0], event.reference, known[1], event.type, reason)
            elif self._flying:
                self._early[event.reference] = (event.type, reason)

    def _decided(self, number: int, id: str, hash: str, kind: str, reason: str) -> None:
        if kind == "message_confirmed":
            self.tally.confirmed += 1
            self._print([_row(number, id, "confirmed", hash=hash)])
            return
        self.tally.rejected += 1
        if self.tally.rejected <= SHOWN_MAX:
            self._talk.error(f"line {number} was rejected: {reason or 'see `ffctl msg show ' + id + '`'}")
        self._print([_row(number, id, "rejected", hash=hash, error=reason)])

    def _ack(self, frame: _Frame) -> None:
        subscription = bytes(frame.subscription).decode()
        self._stream.send(f'{{"type":"ack","id":"{frame.id}","subscription":{subscription}}}')

    def _print(self, rows: list[bytes]) -> None:
        if self._printer and rows:
            self._printer.rows(rows)

    def _too_late(self) -> None:
        waits = f"{len(self.unknown):,} unanswered, {len(self._unconfirmed):,} unconfirmed"
        text = f"no progress in {self._timeout_s:g} s: {self.tally.text()}, {waits}"
        raise Failure(TIMED_OUT, "FFD6005", text, "what is accepted will be confirmed or rejected: see `ffctl status`")

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._talk.draws or now - self._drawn < DRAW_S:
            return
        self._drawn = now
        bar = ""
        if self._lines.size:
            # The share of the file that was read, and of that the share that was answered: much is read ahead.
            part = min(1.0, self._lines.read / self._lines.size * self.tally.answered / max(1, self._lines.number))
            bar = f"[{'#' * round(part * 20):<20}] {part:4.0%} "
        self._talk.progress(bar + self.tally.text())


def send_lines(path: str, sender_of: Callable[[Stream], Sender], start: str | None, talk: Talk) -> None:
    """Open the stream, send all lines, say what became of them; the exit code says the worst of it."""
    with Interrupts() as interrupts:
        stream = Stream(path, interrupts)
        sender = sender_of(stream)
        try:
            if start is not None:
                stream.send(start)
            sender.run(interrupts)
        except Failure as failure:
            raise _with_count(failure, sender) from None
        finally:
            talk.clear()
            stream.close()
    tally = sender.tally
    if interrupts.asked:
        talk.note(f"interrupted: {tally.text()}")
        raise SystemExit(INTERRUPTED)
    if tally.refused or tally.rejected:
        exit_code = FAILED if tally.refused else BLOCKED
        raise Failure(exit_code, "FFD6010", f"not all lines became messages: {tally.text()}")
    talk.note(tally.text())


def _with_count(failure: Failure, sender: Sender) -> Failure:
    said = sender.tally.text()
    if unknown := sender.unknown:
        said += f", {len(unknown):,} of unknown outcome ({_span(unknown)})"
    text = failure.text if said in failure.text else f"{failure.text}; {said}"
    return Failure(failure.exit_code, failure.code, text, failure.hint)


def _span(numbers: list[int]) -> str:
    return f"line {numbers[0]}" if len(numbers) == 1 else f"lines {numbers[0]} to {numbers[-1]}"


def _row(number: int, id: str, state: str, *, hash: str = "", error: str = "") -> bytes:
    row: dict[str, object] = {"line": number}
    row |= {name: text for name, text in (("id", id), ("hash", hash), ("state", state), ("error", error)) if text}
    return msgspec.json.encode(row)
