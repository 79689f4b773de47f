"""An answer that is given out piece by piece, no faster than its reader reads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ffd.api.call import Stream

BYTES = "application/octet-stream"


class StreamedResponse(Response):
    """A stream of known size. One that fails is cut off in the middle, so that its reader sees that it is not whole."""

    def __init__(self, stream: Stream, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(None, status, {**headers, "content-length": str(stream.size)}, BYTES)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._stream):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_when_left, receive, nursery.cancel_scope)
                await self._send(scope, send)
                nursery.cancel_scope.cancel()
            # Not within: the door tells of an answer's end as of a client that has gone, and the end would be cut off.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = 0 if scope["method"] == "HEAD" else self._stream.size
        while left:
            piece = await self._stream.read()
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _end_when_left(self, receive: Receive, scope: trio.CancelScope) -> None:
        # Nobody else tells: what is sent to a client that has gone is thrown away in silence.
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()
