"""One row of the table of routes: all that the server and the description of the API need to know of a route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ffd.api.call import Handler
from ffd.api.caller import Caller
from ffd.model.errors import Invalid
from ffd.model.namespace import EVERY_NAMESPACE

API = "/api/v1"
NAMESPACED = f"{API}/namespaces/{{ns}}"
JSON = "application/json"
BYTES = "application/octet-stream"

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One row: how it is asked for, and who answers; its word on itself is the handler's docstring.

    `filters` is the collection whose fields the query string may name; `switches` what it may turn on; `asks` what else
    it may say, each `name` or `name:kind`, the name with a `!` where it must. `everywhere` says that the path is a
    whole one, and of no namespace unless it names one. `body`, `form` and `answer` name shapes of `ffd.api.shapes`:
    `Message`, a list `[Message]`, or one of several, `Message | MessageInOut`; nothing is no body. `statuses` are those
    of success, `media` the type of an answer that is no JSON. `kinds` says of a part of the path what it is, if not
    what its name says (`PATH_KINDS` of `ffd.api.openapi`). `ours` marks what FireFly has not. `for_all` lets those ask
    what is of no namespace who may not use the whole node. `spans` lets it be asked of all namespaces at once, as `*`.
    """

    method: str
    path: str
    handler: Handler
    filters: str = ""
    switches: tuple[str, ...] = ()
    everywhere: bool = False
    body: str = ""
    form: str = ""
    answer: str = ""
    statuses: tuple[int, ...] = (200,)
    asks: tuple[str, ...] = ()
    media: str = JSON
    kinds: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    for_all: bool = False
    spans: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        if self.everywhere:
            return (self.path,)
        return f"{NAMESPACED}/{self.path}", f"{API}/{self.path}"

    def check(self, caller: Caller, namespace: str | None, default: str) -> None:
        """May this caller ask, in the namespace of the path or in the default one? Raises Invalid FF00170 (403).

        Of all namespaces at once only those may who may use the whole node; raises Invalid FFD2120 where nobody can.
        """
        if namespace == EVERY_NAMESPACE:
            caller.check_node()
            if not self.spans:
                raise Invalid(
                    "FFD2120", "Namespace '*' is all of them, which only events and subscriptions can be: name one"
                )
            return
        if not self.everywhere or namespace is not None:
            caller.check(namespace or default)
        elif not self.for_all:
            caller.check_node()

    @property
    def parts(self) -> tuple[str, ...]:
        """The names in its path, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def shown_path(self) -> str:
        """The path as people write it: without the framework's converters."""
        return _PARAMETER.sub(r"{\1}", self.path)
