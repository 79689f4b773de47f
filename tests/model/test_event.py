"""Events are written as FireFly writes them."""

from ffd.model.event import EVENT_TYPES, MESSAGE_EVENT_TYPES, Event, event_fields, event_json
from ffd.model.times import parse_time

EVENT = Event(
    sequence=42,
    id="cb0e6de1-50a9-44f2-a2ff-411f6dcc19c9",
    type="message_confirmed",
    namespace="default",
    reference="4ea27cce-a103-4187-b318-f7b20fd87bf3",
    correlator="",
    tx="8d3f06b8-adb5-4745-a536-a9e262fd2e9f",
    topic="widgets",
    created=parse_time("2024-03-01T12:00:07.5Z"),
)


def test_an_event_is_written_in_firefly_s_order() -> None:
    assert event_json(EVENT) == (
        '{"id":"cb0e6de1-50a9-44f2-a2ff-411f6dcc19c9","sequence":42,"type":"message_confirmed","namespace":"default",'
        '"reference":"4ea27cce-a103-4187-b318-f7b20fd87bf3","tx":"8d3f06b8-adb5-4745-a536-a9e262fd2e9f",'
        '"topic":"widgets","created":"2024-03-01T12:00:07.5Z"}'
    )
    assert f"{{{event_fields(EVENT)}}}" == event_json(EVENT)


def test_what_an_event_has_not_got_is_left_out() -> None:
    bare = Event(7, EVENT.id, "identity_confirmed", "a<b", EVENT.reference, EVENT.id, "", "", EVENT.created)
    assert event_json(bare) == (
        f'{{"id":"{EVENT.id}","sequence":7,"type":"identity_confirmed","namespace":"a\\u003cb",'
        f'"reference":"{EVENT.reference}","correlator":"{EVENT.id}","created":"2024-03-01T12:00:07.5Z"}}'
    )


def test_every_type_is_listed_once() -> None:
    assert len(EVENT_TYPES) == len(set(EVENT_TYPES)) == 19
    assert set(EVENT_TYPES) > MESSAGE_EVENT_TYPES
