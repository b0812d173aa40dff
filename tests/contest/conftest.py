"""What the tests of the contest share: passes computed in this process, and what was computed."""

import pickle
from types import SimpleNamespace

import pytest


@pytest.fixture
def here(monkeypatch):
    """Passes run in this process; `months` lists what was asked for, Ctrl-C comes after `stop` of them."""
    calls = SimpleNamespace(months=[], stop=None)

    def run_all(jobs, **where):
        for name, blob in jobs.items():
            if calls.stop is not None and len(calls.months) >= calls.stop:
                raise KeyboardInterrupt
            function, arguments = pickle.loads(blob)
            try:
                answer = function(*arguments)
            except ValueError as error:
                answer = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
            calls.months.append((name, len(arguments[2])))
            yield name, answer, ""

    monkeypatch.setattr("lib.contest.all_days.run_all", run_all)
    return calls
