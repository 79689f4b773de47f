"""`ffctl request`: a message that is answered."""

from typing import Annotated

import typer

from ffctl.failure import usage
from ffctl.given import (
    JsonText,
    Key,
    SendAuthor,
    SendTopics,
    Text,
    To,
    ToGroup,
    check_key,
    one_message,
)
from ffctl.options import Timeout, seconds
from ffctl.output import show
from ffctl.recipients import Recipients, recipients
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import MESSAGE_WITH_DATA

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "ffctl request --to org2 --tag price --json '{\"item\": 7}' --format '{value}'",
        "ffctl request --everybody --tag who-is-there --timeout 5s hello",
        "# the answer, by whoever heard it (`ffctl tail --tag price` tells its id and its group):",
        "ffctl send --group HASH --cid ID 12.50",
    )
)
def request(
    ctx: typer.Context,
    tag: Annotated[str, typer.Option(metavar="TAG", help="What is asked for: by it a responder knows a request.")],
    text: Text = None,
    to: To = None,
    group: ToGroup = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="With --to: the group's name.")] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Ask by a broadcast: whoever hears it may answer.")] = (
        False
    ),
    topic: SendTopics = None,
    author: SendAuthor = None,
    unpinned: Annotated[bool, typer.Option("--unpinned", help="Ask without the ledger.")] = False,
    key: Key = None,
    json: JsonText = False,
    timeout: Timeout = "30s",
) -> None:
    """Send a message, and wait for its answer.

    The first message whose cid is the request's id is the answer, and printed. Exit 6 when none came in time: it may
    still come, and `ffctl msg list --cid ID` will show it.
    """
    from ffctl.message import Envelope

    check_key(key)
    timeout_s = seconds(timeout, "--timeout")
    if everybody and (to or group or name or unpinned):
        raise usage("--everybody goes with none of --to, --group, --name and --unpinned", "drop it, or those")
    client = client_of(ctx)
    whom = Recipients() if everybody else recipients(client, to, group, name)
    envelope = Envelope(
        tuple(topic or ()), tag, None, key, author, whom,
        txtype="unpinned" if unpinned else None, type="broadcast" if everybody else None,
    )  # fmt: skip
    message = one_message(client, envelope, text, json=json)
    show(settings_of(ctx), client.request(message, reply_s=timeout_s), MESSAGE_WITH_DATA)
