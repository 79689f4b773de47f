"""`ffctl broadcast`: send to everybody."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffctl import live
from ffctl.failure import USAGE, Failure, bad_input, read_some, usage
from ffctl.options import Timeout, seconds
from ffctl.output import Printer, show
from ffctl.plain import decode, lookup
from ffctl.settings import Settings, client_of, settings_of
from ffctl.talk import Talk
from ffctl.tree import examples
from ffctl.views import MESSAGE, SENT

if TYPE_CHECKING:
    from ffctl.client import Client
    from ffctl.message import Envelope

app = typer.Typer(add_completion=False, rich_markup_mode=None)

READ_BYTES_MAX = 1 << 26
ASK_LIMIT_BYTES = 1 << 18
"""From this size on the daemon's limit is asked for before a message is sent."""


@app.command(
    epilog=examples(
        "ffctl broadcast --topic news hello",
        "ffctl broadcast --topic orders --tag new --json '{\"item\": 7}' --confirm",
        "ffctl broadcast --topic report @report.txt",
        "seq 100000 | ffctl broadcast --lines --topic numbers",
        "ffctl broadcast --ndjson --idempotency-key import-7 - < messages.ndjson",
    )
)
def broadcast(
    ctx: typer.Context,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What to send; - is all of stdin, @FILE a file's content.")
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "-t",
            "--topic",
            metavar="TOPIC",
            autocompletion=live.topics,
            help="The topic it is ordered in; may be repeated. `default` unless given.",
        ),
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="What it means to the application.")] = None,
    cid: Annotated[str | None, typer.Option(metavar="ID", help="The message that this one answers.")] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="Never make a second message of this key: exit 4. With --lines each line has KEY:NUMBER, and a line "
            "that was accepted before counts as accepted, so a broken stream can be sent again.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The text (or each line) is a JSON value.")] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Each line of stdin (or @FILE) is a message.")] = False,
    ndjson: Annotated[
        bool,
        typer.Option(
            "--ndjson", help="Each line is an object: topic or topics, tag, cid, idempotencyKey, and value or data."
        ),
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Wait until it is confirmed; exit 7 when it is rejected.")
    ] = False,
    timeout: Timeout = "30s",
) -> None:
    """Send a message to everybody; it is on disk when this ends.

    With --lines or --ndjson a whole stream of messages is sent, in order, and a summary says what became of them;
    -o prints a row for each.
    """
    from ffctl.message import Envelope

    settings = settings_of(ctx)
    if key == "":  # most likely a variable that was not set: sending would lose what it is for
        raise usage("--idempotency-key is empty", "give a key of 1 to 256 characters, or leave it out")
    envelope = Envelope(tuple(topic or ()), tag, cid, key)
    timeout_s = seconds(timeout, "--timeout")
    if lines or ndjson:
        _stream(
            settings, client_of(ctx), envelope, text, json=json, ndjson=ndjson, confirm=confirm, timeout_s=timeout_s
        )
        return
    content = _content(text)
    if not content and not json:
        raise _empty()
    message = envelope.of_json(content) if json else envelope.of_text(content)
    client = client_of(ctx)
    _check_size(client, message)
    show(settings, client.broadcast(message.encode(), confirm_s=timeout_s if confirm else None), MESSAGE)


def _empty() -> Failure:
    return bad_input("the message is empty", "to send an empty text: --json '\"\"'")


def _content(text: str | None) -> str:
    if text is None:
        raise usage("there is nothing to send", "give a text, - for stdin, @FILE, or --lines")
    if text != "-" and not text.startswith("@"):
        return text
    fd = _open(text)
    raw = bytearray()
    while block := read_some(fd, 1 << 20, _name(text)):
        raw += block
        if len(raw) > READ_BYTES_MAX:
            raise _too_large(f"more than {READ_BYTES_MAX >> 20} MiB")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        text = f"{_name(text)} is not UTF-8: byte 0x{raw[error.start]:02x} at {error.start}"
        raise bad_input(text, "JSON carries only text: encode it first, as with base64") from None


def _open(text: str | None) -> int:
    if text is None or text == "-":
        if sys.stdin is None:
            raise bad_input("stdin is closed", "give it something to read, or name a file: @FILE")
        return sys.stdin.fileno()
    try:
        return os.open(text[1:], os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        hint = "a text that begins with @ names a file; send such a text through - instead"
        raise bad_input(f"{text[1:]}: {error.strerror}", hint) from None


def _name(text: str | None) -> str:
    return "stdin" if text is None or text == "-" else text[1:]


def _check_size(client: "Client", message: str) -> None:
    """Refuse what the daemon says it would refuse, before all of it is sent."""
    size = len(message.encode())
    if size < ASK_LIMIT_BYTES:
        return
    limit = lookup(decode(client.status()), "ffd.limits.messageBytes")
    if limit is not None and size > int(limit):
        raise _too_large(f"{size:,} bytes, and this node takes {int(limit):,}")


def _too_large(why: str) -> Failure:
    return Failure(USAGE, "FFD6008", f"the message is too large: {why}", "send it in parts, for example with --lines")


def _stream(
    settings: Settings,
    client: "Client",
    envelope: "Envelope",
    text: str | None,
    *,
    json: bool,
    ndjson: bool,
    confirm: bool,
    timeout_s: float,
) -> None:
    if json and ndjson:
        raise usage("--json and --ndjson exclude one another", "--ndjson lines are messages, --json lines are values")
    if text is not None and text != "-" and not text.startswith("@"):
        raise usage("--lines and --ndjson read stdin or @FILE, not a text", "drop the text, or the option")
    from ffctl.listening import place_of_last, start_frame
    from ffctl.sending import Lines, Sender, send_lines
    from ffctl.stream import Stream

    printer = Printer(settings, SENT) if settings.output or settings.format else None
    talk = Talk(settings)
    lines = Lines(_open(text), _name(text))
    start = _watch(start_frame, settings.namespace, place_of_last(client, 0, None, 1)) if confirm else None

    def sender(stream: Stream) -> Sender:
        return Sender(
            stream,
            lines,
            _reader(envelope, json=json, ndjson=ndjson),
            settings.namespace,
            printer,
            talk,
            confirm=confirm,
            timeout_s=timeout_s,
        )

    send_lines(settings.path, sender, start, talk)


def _reader(envelope: "Envelope", *, json: bool, ndjson: bool) -> Any:
    """From a line and its number to a message; None for an empty line between JSON values."""
    prefix = envelope.key
    make = envelope.of_object if ndjson else envelope.of_json if json else envelope.of_text

    def message(line: str, number: int) -> str | None:
        if (json or ndjson) and not line.strip():
            return None
        return make(line, f"{prefix}:{number}" if prefix is not None else None)

    return message


def _watch(start_frame: Any, namespace: str, place: str) -> str:
    """The subscription that tells of confirmations from `place` on."""
    options = {"batch": True, "readAhead": 1000, "firstEvent": place}
    return str(start_frame(namespace, None, {"events": "^message_(?:confirmed|rejected)$"}, options))
