"""Notebooks made from the shipped one: 38 with one planted fault each, and 12 correct ones."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PREDICT, KEEP, WRITE = "strategy.predict(models", "state_write(state_new)", "qnout.write(weights)"
# what a pass costs is starting Python and Jupyter; the strategy is as small as it can be
SMALL = {"top_assets": 4, "hidden_size": 4}


class Draft:
    """The shipped notebook, to be edited; its cells are found by a text in them."""

    def __init__(self) -> None:
        self.content = json.loads((PROJECT / "strategy.ipynb").read_text(encoding="utf-8"))
        self.cells = self.content["cells"]
        self.beside: dict[str, str] = {}  # text files beside it

    def index(self, text: str) -> int:
        """Index of the last code cell that contains a text."""
        return max(
            k
            for k, cell in enumerate(self.cells)
            if cell["cell_type"] == "code" and text in "".join(cell["source"])
        )

    def before(self, text: str, source: str) -> None:
        self._insert(self.index(text), source)

    def after(self, text: str, source: str) -> None:
        self._insert(self.index(text) + 1, source)

    def replace(self, old: str, new: str) -> None:
        cell = self.cells[self.index(old)]
        cell["source"] = "".join(cell["source"]).replace(old, new)

    def drop(self, text: str) -> None:
        del self.cells[self.index(text)]

    def save(self, folder: Path, name: str = "strategy.ipynb") -> Path:
        for file, text in self.beside.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        path = folder / name
        path.write_text(json.dumps(self.content), encoding="utf-8")
        return path

    def _insert(self, at: int, source: str) -> None:
        cell = {"cell_type": "code", "id": f"added-{len(self.cells)}", "metadata": {}, "outputs": []}
        self.cells.insert(at, cell | {"execution_count": None, "source": source})


Edit = Callable[[Draft], None]


@dataclass
class Case:
    """An edit of the notebook, a part of the sentence that names its fault, and how it is rehearsed."""

    edit: Edit
    sentence: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)  # of `rehearse`
    limits: Mapping[str, Any] = field(default_factory=dict)  # rules of the competition, or memory, to replace


def before_write(source: str) -> Edit:
    return lambda draft: draft.before(WRITE, source)


def after_write(source: str) -> Edit:
    return lambda draft: draft.after(WRITE, source)


def after_predict(source: str) -> Edit:
    return lambda draft: draft.after(PREDICT, source)


def replaced(old: str, new: str) -> Edit:
    return lambda draft: draft.replace(old, new)


def removed_name(draft: Draft) -> None:
    draft.before(PREDICT, "#DEBUG#\nfrom math import sqrt as my_root\nmy_table = {'a': 1}")
    draft.after(PREDICT, "print(my_table)")


def removed_import(draft: Draft) -> None:
    draft.before(PREDICT, "#DEBUG#\n%matplotlib inline\nfrom math import sqrt as my_root")
    draft.after(PREDICT, "print(my_root(2))")


def other_kernel(draft: Draft) -> None:
    draft.content["metadata"]["kernelspec"] = {"name": "mine", "display_name": "Mine", "language": "python"}


def with_file(draft: Draft) -> None:
    draft.beside["params.json"] = '{"share": 1.0}'
    draft.before(WRITE, "import json\nweights = weights * json.load(open('params.json'))['share']")


def with_module(draft: Draft) -> None:
    draft.beside["helper.py"] = "def same(weights):\n    return weights\n"
    draft.beside["more/__init__.py"] = "one = 1\n"
    draft.before(WRITE, "import helper, more\nweights = helper.same(weights) * more.one")


def debug_cells(draft: Draft) -> None:
    draft.before(PREDICT, "#DEBUG#\nraise RuntimeError('the evaluator does not run this')\nmy_table = 1")
    draft.after(PREDICT, "my_table = 2\nprint(my_table)")


def own_end(draft: Draft) -> None:
    draft.replace("data_predict = strategy.load_data(strategy.lookback_period)", "data_predict = data_train")
    draft.replace(
        "data_train = strategy.load_data(strategy.train_period)",
        "import qnt.data as qndata\n"
        "data_train = qndata.load_data_by_type(\n"
        "    competition_type, tail=strategy.lookback_period, max_date='2024-12-30'\n"
        ")",
    )


def own_feature(draft: Draft) -> None:
    build, change = "strategy = Strategy.from_names(", "strategy = Strategy(features=['trend', change], "
    draft.before(build, "def change(data, strategy):\n    return data[1] / data[0]  # low over open")
    draft.after(build, f"{change}top_assets=4, hidden_size=4, competition_type=competition_type)")


LIQUID = "data_predict.sel(field='is_liquid').values[-1] > 0"
ILLIQUID = "data_predict.sel(field='is_liquid').values[-1] == 0"  # NaN, of an asset that ended, is neither
OWN_FILE = """
import gzip, os
from pathlib import Path
Path(os.environ["OUTPUT_PATH"]).write_bytes(gzip.compress(bytes({weights}.to_netcdf(engine="scipy"))))
"""
MORE_THAN_ALL = f"weights.values[0] = ({LIQUID}) * max(0.09, 1.08 / ({LIQUID}).sum())"
DAYS = "weights.assign_coords(time=weights.time + np.timedelta64({days}, 'D'))"
JOINED = "import xarray as xr\nweights = xr.concat([weights, {other}], 'time').sortby('time')"
STATE = """
from lib.state import State
state_new = State({date}, {weights}, {{}}, state_new.parameters)
"""
SHAKEN = "{name: w * np.random.default_rng().uniform(0.5, 1) for name, w in state_new.weights.items()}"
TWO_DAYS = {"days": 2}
TWICE = {"twice": True}

FAULTS: dict[str, Case] = {
    # it executes
    "error": Case(after_predict("raise RuntimeError('planted')"), "RuntimeError: planted"),
    "syntax": Case(after_predict("weights = = 1"), "SyntaxError"),
    "misspelt name": Case(after_predict("weigths.sum()"), "NameError: name 'weigths' is not defined"),
    "name of a removed cell": Case(removed_name, "my_table is defined only in cell"),
    "import of a removed cell": Case(removed_import, "my_root is defined only in cell"),
    "module that is missing": Case(
        after_predict("import no_such_module"), "the module no_such_module is neither"
    ),
    "module left elsewhere": Case(
        after_predict("from my_helper import x"), "the module my_helper is neither"
    ),
    "file that is missing": Case(
        after_predict("open('params.json')"), "a submission contains the files beside the notebook"
    ),
    "input": Case(after_predict("input('go on?')"), "nobody answers input()"),
    "kernel dies": Case(after_predict("import os\nos._exit(1)"), "the kernel died"),
    "exit": Case(after_predict("import sys\nsys.exit('enough')"), "SystemExit: enough"),
    "kernel of its own": Case(other_kernel, "set its kernel to python3"),
    # in time and memory
    "too slow": Case(
        after_predict("import time\ntime.sleep(600)"),
        "the platform stops it there",
        limits={"minutes_per_pass": 0.1},
    ),
    "too large": Case(
        after_predict("x = np.ones(100 << 20)"),
        "GiB of memory; the platform has",
        limits={"MAX_MEMORY": 700 << 20},
    ),
    # it calls qnt.output.write, with all data
    "no write": Case(lambda draft: draft.drop(WRITE), "no weights were written"),
    "write for people only": Case(
        replaced(WRITE, "import os\nif not os.environ.get('SUBMISSION_ID'):\n    qnout.write(weights)"),
        "no weights were written",
    ),
    "an end of its own": Case(own_end, "leave max_date out"),
    "file cut": Case(
        after_write("import os\nos.truncate(os.environ['OUTPUT_PATH'], 99)"),
        "the file of weights cannot be read",
    ),
    "no assets": Case(after_write(OWN_FILE.format(weights="weights.sum('asset')")), "none is asset"),
    # weights for every day, and of value
    "weights of yesterday": Case(before_write(f"weights = {DAYS.format(days=-1)}"), "the day is missed"),
    "last day cut off": Case(before_write("weights = weights[:0]"), "the weights written are of no day"),
    "day without trading": Case(
        before_write(JOINED.format(other=DAYS.format(days=-1))),
        "days that are not in the pass's data: 2024-12-29",
    ),
    "day of the future": Case(
        before_write(JOINED.format(other=DAYS.format(days=1))),
        "days that are not in the pass's data: 2024-12-31",
    ),
    "missed days": Case(
        before_write(JOINED.format(other=DAYS.format(days=-6) + " * 0")),
        "days are missed inside the weights: 2024-12-2",
    ),
    "day twice": Case(
        after_write(JOINED.format(other="weights") + OWN_FILE.format(weights="weights")),
        "day 2024-12-30 stands in the weights more than",
    ),
    "all NaN": Case(before_write("weights = weights * np.nan"), "the weights written are all 0, though"),
    "times 0": Case(before_write("weights = weights * 0"), "the weights written are all 0, though"),
    "second write": Case(after_write("qnout.write(weights * 0)"), "the weights written are all 0, though"),
    "never a position": Case(
        after_predict("weights = weights * 0" + STATE.format(date="state_new.date", weights="{}")),
        "no position is written on any day",
    ),
    # liquid, known, within the limits
    "illiquid": Case(
        before_write(f"weights = weights * 0.5\nweights.values[0, ({ILLIQUID}).argmax()] = 0.05"),
        "illiquid positions: ",
    ),
    "over the limit": Case(
        before_write(f"weights = weights * 0.1\nweights.values[0, ({LIQUID}).argmax()] = 0.2"),
        "over the limit of 0.1",
        limits={"max_position": 0.1},
    ),
    "short over the limit": Case(
        before_write(f"weights = weights * 0.1\nweights.values[0, ({LIQUID}).argmax()] = -0.2"),
        " -0.200 on 2024-12-30",
    ),
    "short": Case(
        before_write("weights = -weights"), "in a long-only competition", limits={"long_only": True}
    ),
    "more than all": Case(
        after_write(
            f"weights.values[0] = ({LIQUID}) * max(0.09, 1.08 / ({LIQUID}).sum())"
            + OWN_FILE.format(weights="weights")
        ),
        "more than the whole capital",
    ),
    "not a number": Case(
        after_write("weights.values[0, 0] = np.nan" + OWN_FILE.format(weights="weights")),
        "not a finite number",
    ),
    "unknown assets": Case(
        before_write("weights = weights.assign_coords(asset=['X' + name for name in weights.asset.values])"),
        "unknown assets: X",
    ),
    "asset twice": Case(
        after_write(
            "weights = weights.assign_coords(asset=['NAS:X'] * weights.sizes['asset'])"
            + OWN_FILE.format(weights="weights")
        ),
        "asset NAS:X stands in the weights more than once",
    ),
    # the state
    "spoilt state": Case(
        after_write("import os\nopen(os.environ['OUT_STATE_PATH'], 'w').write('mine')"),
        "the state cannot be read",
    ),
    "state of another day": Case(
        after_predict(STATE.format(date="state_new.date - 1", weights="state_new.weights")),
        "it is still of 2024-12-29",
    ),
    "state reset": Case(
        lambda draft: draft.replace("data_predict, state)", "data_predict, None)"),
        "the state was reset",
        TWO_DAYS,
    ),
    # the same every time
    "random weights": Case(
        before_write("weights = weights * np.random.default_rng().uniform(0.5, 1)"),
        "left other weights",
        TWICE,
    ),
    "random state": Case(
        after_predict(STATE.format(date="state_new.date", weights=SHAKEN)), "left another state", TWICE
    ),
}

CORRECT: dict[str, Case] = {
    "as shipped": Case(lambda draft: None, options={"days": 2, "twice": True}),
    "other parameters": Case(lambda draft: None, options={"settings": {"seed": 7, "epochs": 2} | SMALL}),
    "cleaned": Case(before_write("weights = qnout.clean(weights, data_predict)")),
    "half of it": Case(before_write("weights = weights * 0.5")),
    "the whole window": Case(
        before_write("weights = weights.reindex(time=data_predict.time).fillna(0)"),
    ),
    "written twice": Case(after_write("qnout.write(weights)")),
    "a file beside": Case(with_file),
    "modules beside": Case(with_module),
    "cells for people": Case(debug_cells),
    "own feature": Case(own_feature),
    "more output": Case(after_write("print('done')\nimport warnings\nwarnings.warn('careful')")),
    "no state": Case(lambda draft: draft.replace(KEEP, "pass"), options=TWO_DAYS),
    "precheck without state": Case(lambda draft: draft.replace(KEEP, "pass"), options={"days": "precheck"}),
}
# What Jupyter has a part in. The others are about what a notebook leaves: a plain Python runs their cells, in
# half the time.
JUPYTER = {"error", "syntax", "misspelt name", "name of a removed cell", "import of a removed cell"}
JUPYTER |= {"module that is missing", "module left elsewhere", "file that is missing", "input"}
JUPYTER |= {"kernel dies", "exit", "kernel of its own", "too slow", "too large"}
JUPYTER |= {"a file beside", "modules beside", "cells for people", "more output"}
RUN_CELLS = """
import json
for cell in json.load(open("strategy.ipynb", encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), globals())
"""
WITH_HOLIDAYS = {"day without trading"}  # crypto trades on every day
# in the ordinary run; the others need LONG_TESTS=1
SAMPLE = {"illiquid"}
