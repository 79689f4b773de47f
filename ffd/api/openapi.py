"""The description of the API as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1), made of the table of routes.

One row is one operation. What a row says is all there is: its shapes, the fields of its collection, its handler's
docstring. Made when somebody asks for it, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import getdoc
from typing import Any

from ffd import __version__
from ffd.api import shapes
from ffd.api.filters import LIMIT_DEFAULT, LIMIT_MAX, SKIP_MAX
from ffd.api.route import API, JSON, Route
from ffd.model.query import COLLECTIONS, Kind

Object = dict[str, Any]

NAMESPACE_SERVER = f"{API}/namespaces/{{ns}}"
SCHEMAS = "#/components/schemas/"
UUID: Object = {"type": "string", "format": "uuid"}
NAME: Object = {"type": "string", "minLength": 1, "maxLength": 64}
TEXT: Object = {"type": "string", "minLength": 1}
PATH_KINDS: Mapping[str, Object] = {
    "id": UUID,
    "hash": {"type": "string", "pattern": "^(0x)?[0-9a-fA-F]{64}$"},
    "id or name": TEXT,
    "ns": NAME,
    "collection": {
        "type": "string",
        "enum": ["blockchainevents", "events", "messages", "operations", "tokentransfers", "transactions"],
    },
}
"""What a part of a path is, by its name or by what the row says of it; anything else is a text."""
ASKED_KINDS: Mapping[str, Object] = {
    "": {"type": "string"},
    "int": {"type": "integer"},
    "1-100": {"type": "integer", "minimum": 1, "maximum": 100},
    "time": {"type": "string", "description": "RFC 3339, or a number of seconds, milliseconds or nanoseconds"},
}
INFO = """\
Send messages, find them again, hear of them, on one node. Compatible with Hyperledger FireFly; what FireFly has not is
marked `x-ffd`. WebSockets, at `/ws`, are described in docs/api.md.

A 2xx of a write says that it is on disk. After a 408, a lost connection or a 5xx its outcome is unknown: send again
with the same `idempotencyKey`. Parameters that an operation does not name are ignored.

In a filter, a value is `[modifiers][operator]text`: operators are `=` (or none) `>` `>=` `<` `<=`, `@` contains, `^`
starts with, `$` ends with; modifiers before it are `!` not, `:` in any case, `?` an empty text means null, `[` joins
the values of one field by AND instead of OR."""
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SECURITY: Mapping[str, Object] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token, over TCP."},
    "basic": {"type": "http", "scheme": "basic", "description": "A name and a password, over TCP."},
}
"""How somebody may say who they are; over a Unix socket the file's rights do."""
_PART = re.compile(r"\{\w+\}")
_WORDS = re.compile(r"[A-Za-z0-9]+")


def describe(routes: Sequence[Route], *, namespace: str = "") -> Object:
    """The document: of the whole API, or of one namespace of it by its local name."""
    shown = [route for route in described(routes) if not (namespace and route.everywhere)]
    texts = [text for route in shown for text in (route.body, route.form, route.answer)]
    named = sorted({name for text in texts for name in _names(text)})
    found, components = shapes.schemas([*named, "Error"], SCHEMAS + "{name}")
    refused = _json_response("It was refused: a code, what is wrong, and what to do.", found["Error"])
    return {
        "openapi": "3.1.0",
        "info": {"title": "ffd", "version": __version__, "description": INFO, "license": LICENSE},
        "servers": [{"url": f"{API}/namespaces/{namespace}"}] if namespace else _servers(),
        "security": [{}, *({name: []} for name in SECURITY)],
        "tags": _tags(shown),
        "paths": _paths(shown, found),
        "components": {
            "schemas": components,
            "parameters": _common_parameters() | _filter_parameters(shown),
            "responses": {"Refused": refused},
            "securitySchemes": SECURITY,
        },
    }


def described(routes: Iterable[Route]) -> list[Route]:
    """The rows that are operations of their own.

    Two paths that differ in the names of their parts alone are one to OpenAPI: of a row for what has slashes in it (a
    DID, say) the one before it, for what has none, tells all.
    """
    found: dict[tuple[str, str], Route] = {}
    for route in routes:
        found.setdefault((route.method, _PART.sub("{}", route.shown_path)), route)
    return list(found.values())


def _servers() -> list[Object]:
    of_one = {
        "url": NAMESPACE_SERVER,
        "description": "one namespace, by its local name",
        "variables": {"ns": {"default": "default"}},
    }
    return [{"url": API, "description": "the default namespace"}, of_one]


def _tags(routes: Iterable[Route]) -> list[Object]:
    return [{"name": name} for name in dict.fromkeys(tag_of(route) for route in routes)]


def tag_of(route: Route) -> str:
    """The word under which an operation is listed: the first of its path."""
    return route.path.removeprefix(API).strip("/").partition("/")[0]


def path_of(route: Route) -> str:
    """The path below its server."""
    return f"/{route.shown_path.removeprefix(API).strip('/')}"


# Operations -----------------------------------------------------------------------------------------------------------


def _paths(routes: Sequence[Route], found: Mapping[str, Object]) -> Object:
    paths: dict[str, Object] = {}
    ids = operation_ids(routes)
    for route in routes:
        item = paths.setdefault(path_of(route), {})
        if route.everywhere:
            item["servers"] = [{"url": API if route.path.startswith(API) else "/"}]
        item[route.method.lower()] = _operation(route, ids[route.method, route.path], found)
    return paths


def operation_ids(routes: Iterable[Route]) -> dict[tuple[str, str], str]:
    """A name for each row: its handler's, and its path's too where a handler has several."""
    names: dict[tuple[str, str], str] = {}
    for route in routes:
        handler = str(getattr(route.handler, "__name__", "operation"))
        name = _camel(handler.split("_"))
        if name in names.values():
            name += _camel(["of", *_WORDS.findall(route.path)], capital=True)
        names[route.method, route.path] = name
    return names


def _camel(words: Sequence[str], *, capital: bool = False) -> str:
    joined = "".join([word[:1].upper() + word[1:] for word in words])
    return joined if capital else joined[:1].lower() + joined[1:]


def _operation(route: Route, id: str, found: Mapping[str, Object]) -> Object:
    summary, _, more = summary_of(route)
    description = {"description": more} if more else {}
    addition = {"x-ffd": True} if route.ours else {}
    body = _request_body(route, found)
    return {
        "operationId": id,
        "tags": [tag_of(route)],
        "summary": summary,
        **description,
        **addition,
        "parameters": _parameters(route),
        **({"requestBody": body} if body else {}),
        "responses": _responses(route, found),
    }


def summary_of(route: Route) -> tuple[str, str, str]:
    """What the handler says of itself: the first paragraph, the break, the rest, each on one line a paragraph."""
    text = getdoc(route.handler) or ""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return paragraphs[0], "\n\n", "\n\n".join(paragraphs[1:])


def _parameters(route: Route) -> list[Object]:
    """Its parameters: those of the path first, then the query's, then headers."""
    parts = [
        {"name": name, "in": "path", "required": True, "schema": PATH_KINDS.get(route.kinds.get(name, name), TEXT)}
        for name in route.parts
    ]
    asked = [
        {"name": name.rstrip("!"), "in": "query", "required": name.endswith("!"), "schema": ASKED_KINDS[kind]}
        for name, _, kind in (text.partition(":") for text in route.asks)
    ]
    switches = [{"name": name, "in": "query", "schema": {"type": "boolean"}} for name in route.switches]
    filters = [_ref(f"{route.filters}.{field}") for field in COLLECTIONS.get(route.filters, {})]
    paging = [_ref(name) for name in _PAGING] if route.filters else []
    return [*parts, *switches, *asked, *filters, *paging, _ref("requestTimeout"), _ref("requestId")]


def _ref(name: str) -> Object:
    return {"$ref": f"#/components/parameters/{name}"}


def _request_body(route: Route, found: Mapping[str, Object]) -> Object:
    content: Object = {}
    if route.body:
        content[JSON] = {"schema": _schema(route.body, found)}
    if route.form:
        content["multipart/form-data"] = {"schema": _schema(route.form, found)}
    return {"required": True, "content": content} if content else {}


def _responses(route: Route, found: Mapping[str, Object]) -> Object:
    refused = {"$ref": "#/components/responses/Refused"}
    done = {str(status): _response(route, status, found) for status in sorted(route.statuses)}
    return {**done, "4XX": refused, "5XX": refused}


_SAID = {200: "Done.", 201: "Made.", 202: "Accepted: it is on disk.", 204: "Done.", 503: "Not now."}


def _response(route: Route, status: int, found: Mapping[str, Object]) -> Object:
    said = _SAID.get(status, "Done.")
    if not route.answer or status == 204:
        return {"description": said}
    schema = _schema(route.answer, found)
    if route.filters and route.answer.startswith("["):
        schema = {"anyOf": [schema, _counted(schema)]}
    return _json_response(said, schema, route.media)


def _counted(items: Object) -> Object:
    """A list with its counts, as `count` asks for."""
    number = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "description": "with `count`",
        "properties": {"count": number, "total": number, "items": items},
        "required": ["count", "total", "items"],
    }


def _json_response(said: str, schema: Object, media: str = JSON) -> Object:
    return {"description": said, "content": {media: {"schema": schema}}}


# Shapes and parameters ------------------------------------------------------------------------------------------------


def _alternatives(text: str) -> list[str]:
    return [each.strip() for each in text.split("|") if each.strip()]


def _names(text: str) -> list[str]:
    return [each.strip("[]") for each in _alternatives(text)]


def _schema(text: str, found: Mapping[str, Object]) -> Object:
    """The schema of a row's word for a shape."""
    options = [
        {"type": "array", "items": found[each[1:-1]]} if each.startswith("[") else found[each]
        for each in _alternatives(text)
    ]
    return options[0] if len(options) == 1 else {"anyOf": options}


_PAGING = ("sort", "limit", "skip", "count", "ascending", "descending")


def _common_parameters() -> Object:
    """What every list takes, and what every request does."""
    query: Mapping[str, tuple[Object, str]] = {
        "sort": ({"type": "string"}, "fields, separated by commas; `-field` descends"),
        "limit": (
            {"type": "integer", "minimum": 0, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
            "so many at the most; 0 is no limit",
        ),
        "skip": ({"type": "integer", "minimum": 0, "maximum": SKIP_MAX, "default": 0}, "so many are left out first"),
        "count": ({"type": "boolean"}, "tell how many there are in all"),
        "ascending": ({"type": "boolean"}, "turn the whole order upwards"),
        "descending": ({"type": "boolean"}, "turn the whole order downwards"),
    }
    headers: Mapping[str, tuple[str, str]] = {
        "requestTimeout": ("Request-Timeout", "how long the answer may take: `5s`, `500ms`, or a number of seconds"),
        "requestId": ("X-FireFly-Request-ID", "what to call this request in an error, and in the log"),
    }
    return {
        name: {"name": name, "in": "query", "description": text, "schema": schema}
        for name, (schema, text) in query.items()
    } | {
        key: {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for key, (name, text) in headers.items()
    }


def _filter_parameters(routes: Iterable[Route]) -> Object:
    """The fields of each collection that is listed, as conditions."""
    collections = sorted({route.filters for route in routes if route.filters})
    return {
        f"{collection}.{field}": _condition(field, kind)
        for collection in collections
        for field, kind in COLLECTIONS[collection].items()
    }


def _condition(field: str, kind: Kind) -> Object:
    text = f"a condition on {field} ({kind.value})"
    return {"name": field, "in": "query", "description": text, "schema": {"type": "string"}}
