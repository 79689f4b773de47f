"""The REST API: one table of routes, and what is the same for all of them.

A route of a namespace is served twice, as FireFly does: below `/api/v1/namespaces/{ns}/`, and below `/api/v1/` for the
default one. To add a route is to add a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from ffd.api import (
    batches,
    blockchainevents,
    charts,
    data,
    datatypes,
    diddocs,
    events,
    groups,
    history,
    identities,
    keys,
    messages,
    namespaces,
    operations,
    part_status,
    pins,
    private,
    registration,
    status,
    subscriptions,
    transactions,
    uploads,
    verifiers,
)
from ffd.api.call import Answer, Call, Handler
from ffd.api.description import description_routes
from ffd.api.desk import Desk
from ffd.api.hypercorn_door import ASGIApp
from ffd.api.refusals import HANDLERS, timed_out
from ffd.api.route import API, BYTES, Route
from ffd.api.streamed import StreamedResponse

NAMED: Mapping[str, str] = {"id": "id or name"}
NAMED_BY_DID: Mapping[str, str] = {"id": "id or DID"}
VERIFIED = ("fetchverifiers",)
IDENTITY, IDENTITIES = "Identity | IdentityWithVerifiers", "[Identity] | [IdentityWithVerifiers]"

ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "messages/broadcast", messages.broadcast, switches=("confirm",),
        body="NewMessage", answer="Message", statuses=(202, 200),
    ),
    Route(
        "POST", "messages/private", private.send_private, switches=("confirm",),
        body="NewPrivateMessage", answer="Message", statuses=(202, 200),
    ),
    Route("POST", "messages/requestreply", private.request_reply, body="NewPrivateMessage", answer="MessageInOut"),
    Route("GET", "messages", messages.list_messages, "messages", ("fetchdata",), answer="[Message] | [MessageInOut]"),
    Route("GET", "messages/{id}", messages.get_message, switches=("fetchdata",), answer="Message | MessageInOut"),
    Route("GET", "messages/{id}/data", messages.get_message_data, answer="[Data]"),
    Route("GET", "messages/{id}/events", messages.get_message_events, "events", answer="[Event]"),
    Route("GET", "messages/{id}/transaction", messages.get_message_transaction, answer="Transaction"),
    Route(
        "POST", "data", uploads.post_data, body="DataRefOrValue", form="DataForm", answer="Data", statuses=(201,)
    ),
    Route("GET", "data", data.list_data, "data", answer="[Data]"),
    Route("GET", "data/{id}", data.get_data, answer="Data"),
    Route("GET", "data/{id}/value", data.get_data_value, answer="Value"),
    Route("GET", "data/{id}/blob", data.get_data_blob, answer="Bytes", media=BYTES),
    Route(
        "POST", "data/{id}/value/publish", uploads.publish_value, body="PublishRequest", answer="Data"
    ),
    Route(
        "POST", "data/{id}/blob/publish", uploads.publish_blob, body="PublishRequest", answer="Data"
    ),
    Route("GET", "data/{id}/messages", data.get_data_messages, "messages", answer="[Message]"),
    Route("DELETE", "data/{id}", data.delete_data, statuses=(204,)),
    Route("GET", "blobs", data.list_blobs, "blobs", answer="[Blob]", ours=True),
    Route("GET", "blobs/{hash}", data.get_blob, answer="Bytes", media=BYTES, ours=True),
    Route("GET", "datasubpaths/{parent:path}", data.get_subpaths, answer="[Text]"),
    Route("GET", "events", events.list_events, "events", events.FETCH, answer="[Event] | [EnrichedEvent]", spans=True),
    Route("GET", "events/{id}", events.get_event, switches=events.FETCH, answer="Event | EnrichedEvent", spans=True),
    Route(
        "POST", "subscriptions", subscriptions.create_subscription,
        body="NewSubscription", answer="Subscription", statuses=(201,), spans=True,
    ),
    Route(
        "PUT", "subscriptions", subscriptions.put_subscription,
        body="NewSubscription", answer="Subscription", spans=True,
    ),
    Route(
        "GET", "subscriptions", subscriptions.list_subscriptions, "subscriptions", answer="[Subscription]", spans=True
    ),
    Route(
        "GET", "subscriptions/{id}", subscriptions.get_subscription, switches=("fetchstatus",),
        answer="Subscription", kinds=NAMED, spans=True,
    ),
    Route("DELETE", "subscriptions/{id}", subscriptions.delete_subscription, statuses=(204,), kinds=NAMED, spans=True),
    Route(
        "GET", "subscriptions/{id}/events", history.get_subscription_events, "events",
        answer="EventPage", asks=("startsequence:int", "endsequence:int"), kinds=NAMED, spans=True,
    ),
    Route("GET", "batches", batches.list_batches, "batches", answer="[Batch]"),
    Route("GET", "batches/{id}", batches.get_batch, answer="Batch"),
    Route(
        "POST", "batches/{id}/cancel", batches.cancel_batch, switches=("dryrun",),
        body="Nothing", answer="Cancellation", statuses=(204, 200),
    ),
    Route("GET", "pins", pins.list_pins, "pins", answer="[Pin]"),
    Route("POST", "pins/rewind", pins.rewind_pins, body="PinRewind", answer="PinRewind"),
    Route("GET", "nextpins", pins.list_nextpins, "nextpins", answer="[NextPin]"),
    Route("GET", "groups", groups.list_groups, "groups", answer="[Group]"),
    Route("GET", "groups/{hash}", groups.get_group, answer="Group"),
    Route("GET", "transactions", transactions.list_transactions, "transactions", answer="[Transaction]"),
    Route("GET", "transactions/{id}", transactions.get_transaction, answer="Transaction"),
    Route(
        "GET", "transactions/{id}/operations", transactions.get_transaction_operations, "operations",
        answer="[Operation]",
    ),
    Route(
        "GET", "transactions/{id}/blockchainevents", transactions.get_transaction_blockchainevents,
        "blockchainevents", answer="[BlockchainEvent]",
    ),
    Route("GET", "transactions/{id}/status", transactions.get_transaction_status, answer="TransactionStatus"),
    Route(
        "GET", "operations", operations.list_operations, "operations", ("fetchstatus",), answer="[Operation]"
    ),
    Route("GET", "operations/{id}", operations.get_operation, switches=("fetchstatus",), answer="Operation"),
    Route(
        "POST", "operations/{id}/retry", operations.retry_operation, body="Nothing", answer="Operation", statuses=(202,)
    ),
    Route(
        "POST", "datatypes", datatypes.create_datatype, switches=("confirm",),
        body="NewDatatype", answer="Datatype", statuses=(202, 200),
    ),
    Route("GET", "datatypes", datatypes.list_datatypes, "datatypes", answer="[Datatype]"),
    Route("GET", "datatypes/{name}/{version}", datatypes.get_datatype, answer="Datatype"),
    Route(
        "POST", "identities", registration.create_identity, switches=("confirm",),
        body="NewIdentity", answer="Identity", statuses=(202, 200),
    ),
    Route("GET", "identities", identities.list_identities, "identities", VERIFIED, answer=IDENTITIES),
    Route("GET", "identities/{id}", identities.get_identity, switches=VERIFIED, answer=IDENTITY, kinds=NAMED_BY_DID),
    Route(
        "PATCH", "identities/{id}", registration.update_identity, switches=("confirm",),
        body="IdentityUpdate", answer="Identity", statuses=(202, 200), kinds=NAMED_BY_DID,
    ),
    Route("GET", "identities/{id}/did", diddocs.get_identity_did, answer="DIDDocument", kinds=NAMED_BY_DID),
    Route(
        "GET", "identities/{id}/verifiers", identities.list_identity_verifiers, "verifiers",
        answer="[Verifier]", kinds=NAMED_BY_DID,
    ),
    Route("GET", "identities/{did:path}", identities.get_identity_by_did, switches=VERIFIED, answer=IDENTITY),
    Route("GET", "verifiers", verifiers.list_verifiers, "verifiers", answer="[Verifier]"),
    Route("GET", "verifiers/{hash}", verifiers.get_verifier, answer="Verifier"),
    Route("POST", "verifiers/resolve", verifiers.resolve_verifier, body="VerifierRef", answer="VerifierRef"),
    Route("GET", "keys", keys.list_keys, answer="[Key]", ours=True),
    Route("POST", "keys", keys.create_key, body="Nothing", answer="Key", statuses=(201,), ours=True),
    Route("GET", "network/identities", identities.list_identities, "identities", VERIFIED, answer=IDENTITIES),
    Route("GET", "network/identities/{did:path}", identities.get_identity_by_did, switches=VERIFIED, answer=IDENTITY),
    Route("GET", "network/diddocs/{did:path}", diddocs.get_did_document, answer="DIDDocument"),
    Route(
        "POST", "network/organizations", registration.create_organization, switches=("confirm",),
        body="NewIdentity", answer="Identity", statuses=(202, 200),
    ),
    Route(
        "POST", "network/organizations/self", registration.claim_own_organization, switches=("confirm",),
        body="Nothing", answer="Identity", statuses=(202, 200),
    ),
    Route(
        "GET", "network/organizations", identities.list_organizations, "organizations", VERIFIED, answer=IDENTITIES
    ),
    Route("GET", "network/organizations/{name}", identities.get_organization, switches=VERIFIED, answer=IDENTITY),
    Route(
        "POST", "network/nodes/self", registration.claim_own_node, switches=("confirm",),
        body="Nothing", answer="Identity", statuses=(202, 200),
    ),
    Route("GET", "network/nodes", identities.list_nodes, "nodes", VERIFIED, answer=IDENTITIES),
    Route("GET", "network/nodes/{name}", identities.get_node, switches=VERIFIED, answer=IDENTITY),
    Route(
        "GET", "blockchainevents", blockchainevents.list_blockchainevents, "blockchainevents",
        answer="[BlockchainEvent]",
    ),
    Route("GET", "blockchainevents/{id}", blockchainevents.get_blockchainevent, answer="BlockchainEvent"),
    Route(
        "GET", "charts/histogram/{collection}", charts.get_histogram, answer="[ChartHistogram]",
        asks=("startTime!:time", "endTime!:time", "buckets!:1-100"), kinds={"collection": "collection"},
    ),
    Route("GET", "status", status.get_status, answer="Status"),
    Route("GET", "status/batchmanager", part_status.get_batchmanager, answer="BatchManagerStatus"),
    Route("GET", "status/multiparty", part_status.get_multiparty, answer="MultipartyStatus"),
    Route(
        "GET", f"{API}/namespaces", namespaces.list_namespaces, switches=("includeinitializing",), everywhere=True,
        answer="[Namespace]", for_all=True,
    ),
    Route("GET", f"{API}/namespaces/{{ns}}", namespaces.get_namespace, everywhere=True, answer="Namespace"),
    Route("GET", f"{API}/websockets", part_status.get_websockets, everywhere=True, answer="WebSocketStatus"),
    Route("GET", "/livez", status.get_live, everywhere=True, answer="Live", ours=True, for_all=True),
    Route(
        "GET", "/readyz", status.get_ready, everywhere=True, answer="Ready", statuses=(200, 503), ours=True,
        for_all=True,
    ),
)  # fmt: skip


def build_app(desk: Desk) -> ASGIApp:
    """The ASGI app that answers with what is on the desk."""
    served = [
        StarletteRoute(path, _endpoint(desk, routes), methods=[*routes, "OPTIONS"])
        for path, routes in _by_path(ROUTES).items()
    ]
    served += description_routes(desk, ROUTES)
    app = Starlette(routes=served, exception_handlers=dict(HANDLERS))
    app.router.redirect_slashes = False  # a path with a slash too many is another path, and there is nothing
    return app


def _by_path(routes: Iterable[Route]) -> Mapping[str, Mapping[str, Route]]:
    """For each path its rows by method, so that a method that is not there is refused with those that are."""
    paths: dict[str, dict[str, Route]] = {}
    for route in routes:
        for path in route.paths:
            paths.setdefault(path, {})[route.method] = route
    return paths


def _endpoint(desk: Desk, routes: Mapping[str, Route]) -> Callable[[Request], Awaitable[Response]]:
    allowed = ", ".join(sorted({*routes, "OPTIONS", *(["HEAD"] if "GET" in routes else [])}))

    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        # The framework asks for HEAD where there is GET, and the door sends no body then.
        route, call = routes["GET" if request.method == "HEAD" else request.method], Call(desk, request)
        route.check(call.caller, call.path.get("ns"), desk.default_namespace)
        return _response(await _in_time(call, route.handler))

    return endpoint


async def _in_time(call: Call, handler: Handler) -> Answer:
    """The handler's answer. Raises its refusal; or 408 when the deadline passes, whatever has been done by then."""
    call.deadline.deadline = trio.current_time() + call.timeout_s
    with call.deadline:
        return await handler(call)
    raise call.late or timed_out(call.request_id, call.timeout_s)


def _response(answer: Answer) -> Response:
    if answer.stream is not None:
        return StreamedResponse(answer.stream, answer.status, answer.headers)
    if answer.text is None:
        return Response(status_code=answer.status)
    return Response(f"{answer.text}\n".encode(), answer.status, media_type="application/json")
