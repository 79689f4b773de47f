"""Where a node keeps its state and listens, when nothing says otherwise.

Under systemd the service manager has made both folders and names them; on their own, programs of one user find each
other in that user's runtime folder. ffctl looks for the socket by the same rule.
"""

import os
from collections.abc import Mapping
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 107
"""What `sun_path` of Linux holds, less the NUL at its end."""


def socket_path(environ: Mapping[str, str]) -> Path:
    """The socket: `ffd.sock` in the service's folder, the user's, or one of our own in /tmp."""
    if service := _first(environ.get("RUNTIME_DIRECTORY")):
        return Path(service) / "ffd.sock"
    if user := environ.get("XDG_RUNTIME_DIR"):
        return Path(user) / "ffd" / "ffd.sock"
    return Path(f"/tmp/ffd-{os.getuid()}/ffd.sock")  # noqa: S108 - whoever listens checks that the folder is the user's own


def state_dir(environ: Mapping[str, str]) -> Path:
    """The state: the service's folder, else `ffd` in the user's folder for state."""
    if service := _first(environ.get("STATE_DIRECTORY")):
        return Path(service)
    if user := environ.get("XDG_STATE_HOME"):
        return Path(user) / "ffd"
    from platformdirs import user_state_dir  # not needed by a service, whose start it would delay

    return Path(user_state_dir("ffd", appauthor=False))


def _first(listed: str | None) -> str | None:
    """systemd names several folders with colons between them; the first is ours."""
    return listed.split(":", 1)[0] if listed else None
