"""The three standard streams of the process, which whoever starts it may have closed."""

import os
import sys


def open_standard_streams() -> None:
    """See that numbers 0 to 2 are taken: no database is to be where something writes its complaints."""
    streams = {0: "r", 1: "w", 2: "w"}
    while (number := nothing()) in streams:
        stream = os.fdopen(number, streams[number], closefd=False)
        setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
    os.close(number)


def nothing() -> int:
    """A descriptor that is always empty and takes everything."""
    return os.open(os.devnull, os.O_RDWR)
