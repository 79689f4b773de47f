"""The description of the API: whole, true to the table of routes, and shown on a page that loads nothing."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ffd.api.app import ROUTES
from ffd.api.openapi import describe, described, operation_ids, path_of
from ffd.api.route import Route
from ffd.api.shapes import SHAPES
from ffd.model.query import COLLECTIONS
from tests.api.rest import Node

ROOT = Path(__file__).parents[2]
DOCUMENT = describe(ROUTES)
SHOWN = described(ROUTES)


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path_of(route)][route.method.lower()]
    return found


def resolved(node: Any, seen: tuple[str, ...] = ()) -> None:
    """Every reference leads somewhere."""
    if isinstance(node, dict):
        if "$ref" in node:
            target: Any = DOCUMENT
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
        for child in node.values():
            resolved(child)
    elif isinstance(node, list):
        for child in node:
            resolved(child)


def test_every_row_is_one_operation_with_a_name_of_its_own() -> None:
    operations = [
        (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item if method != "servers"
    ]
    assert sorted(operations) == sorted((route.method, path_of(route)) for route in SHOWN)
    assert len({re.sub(r"{\w+}", "{}", path) for path in DOCUMENT["paths"]}) == len(DOCUMENT["paths"])
    ids = operation_ids(ROUTES)
    assert len(set(ids.values())) == len(ROUTES) == len(ids)
    assert all(re.fullmatch("[a-z][A-Za-z0-9]+", id) for id in ids.values())


@pytest.mark.parametrize("route", SHOWN, ids=lambda route: f"{route.method} {route.shown_path}")
def test_a_row_says_what_goes_in_and_what_comes_out(route: Route) -> None:
    named = re.findall(r"\w+", f"{route.body} {route.form} {route.answer}")
    assert set(named) <= set(SHAPES), "give it a shape in ffd/api/shapes"
    assert route.answer or 204 in route.statuses, "say what it answers"
    assert route.body or route.form or route.method in ("GET", "DELETE"), "say what it takes"
    found = operation(route)
    assert found["summary"] and "\n" not in found["summary"] and len(found["summary"]) <= 200
    assert {str(status) for status in route.statuses} | {"4XX", "5XX"} == set(found["responses"])
    names = [each.get("name", each.get("$ref", "").rpartition("/")[2]) for each in found["parameters"]]
    assert len(names) == len(set(names))
    assert {each["name"] for each in found["parameters"] if each.get("in") == "path"} == set(route.parts)
    for field in COLLECTIONS.get(route.filters, ()):
        assert f"{route.filters}.{field}" in names


def test_every_reference_leads_somewhere_and_every_shape_says_what_it_is() -> None:
    resolved(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        assert "Struct" not in schema["description"], name


async def test_the_document_is_served_for_the_node_and_for_one_namespace(node: Node) -> None:
    whole = await node.get("/api/openapi.json")
    assert whole == json.loads(json.dumps(DOCUMENT))
    assert json.loads((await node.ask("GET", "/api/openapi.yaml")).body) == whole, "JSON is YAML"
    one = await node.get("/api/v1/namespaces/default/api/openapi.json")
    assert one["servers"] == [{"url": "/api/v1/namespaces/default"}]
    assert set(whole["paths"]) - set(one["paths"]) == {
        "/livez", "/readyz", "/namespaces", "/namespaces/{ns}", "/websockets",
    }  # fmt: skip
    assert (await node.ask("GET", "/api/v1/namespaces/nosuch/api/openapi.json")).code == "FF10436"


class Page(HTMLParser):
    """What a page refers to, and what it holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.foreign: list[tuple[str, str]] = []
        self.inline: list[str] = []
        self.operations: list[dict[str, str | None]] = []
        self._within = ""
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._within = tag
        self.foreign += [(tag, value or "") for name, value in attrs if name in ("src", "href", "action", "data")]
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "details":
            self.operations.append(given)

    def handle_data(self, data: str) -> None:
        if self._within == "style" and data.strip():
            self.styles.append(data)
        if self._within == "script" and data.strip():
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def test_the_page_is_whole_by_itself_and_allowed_nothing_else(node: Node) -> None:
    answer = await node.ask("GET", "/api")
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(answer.body.decode())
    assert page.foreign == [("a", "/api/openapi.json")] and page.inline == []
    assert "http://" not in answer.body.decode() and "https://" not in answer.body.decode()
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'", "style-src": hash_of("".join(page.styles)),
        "script-src": hash_of("".join(page.scripts)),
    }  # fmt: skip
    # Without any script it is the list of all operations.
    shown = {(each["data-method"], each["data-path"]) for each in page.operations}
    assert shown == {(route.method, path_of(route)) for route in SHOWN}
    assert not re.search(r"{{\w+}}", answer.body.decode())
    one = await node.ask("GET", "/api/v1/namespaces/default/api")
    assert Page(one.body.decode()).foreign == [("a", "/api/v1/namespaces/default/api/openapi.json")]
    assert (await node.ask("GET", "/api/v1/namespaces/nosuch/api")).code == "FF10436"


def test_a_start_has_no_need_of_the_description() -> None:
    script = "import sys, ffd.daemon.node; print([name for name in sys.modules if name in sys.argv])"
    names = ["ffd.api.openapi", "ffd.api.shapes", "ffd.api.page"]
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
