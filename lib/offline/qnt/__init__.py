"""The slice of Quantiacs' library that this template uses, module for module."""

from lib.offline import uncovered

__getattr__ = uncovered(__name__)
