"""The page that shows the API to people: one file, whole without scripts, that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from typing import Any

from ffd.model.ids import sha256

Object = Mapping[str, Any]

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def render(document: Object, address: str) -> tuple[str, str]:
    """The page for an OpenAPI document that lies at `address`, and the Content-Security-Policy under which it works."""
    template = (resources.files("ffd.api") / "page.html").read_text(encoding="utf-8")
    operations = list(_operations(document))
    sections = "\n".join(
        _section(tag["name"], [text for name, text in operations if name == tag["name"]]) for tag in document["tags"]
    )
    values = {
        "version": escape(document["info"]["version"]),
        "count": str(len(operations)),
        "servers": " and ".join([f"<code>{escape(each['url'])}</code>" for each in document["servers"]]),
        "document": escape(address),
        "intro": _text(document["info"]["description"]),
        "operations": sections,
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)
    return page, _policy(template)


def _policy(template: str) -> str:
    """Only the page's own style and script, by their hashes, and requests to where it came from."""
    style, script = (_hash_of(pattern, template) for pattern in (_STYLE, _SCRIPT))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _hash_of(pattern: re.Pattern[str], template: str) -> str:
    found = pattern.search(template)
    content = found[1] if found else ""
    return f"sha256-{base64.b64encode(sha256(content.encode())).decode()}"


def _section(name: str, operations: list[str]) -> str:
    return f"<section><h2>{escape(name)}</h2>\n{''.join(operations)}</section>"


def _operations(document: Object) -> Iterator[tuple[str, str]]:
    """For each operation the word it is listed under, and its part of the page."""
    parameters = document["components"]["parameters"]
    for path, item in document["paths"].items():
        server = item.get("servers", document["servers"])[0]["url"]
        for method, operation in item.items():
            if method != "servers":
                yield operation["tags"][0], _operation(server.rstrip("/"), path, method.upper(), operation, parameters)


def _operation(server: str, path: str, method: str, operation: Object, parameters: Object) -> str:
    ours = '<span class="ours">of ffd</span>' if operation.get("x-ffd") else ""
    more = f"<p>{_text(operation['description'])}</p>" if "description" in operation else ""
    return (
        f'<details id="{operation["operationId"]}" data-method="{method}" data-path="{escape(path)}"'
        f' data-server="{escape(server)}"><summary><span class="method {method}">{method}</span>'
        f'<span class="path">{escape(path)}</span>{ours}'
        f'<span class="says">{_text(operation["summary"])}</span></summary>'
        f'<div class="body">{more}{_parameters(operation, parameters)}{_body(operation)}{_responses(operation)}</div>'
        "</details>\n"
    )


def _parameters(operation: Object, known: Object) -> str:
    found = [
        known[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in operation.get("parameters", ())
    ]
    rows = "".join([_parameter(each) for each in found])
    return f"<h3>Parameters</h3><table>{rows}</table>"


def _parameter(each: Object) -> str:
    schema = each["schema"]
    kind = schema.get("format") or ("one of " + ", ".join(schema["enum"]) if "enum" in schema else schema["type"])
    said = each.get("description") or schema.get("description", "")
    return (
        f'<tr data-in="{each["in"]}" data-name="{escape(each["name"])}" data-kind="{escape(kind)}">'
        f"<td><code>{escape(each['name'])}</code></td><td>{each['in']}</td><td>{escape(kind)}</td>"
        f"<td>{_text(said)}</td></tr>"
    )


def _body(operation: Object) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    rows = "".join(
        [f"<tr><td>{escape(media)}</td><td>{_shape(each['schema'])}</td></tr>" for media, each in content.items()]
    )
    return f"<h3>Body</h3><table>{rows}</table>" if rows else ""


def _responses(operation: Object) -> str:
    rows = "".join([_response(status, each) for status, each in operation["responses"].items()])
    return f"<h3>Answers</h3><table>{rows}</table>"


def _response(status: str, response: Object) -> str:
    if "$ref" in response:
        return f"<tr><td>{status}</td><td>Refused</td><td>Error</td></tr>"
    shapes = ", ".join([_shape(each["schema"]) for each in response.get("content", {}).values()])
    return f"<tr><td>{status}</td><td>{_text(response['description'])}</td><td>{shapes}</td></tr>"


def _shape(schema: Object) -> str:
    """A shape in a word: its name, or what it is a list or a choice of."""
    if "$ref" in schema:
        return f"<code>{escape(schema['$ref'].rpartition('/')[2])}</code>"
    if "anyOf" in schema:
        return " or ".join([_shape(each) for each in schema["anyOf"]])
    if "items" in schema:
        return f"list of {_shape(schema['items'])}"
    if "properties" in schema:
        return "an object with counts and items"
    return _text(schema.get("description") or schema.get("type", "anything"))


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
