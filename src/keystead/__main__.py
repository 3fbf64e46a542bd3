"""`python -m keystead` is the same as `keystead`."""

import sys

from keystead.cli import main

if __name__ == "__main__":
    sys.exit(main())
