"""Queries and paths of no sense, and those that would lead elsewhere."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.hostile.target import API, Target
from tests.hostile.wire import ask, request

COLLECTIONS = (
    "messages", "data", "events", "subscriptions", "batches", "pins", "transactions", "operations", "identities",
    "nextpins", "groups", "blockchainevents", "network/nodes", "blobs",
)  # fmt: skip
QUERIES = (
    "nosuchfield=1", "1%3D1--=x", "sort=nosuchfield", "sort=sequence;DROP TABLE messages", "sort=" + "a," * 5000,
    "limit=-1", "limit=99999999999999999999999", "limit=1e3", "limit=0x10", "limit=%00", "limit=1001",
    "skip=-1", "skip=99999999999999999999", "skip=1001", "count=%ff", "sequence=1e400", "sequence=" + "9" * 400,
    "sequence=%3E%3E%3E%3E1", "sequence=!!!!!!1", "sequence=@1", "created=>" + "9" * 400, "created=99999-99-99",
    "created=%3E-9223372036854775809", "id=not-an-id", "id=" + quote("' OR '1'='1"), "id=%00", "id=^%25", "id=@_%25_",
    "id=:@" + "a" * 10_000, "hash=zz", "hash=0x" + "f" * 1000, "topic=%ff%fe", "topic=%c0%af", "topic=%ed%a0%80",
    "tag=%00", "&".join(f"id={n}" for n in range(2000)), "&".join(f"tag=!:@{n}" for n in range(300)), "&" * 30_000,
    "=" * 30_000, "a=b;c=d", "%", "%zz", "tag=" + "[" * 10_000, "tag=" + "?" * 10_000, "startTime=1&endTime=2",
    "fetchdata=true&fetchdata=false", "count&limit=0", "limit=0",
)  # fmt: skip


def test_queries_of_no_sense_are_refused_or_passed_over_and_never_a_failure(target: Target) -> None:
    wrong = {}
    for collection in COLLECTIONS:
        data = b"".join(request("GET", f"{API}/{collection}?{query.replace(' ', '+')}") for query in QUERIES)
        heard = ask(target.tcp, data)
        if len(heard.statuses) != len(QUERIES) or not {200, 400} >= set(heard.statuses):
            wrong[collection] = dict(zip(QUERIES, heard.statuses, strict=False)), heard.raw[-500:]
    assert wrong == {}


PATHS = (
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%252e%252e/etc/passwd",
    "//etc/passwd", "/./livez", "//livez", "/livez/", "/livez%00", "/livez%00.html", "/livez%0d%0aX:y", "/livez%20",
    "/livez;a", "/LIVEZ", "/%c0%ae%c0%ae/etc/passwd", "/%e0%80%ae/etc", "/%ff", "/\\..\\..\\etc",
    "/api/v1/..%2fv1/status", "/api/v1//status", f"{API}/namespaces/%2e%2e/status",
    f"{API}/namespaces/..%2fdefault/status", f"{API}/namespaces/default%2fstatus", f"{API}/namespaces//status",
    f"{API}/namespaces/%ff/status", f"{API}/namespaces/{'a' * 40_000}/status",
    f"{API}/data/..%2f..%2fstate%2fffd.db/blob", f"{API}/data/%2e%2e%2f%2e%2e%2fevil/blob",
    f"{API}/data/../ffd.db/value", f"{API}/blobs/..%2f..%2fffd.db", f"{API}/blobs/%2e%2e",
    f"{API}/blobs/{'0' * 63}%2f", f"{API}/datasubpaths/..%2f..", f"{API}/messages/{'%25' * 5000}",
    f"{API}/messages/%22%27%3b--", f"{API}/messages/00000000-0000-0000-0000-00000000000g",
    f"{API}/subscriptions/..%2fx", f"{API}/datatypes/..%2f../1", f"{API}/groups/zz",
    f"{API}/identities/did:firefly:../x", f"{API}/network/diddocs/%00", f"{API}/charts/histogram/sqlite_master",
    f"{API}/verifiers/%ff%ff", "/api/../livez", "/" + "a/" * 20_000, "/" + "%41" * 15_000, "/ws/../api/v1/status",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_paths_that_lead_elsewhere_lead_nowhere(target: Target, method: str) -> None:
    wrong = {}
    for path in PATHS:
        for where in target.doors:
            headers = ("Content-Type: application/json",) if method == "POST" else ()
            heard = ask(where, request(method, path, "Connection: close", *headers))
            fine = 400 <= heard.status < 500 and heard.code.startswith("FF")
            if not fine and not (path.startswith(f"{API}/datasubpaths") and heard.status == 200):
                wrong[path[:100]] = heard.raw[:300]
            if b"root:" in heard.raw or b"SQLite" in heard.raw:
                wrong[path[:100]] = heard.raw[:300]
    assert wrong == {}
