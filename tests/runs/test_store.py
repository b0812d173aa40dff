"""The store of results: a file is read as it was written, or it is named and not used."""

import json

import pytest

from lib.runs.store import (
    DamagedResultError,
    OldResultError,
    _checksum,
    read_result,
    read_results,
    write_result,
)

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
