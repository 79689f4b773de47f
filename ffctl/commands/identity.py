"""`ffctl identity`: who takes part."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffctl import live
from ffctl.failure import CONFLICT, Failure, bad_input, usage
from ffctl.listing import Collection, show_list
from ffctl.options import Follow, Last, Since, Timeout, Until, exactly, known, seconds, window
from ffctl.output import show, show_all
from ffctl.plain import decode, lookup
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import IDENTITY

if TYPE_CHECKING:
    from ffctl.client import Client

app = typer.Typer(add_completion=False, rich_markup_mode=None)

CLAIMED = "FF10407"
"""What FireFly says when an identity is claimed already."""


@app.callback()
def identity() -> None:
    """Identities: organisations, nodes, and others who take part."""


def _types(incomplete: str) -> list[str]:
    return [type for type in live.IDENTITY_TYPES if type.startswith(incomplete)]


@app.command(
    "register",
    epilog=examples(
        "ffctl identity register                             # this node and its organisation",
        "ffctl identity register kitchen --description 'where tea is made'",
        "ffctl broadcast --author did:firefly:kitchen 'tea is ready'",
    ),
)
def register(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A new identity. Without it: this node and its organisation.")
    ] = None,
    type: Annotated[
        str, typer.Option(metavar="TYPE", autocompletion=_types, help="What it is: custom or org.")
    ] = "custom",
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="DID",
            autocompletion=live.identities,
            help="Who vouches for it, and has its key here: this node's organisation unless given.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="What it signs with: a key of this node. A new one unless given.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What others read about it.")] = None,
    profile: Annotated[str | None, typer.Option(metavar="JSON", help="An object that others find with it.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Wait until all who read the ledger can know it.")
    ] = True,
    timeout: Timeout = "30s",
) -> None:
    """Make an identity known to all members, by a claim on the ledger.

    A node's own organisation and node can be registered once; to do it again changes nothing. Any other gets a key of
    its own, and may then be the --author of messages. Exit 7 when the claim is rejected: its name or key is taken.
    """
    wait_s = seconds(timeout, "--timeout") if confirm else None
    client = client_of(ctx)
    if name is None:
        if key or parent or description or profile or type != "custom":
            raise usage("this node and its organisation are as its configuration says", "give a name, or no options")
        show_all(settings_of(ctx), register_own(client, confirm_s=wait_s), IDENTITY)
        return
    known("--type", [type], ("custom", "org"))
    claim = {"name": name, "type": type, "key": key, "parent": parent, "description": description}
    claim["profile"] = _object(profile) if profile is not None else None
    claim["key"] = key or decode(client.make_key())["key"]
    body = json.dumps({field: value for field, value in claim.items() if value is not None}, ensure_ascii=False)
    show(settings_of(ctx), client.claim(body.encode(), confirm_s=wait_s), IDENTITY)


def register_own(client: "Client", *, confirm_s: float | None) -> list[bytes]:
    """Claim the node's organisation and the node itself, unless they are claimed; both as they are then."""
    found = []
    status = decode(client.status())
    for kind, whose in (("organizations", "org"), ("nodes", "node")):
        try:
            found.append(client.claim_own(kind, confirm_s=confirm_s))
        except Failure as refused:
            if refused.exit_code != CONFLICT or refused.code != CLAIMED:
                raise
            found.append(client.identity_of(kind, str(lookup(status, f"{whose}.name"))))
    return found


def _object(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise bad_input(f"--profile is not JSON: {error}", 'write an object like \'{"city": "Leeds"}\'') from None
    if not isinstance(found, dict):
        raise bad_input("--profile is no object", 'write one like \'{"city": "Leeds"}\'')
    return found


@app.command("list", epilog=examples("ffctl identity list", "ffctl identity list --type org --format '{name}'"))
def list_identities(
    ctx: typer.Context,
    type: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", autocompletion=_types, help="Only these: org, node or custom; may be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this name, exactly.")] = None,
    keys: Annotated[bool, typer.Option("--keys", help="With what proves each: its keys.")] = False,
    since: Since = None,
    until: Until = None,
    last: Last = 0,
    follow: Follow = False,
) -> None:
    """List the identities that this node knows, the newest last."""
    query = [
        *exactly("type", known("--type", type, live.IDENTITY_TYPES)),
        *exactly("name", name),
        *window(since, until),
        *([("fetchverifiers", "true")] if keys else []),
    ]
    collection = Collection(client_of(ctx).identities, IDENTITY, field="created", key="created")
    show_list(settings_of(ctx), collection, query, last=last, follow=follow)


@app.command("show", epilog=examples("ffctl identity show did:firefly:org/org1", "ffctl identity show org1 -o json"))
def show_identity(
    ctx: typer.Context,
    who: Annotated[
        str,
        typer.Argument(
            metavar="WHO", autocompletion=live.identities, help="Its DID or id; a name alone is an organisation's."
        ),
    ],
) -> None:
    """Show one identity, its profile, and the keys that prove it."""
    client = client_of(ctx)
    found = client.identity(who) if _is_id(who) else client.identity_of("organizations", who)
    show(settings_of(ctx), found, IDENTITY)


def _is_id(text: str) -> bool:
    return text.startswith("did:") or (len(text) == 36 and text.count("-") == 4)
