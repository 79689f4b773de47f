"""stderr: what a command says about its work. Never data."""

import sys

from ffctl.plain import visible
from ffctl.settings import Settings


class Talk:
    """Notes, progress and errors of one run. `-q` leaves only errors."""

    def __init__(self, settings: Settings) -> None:
        self._quiet = settings.quiet
        self._color = settings.colors(sys.stderr)
        self._draws = settings.talks_to_person
        self._drawn = 0

    def note(self, text: str) -> None:
        """One line to the user, unless `-q`."""
        if not self._quiet:
            self._line(visible(text))

    def error(self, text: str, hint: str = "") -> None:
        """`ffctl: CODE: text`, and a line with the hint."""
        name, mark = ("\x1b[31mffctl:\x1b[0m", "\x1b[2mhint:\x1b[0m") if self._color else ("ffctl:", "hint:")
        self._line(f"{name} {visible(text)}")
        if hint:
            self._line(f"{mark} {visible(hint)}")

    @property
    def draws(self) -> bool:
        """Whether a person watches, so that progress may be drawn."""
        return self._draws

    def progress(self, text: str) -> None:
        """Draw `text` over the last progress line."""
        if self._draws:
            _write(f"\r{text}{' ' * (self._drawn - len(text))}")
            self._drawn = len(text)

    def clear(self) -> None:
        """Take the progress line away."""
        if self._drawn:
            _write(f"\r{' ' * self._drawn}\r")
            self._drawn = 0

    def _line(self, text: str) -> None:
        self.clear()
        _write(text + "\n")


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens to the talk; the data and the exit code still say it
