"""The store of results: a file is read as it was written, or it is named and not used."""

import dataclasses
import functools
import json

import pytest

from lib.features import feature
from lib.runs import provenance
from lib.runs.store import (
    DamagedResultError,
    OldResultError,
    _checksum,
    check_worker,
    functions_of,
    identity_of,
    prepared_worker,
    read_result,
    read_results,
    registered,
    write_result,
)
from lib.strategy import Strategy
from tests.compare.shared import Ratio, two_days

CONTENT = {"returns": [0.1, None], "seed": 42}


def test_a_result_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "one.json"
    write_result(path, "key", CONTENT)
    assert read_result(path, "key") == CONTENT | {"key": "key"}
    write_result(path, "key", read_result(path, "key"))
    assert read_result(path, "key") == CONTENT | {"key": "key"}


def test_the_file_of_another_result_is_not_taken_for_it(tmp_path):
    """The kept days of one strategy were copied into the folder of another."""
    path = tmp_path / "one.json"
    write_result(path, "key of another", CONTENT)
    with pytest.raises(DamagedResultError, match="belongs to another result than its name says"):
        read_result(path, "key")


def signed(**changes):
    """An edit by someone who also corrected the checksum."""

    def damage(text):
        content = json.loads(text) | changes
        del content["checksum"]
        return json.dumps(content | {"checksum": _checksum(content)})

    return damage


DAMAGES = {
    "cut off": (lambda text: text[: len(text) // 2], ""),
    "empty": (lambda text: "", ""),
    "a number changed": (lambda text: text.replace("42", "41"), "checksum does not fit"),
    "the key changed": (lambda text: text.replace('"key": "key"', '"key": "other"'), "checksum does not fit"),
    "a list": (lambda text: "[]", ""),
    "an object without checksum": (lambda text: "{}", "checksum"),
    "zeros": (lambda text: "\x00" * len(text), ""),
    "deep": (lambda text: "[" * 100_000, ""),
    "another key, signed": (signed(key="other"), "belongs to another result"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named_and_not_used(name, tmp_path):
    damage, reason = DAMAGES[name]
    paths = [tmp_path / f"{number}.json" for number in range(2)]
    for path in paths:
        write_result(path, "key", CONTENT)
    paths[0].write_text(damage(paths[0].read_text("utf-8")), "utf-8")
    found, (sentence,) = read_results(paths, lambda path: read_result(path, "key"), "it is run again")
    assert list(found) == paths[1:]
    assert str(paths[0]) in sentence
    assert reason in sentence
    assert sentence.endswith("it is run again.")


def test_files_of_an_earlier_version_are_named_in_one_sentence(tmp_path):
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path in paths:
        path.write_text(json.dumps({"checksum": "0" * 16, "key": "key", "parameters": {}}), "utf-8")
    with pytest.raises(OldResultError):
        read_result(paths[0], "key")
    found, (sentence,) = read_results(paths, lambda path: read_result(path, "key"), "they are run again")
    assert found == {}
    assert "3 files of an earlier version" in sentence


def test_an_error_of_the_loader_is_damage_too(tmp_path):
    path = tmp_path / "one.json"
    write_result(path, "key", CONTENT)
    found, (sentence,) = read_results(
        [path], lambda path: read_result(path, "key")["none"], "it is run again"
    )
    assert found == {}
    assert "none" in sentence


def test_no_number_is_kept_that_json_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_result(tmp_path / "one.json", "key", {"seconds": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_functions_among_names():
    assert functions_of(Strategy()) == {}
    assert functions_of(Strategy(features=["trend", two_days], target=two_days)) == {
        "features": [None, two_days],
        "target": [two_days],
    }
    ratio, power = Ratio(3), functools.partial(two_days, power=2)
    assert functions_of(Strategy(features=(ratio, power), selection=ratio)) == {
        "features": [ratio, power],
        "selection": [ratio],
    }


def test_functions_that_the_user_registered(monkeypatch):
    assert registered(Strategy()) == {}
    monkeypatch.setitem(feature, "two_days", two_days)
    assert registered(Strategy(features=["trend", "two_days(power=2)"])) == {
        "features": {"two_days": two_days}
    }


def in_notebook(source, **names):
    """Run a cell as a kernel does, and return the strategy that it makes."""
    scope = {"__name__": "__main__", "Strategy": Strategy, "dataclasses": dataclasses, **names}
    exec(source, scope)
    return scope["strategy"]


METHODS = {
    "load_data": "def load_data({self}period): return {value}",
    "train_model": "def train_model({self}data): return {value}",
    "predict": "def predict({self}models, data, state): return {value}, state",
    "predict without state": "def predict({self}models, data): return {value}",
}


def subclass(method, value):
    body = METHODS[method].format(self="self, ", value=value)
    return in_notebook(f"class Mine(Strategy):\n    {body}\nstrategy = Mine()")


def functions(method, value):
    body = METHODS[method].format(self="", value=value)
    name = method.split()[0]
    return in_notebook(f"{body}\nstrategy = Strategy().with_functions({name}={name})")


@pytest.mark.parametrize("make", [subclass, functions])
@pytest.mark.parametrize("method", METHODS)
def test_an_overriding_method_is_part_of_the_key(make, method):
    one, again, two = make(method, 1), make(method, 1), make(method, 2)
    assert one.as_dict() == two.as_dict() == Strategy().as_dict()
    assert identity_of(one).key == identity_of(again).key
    assert len({identity_of(each).key for each in (one, two, Strategy())}) == 3


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("helper = lambda: 1", "helper = lambda: 2"),
        (
            "class Base(Strategy):\n    def f(self): return 1",
            "class Base(Strategy):\n    def f(self): return 2",
        ),
        ("class Base(Strategy):\n    K = 1", "class Base(Strategy):\n    K = 2"),
        (
            "@dataclasses.dataclass(frozen=True)\nclass Base(Strategy):\n    depth: int = 1",
            "@dataclasses.dataclass(frozen=True)\nclass Base(Strategy):\n    depth: int = 2",
        ),
    ],
    ids=["a function that it calls", "a method of its base", "a class attribute", "a field of its own"],
)
def test_all_that_an_overriding_method_refers_to_is_part_of_the_key(one, two):
    method = "def train_model(self, data): return helper(), self.f, self.K"
    cell = f"\nclass Mine({{}}):\n    {method}\nstrategy = Mine()"
    keys = []
    for source in (one, one, two):
        base = "Base" if "Base" in source else "Strategy"
        keys.append(identity_of(in_notebook(source + cell.format(base), helper=lambda: 0)).key)
    assert keys[0] == keys[1] != keys[2]


def test_a_subclass_of_a_module_counts_by_the_code_of_its_module(tmp_path, monkeypatch):
    path = tmp_path / "strategies_of_mine.py"
    method = "def train_model(self, data): return 1"
    text = f"from lib.strategy import Strategy\n\nclass Mine(Strategy):\n    {method}\n"
    path.write_text(text, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import strategies_of_mine

    before = identity_of(strategies_of_mine.Mine()).key
    assert before != identity_of(Strategy()).key
    path.write_text(f"# a comment\n{text}", "utf-8")
    assert identity_of(strategies_of_mine.Mine()).key == before
    path.write_text(text.replace("return 1", "return 2"), "utf-8")
    assert identity_of(strategies_of_mine.Mine()).key != before


def test_a_prepared_worker_runs_torch_on_one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for model, threads in (("constant", 2), (lambda n_features, strategy: torch.nn.Linear(1, 1), 1)):
            strategy = Strategy(model=model)
            with prepared_worker(strategy, identity_of(strategy), {}):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_worker_with_other_code_or_packages_is_refused(monkeypatch):
    identity = identity_of(Strategy())
    check_worker(Strategy(), identity)
    here = provenance.versions(Strategy())
    monkeypatch.setattr(provenance, "versions", lambda _: {**here, "numpy": "3.0"})
    with pytest.raises(ValueError, match="another version of numpy than this process"):
        check_worker(Strategy(), identity)
    monkeypatch.setattr(provenance, "code_fingerprint", lambda _: "edited")
    with pytest.raises(ValueError, match="another version of the code"):
        check_worker(Strategy(), identity)
