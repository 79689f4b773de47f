"""Topics of definitions and hashes of verifiers are those that FireFly's own tests fix (reference 2.9)."""

import pytest

from ffd.model.identity import definition_topic, identity_topic, verifier_hash


@pytest.mark.parametrize(
    "made, fixed",
    [
        (identity_topic("did:firefly:org/org1"), "7ea456fa05fc63778e7c4cb22d0498d73f184b2778c11fd2ba31b5980f8490b9"),
        (identity_topic("did:firefly:node/node1"), "14c4157d50d35470b15a6576affa62adea1b191e8238f2273a099d1ef73fb335"),
        (identity_topic("did:firefly:org/org_0"), "ff216671366b676cf14633a543ab62743d527a8d5567bed3394983714da15bd3"),
        (definition_topic("datatype", "ok", "ok"), "8e23c0a7fa9ec15c68a662e0e502933facb3d249409efa2b4f89d479b9f990cb"),
        (definition_topic("datatype", "", "widget"), "1e38979b877aa38656e81181df558f88f10125443911e72204e0984c37f79815"),  # noqa: E501
        (definition_topic("tokenpool", "ok", "ok"), "73008386c5579b7015385528eb892f7773e13a20015c692f6b90b26e413fe8a4"),
        (definition_topic("contractapi", "ns1", "banana"), "a2f42ab7c9ef44ec08a103c565041b48b4cff4e4176e5faacfe8512c361e4f2c"),  # noqa: E501
        (verifier_hash("ns1", "ethereum_address", "0xdfceac9b26ac099d7e4df958c22939878c19c948").hex(), "c7742ed06a6c36dece56d9c6d65d4ee6ba0db2a643e7f8efc75ec4e7ca31d45d"),  # noqa: E501
        (verifier_hash("default", "ethereum_address", "0x7e3bb2198959d3a1c3ede9db1587560320ce8998").hex(), "b2e1997a45974ce2eb05abac6733b088e8c8f3be3aa670efe552ce0a186100a1"),  # noqa: E501
    ],
)  # fmt: skip
def test_the_hash_is_firefly_s(made: str, fixed: str) -> None:
    assert made == fixed
