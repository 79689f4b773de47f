"""`ffctl send`: a private message, to a group."""

from typing import Annotated

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
    To,
    ToGroup,
    Wanted,
    check_key,
    one_message,
    stream,
)
from ffctl.options import Timeout, seconds
from ffctl.output import show
from ffctl.recipients import recipients
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import MESSAGE

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "ffctl send --to org2 --topic offers 'seven at noon'",
        "ffctl send --to org2 --to org3@node3 --name board --json '{\"vote\": true}' --confirm",
        "ffctl send --group board --cid 4ea27cce-a103-4187-b318-f7b20fd87bf3 yes",
        "seq 1000 | ffctl send --lines --to org2 --topic numbers",
    )
)
def send(
    ctx: typer.Context,
    text: Text = None,
    to: To = None,
    group: ToGroup = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --to: the group's name. Another name is another group.")
    ] = None,
    topic: SendTopics = None,
    tag: SendTag = None,
    cid: Cid = None,
    author: SendAuthor = None,
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="Without the ledger: sooner there, in the order sent, and unproven.")
    ] = False,
    key: Key = None,
    json: Json = False,
    lines: ByLines = False,
    ndjson: Ndjson = False,
    confirm: Confirm = False,
    timeout: Timeout = "30s",
) -> None:
    """Send to some members only; it is on disk when this ends.

    It goes from node to node, and nothing of it to anybody else: the ledger has a mark that tells no outsider who wrote
    to whom about what. The members, with this node's organisation, are a group; the same members and name are always
    the same one.
    """
    from ffctl.message import Envelope

    check_key(key)
    client = client_of(ctx)
    timeout_s = seconds(timeout, "--timeout")
    whom = recipients(client, to, group, name)
    envelope = Envelope(tuple(topic or ()), tag, cid, key, author, whom, "unpinned" if unpinned else None)
    if lines or ndjson:
        stream(ctx, envelope, text, Wanted(json, lines, ndjson, confirm, timeout))
        return
    message = one_message(client, envelope, text, json=json)
    show(settings_of(ctx), client.send_private(message, confirm_s=timeout_s if confirm else None), MESSAGE)
