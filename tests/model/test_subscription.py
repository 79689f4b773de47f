"""Subscriptions: filters and options are read as FireFly reads them, and written as it writes them."""

import pytest

from ffd.model.errors import Invalid
from ffd.model.subscription import (
    Subscription,
    SubscriptionFilter,
    SubscriptionOptions,
    SubscriptionRequest,
    check_first_event,
    check_transport,
    filter_json,
    options_json,
    parse_filter,
    parse_options,
    parse_subscription,
    subscription_json,
)

EMPTY = '{"message":{},"transaction":{},"blockchainevent":{}}'


@pytest.mark.parametrize("text", ["null", "{}", '{"message":null,"unknown":1}', EMPTY, '{"events":"","topic":null}'])
def test_an_empty_filter_lets_everything_through(text: str) -> None:
    assert parse_filter(text) == SubscriptionFilter()
    assert filter_json(parse_filter(text)) == EMPTY


def test_a_filter_comes_back_from_its_text() -> None:
    text = (
        '{"events":"message_.*","message":{"tag":"^t$","group":"00","author":"\\u003cme\\u003e"},'
        '"transaction":{"type":"batch_pin"},"blockchainevent":{"name":"n","listener":"l"},"topic":"a|b"}'
    )
    wanted = SubscriptionFilter(
        events="message_.*", topic="a|b", tag="^t$", group="00", author="<me>", transaction_type="batch_pin",
        blockchain_name="n", blockchain_listener="l",
    )  # fmt: skip
    assert parse_filter(text) == parse_filter(text, strict=True) == wanted
    assert filter_json(wanted) == text


def test_deprecated_keys_mean_what_the_new_ones_do_and_give_way_to_them() -> None:
    old = parse_filter('{"topics":"t","tag":"a","group":"g","author":"me"}')
    assert old == SubscriptionFilter(topic="t", tag="a", group="g", author="me")
    both = parse_filter('{"topics":"old","topic":"new","tag":"old","message":{"tag":"new"},"group":"kept"}')
    assert both == SubscriptionFilter(topic="new", tag="new", group="kept")


@pytest.mark.parametrize("text", ['{"topc":"x"}', '{"message":{"tags":"x"}}', '{"transaction":{"typ":1}}'])
def test_a_strict_reader_refuses_a_key_that_it_does_not_know(text: str) -> None:
    assert parse_filter(text) == SubscriptionFilter()
    with pytest.raises(Invalid, match="FFD2110"):
        parse_filter(text, strict=True)


@pytest.mark.parametrize("text", ["[]", '"x"', '{"events":1}', '{"message":[]}'])
def test_a_filter_of_the_wrong_type_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="FFD2104"):
        parse_filter(text)


def test_options_keep_what_they_do_not_know_and_sort_their_keys() -> None:
    options = parse_options(
        '{"zeta": {"b": 1.0, "a": "<"}, "withData": true, "readAhead": 50, "batch": false, "firstEvent": "oldest",'
        ' "batchTimeout": "200ms", "Alpha": null}'
    )
    assert options == SubscriptionOptions(
        first_event="oldest",
        read_ahead=50,
        with_data=True,
        batch=False,
        batch_timeout="200ms",
        other={"zeta": '{"b":1.0,"a":"\\u003c"}', "Alpha": "null"},
    )
    text = options_json(options)
    assert text == (
        '{"Alpha":null,"batch":false,"batchTimeout":"200ms","firstEvent":"oldest","readAhead":50,"withData":true,'
        '"zeta":{"b":1.0,"a":"\\u003c"}}'
    )
    assert parse_options(text) == options


@pytest.mark.parametrize("text", ["null", "{}", '{"readAhead":null,"firstEvent":null}'])
def test_no_options_are_no_options(text: str) -> None:
    assert parse_options(text) == SubscriptionOptions()
    assert options_json(parse_options(text)) == "{}"


def test_numbers_are_taken_for_the_first_event_and_the_timeout() -> None:
    options = parse_options('{"firstEvent":-1,"batchTimeout":50}')
    assert (options.first_event, options.batch_timeout) == ("-1", "50")


def test_data_in_batches_is_given_over_websockets() -> None:
    options = parse_options('{"withData":true,"batch":true}')
    assert (options.with_data, options.batch) == (True, True)


@pytest.mark.parametrize(
    "text, code",
    [
        ('{"firstEvent":"now"}', "FF10191"),
        ('{"firstEvent":"1.5"}', "FF10191"),
        ('{"firstEvent":1.5}', "FFD2104"),
        ('{"firstEvent":"9223372036854775808"}', "FF10191"),
        ('{"firstEvent":"-2"}', "FF10192"),
        ('{"firstEvent":-2}', "FF10192"),
        ('{"batchTimeout":"soon"}', "FF00137"),
        ('{"batchTimeout":"-1s"}', "FF00137"),
        ('{"readAhead":-1}', "FFD2104"),
        ('{"readAhead":65536}', "FFD2104"),
        ('{"readAhead":"1"}', "FFD2104"),
        ('{"batch":"true"}', "FFD2104"),
        ("[]", "FFD2104"),
        ("{", "FFD2101"),
    ],
)
def test_options_that_make_no_sense_are_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_options(text)


@pytest.mark.parametrize("text", ["", "oldest", "newest", "-1", "0", "+7", "9223372036854775807"])
def test_the_first_event_is_a_word_or_a_number(text: str) -> None:
    assert check_first_event(text) == text


@pytest.mark.parametrize("text", ["Oldest", " 1", "1 ", "-", "--1", "1_0", "\u0661", "0x1"])
def test_the_first_event_is_nothing_else(text: str) -> None:
    with pytest.raises(Invalid, match="FF10191"):
        check_first_event(text)


@pytest.mark.parametrize(
    "text, code",
    [
        ("{}", "FF10242"),
        ('{"url":"http://x","headers":{"a":1}}', "FF10243"),
        ('{"url":"http://x","query":{"a":null}}', "FF10243"),
        ('{"url":"http://x","batch":true,"withData":true}', "FF10460"),
    ],
)
def test_a_webhook_has_rules_of_its_own(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_options(text, transport="webhooks")
    parse_options('{"url":"http://x","headers":{"a":"1"},"batch":true}', transport="webhooks")


def test_a_request_is_read_whole() -> None:
    assert parse_subscription('{"name":"app1","namespace":"ignored","options":{"readAhead":1}}') == SubscriptionRequest(
        name="app1",
        transport="websockets",
        filter=SubscriptionFilter(),
        options=SubscriptionOptions(read_ahead=1),
    )


@pytest.mark.parametrize(
    "text, code",
    [
        ("{}", "FF00140"),
        ('{"name":"8b5c0d39-925f-4579-9c60-54f3e846ab99"}', "FF00141"),
        ('{"name":"a","transport":"system"}', "FF10266"),
        ('{"name":"a","transport":"pigeon"}', "FF10172"),
        ('{"name":"a","transport":"webhooks"}', "FF10242"),
        ('{"name":"a","filter":{"events":{}}}', "FFD2104"),
        ('{"name":1}', "FFD2104"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_subscription(text)


def test_the_transport_is_websockets_unless_said() -> None:
    assert [check_transport(text) for text in ("", "websockets", "webhooks")] == [
        "websockets",
        "websockets",
        "webhooks",
    ]


def test_a_subscription_is_written_in_firefly_s_order() -> None:
    subscription = Subscription(
        id="7b8b3f0a-2f3f-4b26-8d0f-0a5a1b2c3d4e",
        namespace="default",
        name="app1",
        transport="websockets",
        filter=SubscriptionFilter(),
        options=SubscriptionOptions(first_event="-1"),
        created=0,
    )
    assert subscription_json(subscription) == (
        '{"id":"7b8b3f0a-2f3f-4b26-8d0f-0a5a1b2c3d4e","namespace":"default","name":"app1","transport":"websockets",'
        f'"filter":{EMPTY},"options":{{"firstEvent":"-1"}},"created":"1970-01-01T00:00:00Z","updated":null}}'
    )
