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
PATHS = (PAGE, DOCUMENT, DOCUMENT_YAML, SWAGGER, SWAGGER_YAML, OF_NAMESPACE)

Endpoint = Callable[[Request], Awaitable[Response]]


def description_routes(desk: Desk, routes: Sequence[Route]) -> list[StarletteRoute]:
    """The routes at which `routes` are described."""
    documents = lru_cache(maxsize=64)(lambda namespace: _document(routes, namespace))
    page = lru_cache(maxsize=1)(lambda: _page(routes))

    async def get_page(_request: Request) -> Response:
        text, policy = page()
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(text, media_type=HTML, headers=headers)

    async def get_of_namespace(request: Request) -> Response:
        return Response(documents(desk.namespace(request.path_params["ns"]).name), media_type=JSON)

    def get_document(media: str) -> Endpoint:
        async def endpoint(_request: Request) -> Response:
            return Response(documents(""), media_type=media)

        return endpoint

    # Every JSON text is YAML: https://yaml.org/spec/1.2.2/#1-1-goals
    served: dict[str, Endpoint] = {
        PAGE: get_page,
        **dict.fromkeys((DOCUMENT, SWAGGER), get_document(JSON)),
        **dict.fromkeys((DOCUMENT_YAML, SWAGGER_YAML), get_document(YAML)),
        OF_NAMESPACE: get_of_namespace,
    }
    return [StarletteRoute(path, endpoint, methods=["GET"]) for path, endpoint in served.items()]


def _document(routes: Sequence[Route], namespace: str) -> bytes:
    from ffd.api import openapi  # a start has no need of it

    return msgspec.json.encode(openapi.describe(routes, namespace=namespace)) + b"\n"


def _page(routes: Sequence[Route]) -> tuple[str, str]:
    from ffd.api import openapi, page

    return page.render(openapi.describe(routes))
