"""The words that shapes are made of. A field that may be left out is `U`; one that may be null says so."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, UnsetType

U = UnsetType
Uuid = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", extra_json_schema={"format": "uuid"}
    ),
]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, as 64 hex digits")]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339 in UTC, to the nanosecond")]
Name = Annotated[str, Meta(pattern="^[0-9a-zA-Z]([0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?$")]
TagName = Annotated[str, Meta(pattern="^([0-9a-zA-Z]([0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?)?$")]
Topics = Annotated[list[Name], Meta(max_length=10, extra_json_schema={"uniqueItems": True})]
Count = Annotated[int, Meta(ge=0)]
Pattern = Annotated[str, Meta(description="a regular expression of RE2, not anchored; empty matches everything")]
Object = dict[str, Any]


class Error(Struct):
    """Why a request was refused: a code, and a sentence with what is wrong and what to do."""

    error: Annotated[str, Meta(pattern="^FFD?[0-9]+: ")]
