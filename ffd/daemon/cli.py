"""`ffd`: arguments, the log, and what the exit code says."""

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from ffd import __version__
from ffd.daemon.config import ROLES, Config, load_config
from ffd.daemon.logs import start_logs
from ffd.daemon.streams import nothing, open_standard_streams
from ffd.model.errors import FfdError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
CONFIGURATION = ("FFD1001", "FFD1109", "FFD1402", "FFD1403", "FFD1404", "FFD1201", "FFD1202", "FFD1203")
"""A fault in a key, in an option of a plugin, or a plugin that is not there: the configuration is to be changed."""
SWITCH_S = 0.0002
"""How long a thread that comes back from the disk may wait for the loop to let go of the interpreter. Python's own 5 ms
would be paid several times for every batch."""
GARBAGE_THRESHOLD = 10_000
"""Python's own 700 would have the collector look again and again at messages that are on their way, for nothing: they
are in no cycles. What is imported stays, and is not looked at again."""

EPILOG = """\
exit codes: 0 stopped and drained, 1 failed, 2 wrong arguments or configuration,
            3 stopped before all was drained (nothing accepted is lost)
environment: FFD_CONFIG, FFD_SOCKET, FFD_STATE_DIR, FFD_ROLES, and FFD_SECTION__KEY
             for every key of ffd.toml(5)
signals: SIGTERM drains and stops, a second one stops now; SIGHUP reloads
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon as the arguments say; gives the exit code."""
    open_standard_streams()
    arguments = _parser().parse_args(argv)
    try:
        config = _load(arguments)
        if arguments.check_config:
            return _report(config)
        return _run(config, arguments)
    except FfdError as wrong:
        return _refuse(wrong)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ffd",
        description="An ordered, durable, verifiable event bus; with no arguments at all it is ready: see ffctl(1).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", metavar="FILE", default=os.environ.get("FFD_CONFIG"), help="read ffd.toml(5) from FILE"
    )
    parser.add_argument(
        "--check-config", action="store_true", help="say what is wrong with the configuration, and exit"
    )
    parser.add_argument("--socket", metavar="PATH", help="listen on this Unix socket")
    parser.add_argument("--state-dir", metavar="DIR", help="keep the database, keys and stores here")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    parser.add_argument("--roles", metavar="LIST", help=f"work only on some of {','.join(ROLES)}")
    parser.add_argument("--version", action="version", version=f"ffd {__version__}")
    return parser


def _load(arguments: argparse.Namespace) -> Config:
    given = {
        "--socket": arguments.socket,
        "--state-dir": arguments.state_dir,
        "--log-level": arguments.log_level,
        "--roles": arguments.roles,
    }
    path = Path(arguments.config) if arguments.config else None
    return load_config(path, os.environ, {name: value for name, value in given.items() if value is not None})


def _report(config: Config) -> int:
    """What a good configuration comes to, on stdout if anybody listens there; the exit code says it too."""
    try:
        sys.stdout.write(f"good: state in {config.state_dir}, socket {config.socket.path}\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(nothing(), sys.stdout.fileno())  # or Python would complain at its end
    return EXIT_OK


def _run(config: Config, arguments: argparse.Namespace) -> int:
    gc.set_threshold(GARBAGE_THRESHOLD)
    # Late, so that --help and --check-config answer at once.
    import trio

    from ffd.daemon.host import EXIT_CUT, run_hosted
    from ffd.daemon.node import run_node
    from ffd.daemon.notify import listen_fds
    from ffd.world import RealWorld

    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    start_logs(config.log, sys.stderr, os.environ)
    os.umask(0o077)  # what a node writes is for its own user
    inherited = [descriptor for _, descriptor in listen_fds(os.environ, pid=os.getpid())]
    node = partial(run_node, config, RealWorld(inherited))
    try:
        drained = trio.run(run_hosted, node, config, partial(_load, arguments), os.environ)
    except BaseExceptionGroup as group:
        refused, bugs = group.split(FfdError)
        if refused is None or bugs is not None:
            raise
        return max(_refuse(each) for each in _leaves(refused))
    return EXIT_OK if drained else EXIT_CUT


def _refuse(wrong: FfdError) -> int:
    for line in wrong.text.splitlines():
        sys.stderr.write(f"ffd: {wrong.code}: {line}\n")
    return EXIT_USAGE if wrong.code in CONFIGURATION else EXIT_FAILED


def _leaves(group: ExceptionGroup[FfdError]) -> Iterator[FfdError]:
    for each in group.exceptions:
        if isinstance(each, ExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
