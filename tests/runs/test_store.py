"""The record of a run, and the file that keeps it."""

import json

import pytest

from lib.runs.store import IDENTITY, _checksum, keep, key, plan, read, redrawn
from lib.strategy import Strategy


def planned(**parameters):
    return plan(Strategy(**parameters), "2024-12-02", "2024-12-06", "market")


def test_a_key_stands_for_all_that_a_run_depends_on():
    record = planned()
    assert record["key"] == planned()["key"] == key(record | {"status": "finished", "seconds": 3.0})
    others = [key(record | {name: "another"}) for name in IDENTITY]
    others += [redrawn(record, draw)["key"] for draw in ({"shuffle": 0}, {"shuffle": 1}, {"universe": 0})]
    assert len({record["key"], *others, planned(seed=43)["key"]}) == len(IDENTITY) + 5


def test_what_is_kept_is_read_again(tmp_path):
    records = [planned() | {"figures": {"sharpe_ratio": None}, "returns": [0.1, None]}, planned(seed=43)]
    for record in records:
        keep(tmp_path, record)
    found, damaged = read(tmp_path)
    assert damaged == []
    assert [{k: v for k, v in found[r["key"]].items() if k != "checksum"} for r in records] == records
    keep(tmp_path, found[records[0]["key"]] | {"status": "finished"})
    assert read(tmp_path)[0][records[0]["key"]]["status"] == "finished"


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert read(tmp_path / "none") == ({}, [])


def signed(changes):
    """An edit by someone who also corrected the checksum."""

    def damage(text):
        content = json.loads(text) | changes
        del content["checksum"]
        return json.dumps(content | {"checksum": _checksum(content)})

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text[: len(text) // 2], ""),
        (lambda text: "", ""),
        (lambda text: text.replace('"seed": 42', '"seed": 41'), "checksum does not fit"),
        (lambda text: "[]", ""),
        (lambda text: "{}", "checksum"),
        (lambda text: "\x00" * len(text), ""),
        (lambda text: "[" * 100_000, ""),
        (signed({"key": "0" * 20}), "not the run that its name says"),
        (signed({"start": "2024-12-01"}), "not the run that its name says"),
        (signed({"status": "finished"}), "it is finished but has no figures"),
        (signed({"status": "finished", "figures": {}}), "it is finished but has no returns"),
    ],
)
def test_a_damaged_file_is_named_and_not_used(damage, reason, tmp_path):
    keep(tmp_path, planned())
    keep(tmp_path, planned(seed=43))
    path = tmp_path / f"{planned()['key']}.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    found, (sentence,) = read(tmp_path)
    assert list(found) == [planned(seed=43)["key"]]
    assert str(path) in sentence
    assert reason in sentence
    assert "is run again" in sentence


def test_a_file_under_another_run_s_name_is_not_used(tmp_path):
    keep(tmp_path, planned())
    (tmp_path / f"{planned()['key']}.json").rename(tmp_path / f"{'0' * 20}.json")
    found, (sentence,) = read(tmp_path)
    assert found == {}
    assert "not the run that its name says" in sentence


def test_no_number_is_kept_that_json_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        keep(tmp_path, planned() | {"seconds": float("nan")})
    assert json.loads("[]") == [*tmp_path.iterdir()]
