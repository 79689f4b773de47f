"""The REST API: one table of routes, and what is the same for all of them.

A route of a namespace is served twice, as FireFly does: below `/api/v1/namespaces/{ns}/`, and below `/api/v1/` for the
default one. To add a route is to add a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from ffd.api import batches, data, events, identities, messages, namespaces, operations, pins, status, subscriptions
from ffd.api.call import Answer, Call, Handler
from ffd.api.desk import Desk
from ffd.api.hypercorn_door import ASGIApp
from ffd.api.refusals import HANDLERS, timed_out

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: how it is asked for, and who answers; its word on itself is the handler's docstring.

    `filters` is the collection whose fields the query string may name, `switches` what else it may say. `everywhere`
    says that the path is a whole one, and of no namespace unless it names one.
    """

    method: str
    path: str
    handler: Handler
    filters: str = ""
    switches: tuple[str, ...] = ()
    everywhere: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        if self.everywhere:
            return (self.path,)
        return f"{API}/namespaces/{{ns}}/{self.path}", f"{API}/{self.path}"


ROUTES: tuple[Route, ...] = (
    Route("POST", "messages/broadcast", messages.broadcast, switches=("confirm",)),
    Route("GET", "messages", messages.list_messages, "messages", ("fetchdata",)),
    Route("GET", "messages/{id}", messages.get_message, switches=("fetchdata",)),
    Route("GET", "messages/{id}/data", messages.get_message_data),
    Route("GET", "messages/{id}/events", messages.get_message_events, "events"),
    Route("GET", "messages/{id}/transaction", messages.get_message_transaction),
    Route("GET", "data", data.list_data, "data"),
    Route("GET", "data/{id}", data.get_data),
    Route("GET", "data/{id}/value", data.get_data_value),
    Route("GET", "events", events.list_events, "events", events.FETCH),
    Route("GET", "events/{id}", events.get_event, switches=events.FETCH),
    Route("POST", "subscriptions", subscriptions.create_subscription),
    Route("PUT", "subscriptions", subscriptions.put_subscription),
    Route("GET", "subscriptions", subscriptions.list_subscriptions, "subscriptions"),
    Route("GET", "subscriptions/{id}", subscriptions.get_subscription, switches=("fetchstatus",)),
    Route("DELETE", "subscriptions/{id}", subscriptions.delete_subscription),
    Route("GET", "batches", batches.list_batches, "batches"),
    Route("GET", "batches/{id}", batches.get_batch),
    Route("GET", "pins", pins.list_pins, "pins"),
    Route("GET", "transactions", operations.list_transactions, "transactions"),
    Route("GET", "transactions/{id}", operations.get_transaction),
    Route("GET", "transactions/{id}/operations", operations.get_transaction_operations, "operations"),
    Route("GET", "operations", operations.list_operations, "operations"),
    Route("GET", "operations/{id}", operations.get_operation),
    Route("GET", "identities", identities.list_identities, "identities"),
    Route("GET", "identities/{id}", identities.get_identity),
    Route("GET", "network/identities", identities.list_identities, "identities"),
    Route("GET", "network/organizations", identities.list_organizations, "organizations"),
    Route("GET", "network/nodes", identities.list_nodes, "nodes"),
    Route("GET", "status", status.get_status),
    Route("GET", f"{API}/namespaces", namespaces.list_namespaces, everywhere=True),
    Route("GET", f"{API}/namespaces/{{ns}}", namespaces.get_namespace, everywhere=True),
    Route("GET", "/livez", status.get_live, everywhere=True),
    Route("GET", "/readyz", status.get_ready, everywhere=True),
)


def build_app(desk: Desk) -> ASGIApp:
    """The ASGI app that answers with what is on the desk."""
    served = [
        StarletteRoute(path, _endpoint(desk, handlers), methods=list(handlers))
        for path, handlers in _by_path(ROUTES).items()
    ]
    app = Starlette(routes=served, exception_handlers=dict(HANDLERS))
    app.router.redirect_slashes = False  # a path with a slash too many is another path, and there is nothing
    return app


def _by_path(routes: Iterable[Route]) -> Mapping[str, Mapping[str, Handler]]:
    """For each path the handlers by method, so that a method that is not there is refused with those that are."""
    paths: dict[str, dict[str, Handler]] = {}
    for route in routes:
        for path in route.paths:
            paths.setdefault(path, {})[route.method] = route.handler
    return paths


def _endpoint(desk: Desk, handlers: Mapping[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # The framework asks for HEAD where there is GET, and the door sends no body then.
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        return _response(await _in_time(Call(desk, request), handler))

    return endpoint


async def _in_time(call: Call, handler: Handler) -> Answer:
    """The handler's answer. Raises its refusal; or 408 when the deadline passes, whatever has been done by then."""
    with trio.move_on_after(call.timeout_s):
        return await handler(call)
    raise call.late or timed_out(call.request_id, call.timeout_s)


def _response(answer: Answer) -> Response:
    if answer.text is None:
        return Response(status_code=answer.status)
    return Response(f"{answer.text}\n".encode(), answer.status, media_type="application/json")
