"""Members as services of the user's own systemd: a unit each, linked from the network's folder while it is up."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ffctl.failure import BLOCKED, CONFLICT, Failure
from ffctl.network.plan import Member
from ffctl.network.processes import command

HINT = "a user without a session needs `loginctl enable-linger`; without --systemd no manager is needed"
TIMEOUT_S = 120

UNIT = """\
# Member {name} of the network {network}, made by `ffctl network init`; `ffctl network up --systemd` links it.
[Unit]
Description=ffd event bus, member {name} of {network}
Documentation=man:ffctl-network(1) man:ffd(8)
StartLimitIntervalSec=60
StartLimitBurst=3

[Service]
Type=notify
NotifyAccess=main
WorkingDirectory={folder}
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
# What the user's session says of another ffd is not meant for this one.
UnsetEnvironment=FFD_CONFIG FFD_SOCKET FFD_STATE_DIR FFD_ROLES FFD_NAMESPACE
StandardOutput=append:{log}
StandardError=append:{log}
TimeoutStartSec=90
TimeoutStopSec=20
KillMode=mixed
SuccessExitStatus=3
Restart=on-failure
RestartSec=500ms
WatchdogSec=30
UMask=0077
LimitNOFILE=65536
NoNewPrivileges=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes

[Install]
WantedBy=default.target
"""


def unit_text(member: Member) -> str:
    """A member's unit."""
    return UNIT.format(
        name=member.name,
        network=member.network,
        folder=_path(member.folder),
        log=_path(member.log),
        command=" ".join(map(_word, command(member))),
    )


def _path(path: Path) -> str:
    """A path as a unit has it where nothing is quoted: `%` begins a specifier."""
    return str(path).replace("%", "%%")


def _word(text: str) -> str:
    """A word of a command line as a unit has it: quoted, and neither `%` nor `$` mean anything."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def is_linked(member: Member) -> bool:
    """Whether the user's manager has it as a unit from this folder."""
    link = _link(member)
    return os.path.realpath(link) == os.path.realpath(member.unit_file) if link.is_symlink() else False


def _link(member: Member) -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(home) / "systemd" / "user" / member.unit


def start(members: Sequence[Member]) -> None:
    """Link the members' units and start them, all at once; it returns when they are ready."""
    for member in members:
        if _link(member).is_symlink() and not is_linked(member):
            text = f"the unit {member.unit} is another network's: {os.path.realpath(_link(member))}"
            raise Failure(CONFLICT, "FFD6015", text, "stop that network first, or make this one with another --name")
    _systemctl("link", *(str(member.unit_file) for member in members if not is_linked(member)))
    _systemctl("start", *(member.unit for member in members))


def stop(members: Sequence[Member]) -> None:
    """Stop the members' units, all at once, and unlink them; it returns when they have ended."""
    _systemctl("stop", *(member.unit for member in members))
    _systemctl("disable", *(member.unit for member in members))


def running(member: Member) -> int | None:
    """The number of its process, if its unit runs."""
    said = _systemctl("show", "--property=MainPID", "--value", member.unit).strip()
    return int(said) if said.isdecimal() and said != "0" else None


def _systemctl(verb: str, *words: str) -> str:
    if not words:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  units of our own
            ["systemctl", "--user", "--quiet", verb, *words],  # noqa: S607  the one of the path
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except OSError as error:
        raise Failure(BLOCKED, "FFD6019", f"systemctl cannot be run: {error.strerror}", HINT) from None
    except subprocess.TimeoutExpired:
        raise Failure(BLOCKED, "FFD6019", f"`systemctl --user {verb}` took more than {TIMEOUT_S} s", HINT) from None
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise Failure(BLOCKED, "FFD6019", f"`systemctl --user {verb}` failed: {why}", HINT)
    return done.stdout
