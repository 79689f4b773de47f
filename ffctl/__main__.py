"""Where ffctl begins, by itself and as `python -m ffctl`."""

from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Load ffctl and run it; a Ctrl-C while it loads ends it as quietly as one while it runs."""
    try:
        from ffctl.app import main
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    main()


if __name__ == "__main__":
    main()
