"""What one client may ask of the door, and for how long: beyond each bound stands a refusal, never damage."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """The bounds of all connections of one node; sizes in bytes, times in seconds."""

    connections_max: int = 1000
    """Open connections; the next one takes the place of one that has not said who it is, or is told 503."""
    stranger_s: float = 1
    """How long a connection keeps its place for sure before it has said who it is."""
    handshakes_max: int = 128
    """TLS handshakes at one time; the next one ends the oldest."""
    head_bytes_max: int = 64 * KIB
    headers_max: int = 100
    target_bytes_max: int = 48 * KIB
    header_timeout_s: float = 10
    """From a connection, or the first byte of a later request, to the end of its head; and for a TLS handshake."""
    idle_s: float = 75
    """How long a connection is kept that asks nothing."""
    body_bytes_max: int = MIB
    bodies_bytes_max: int = 64 * MIB
    """Bodies of all requests in flight together; beyond it 503."""
    upload_bytes_max: int = 1 << 51
    """The body of an upload, which is taken in piece by piece and never held. Whoever takes it has a limit of its own,
    which may change while the door is open."""
    uploads_max: int = 64
    """Uploads at one time; the next one is told 503."""
    body_grace_s: float = 10
    body_rate_min: int = KIB
    """A body has `body_grace_s`, and a second more for each so many bytes; time in which ffd does not read is free."""
    send_timeout_s: float = 60
    """How long one write of an HTTP answer may find its reader stalled."""
    frame_bytes_max: int = 4 * MIB
    """One WebSocket message; a larger one closes its connection with 1009."""
    close_s: float = 2
    """How long a WebSocket's farewell may take."""
    linger_s: float = 1
    """How long a refused client is still listened to, so that it hears why before the connection is reset."""
    drain_s: float = 10
    """From the stop to the end of requests in flight."""
