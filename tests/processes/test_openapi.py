"""Is the description of the API true? Every operation is asked again and again, by what its description allows and by
what it does not, of a real daemon that has something to show; and what comes back must be as described.

What is asked is decided by the description alone, so that a run repeats exactly. `FFD_EXAMPLES=200` asks more often.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ffd.api.app import ROUTES
from ffd.api.openapi import described as described_rows
from ffd.api.openapi import path_of
from ffd.api.route import Route
from ffd.model.ids import parse_uuid
from tests.processes.node import House, Node
from tests.processes.test_tcp_door import OPEN, url_of

EXAMPLES = int(os.environ.get("FFD_EXAMPLES", "6"))
"""How often an operation is asked in each of the two ways."""
Case: TypeAlias = schemathesis.Case[Any]
CHECKS = [
    content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip
FIREFLYS_500 = {"FF10277"}
"""What FireFly answers with 500, though it is the request that is wrong."""
PATIENCE = "[timeouts]\nrequest_s = 2\nrequest_max_s = 2\n"
TIMES = {
    **dict.fromkeys(("created", "updated", "confirmed", "timestamp"), ">=2024-03-01T12:00:00Z"),
    "startTime": "1000000000",
    "endTime": "2000000000",
}
"""What is said for a time, where any text would do."""

KNOWN_NAMES = {"ns": "default", "version": "1", "did": "did:firefly:org/org0", "parent": "pictures"}
"""What parts of paths name that there is."""


class Described:
    """A daemon over TCP, its description as strict as it can be read, and ids of what it knows."""

    def __init__(self, url: str) -> None:
        self.session = requests.Session()
        self.url = url
        self.document = self._get("/api/openapi.json")
        self.schema = schemathesis.openapi.from_dict(flat(strict(self.document)))
        self.schema.config.update(base_url=url)
        self.known: dict[str, list[str]] = {}

    def fill(self) -> None:
        """Let there be something of everything that can be made."""
        header = {"topics": ["news", "more"], "tag": "greeting"}
        for n in range(3):
            message = {"header": header, "data": [{"value": {"n": n}}, {"value": n}], "idempotencyKey": f"k{n}"}
            assert self._post("messages/broadcast?confirm=true", message).status_code == 200
        schema = {"type": "object", "required": ["n"]}
        for path, body in (
            ("datatypes?confirm", {"name": "widget", "version": "1", "value": schema}),
            ("network/organizations/self?confirm", {}),
            ("network/nodes/self?confirm", {}),
            ("identities?confirm", {"name": "child", "key": self._post("keys", {}).json()["key"]}),
        ):
            assert (answer := self._post(path, body)).status_code == 200, answer.text
        upload = self.session.post(f"{self.url}/api/v1/data", files={"file": ("tea.jpg", b"a picture")}, timeout=60)
        assert upload.status_code == 201, upload.text
        for name in ("one", "two"):
            filter = {"topic": "^news$", "message": {"tag": "."}}
            assert self._post("subscriptions", {"name": name, "filter": filter}).status_code == 201
        self.learn()

    def learn(self) -> None:
        """Keep the ids of what there is, by the first word of a path."""
        for route in ROUTES:
            if route.method == "GET" and not route.parts and not route.everywhere and route.answer.startswith("["):
                found = [each for each in self._get(f"/api/v1/{route.path}") if isinstance(each, dict)]
                self.known[route.path.split("/")[0]] = [identify(each) for each in found]

    def _get(self, target: str) -> Any:
        answer = self.session.get(self.url + target, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _post(self, path: str, value: Any) -> requests.Response:
        return self.session.post(f"{self.url}/api/v1/{path}", json=value, timeout=60)


def identify(thing: Mapping[str, Any]) -> str:
    """The id of a thing in a list, if it has one."""
    return str(thing.get("id") or thing.get("header", {}).get("id") or thing.get("hash") or thing.get("name") or "")


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The description read as if what it does not name could not be: so it has to name all there is."""
    found = copy.deepcopy(document)
    for schema in found["components"]["schemas"].values():
        if schema.get("properties"):
            schema.setdefault("additionalProperties", False)
    return found


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """The description with whole paths, each below its own server."""
    servers = document.pop("servers")
    paths = {}
    for path, item in document["paths"].items():
        server = item.pop("servers", servers)[0]["url"]
        paths[f"{server.rstrip('/')}{path}"] = item
    return document | {"paths": paths}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """A daemon that has something to show."""
    house = House(tmp_path_factory.mktemp("described"))
    try:
        node = Node(house, config=OPEN + PATIENCE)
        node.start()
        found = Described(url_of(node))
        found.fill()
        yield found
        found.session.close()
    finally:
        house.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "otherwise"])
@pytest.mark.parametrize("route", described_rows(ROUTES), ids=lambda route: f"{route.method} {route.shown_path}")
def test_an_operation_is_as_it_is_described(described: Described, route: Route, mode: GenerationMode) -> None:
    operation = described.schema[whole_path(route)][route.method]

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), place=st.integers(0, 3))
    def ask(case: Case, place: int) -> None:
        name_something_known(described, route, case, place)
        keep_to_the_point(case)
        if mode is GenerationMode.POSITIVE and place:
            make_sense(described, case)
        response = case.call(session=described.session, timeout=30)
        case.validate_response(response, checks=CHECKS)
        check_refusal(response)
        if response.status_code < 500:
            case.validate_response(response, checks=[not_a_server_error])

    with suppress(Unsatisfiable):  # nothing that it takes could be otherwise
        ask()


def whole_path(route: Route) -> str:
    return route.shown_path if route.everywhere else f"/api/v1{path_of(route)}"


def name_something_known(described: Described, route: Route, case: Case, place: int) -> None:
    """Most ids that are made up are nobody's: every other time it is one that there is."""
    first = route.path.split("/")[0]
    known = described.known.get(first, [])
    if place % 2 == 0 or route.method == "DELETE" or not case.path_parameters:
        return
    names = KNOWN_NAMES | {"name": {"network": "org0" if "org" in route.path else "node0"}.get(first, "widget")}
    if known:
        names |= {"id": known[place % len(known)], "hash": known[0]}
    case.path_parameters.update({name: names[name] for name in case.path_parameters if name in names})


def make_sense(described: Described, case: Case) -> None:
    """What no schema can say: which texts are times, patterns, or names of what there is."""
    if "Request-Timeout" in case.headers:
        case.headers["Request-Timeout"] = "2s"
    for name in set(case.query) & set(TIMES):
        case.query[name] = TIMES[name]
    if isinstance(case.body, dict):
        body: dict[str, Any] = case.body
        make_sense_of_header(body.get("header"))
        items = body.get("data")
        for item in items if isinstance(items, list) else ():
            make_sense_of_item(described, item)
        if isinstance(filter := body.get("filter"), dict):
            filter.update({name: "^news" for name in ("events", "topic") if name in filter})
        if "requestreply" in case.path:
            body["header"] = {"type": "broadcast", "tag": "ask"}
        if "sequence" in body:
            body["sequence"] = 1
        if route_word(case) == "datatypes" and "value" in body:
            body["value"] = {"type": "object"}
        if route_word(case) in ("identities", "network"):
            body.pop("parent", None)


def route_word(case: Case) -> str:
    """The first word of a path."""
    return case.path.removeprefix("/api/v1/").split("/")[0]


def make_sense_of_header(header: Any) -> None:
    """Let a message be from whoever sends it."""
    if isinstance(header, dict):
        for name in ("author", "key", "group"):
            header.pop(name, None)


def make_sense_of_item(described: Described, item: Any) -> None:
    """Let a data item be one that there is, or else a value that need not follow a datatype."""
    if isinstance(item, dict):
        for name in ("hash", "datatype", "validator"):
            item.pop(name, None)
        if "id" in item:
            item["id"] = described.known["data"][0]
        elif item.get("value") is None:
            item["value"] = "something"


def keep_to_the_point(case: Case) -> None:
    """No time is spent on waiting: a request for a reply, say, that nobody will give."""
    if "requestreply" in case.path:
        case.headers["Request-Timeout"] = "50ms"


def check_refusal(response: schemathesis.Response) -> None:
    """A refusal has a code, and a 5xx only such a one as FireFly has it."""
    if response.status_code >= 400 and "ready" not in str(response.request.url):
        code = json.loads(response.content)["error"].partition(":")[0]
        assert re.fullmatch(r"FF\d{5}|FFD\d{4}", code), response.content
        assert response.status_code < 500 or code in FIREFLYS_500, response.content


def test_the_daemon_has_survived_it_all(described: Described) -> None:
    assert described.session.get(f"{described.url}/readyz", timeout=30).json() == {"ready": True}
    assert parse_uuid(described.known["messages"][0])
