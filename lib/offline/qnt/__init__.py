"""The part of Quantiacs' library that this template uses, module by module."""

from lib.offline import uncovered

__getattr__ = uncovered(__name__)
