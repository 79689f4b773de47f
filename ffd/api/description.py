"""Where the description of the API is served: as OpenAPI for programs, as a page for people. Nothing of it is secret.

Both are made when they are asked for first, so that a start does not wait for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from ffd.api.desk import Desk
from ffd.api.route import API, JSON, Route

YAML = "application/yaml"
HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
PAGE = "/api"
DOCUMENT = "/api/openapi.json"
DOCUMENT_YAML = "/api/openapi.yaml"
OF_NAMESPACE = f"{API}/namespaces/{{ns}}/api/openapi.json"
SWAGGER, SWAGGER_YAML = "/api/swagger.json", "/api/swagger.yaml"
"""FireFly's older names of the same."""
PAGE_OF_NAMESPACE = f"{API}/namespaces/{{ns}}/api"
PATHS = (PAGE, DOCUMENT, DOCUMENT_YAML, SWAGGER, SWAGGER_YAML, OF_NAMESPACE, PAGE_OF_NAMESPACE)

Endpoint = Callable[[Request], Awaitable[Response]]


def description_routes(desk: Desk, routes: Sequence[Route]) -> list[StarletteRoute]:
    """The routes at which `routes` are described."""
    documents = lru_cache(maxsize=64)(lambda namespace: _document(routes, namespace))
    pages = lru_cache(maxsize=8)(lambda namespace: _page(routes, namespace))

    async def get_page(request: Request) -> Response:
        text, policy = pages(namespace_of(request))
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(text, media_type=HTML, headers=headers)

    def namespace_of(request: Request) -> str:
        name = request.path_params.get("ns")
        return "" if name is None else desk.namespace(name).name

    def get_document(media: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return Response(documents(namespace_of(request)), media_type=media)

        return endpoint

    # Every JSON text is YAML: https://yaml.org/spec/1.2.2/#1-1-goals
    served: dict[str, Endpoint] = {
        **dict.fromkeys((PAGE, PAGE_OF_NAMESPACE), get_page),
        **dict.fromkeys((DOCUMENT, SWAGGER, OF_NAMESPACE), get_document(JSON)),
        **dict.fromkeys((DOCUMENT_YAML, SWAGGER_YAML), get_document(YAML)),
    }
    return [StarletteRoute(path, endpoint, methods=["GET"]) for path, endpoint in served.items()]


def _document(routes: Sequence[Route], namespace: str) -> bytes:
    from ffd.api import openapi  # a start has no need of it

    return msgspec.json.encode(openapi.describe(routes, namespace=namespace)) + b"\n"


def _page(routes: Sequence[Route], namespace: str) -> tuple[str, str]:
    from ffd.api import openapi, page

    own = OF_NAMESPACE.replace("{ns}", namespace) if namespace else DOCUMENT
    return page.render(openapi.describe(routes, namespace=namespace), own)
