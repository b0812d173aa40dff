"""Facts read from the source of a notebook's cells, without running them."""

import ast
import re
from collections.abc import Mapping
from typing import Any


def defined_names(source: str) -> set[str]:
    """Names that a cell defines: variables, functions, classes and imports; IPython's magics are allowed."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return names


def literal_of(name: str, parameters: Mapping[str, Any], code: str) -> Any:
    """The value of a parameter, else the first literal text that the code sets the name to, else None."""
    if parameters.get(name) is not None:
        return parameters[name]
    found = re.findall(rf"^{name} *= *(['\"].*?['\"])", code, flags=re.MULTILINE)
    return ast.literal_eval(found[0]) if found else None
