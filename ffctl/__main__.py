"""`python -m ffctl`."""

from ffctl.app import main

main()
