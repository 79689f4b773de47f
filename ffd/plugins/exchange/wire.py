"""HTTP/1.1 inside TLS between two peers: what is said in pieces, and nobody is waited for without end."""

from __future__ import annotations

import ssl
from typing import TypeAlias

import h11
import trio

HEAD_BYTES_MAX = 16 * 1024
RECEIVE_BYTES = 256 * 1024
STALL_S = 30.0
"""How long a peer may neither send nor take anything, where it has to."""
HANDSHAKE_S = 10.0

Secured: TypeAlias = "trio.SSLStream[trio.SocketStream]"
Said: TypeAlias = "h11.Request | h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage"
SAID = (h11.Request, h11.InformationalResponse, h11.Response, h11.Data, h11.EndOfMessage)


class Gone(Exception):
    """The connection is of no more use; the text says why."""


class Distrusted(Gone):
    """The certificate of the peer is not trusted here."""


class Distrusting(Gone):
    """The peer does not trust the certificate of this node."""


class Wire:
    """One end of a connection."""

    def __init__(self, stream: Secured, *, listening: bool) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER if listening else h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._ended = False

    @property
    def certificate(self) -> bytes:
        """What the peer proved itself with (DER)."""
        return bytes(self._stream.getpeercert(binary_form=True) or b"")

    @property
    def answerable(self) -> bool:
        """Has a request come of which the answer is not begun?"""
        return self._http.our_state is h11.SEND_RESPONSE

    def again(self) -> bool:
        """Be ready for the next request, if there may be one after this."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def send(self, *said: Said) -> None:
        """Say these, in one write. Raises Gone."""
        try:
            text = b"".join([self._http.send(each) or b"" for each in said])
        except h11.LocalProtocolError as error:
            raise Gone(str(error)) from error
        try:
            with trio.fail_after(STALL_S):
                await self._stream.send_all(text)
        except trio.TooSlowError:
            raise Gone(f"it took nothing for {STALL_S:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise broken(error) from error

    async def next(self, *, within_s: float = STALL_S) -> Said:
        """The next thing that the peer says. Raises Gone, also when it says farewell."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Gone(f"it does not speak HTTP/1.1 as it should ({error})") from error
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self.send(h11.InformationalResponse(status_code=100, headers=[]))
                self._http.receive_data(await self._receive(within_s))
            elif isinstance(event, SAID):
                self._ended = isinstance(event, h11.EndOfMessage)
                return event
            else:
                raise Gone("it closed the connection")

    async def piece(self) -> bytes:
        """The next piece of a body; nothing at the end. Raises Gone."""
        while not self._ended:
            said = await self.next()
            if isinstance(said, h11.Data) and said.data:
                return bytes(said.data)
            self._ended = isinstance(said, h11.EndOfMessage)
        return b""

    async def _receive(self, within_s: float) -> bytes:
        try:
            with trio.fail_after(within_s):
                return bytes(await self._stream.receive_some(RECEIVE_BYTES))
        except trio.TooSlowError:
            raise Gone(f"it said nothing for {within_s:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise broken(error) from error

    async def cut(self) -> None:
        """Close the connection, whatever the peer is at."""
        await trio.aclose_forcefully(self._stream)


async def secure(
    stream: trio.SocketStream, context: ssl.SSLContext, *, listening: bool, host: str | None = None
) -> Secured:
    """The stream inside TLS, each end with its certificate. Raises Gone; a peer that is refused is told why."""
    secured = trio.SSLStream(stream, context, server_hostname=host, server_side=listening)
    gone = await _shake_hands(secured)
    if gone is None:
        return secured
    await _say_alert(secured, stream)
    raise gone


async def _shake_hands(secured: Secured) -> Gone | None:
    """Shake hands: what came of it if the connection broke. Raises Gone after the time for it."""
    try:
        with trio.fail_after(HANDSHAKE_S):
            await secured.do_handshake()
    except trio.TooSlowError:
        raise Gone(f"there was no handshake within {HANDSHAKE_S:g} s") from None
    except trio.BrokenResourceError as error:
        return broken(error)
    return None


async def _say_alert(secured: Secured, stream: trio.SocketStream) -> None:
    """Tell the peer why it is refused: OpenSSL has the alert ready, and Trio does not send it."""
    alert = secured._outgoing.read()
    with trio.move_on_after(1):
        try:
            await stream.send_all(alert)
            await stream.send_eof()
            # What is not read would make the kernel take the alert back.
            while await stream.receive_some(RECEIVE_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def broken(error: BaseException) -> Gone:
    """What TLS or the system says of a connection that broke, in words."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Distrusted(f"its certificate is not trusted: {cause.verify_message}")
    if isinstance(cause, ssl.SSLError) and cause.reason and "ALERT" in cause.reason:
        words = cause.reason.partition("ALERT_")[2].lower().replace("_", " ")
        return Distrusting(f"it does not trust the certificate of this node: {words}")
    if isinstance(cause, OSError) and cause.strerror:
        return Gone(cause.strerror)
    return Gone("the connection broke")
