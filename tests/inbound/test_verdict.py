"""Confirm, reject or wait: FireFly's rules for one message (reference 7.3, 7.6)."""

import pytest

from ffd.inbound.order import Cause
from ffd.inbound.verdict import CONFIRM, HeaderView, Verdict, judge

KNOWN = {"ka": ("did:alice", "id-a"), "kb": ("did:bob", "id-b")}
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
    assert judge(header, signer, KNOWN.get, needs_datatype=False, missing_blob=None) == expected


NO_TYPE = Verdict("FF10195: Rejected message 'm': a datatype that its data follows is not known")
BLOB = "5f" * 32
NO_BLOB = Verdict(cause=Cause.BLOB, subject=BLOB)
# type, signer, datatype wanted, missing blob; what it is judged
CONTENT = {
    "all there": ("broadcast", "ka", False, None, CONFIRM),
    "a blob to come": ("broadcast", "ka", False, BLOB, NO_BLOB),
    "a datatype that nobody knows": ("broadcast", "ka", True, None, NO_TYPE),
    "the blob comes first": ("broadcast", "ka", True, BLOB, NO_BLOB),
    "a definition of an unknown kind": (
        "definition", "ka", False, None, Verdict("FF10400: Rejected unknown definition 't' of message 'm'")
    ),
    "the signer comes before all": ("broadcast", "kb", True, BLOB, Verdict(WRONG_SIGNER.format("ka", "kb"))),
}  # fmt: skip


@pytest.mark.parametrize("type, signer, datatype, blob, expected", CONTENT.values(), ids=CONTENT.keys())
def test_what_it_carries(type: str, signer: str, datatype: bool, blob: str | None, expected: Verdict) -> None:
    header = HeaderView(id="m", type=type, author="did:alice", key="ka", tag="t")
    assert judge(header, signer, KNOWN.get, needs_datatype=datatype, missing_blob=blob) == expected
