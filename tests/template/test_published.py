import pytest

from lib.engine.lstm import MODEL_FILE, source_is_published

EDITS = {
    "num_layers=2": "num_layers=3",
    "nn.Linear(strategy.hidden_size, 1)": "nn.Linear(strategy.hidden_size, 1, bias=False)",
    "self.linear(hidden).squeeze(-1)": "self.linear(hidden).squeeze(-1) * 2",
    "class LSTM(": "class Network(",
}


def test_the_shipped_model_is_the_one_it_states():
    assert source_is_published(MODEL_FILE.read_text("utf-8"))


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_model_is_noticed(edit, tmp_path):
    path = tmp_path / "model.py"
    source = MODEL_FILE.read_text("utf-8")
    assert edit in source
    path.write_text(source.replace(edit, EDITS[edit]), encoding="utf-8")
    assert not source_is_published(path.read_text("utf-8"))


def test_comments_docstrings_and_hints_are_no_edit(tmp_path):
    path = tmp_path / "model.py"
    source = MODEL_FILE.read_text("utf-8")
    path.write_text(
        source.replace("The published model", "My model")
        .replace("n_features: int", "n_features")
        .replace("# (asset,", "# by (asset,"),
        encoding="utf-8",
    )
    assert path.read_text(encoding="utf-8") != source
    assert source_is_published(path.read_text("utf-8"))
