"""Who a message is from, by what the sender gave (FireFly reference 4.1)."""

import pytest

from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid
from ffd.model.namespace import org_did
from ffd.outbound import signer
from ffd.plugins.ledger.signing import normal_key
from tests.outbound.author import Author, key_of, uid

ME, BOB, UNKNOWN = key_of("me"), key_of("bob"), key_of("nobody")
# author and key as given; whose DID and whose key they are resolved to
RESOLVED = {
    "nothing": ("", "", "me", ME),
    "my key": ("", ME, "me", ME),
    "my key in capitals": ("", ME.upper(), "me", ME),
    "my key behind 0x": ("", f"0x{ME}", "me", ME),
    "my key and my DID": (org_did("me"), ME, "me", ME),
    "my key and my bare name": ("me", ME, "me", ME),
    "another's key": ("", BOB, "bob", BOB),
    "an unknown key with its author": ("carl", UNKNOWN, "carl", UNKNOWN),
    "an unknown key with its author's DID": (org_did("carl"), UNKNOWN, "carl", UNKNOWN),
    "a name alone": ("bob", "", "bob", BOB),
    "a DID by the organisation's id": (f"did:firefly:org/{format_uuid(uid('bob'))}", "", "bob", BOB),
    "a DID alone": (org_did("bob"), "", "bob", BOB),
}


@pytest.mark.parametrize("author_, key, did, resolved", RESOLVED.values(), ids=RESOLVED.keys())
async def test_author_and_key_are_resolved(
    author: Author, autojump_clock: object, author_: str, key: str, did: str, resolved: str
) -> None:
    found = signer.resolve(author.store, author.namespace, normal_key, author_, key)
    assert found == (org_did(did), resolved)


# author and key as given; the cause that the refusal names
REFUSED = {
    "a key that is another's": ("carl", BOB, "FF10355"),
    "a key that is another's, by DID": (org_did("me"), BOB, "FF10355"),
    "an unknown key without an author": ("", UNKNOWN, "FF10356"),
    "an unknown key of an unknown author": ("zoe", UNKNOWN, "FF10277"),
    "an unknown name": ("zoe", "", "FF10277"),
    "an unknown DID": (org_did("zoe"), "", "FF10277"),
    "a node's bare name": ("machine", "", "FF10277"),
    "an author without a key": ("carl", "", "FF10353"),
    "a DID of another kind": ("did:web:example.com", "", "FF10349"),
    "a key that is none": ("", "tea", "FF00106"),
    "a key that is too short": ("", "ab" * 20, "FF00107"),
}


@pytest.mark.parametrize("author_, key, cause", REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_resolved_is_refused_with_its_cause(
    author: Author, autojump_clock: object, author_: str, key: str, cause: str
) -> None:
    with pytest.raises(Invalid, match=f"^FF10206: Invalid author specified: {cause}: "):
        signer.resolve(author.store, author.namespace, normal_key, author_, key)
