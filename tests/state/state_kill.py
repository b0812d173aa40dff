"""Repeated kills of a process that writes states, and a look at what each left; test_state runs this file.

    python tests/state/state_kill.py {atomic,in_place} KILLS FOLDER

Prints a line of JSON: kills, how many came in the middle of a write, writes survived, states lost.
"""

import contextlib
import gzip
import io
import json
import os
import pickle
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FIRST_DAY = np.datetime64("2000-01-03")
ASSETS = [f"NAS:A{number:03}" for number in range(300)]


def state_number(number: int):
    """The state of a number, large enough to take a moment to write."""
    from lib.state import State

    weights = {asset: ((number * 31 + place) % 97 + 1) / 97 / 400 for place, asset in enumerate(ASSETS)}
    return State(FIRST_DAY + number, weights, {}, {"number": number})


def atomic(state, path: Path) -> None:
    from lib.state import state_write

    state_write(state, path)


def in_place(state, path: Path) -> None:
    """The writer that must be caught: the published template's."""
    with gzip.open(path, "wb") as file:
        pickle.dump(state, file)


def write_until_killed(write: Callable, path: Path, number: int, started: int) -> None:
    """The child: ends only by the signal."""
    os.write(started, b"!")
    while True:
        write(state_number(number), path)
        number += 1


def kill_once(write: Callable, path: Path, number: int, wait: float) -> None:
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(write, path, number, started)
        finally:
            os._exit(1)  # only if writing failed: the parent sees no signal
    os.close(started)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the writer failed by itself")


def number_at(path: Path) -> int | None:
    """Number of the state at the path; None if there is no complete state."""
    from lib.state import StateError, state_read

    try:
        state = state_read(path)
    except StateError:
        return None
    if state is None:
        return None
    number = state.parameters["number"]
    return number if state == state_number(number) else None


def kill_often(write: Callable, kills: int, folder: Path) -> dict[str, int]:
    path = folder / "state.pickle.gz"
    write(state_number(0), path)  # the first one loads what the others find loaded
    began = time.perf_counter()
    for _ in range(5):
        write(state_number(0), path)
    one_write = (time.perf_counter() - began) / 5
    moments = random.Random(1)
    last, lost, interrupted = 0, 0, 0
    for _ in range(kills):
        kill_once(write, path, last + 1, moments.uniform(0, 3 * one_write))
        interrupted += len(os.listdir(folder)) > 1
        number = number_at(path)
        if number is None or number < last:
            lost += 1
            write(state_number(last), path)
        else:
            last = number
    for name in os.listdir(folder):
        os.utime(folder / name, (1e9, 1e9))  # leftovers are removed when they are old
    write(state_number(last + 1), path)
    return {
        "kills": kills,
        "interrupted": interrupted,
        "survived": last,
        "lost": lost,
        "files": len(os.listdir(folder)),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    with contextlib.redirect_stdout(io.StringIO()):
        report = kill_often(globals()[sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(report))
