"""`python -m ffd` is `ffd`."""

import sys

from ffd.daemon.cli import main

sys.exit(main())
