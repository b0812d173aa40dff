"""What the kernels that this project starts run first; see `sitecustomize` in this folder."""

import os
from pathlib import Path


def python_path(*more: str) -> dict[str, str]:
    """Return the environment variable with which a new Python finds the built-in stand-in for `qnt`.

    Where the real library is installed, `import qnt` finds that one alone.

    Parameters
    ----------
    *more : str
        Further folders, such as those of the present PYTHONPATH.
    """
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), *more]))}
