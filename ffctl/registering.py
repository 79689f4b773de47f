"""A node's own identities made known: its organisation, then itself."""

from typing import TYPE_CHECKING

from ffctl.failure import CONFLICT, Failure
from ffctl.plain import decode, lookup

if TYPE_CHECKING:
    from ffctl.client import Client

CLAIMED = "FF10407"
"""What FireFly says when an identity is claimed already."""


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
