"""Names of topics, tags, subscriptions and the like: FireFly's rules and codes (reference 1.2)."""

import re
from collections.abc import Sequence
from functools import lru_cache

from ffd.model.errors import Invalid
from ffd.model.ids import parse_uuid

TOPICS_MAX = 10
TOPICS_LENGTH_MAX = 1024
DEFAULT_TOPICS = ("default",)
"""What a message without topics is sealed with."""

_NAME = re.compile(r"[0-9a-zA-Z](?:[0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?")


def check_name(text: str, field: str) -> str:
    """`text` back if it is a FireFly name: 1 to 64 of `a-zA-Z0-9._-`, alphanumeric at both ends; else FF00140."""
    if not _NAME.fullmatch(text):
        raise Invalid(
            "FF00140",
            f"Field '{field}' must be 1-64 characters, including alphanumerics (a-zA-Z0-9), dot (.), dash (-) and "
            f"underscore (_), and must start/end in an alphanumeric: {text[:80]!r} is not",
        )
    return text


def check_name_not_uuid(text: str, field: str) -> str:
    """`check_name` for things that are also found by id: a text that reads as a UUID is refused with FF00141."""
    try:
        parse_uuid(text)
    except Invalid:
        return check_name(text, field)
    raise Invalid("FF00141", f"Field '{field}' must not be a UUID: {text[:80]!r} is one, choose another name")


def check_tag(tag: str) -> str:
    """`tag` back if it is empty (none) or a FireFly name; else `Invalid` FF00140."""
    return check_name(tag, "header.tag") if tag else tag


def check_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """The topics of one message as a tuple; empty stays empty, sealing gives it `DEFAULT_TOPICS`.

    Raises `Invalid` FF00140 for a bad name, FF00133 for one twice, FF00134 beyond ten, FF00135 beyond 1024 characters.
    """
    return _checked(tuple(topics))


@lru_cache(maxsize=1024)  # refusals are not kept, so what is kept is small
def _checked(topics: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for index, topic in enumerate(topics):
        if topic in seen:
            raise Invalid("FF00133", f"Array entry header.topics[{index}] is a duplicate: {topic[:80]!r}, name it once")
        seen.add(topic)
        check_name(topic, f"header.topics[{index}]")
    if len(topics) > TOPICS_MAX:
        raise Invalid("FF00134", f"Maximum number of items for 'header.topics' is {TOPICS_MAX}, not {len(topics)}")
    if (length := sum(map(len, topics))) > TOPICS_LENGTH_MAX:
        raise Invalid("FF00135", f"Field 'header.topics' is {length} characters long: {TOPICS_LENGTH_MAX} at most")
    return topics
