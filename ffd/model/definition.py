"""Definitions: broadcasts by which members tell their nodes something, as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from ffd.model.canonical import levels_of
from ffd.model.errors import Invalid

DEFINITION_DEPTH_MAX = 128


def check_plain(value: str) -> None:
    """Refuse a definition that two programs might read in two ways: a name twice in one object, or nested too deep.

    Raises Invalid FFD4203.
    """
    if len(levels_of(value)) > DEFINITION_DEPTH_MAX:
        raise Invalid("FFD4203", f"A definition must not be nested deeper than {DEFINITION_DEPTH_MAX} levels")
    json.loads(value, object_pairs_hook=_once, parse_int=str, parse_float=str)


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Invalid("FFD4203", f"A definition must not have {name[:80]!r} twice in one object: name it once")
        seen.add(name)
