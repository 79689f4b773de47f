"""Is a pinned message to be confirmed or rejected? The rules that every member applies alike (FireFly reference 7.3,
7.6).

Plain decisions over values; what they need to know of the node is asked through two functions.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ffd.inbound.order import Cause
from ffd.model.identity import TAG_CLAIM
from ffd.model.ids import format_uuid
from ffd.model.message import DEFINITION
from ffd.store.identities import KeyOwner

OwnerOf = Callable[[str], KeyOwner | None]
"""Whose key it is, if anybody is known here to own it."""
UndecidedAt = Callable[[str, int], "Verdict | None"]
"""What is to be waited for until it is certain whose key it is at a pin."""
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
    group: str = ""


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
        return _wrong_signer(header, signer)
    is_claim = header.tag == TAG_CLAIM and header.type == DEFINITION
    owner = (claimant_of if is_claim else author_of)(signer)
    if owner is None and is_claim:
        return CONFIRM
    if owner is None:
        # FireFly lets private messages use unregistered keys. What comes through shared storage is a broadcast,
        # whatever it says of itself: else anybody could speak in any author's name.
        return Verdict(cause=Cause.AUTHOR, subject=signer)
    did, identity = owner
    return CONFIRM if did == header.author else _wrong_author(header, did, identity)


def _judge_private_signer(
    header: HeaderView, signer: str, pin: int, owner_of: OwnerOf, undecided_at: UndecidedAt
) -> Verdict:
    """Did the author of a private message sign `pin`? A key that nobody owned by then may be anybody's.

    FireFly lets private messages use unregistered keys (reference 7.3): that its author sent it was proved to each
    member by the node that brought it. By then is by the ledger, else members would judge by what they had heard.
    """
    if not header.key or header.key != signer:
        return _wrong_signer(header, signer)
    owner = owner_of(signer)
    if owner is None:
        return undecided_at(signer, pin) or CONFIRM
    if owner.did == header.author or (owner.pin is not None and owner.pin > pin):
        return CONFIRM
    return _wrong_author(header, owner.did, format_uuid(owner.id))


def _wrong_signer(header: HeaderView, signer: str) -> Verdict:
    return Verdict(
        f"FF10452: Invalid message '{header.id}'. Key '{header.key}' does not match the signer of the pin: {signer}"
    )


def _wrong_author(header: HeaderView, did: str, identity: str) -> Verdict:
    return Verdict(
        f"FF10453: Invalid message '{header.id}'. Author '{header.author}' does not match identity registered to "
        f"{header.key}: {did} ({identity})"
    )


def judge(
    header: HeaderView, signer: str, author_of: AuthorOf, claimant_of: AuthorOf, *, missing_blob: str | None
) -> Verdict:
    """The verdict on a message of which all is here but `missing_blob` (a hash), order and meaning apart."""
    verdict = judge_signer(header, signer, author_of, claimant_of)
    if verdict == CONFIRM and missing_blob is not None:
        return Verdict(cause=Cause.BLOB, subject=missing_blob)
    return verdict


def judge_private(
    header: HeaderView,
    signer: str,
    pin: int,
    owner_of: OwnerOf,
    undecided_at: UndecidedAt,
    *,
    missing_blob: str | None,
) -> Verdict:
    """As `judge`, for a private message whose first pin is `pin`."""
    verdict = _judge_private_signer(header, signer, pin, owner_of, undecided_at)
    if verdict == CONFIRM and missing_blob is not None:
        return Verdict(cause=Cause.BLOB, subject=missing_blob)
    return verdict
