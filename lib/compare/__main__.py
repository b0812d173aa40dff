"""`python -m lib.compare`."""

import sys

from lib.compare import main

if __name__ == "__main__":  # a worker process imports this file too
    sys.exit(main())
