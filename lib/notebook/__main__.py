"""The command line of the notebook, `python -m lib.notebook`."""

import sys

from lib.notebook.run import main

if __name__ == "__main__":
    sys.exit(main())
