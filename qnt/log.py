"""Loads the stand-in for this module; an installed qnt comes first, as this folder has no __init__.py."""

from lib.offline import load

load(__name__)
