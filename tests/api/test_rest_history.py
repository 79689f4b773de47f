"""What a subscription would have heard, and how many things came to be when."""

import json
from typing import Any

import pytest

from ffd.api.history import Stretch, stretch_of
from ffd.model.errors import Invalid
from tests.api.rest import Node

APP = {"name": "app", "filter": {"topic": "^a$", "events": "message_confirmed"}}


async def subscribe(node: Node) -> str:
    answer = await node.send("POST", "subscriptions", APP)
    return str(json.loads(answer.body)["id"])


async def test_the_past_is_filtered_as_a_delivery_is(node: Node) -> None:
    ids = [(await node.broadcast(n, topics=[topic]))["header"]["id"] for n, topic in enumerate("abab")]
    subscription = await subscribe(node)
    found = await node.get(f"subscriptions/{subscription}/events")
    assert (found["count"], found["total"]) == (2, 2)
    assert [event["reference"] for event in found["items"]] == [ids[2], ids[0]], "the newest first"
    assert [event["message"]["header"]["id"] for event in found["items"]] == [ids[2], ids[0]]
    assert await node.get("subscriptions/app/events") == found, "by its name too"
    oldest = await node.get("subscriptions/app/events", sort="sequence", startsequence=0)
    assert [event["reference"] for event in oldest["items"]] == [ids[0], ids[2]]


async def test_a_stretch_takes_its_start_and_leaves_its_end(node: Node) -> None:
    for n in range(4):
        await node.broadcast(n, topics=["a"])
    await subscribe(node)
    sequences = [event["sequence"] for event in await node.get("events", type="message_confirmed", sort="sequence")]

    async def heard(**query: Any) -> list[int]:
        found = await node.get("subscriptions/app/events", sort="sequence", **query)
        assert found["count"] == found["total"] == len(found["items"])
        return [event["sequence"] for event in found["items"]]

    assert await heard(startsequence=sequences[1], endsequence=sequences[3]) == sequences[1:3]
    assert await heard(startsequence=sequences[2]) == sequences[2:]
    assert await heard(endsequence=sequences[2]) == sequences[:2]
    assert await heard(startsequence=0, limit=2) == sequences[2:], "the last ones"
    assert await heard(startsequence=0, sequence=f"<{sequences[1]}") == sequences[:1], "the filter counts as well"
    assert await heard(endsequence=0) == []
    assert (await node.ask("GET", "subscriptions/nobody/events")).code == "FF10109"


STRETCHES: dict[str, tuple[str, str, int, Stretch | None]] = {
    "neither": ("", "", 25, None),
    "firefly's own word for neither": ("-1", "-1", 25, None),
    "a start": ("5", "", 25, Stretch(5, 1005)),
    "an end": ("", "100", 25, Stretch(75, 100)),
    "an end near the beginning": ("", "10", 25, Stretch(0, 10)),
    "an end without limit": ("", "5000", 0, Stretch(4000, 5000)),
    "both": ("5", "1005", 25, Stretch(5, 1005)),
    "the wrong way round": ("9", "5", 25, Stretch(9, 5)),
}


@pytest.mark.parametrize("start, end, limit, stretch", STRETCHES.values(), ids=STRETCHES)
def test_a_stretch_is_a_thousand_at_the_most(start: str, end: str, limit: int, stretch: Stretch | None) -> None:
    assert stretch_of(start, end, limit) == stretch


@pytest.mark.parametrize(
    "start, end, code",
    [("5", "1006", "FF10463"), ("x", "", "FF10464"), ("", "1.5", "FF10464"), ("9" * 30, "", "FF10464")],
)
def test_a_stretch_that_makes_no_sense_is_refused(start: str, end: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        stretch_of(start, end, 25)


async def test_a_histogram_counts_by_time_and_type(node: Node) -> None:
    for n in range(3):
        await node.broadcast(n)
    created = sorted(message["header"]["created"] for message in await node.get("messages"))
    whole = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2040-01-01T00:00:00Z", "buckets": 1}
    (bucket,) = await node.get("charts/histogram/messages", **whole)
    assert bucket == {
        "count": "3", "timestamp": "2020-01-01T00:00:00Z", "types": [{"count": "3", "type": "broadcast"}],
        "isCapped": False,
    }  # fmt: skip
    narrow = whole | {"startTime": created[0], "endTime": created[2], "buckets": 10}
    buckets = await node.get("charts/histogram/messages", **narrow)
    assert len(buckets) == 10 and sum(int(each["count"]) for each in buckets) == 2, "the end is not counted"
    assert int(buckets[0]["count"]) >= 1 and buckets[0]["timestamp"] == created[0]
    totals = {
        name: (await node.get(f"charts/histogram/{name}", **whole))[0]
        for name in ("blockchainevents", "events", "operations", "transactions", "tokentransfers")
    }
    assert {name: int(each["count"]) for name, each in totals.items()} == {
        "blockchainevents": 3, "events": 9, "operations": 6, "transactions": 3, "tokentransfers": 0,
    }  # fmt: skip
    assert totals["blockchainevents"]["types"] == [] and len(totals["events"]["types"]) == 3


SPANS = {
    "no collection": ("pins", {}, "FF10301"),
    "no start": ("events", {"startTime": ""}, "FF10299"),
    "no end": ("events", {"endTime": "tomorrow"}, "FF10299"),
    "no number": ("events", {"buckets": "many"}, "FF10299"),
    "no buckets": ("events", {"buckets": 0}, "FF10298"),
    "too many": ("events", {"buckets": 101}, "FF10298"),
    "the wrong way round": ("events", {"startTime": "3000000000"}, "FF10300"),
}


async def test_a_histogram_of_nothing_sensible_is_refused_in_fireflys_words(node: Node) -> None:
    good = {"startTime": "1700000000", "endTime": "1800000000", "buckets": 5}
    for name, (collection, change, code) in SPANS.items():
        query = "&".join(f"{key}={value}" for key, value in (good | change).items())  # type: ignore[operator]
        answer = await node.ask("GET", f"charts/histogram/{collection}?{query}")
        assert (answer.status, answer.code) == (400, code), name
    assert await node.get("charts/histogram/events", **good | {"endTime": good["startTime"]}) == []
    assert len(await node.get("charts/histogram/events", startTime=1, endTime=2, buckets=100)) == 100
