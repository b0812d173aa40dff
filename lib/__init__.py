"""The strategy template: what a notebook needs."""

import importlib.util

if importlib.util.find_spec("qnt") is None:
    from lib import offline

    offline.install()
