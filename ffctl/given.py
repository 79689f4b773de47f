"""What a sending command is given: its options, a text, a file or a stream, and the way of a stream to the daemon."""

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffctl import live
from ffctl.failure import USAGE, Failure, bad_input, read_some, usage
from ffctl.options import seconds
from ffctl.output import Printer
from ffctl.plain import decode, lookup
from ffctl.settings import Settings, client_of, settings_of
from ffctl.talk import Talk
from ffctl.views import SENT

if TYPE_CHECKING:
    from ffctl.client import Client
    from ffctl.message import Envelope

READ_BYTES_MAX = 1 << 26
ASK_LIMIT_BYTES = 1 << 18
"""From this size on the daemon's limit is asked for before a message is sent."""

Text = Annotated[
    str | None, typer.Argument(metavar="TEXT", help="What to send; - is all of stdin, @FILE a file's content.")
]
SendTopics = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--topic",
        metavar="TOPIC",
        autocompletion=live.topics,
        help="The topic it is ordered in; may be repeated. `default` unless given.",
    ),
]
SendTag = Annotated[str | None, typer.Option(metavar="TAG", help="What it means to the application.")]
Cid = Annotated[str | None, typer.Option(metavar="ID", help="The message that this one answers.")]
SendAuthor = Annotated[
    str | None,
    typer.Option(
        metavar="DID",
        autocompletion=live.identities,
        help="Speak as this identity, whose key this node has; its organisation unless given.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="Never make a second message of this key: exit 4. With --lines each line has KEY:NUMBER, and a line "
        "that was accepted before counts as accepted, so a broken stream can be sent again.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The text (or each line) is a JSON value.")]
JsonText = Annotated[bool, typer.Option("--json", help="The text is a JSON value.")]
ByLines = Annotated[bool, typer.Option("--lines", help="Each line of stdin (or @FILE) is a message.")]
Ndjson = Annotated[
    bool,
    typer.Option(
        "--ndjson", help="Each line is an object: topic or topics, tag, cid, idempotencyKey, and value or data."
    ),
]
Confirm = Annotated[bool, typer.Option("--confirm", help="Wait until it is confirmed; exit 7 when it is rejected.")]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="MEMBER",
        autocompletion=live.organizations,
        help="Who is to have it: an organisation's name or an identity's DID, and with @NODE behind it which node of "
        "theirs; may be repeated. This node's organisation is always among them.",
    ),
]
ToGroup = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="GROUP", autocompletion=live.groups, help="A group that exists, by its hash or its name."
    ),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a sending command goes about it."""

    json: bool = False
    lines: bool = False
    ndjson: bool = False
    confirm: bool = False
    timeout: str = "30s"


def check_key(key: str | None) -> None:
    """Refuse an empty idempotency key: most likely a variable that was not set, and sending would lose its point."""
    if key == "":
        raise usage("--idempotency-key is empty", "give a key of 1 to 256 characters, or leave it out")


def one_message(client: "Client", envelope: "Envelope", text: str | None, *, json: bool) -> bytes:
    """The message around what was given; `Failure` when it is empty, no JSON, or more than the daemon takes."""
    content = _content(text)
    if not content and not json:
        raise bad_input("the message is empty", "to send an empty text: --json '\"\"'")
    message = (envelope.of_json(content) if json else envelope.of_text(content)).encode()
    _check_size(client, len(message))
    return message


def _content(text: str | None) -> str:
    if text is None:
        raise usage("there is nothing to send", "give a text, - for stdin, or @FILE")
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


def _check_size(client: "Client", size: int) -> None:
    """Refuse what the daemon says it would refuse, before all of it is sent."""
    if size < ASK_LIMIT_BYTES:
        return
    limit = lookup(decode(client.status()), "ffd.limits.messageBytes")
    if limit is not None and size > int(limit):
        raise _too_large(f"{size:,} bytes, and this node takes {int(limit):,}")


def _too_large(why: str) -> Failure:
    return Failure(USAGE, "FFD6008", f"the message is too large: {why}", "send it in parts, for example with --lines")


def stream(ctx: Any, envelope: "Envelope", text: str | None, wanted: Wanted) -> None:
    """Send each line of what was given as a message, pipelined."""
    if wanted.json and wanted.ndjson:
        raise usage("--json and --ndjson exclude one another", "--ndjson lines are messages, --json lines are values")
    if text is not None and text != "-" and not text.startswith("@"):
        raise usage("--lines and --ndjson read stdin or @FILE, not a text", "drop the text, or the option")
    from ffctl.listening import place_of_last, start_frame
    from ffctl.sending import Lines, Sender, send_lines
    from ffctl.stream import Stream

    settings = settings_of(ctx)
    printer = Printer(settings, SENT) if settings.output or settings.format else None
    talk = Talk(settings)
    lines = Lines(_open(text), _name(text))
    timeout_s = seconds(wanted.timeout, "--timeout")
    start = _watch(start_frame, settings, place_of_last(client_of(ctx), 0, None, 1)) if wanted.confirm else None

    def sender(open_stream: Stream) -> Sender:
        return Sender(
            open_stream,
            lines,
            _reader(envelope, wanted),
            settings.namespace,
            printer,
            talk,
            confirm=wanted.confirm,
            timeout_s=timeout_s,
        )

    send_lines(settings.path, sender, start, talk)


def _reader(envelope: "Envelope", wanted: Wanted) -> Any:
    """From a line and its number to a message; None for an empty line between JSON values."""
    prefix = envelope.key
    make = envelope.of_object if wanted.ndjson else envelope.of_json if wanted.json else envelope.of_text

    def message(line: str, number: int) -> str | None:
        if (wanted.json or wanted.ndjson) and not line.strip():
            return None
        return make(line, f"{prefix}:{number}" if prefix is not None else None)

    return message


def _watch(start_frame: Any, settings: Settings, place: str) -> str:
    """The subscription that tells of confirmations from `place` on."""
    options = {"batch": True, "readAhead": 1000, "firstEvent": place}
    return str(start_frame(settings.namespace, None, {"events": "^message_(?:confirmed|rejected)$"}, options))
