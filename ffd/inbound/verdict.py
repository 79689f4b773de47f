"""Is a pinned message to be confirmed or rejected? The rules that every member applies alike (FireFly reference 7.3,
7.6).

Plain decisions over values; what they need to know of the node is asked through two functions.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ffd.inbound.order import Cause
from ffd.model.identity import TAG_CLAIM
from ffd.model.message import DEFINITION

AuthorOf = Callable[[str], tuple[str, str] | None]
"""The DID and the id text of the identity that signs with a key, if it is known here."""


class HeaderView(msgspec.Struct, frozen=True):
    """Of a stored header, what a verdict takes."""

    id: str = ""
    cid: str = ""
    type: str = ""
    author: str = ""
    key: str = ""
    topics: tuple[str, ...] = ()
    tag: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """Confirm (both empty), reject with a reason, or wait for a cause and its subject."""

    reason: str = ""
    cause: Cause | None = None
    subject: str = ""


CONFIRM = Verdict()


def judge_signer(header: HeaderView, signer: str, author_of: AuthorOf, claimant_of: AuthorOf) -> Verdict:
    """Did the author sign the pin? A key that nobody is known to own waits until somebody is.

    Who claims an identity brings its key: what the claim is worth is decided where it is taken (FireFly reference 7.3).
    By then only those count whom the network knows (`claimant_of`), not what this node says of itself.
    """
    if not header.key or header.key != signer:
        return Verdict(
            f"FF10452: Invalid message '{header.id}'. Key '{header.key}' does not match the signer of the pin: {signer}"
        )
    is_claim = header.tag == TAG_CLAIM and header.type == DEFINITION
    owner = (claimant_of if is_claim else author_of)(signer)
    if owner is None and is_claim:
        return CONFIRM
    if owner is None:
        # FireFly lets private messages use unregistered keys. What comes through shared storage is a broadcast,
        # whatever it says of itself: else anybody could speak in any author's name.
        return Verdict(cause=Cause.AUTHOR, subject=signer)
    did, identity = owner
    if did != header.author:
        return Verdict(
            f"FF10453: Invalid message '{header.id}'. Author '{header.author}' does not match identity registered to "
            f"{header.key}: {did} ({identity})"
        )
    return CONFIRM


def judge(
    header: HeaderView, signer: str, author_of: AuthorOf, claimant_of: AuthorOf, *, missing_blob: str | None
) -> Verdict:
    """The verdict on a message of which all is here but `missing_blob` (a hash), order and meaning apart."""
    verdict = judge_signer(header, signer, author_of, claimant_of)
    if verdict == CONFIRM and missing_blob is not None:
        return Verdict(cause=Cause.BLOB, subject=missing_blob)
    return verdict
