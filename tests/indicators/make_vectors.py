"""Writes tests/data/indicators.npz, the real library's answers: `python -m tests.indicators.make_vectors`.

It needs qnt installed, and says so where lib/offline would answer. The file holds the prices and, by label
and number of the result, what each call in `cases` returned.
"""

import importlib.util
import os
import sys

import numpy as np

from tests.indicators.cases import CALLS, VECTORS, answers, prices


def main() -> int:
    if importlib.util.find_spec("qnt") is None:
        print("The real library is needed: install qnt first (see README.md).", file=sys.stderr)
        return 1
    os.environ.setdefault("API_KEY", "default")
    import qnt.ta as qnta

    data = prices(0)
    found = {f"{label} {k}": x for label in CALLS for k, x in enumerate(answers(qnta, label, data))}
    np.savez_compressed(VECTORS, prices=data.values, **{name: x.values for name, x in found.items()})
    print(f"{VECTORS.name}: {len(found)} results, {VECTORS.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
