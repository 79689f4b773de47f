"""`ffctl identity` and requests by broadcast, with the real ffd."""

import json
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ffctl.conftest import COMMAND, Ffctl, environment
from tests.ffctl.test_with_ffd import running


@pytest.fixture(autouse=True)
def ffd(place: Path) -> Iterator[None]:
    with running(place):
        yield


def test_a_node_and_its_organisation_are_registered_once(ffctl: Ffctl) -> None:
    done = ffctl("identity", "register", "-o", "json")
    assert done.code == 0, done.err
    org, node = json.loads(done.out)
    assert (org["did"], node["did"]) == ("did:firefly:org/org0", "did:firefly:node/node0")
    assert org["messages"]["claim"] and node["parent"] == org["id"]
    again = json.loads(ffctl("identity", "register", "-o", "json").out)
    assert [each["messages"] for each in again] == [org["messages"], node["messages"]]
    assert ffctl("identity", "list", "--format", "{type} {name}").lines == ["org org0", "node node0"]
    assert ffctl("identity", "list", "--type", "node", "-o", "id").lines == [node["id"]]
    for who in ("org0", org["id"], org["did"]):
        assert json.loads(ffctl("identity", "show", who, "-o", "json").out)["verifiers"]


def test_an_identity_of_its_own_gets_a_key_and_speaks(ffctl: Ffctl) -> None:
    made = ffctl("identity", "register", "kitchen", "--description", "tea", "--profile", '{"floor":1}', "-o", "json")
    assert made.code == 0, made.err
    identity = json.loads(made.out)
    assert identity["did"] == "did:firefly:kitchen" and identity["profile"] == {"floor": 1}
    assert identity["messages"]["verification"]
    assert ffctl("broadcast", "--author", "did:firefly:kitchen", "ready", "--confirm").code == 0
    said = ffctl("msg", "list", "--author", "did:firefly:kitchen", "--data", "-n", "1", "--format", "{value}")
    assert said.out == "ready\n"
    cook = ffctl("identity", "register", "cook", "--parent", "did:firefly:kitchen", "--format", "{did}")
    assert cook.out == "did:firefly:cook\n"
    own = json.loads(ffctl("identity", "list", "--name", "cook", "--keys", "-o", "json").out)
    assert own[0]["parent"] == identity["id"] and own[0]["verifiers"]


def test_a_name_or_a_key_is_had_once(ffctl: Ffctl) -> None:
    assert ffctl("identity", "register", "kitchen").code == 0
    key = ffctl("identity", "show", "did:firefly:kitchen", "--format", "{key}").out.strip()
    taken = ffctl("identity", "register", "kitchen", "--timeout", "10s")
    assert taken.code == 7 and "rejected" in taken.err, taken
    same_key = ffctl("identity", "register", "pantry", "--key", key, "--timeout", "10s")
    assert same_key.code != 0 and same_key.out == "", same_key
    assert ffctl("identity", "show", "did:firefly:pantry").code == 3


ODD = {
    "a bad name": (["register", "a b"], 2),
    "a profile that is no JSON": (["register", "a", "--profile", "{"], 2),
    "a profile that is no object": (["register", "a", "--profile", "[]"], 2),
    "an unknown parent": (["register", "a", "--parent", "did:firefly:nobody"], None),
    "an unknown type": (["register", "a", "--type", "king"], 2),
    "options without a name": (["register", "--description", "x"], 2),
    "an unknown organisation": (["show", "nobody"], 3),
    "an unknown identity": (["show", "did:firefly:nobody"], 3),
    "an unknown type in a list": (["list", "--type", "king"], 2),
}


def test_odd_wishes_change_nothing(ffctl: Ffctl) -> None:
    before = ffctl("identity", "list").out
    for case, (words, code) in ODD.items():
        done = ffctl("identity", *words)
        assert done.code == code if code else done.code != 0, (case, done)
        assert all(line.startswith(("ffctl: ", "hint: ")) for line in done.err.splitlines()), (case, done.err)
    assert ffctl("identity", "list").out == before


def test_a_question_to_everybody_is_answered_by_whoever_hears_it(place: Path, ffctl: Ffctl) -> None:
    words = [*COMMAND, "request", "--everybody", "--tag", "price", "item 7", "--format", "{value}"]
    with subprocess.Popen(words, env=environment(place / "ffd.sock"), stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout
        heard = ffctl("tail", "--from", "oldest", "--tag", "price", "--count", "1", "--format", "{reference}")
        assert not select.select([asking.stdout], [], [], 0.2)[0]
        assert ffctl("broadcast", "--cid", heard.out.strip(), "12.50").code == 0
        assert asking.stdout.readline() == "12.50\n"
        assert asking.wait(20) == 0
