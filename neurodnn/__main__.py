"""``python -m neurodnn`` is the command line."""

from __future__ import annotations

import sys

from neurodnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
