"""The command line of the notebook, `python -m lib.notebook`."""

import sys

from lib.common.command_line import run_command


def run_notebook_command() -> int:
    """Run the command.

    Ctrl-C ends it with a sentence even while the libraries are imported.
    """
    from lib.notebook.run import main

    return main()


if __name__ == "__main__":
    sys.exit(run_command(run_notebook_command))
