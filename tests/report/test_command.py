from pathlib import Path

import pytest

from lib.report.__main__ import main


def test_a_backtest_with_what_the_model_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["--start", "2024-12-02", "--set", "top_assets=3", "hidden_size=3"])
    shown = capsys.readouterr().out
    assert "without the model" in shown
    assert "The model adds" in shown
    assert "the outputs of the assets differ by" in shown
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "2024-12-02", "--set", "modl=constant"], "did you mean 'model'"),
        (["--start", "2030-01-01"], "start_date is 2030-01-01, but the data end on 2024-12-30"),
        ([], "start_date is None"),
    ],
)
def test_wrong_arguments_end_in_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        main(arguments)
