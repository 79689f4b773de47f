"""The one seam to the world: clock, randomness and ids, databases, files, locks and listeners.

Everything in ffd that would differ between a real node and a simulated one goes through a `World`. Production uses
`RealWorld`; a simulation subclasses `World` with a seeded clock, a database that runs in line and may lose power at any
operation, and files that forget what was not synced. A lint rule keeps `time`, `random`, `uuid`, `os.urandom`, sockets
and `open` out of every other room of ffd.
"""

from ffd.world.contract import UNFINISHED, Database, FileSink, FileSource, Lock, World
from ffd.world.real import OPEN_READ_ONLY, OPEN_READ_WRITE, STATEMENTS_CACHED, RealWorld, ThreadDatabase

__all__ = [
    "OPEN_READ_ONLY",
    "OPEN_READ_WRITE",
    "STATEMENTS_CACHED",
    "UNFINISHED",
    "Database",
    "FileSink",
    "FileSource",
    "Lock",
    "RealWorld",
    "ThreadDatabase",
    "World",
]
