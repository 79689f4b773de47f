"""The TLS handshakes of a door: each bounded in time, all of them in number."""

import logging
import ssl

import trio

from ffd.api.limits import DoorLimits

log = logging.getLogger(__name__)

PLAIN_HTTP = "HTTP_REQUEST"
"""OpenSSL's word for a request in clear where a handshake should begin."""


class NotSecured(Exception):
    """There was no handshake; `plain_http` says that the client spoke HTTP in clear and can be told so."""

    def __init__(self, why: str, *, plain_http: bool = False) -> None:
        super().__init__(why)
        self.plain_http = plain_http


class Handshakes:
    """The handshakes under way. One too many ends the one that has lasted longest: who means it needs milliseconds."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._under_way: dict[trio.CancelScope, None] = {}

    async def secure(self, stream: trio.abc.Stream, context: ssl.SSLContext) -> trio.SSLStream[trio.abc.Stream]:
        """The stream inside TLS. Raises `NotSecured`."""
        while len(self._under_way) >= self._limits.handshakes_max:
            oldest = next(iter(self._under_way))
            del self._under_way[oldest]
            oldest.cancel()
        secured = trio.SSLStream(stream, context, server_side=True)
        with trio.move_on_after(self._limits.header_timeout_s) as scope:
            self._under_way[scope] = None
            try:
                await secured.do_handshake()
            except trio.BrokenResourceError as error:
                raise _not_secured(error) from error
            finally:
                self._under_way.pop(scope, None)
        if scope.cancelled_caught:
            raise NotSecured("it took too long")
        return secured


async def say_goodbye(stream: trio.SSLStream[trio.abc.Stream], limits: DoorLimits) -> None:
    """End TLS in good order, so that the client knows that nothing was cut off, if it still listens."""
    with trio.move_on_after(limits.linger_s):
        try:
            await stream.aclose()
        except (trio.BrokenResourceError, trio.BusyResourceError):
            return


def _not_secured(error: trio.BrokenResourceError) -> NotSecured:
    cause = error.__cause__
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    return NotSecured(reason or "the client went away", plain_http=reason == PLAIN_HTTP)
