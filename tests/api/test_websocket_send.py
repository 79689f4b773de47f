"""What ffd adds to FireFly's WebSocket: messages are sent over it, many at a time, and answered in order."""

import json
from pathlib import Path

import pytest
import trio
import trio.testing

from ffd.api.websocket import Room, SessionLimits
from tests.api.rest import Node, open_node
from tests.api.talker import Json, Talker, open_talker

TOPIC_TWICE = {"header": {"topics": ["a", "a"]}, "data": [{"value": "never"}]}


async def test_what_is_accepted_is_there_and_comes_in_its_order(node: Node) -> None:
    async with open_talker(node) as app:
        reply = await app.send("one", {"header": {"tag": "t"}, "data": [{"value": 2}, {"value": {"three": 3}}]}, id="é")
        assert list(reply) == ["type", "id", "messages"] and (reply["type"], reply["id"]) == ("accepted", "é")
        for sent in reply["messages"]:
            assert list(sent) == ["id", "hash"]
            assert (await node.get(f"messages/{sent['id']}"))["hash"] == sent["hash"]
        await app.follow(readAhead=9)
        heard = [await app.hear(), await app.hear()]
        assert [event["reference"] for event in heard] == [sent["id"] for sent in reply["messages"]]
        assert [[item["value"] for item in event["message"]["data"]] for event in heard] == [["one"], [2, {"three": 3}]]


async def test_one_bad_message_does_not_spoil_the_good_ones(node: Node) -> None:
    async with open_talker(node) as app:
        reply = await app.send(
            "one", TOPIC_TWICE, {"data": [{}]}, {"data": [{"value": "x" * 900_000}]}, {"header": {"key": "me"}}, "two"
        )
        first, *bad, last = reply["messages"]
        assert [each["error"].partition(":")[0] for each in bad] == ["FF00133", "FF10205", "FF10327", "FF10206"]
        found = await node.get("messages", sort="sequence")
        assert {message["header"]["id"] for message in found} == {first["id"], last["id"]}


async def test_private_messages_travel_in_a_frame_with_broadcasts(node: Node) -> None:
    """Whoever speaks of a group, or of a private message, never speaks to everybody."""
    to = {"members": [{"identity": "org0"}]}
    async with open_talker(node) as app:
        reply = await app.send({"group": to, "data": [{"value": "psst"}]}, "hello")
        whispered, spoken = [await node.get(f"messages/{each['id']}") for each in reply["messages"]]
        group = whispered["header"]["group"]
        assert whispered["header"]["type"] == "private" and spoken["header"]["type"] == "broadcast"
        assert "group" not in spoken["header"]
        reply = await app.send(
            {"header": {"group": group}, "data": [{"value": "psst"}]},
            {"header": {"type": "Private"}, "data": [{"value": "to whom?"}]},
            {"header": {"group": "ab" * 32}, "data": [{"value": "to whom?"}]},
        )
        again, *lost = reply["messages"]
        assert (await node.get(f"messages/{again['id']}"))["header"]["group"] == group
        assert [each["error"].partition(":")[0] for each in lost] == ["FF00115", "FF10226"]


async def test_a_key_is_good_for_one_message_whoever_comes_second(node: Node) -> None:
    async with open_talker(node) as app:
        message = {"data": [{"value": "pay 10"}], "idempotencyKey": "invoice 7"}
        reply = await app.send(message, message)
        first, second = reply["messages"]
        assert second == {"error": f"FF10430: Idempotency key 'invoice 7' already used for message '{first['id']}'"}
        (third,) = (await app.send(message))["messages"]
        assert third == second


REFUSED_WHOLE: dict[str, tuple[str, str, str]] = {
    "a value that is no JSON": ('{"type":"send","id":"7","messages":[{"data":[{"value":{tea}}]}]}', "FFD2101", ""),
    "a frame that breaks off": ('{"type":"send","id":"7","messages":[{"data"', "FFD2101", ""),
    "messages that are no list": ('{"type":"send","id":"7","messages":{}}', "FFD2104", "7"),
    "no messages": ('{"type":"send","id":"7"}', "FFD2104", "7"),
    "a topic that is no text": ('{"type":"send","id":"7","messages":[{"header":{"topics":[7]}}]}', "FFD2104", "7"),
    "an unknown namespace": ('{"type":"send","id":"7","namespace":"nowhere","messages":[{}]}', "FF10187", "7"),
    "a value of many levels": (
        '{"type":"send","id":"7","namespace":"nowhere","messages":[{"data":[{"value":'
        + "[" * 2000
        + "]" * 2000
        + "}]}]}",
        "FF10187",
        "7",
    ),
    "another key first": ('{"id":"7","type":"send","messages":7}', "FFD2104", "7"),
}
"""The frame, the code, and the id in the answer: what is no JSON has none."""


@pytest.mark.parametrize("frame, code, id", REFUSED_WHOLE.values(), ids=REFUSED_WHOLE.keys())
async def test_what_is_refused_whole_changes_nothing_and_ends_nothing(
    node: Node, frame: str, code: str, id: str
) -> None:
    async with open_talker(node) as app:
        await app.say_raw(frame)
        reply = await app.hear()
        assert (reply["type"], reply["id"]) == ("error", id) and reply["error"].startswith(f"{code}: ")
        assert await node.get("messages") == []
        assert (await app.send("one"))["type"] == "accepted"


async def test_a_scoped_connection_sends_into_its_namespace_only(node: Node) -> None:
    async with open_talker(node, "/api/v1/namespaces/default/ws") as app:
        assert (await app.send("one"))["type"] == "accepted"
        reply = await app.send("two", namespace="other", id="2")
        assert (reply["type"], reply["id"]) == ("error", "2") and reply["error"].startswith("FF10462: ")


async def test_frames_are_answered_in_the_order_they_were_sent(tmp_path: Path) -> None:
    """More of them than may go unanswered, good and bad in turn; and the messages keep that order too."""
    async with open_node(tmp_path, FFD_LIMITS__FRAMES_IN_FLIGHT_MAX="8") as node, open_talker(node) as app:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_in_turn, app)
            replies = [await app.hear() for _ in range(100)]
        assert [reply["type"] for reply in replies] == ["accepted", "error"] * 50
        assert [reply["id"] for reply in replies if reply["type"] == "accepted"] == [str(n) for n in range(0, 100, 2)]
        await app.follow(readAhead=99)
        assert await app.hear_values(50) == list(range(0, 100, 2))


async def send_in_turn(app: Talker) -> None:
    for number in range(100):
        messages = [{"data": [{"value": number}]}] if number % 2 == 0 else number
        await app.say("send", id=str(number), messages=messages)


async def test_unanswered_frames_are_weighed(autojump_clock: object) -> None:
    """A frame waits for room; one that is larger than all the room goes when it is alone."""
    room, taken = Room(SessionLimits(frames_in_flight_max=2, bytes_in_flight_max=100)), list[int]()

    async def take(size: int) -> None:
        await room.take(size)
        taken.append(size)

    await take(500)
    async with trio.open_nursery() as nursery:
        for size, freed in ((60, 500), (41, 60)):
            nursery.start_soon(take, size)
            await trio.testing.wait_all_tasks_blocked()
            assert size not in taken
            room.give_back(freed)
            await trio.testing.wait_all_tasks_blocked()
            assert taken[-1] == size
        await take(1)
        nursery.start_soon(take, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert taken == [500, 60, 41, 1], "two frames, however small"
        room.give_back(1)


async def test_a_send_is_answered_while_events_wait_for_their_acks(node: Node) -> None:
    async with open_talker(node) as app:
        await app.send("one")
        await app.follow()
        assert await app.hear_values(1) == ["one"]
        assert (await app.send("two"))["type"] == "accepted"
        await app.ack(app.heard[-2])
        assert await app.hear_values(1) == ["two"]


async def test_a_stalled_reader_holds_up_nobody(node: Node) -> None:
    big = "x" * 200_000
    async with open_talker(node) as stalled, open_talker(node) as reader:
        # It asks for everything and reads nothing: soon the pipe to it is full.
        await stalled.follow(readAhead=200)
        await reader.follow(readAhead=200)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, node, [f"{number} {big}" for number in range(60)])
            heard = await reader.hear_values(60)
        assert [str(value).split()[0] for value in heard] == [str(number) for number in range(60)]


async def send_all(node: Node, values: list[str]) -> None:
    async with open_talker(node) as app:
        for value in values:
            reply: Json = await app.send(value)
            assert "id" in reply["messages"][0], json.dumps(reply)
