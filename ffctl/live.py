"""Live names for completion: asked of the daemon within a deadline, and nothing at all when it does not answer."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ffctl.client import Client

DEADLINE_S = 0.1

EVENT_TYPES = (
    "message_confirmed",
    "message_rejected",
    "transaction_submitted",
    "blockchain_event_received",
    "datatype_confirmed",
    "identity_confirmed",
    "identity_updated",
    "token_pool_confirmed",
    "token_pool_op_failed",
    "token_transfer_confirmed",
    "token_transfer_op_failed",
    "token_approval_confirmed",
    "token_approval_op_failed",
    "contract_interface_confirmed",
    "contract_api_confirmed",
    "blockchain_invoke_op_succeeded",
    "blockchain_invoke_op_failed",
    "blockchain_contract_deploy_op_succeeded",
    "blockchain_contract_deploy_op_failed",
)
"""All of `ffd.model.event`, kept here too since its import costs more than the rest of a start."""
IDENTITY_TYPES = ("org", "node", "custom")
FILTER_KEYS = (
    "events",
    "topic",
    "message.tag",
    "message.author",
    "message.group",
    "transaction.type",
    "blockchainevent.name",
    "blockchainevent.listener",
)


def subscriptions(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of durable subscriptions."""
    return _asked(
        ctx,
        lambda client: (
            (row["name"], row.get("transport", "")) for row in map(_row, client.subscriptions([("limit", "1000")]))
        ),
        incomplete,
    )


def topics(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Topics of the latest events."""
    return _asked(
        ctx,
        lambda client: (
            (topic, "")
            for topic in dict.fromkeys(
                row.get("topic", "") for row in map(_row, client.events([("limit", "500"), ("sort", "-sequence")]))
            )
            if topic
        ),
        incomplete,
    )


def organizations(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of organisations."""
    return _asked(
        ctx,
        lambda client: (
            (row["name"], row.get("description", ""))
            for row in map(_row, client.identities([("type", "=org"), ("limit", "1000")]))
        ),
        incomplete,
    )


def identities(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """DIDs of identities."""
    return _asked(
        ctx,
        lambda client: (
            (row["did"], row.get("description", "")) for row in map(_row, client.identities([("limit", "1000")]))
        ),
        incomplete,
    )


def groups(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of groups, and the hashes of those that have none."""
    return _asked(
        ctx,
        lambda client: (
            (row["name"] or row["hash"], f"{len(row['members'])} members")
            for row in map(_row, client.groups([("limit", "1000")]))
        ),
        incomplete,
    )


def event_types(incomplete: str) -> list[str]:
    """Types of events."""
    return [name for name in EVENT_TYPES if name.startswith(incomplete)]


def filter_keys(incomplete: str) -> list[str]:
    """Keys of a subscription's filter, ready for the expression."""
    return [f"{key}=" for key in FILTER_KEYS if key.startswith(incomplete)]


def places(incomplete: str) -> list[str]:
    """Where a subscription can begin."""
    return [name for name in ("oldest", "newest") if name.startswith(incomplete)]


def _row(raw: bytes) -> Any:
    from ffctl.plain import decode

    return decode(raw)


def _asked(
    ctx: typer.Context, ask: "Callable[[Client], Iterable[tuple[str, str]]]", incomplete: str
) -> list[tuple[str, str]]:
    from ffctl.client import Client
    from ffctl.failure import Failure
    from ffctl.plain import visible
    from ffctl.settings import settings_of

    settings = settings_of(ctx)
    try:
        found = list(ask(Client(settings.path, settings.namespace, timeout_s=DEADLINE_S)))
    except (Failure, ValueError, KeyError):
        return []
    return [(visible(name), visible(words)) for name, words in sorted(found) if name.startswith(incomplete)]
