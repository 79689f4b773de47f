"""Groups: named by a hash over their members, in the sender's order."""

from typing import Any

import pytest

from ffd.model.errors import Invalid
from ffd.model.group import Member, check_group, check_group_hash, group_hash, group_identity_json, sort_members
from tests.model.vectors import cases


def members_of(given: list[dict[str, str]]) -> list[Member]:
    return [Member(member["identity"], member.get("node", "")) for member in given]


def sent(given: dict[str, Any]) -> tuple[Member, ...]:
    """What the sender hashes: the local member is added when nobody is on the local node."""
    members, local = members_of(given["members"]), members_of([given["local"]])[0]
    if all(member.node != local.node for member in members):
        members.append(local)
    check_group(given["name"], members)
    return sort_members(members)


@cases("group")
def test_a_group_is_hashed_as_firefly_hashes_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    namespace, name = given["namespace"], given["name"]
    if not expected["valid"]:
        with pytest.raises(Invalid, match=expected["code"]):
            form(given)
        return
    members = form(given)
    assert group_identity_json(namespace, name, members) == expected["identity_json"]
    assert group_hash(namespace, name, members).hex() == expected["hash"]


def form(given: dict[str, Any]) -> tuple[Member, ...]:
    if given["kind"] == "send":
        return sent(given)
    members = tuple(members_of(given["members"]))
    check_group_hash(given["namespace"], given["name"], members, bytes.fromhex(given["hash"]))
    return members


def test_equal_identities_are_sorted_by_node() -> None:
    one, two = Member("did:a", "1"), Member("did:a", "2")
    assert sort_members([two, one]) == sort_members([one, two]) == (one, two)
