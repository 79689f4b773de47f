"""`ffctl broadcast`: send to everybody."""

import typer

from ffctl.given import (
    ByLines,
    Cid,
    Confirm,
    Json,
    Key,
    Ndjson,
    SendAuthor,
    SendTag,
    SendTopics,
    Text,
    Wanted,
    check_key,
    one_message,
    stream,
)
from ffctl.options import Timeout, seconds
from ffctl.output import show
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import MESSAGE

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
    text: Text = None,
    topic: SendTopics = None,
    tag: SendTag = None,
    cid: Cid = None,
    author: SendAuthor = None,
    key: Key = None,
    json: Json = False,
    lines: ByLines = False,
    ndjson: Ndjson = False,
    confirm: Confirm = False,
    timeout: Timeout = "30s",
) -> None:
    """Send a message to everybody; it is on disk when this ends.

    With --lines or --ndjson a whole stream of messages is sent, in order, and a summary says what became of them;
    -o prints a row for each.
    """
    from ffctl.message import Envelope

    check_key(key)
    envelope = Envelope(tuple(topic or ()), tag, cid, key, author)
    if lines or ndjson:
        stream(ctx, envelope, text, Wanted(json, lines, ndjson, confirm, timeout))
        return
    timeout_s = seconds(timeout, "--timeout")
    client = client_of(ctx)
    message = one_message(client, envelope, text, json=json)
    show(settings_of(ctx), client.broadcast(message, confirm_s=timeout_s if confirm else None), MESSAGE)
