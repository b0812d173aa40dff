"""The state that a pass hands to the next.

It is any object that pickles, in a gzip file.
"""

import gzip
import pickle
from typing import Any

from lib.offline import uncovered

from .data.common import get_env
from .log import log_err, log_info


def write(state: Any) -> None:
    """Pickle `state` to a gzip file.

    The file is OUT_STATE_PATH, by default state.out.pickle.gz. Nothing is written for None.
    """
    if state is None:
        return
    with gzip.open(get_env("OUT_STATE_PATH", "state.out.pickle.gz", silent=True), "wb") as file:
        pickle.dump(state, file)
        log_info("State saved.")


def read(path: str | None = None) -> Any:
    """Return the state pickled in a gzip file.

    The file is `path`, by default IN_STATE_PATH or state.in.pickle.gz. As in the real library, any error is
    printed to stderr and the result is None, and unpickling runs the code in the file: read only files that
    you trust.
    """
    if path is None:
        path = get_env("IN_STATE_PATH", "state.in.pickle.gz", silent=True)
    try:
        with gzip.open(path, "rb") as file:
            state = pickle.load(file)
    except Exception as error:
        log_err("Can't load state.", error)
        return None
    log_info("State loaded.")
    return state


__getattr__ = uncovered(__name__)
