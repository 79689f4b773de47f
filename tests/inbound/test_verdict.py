"""Confirm, reject or wait: FireFly's rules for one message (reference 7.3, 7.6)."""

import pytest

from ffd.inbound.order import Cause
from ffd.inbound.verdict import CONFIRM, HeaderView, Verdict, judge

KNOWN = {"ka": ("did:alice", "id-a"), "kb": ("did:bob", "id-b")}
CLAIMED = {"kb": ("did:bob", "id-b")}
WRONG_SIGNER = "FF10452: Invalid message 'm'. Key '{}' does not match the signer of the pin: {}"
WRONG_AUTHOR = "FF10453: Invalid message 'm'. Author '{}' does not match identity registered to {}: {} ({})"

# type, author and key of the header, signer of the pin; what it is judged
SIGNERS = {
    "the author's own key": ("broadcast", "did:alice", "ka", "ka", CONFIRM),
    "no key": ("broadcast", "did:alice", "", "", Verdict(WRONG_SIGNER.format("", ""))),
    "another key than the pin's": ("broadcast", "did:alice", "ka", "kb", Verdict(WRONG_SIGNER.format("ka", "kb"))),
    "a key in another spelling": ("broadcast", "did:alice", "KA", "ka", Verdict(WRONG_SIGNER.format("KA", "ka"))),
    "somebody else's key": (
        "broadcast", "did:alice", "kb", "kb", Verdict(WRONG_AUTHOR.format("did:alice", "kb", "did:bob", "id-b"))
    ),
    "no author": ("broadcast", "", "kb", "kb", Verdict(WRONG_AUTHOR.format("", "kb", "did:bob", "id-b"))),
    "a key that nobody knows": ("broadcast", "did:zoe", "kz", "kz", Verdict(cause=Cause.AUTHOR, subject="kz")),
    "a definition by an unknown key": ("definition", "did:zoe", "kz", "kz", Verdict(cause=Cause.AUTHOR, subject="kz")),
    "private by an unknown key": ("private", "did:zoe", "kz", "kz", Verdict(cause=Cause.AUTHOR, subject="kz")),
    "a group by an unknown key": ("groupinit", "did:zoe", "kz", "kz", Verdict(cause=Cause.AUTHOR, subject="kz")),
    "private by somebody else's key": (
        "private", "did:zoe", "kb", "kb", Verdict(WRONG_AUTHOR.format("did:zoe", "kb", "did:bob", "id-b"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("type, author, key, signer, expected", SIGNERS.values(), ids=SIGNERS.keys())
def test_who_signed(type: str, author: str, key: str, signer: str, expected: Verdict) -> None:
    header = HeaderView(id="m", type=type, author=author, key=key)
    assert judge(header, signer, KNOWN.get, CLAIMED.get, missing_blob=None) == expected


CLAIMS = {
    "a claim with a new key": ("did:zoe", "kz", CONFIRM),
    "a claim with a key that only this node knows": ("did:zoe", "ka", CONFIRM),
    "a claim with the key of somebody known": (
        "did:zoe", "kb", Verdict(WRONG_AUTHOR.format("did:zoe", "kb", "did:bob", "id-b"))
    ),
    "a claim once more": ("did:bob", "kb", CONFIRM),
}  # fmt: skip


@pytest.mark.parametrize("author, key, expected", CLAIMS.values(), ids=CLAIMS.keys())
def test_who_claims(author: str, key: str, expected: Verdict) -> None:
    header = HeaderView(id="m", type="definition", tag="ff_identity_claim", author=author, key=key)
    assert judge(header, key, KNOWN.get, CLAIMED.get, missing_blob=None) == expected


def test_a_broadcast_with_the_tag_of_a_claim_claims_nothing() -> None:
    header = HeaderView(id="m", type="broadcast", tag="ff_identity_claim", author="did:zoe", key="kz")
    assert judge(header, "kz", KNOWN.get, CLAIMED.get, missing_blob=None).cause is Cause.AUTHOR


BLOB = "5f" * 32
# signer, missing blob; what it is judged
CONTENT = {
    "all there": ("ka", None, CONFIRM),
    "a blob to come": ("ka", BLOB, Verdict(cause=Cause.BLOB, subject=BLOB)),
    "the signer comes before all": ("kb", BLOB, Verdict(WRONG_SIGNER.format("ka", "kb"))),
}  # fmt: skip


@pytest.mark.parametrize("signer, blob, expected", CONTENT.values(), ids=CONTENT.keys())
def test_what_it_carries(signer: str, blob: str | None, expected: Verdict) -> None:
    header = HeaderView(id="m", author="did:alice", key="ka", tag="t")
    assert judge(header, signer, KNOWN.get, CLAIMED.get, missing_blob=blob) == expected
