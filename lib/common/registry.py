"""Choices by name: functions of a strategy with parameters of their own.

A choice is a name such as ``"rsi"``, a name with parameters such as ``"rsi(periods=21)"``, or a callable. The
parameters are those that the function declares after its first two arguments, each with a default.
"""

import ast
import contextlib
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from lib.common.errors import WrongTypeError, WrongValueError, suggest

PLAIN = (bool, int, float, str, type(None))
CHANGED = "has changed since it was imported: restart the kernel to use the new code"


class Choices(dict[str, Callable]):
    """Functions by name, and the decorator that adds one.

    A registered function can be called in two ways: ``rsi(data, strategy)`` computes; ``rsi(periods=21)``,
    with parameters alone, returns the function with these parameters set.
    """

    def __init__(self, kind: str):
        """Set the kind, such as "feature", for messages."""
        super().__init__()
        self.kind = kind

    def __call__(self, function: Callable) -> Callable:
        """Register `function` under its name.

        A class is returned unchanged.
        """
        choice = function
        if not isinstance(function, type):
            first = next(iter(inspect.signature(function).parameters), None)

            @functools.wraps(function)
            def choice(*arguments: Any, **settings: Any) -> Any:
                if len(arguments) > 1 or first in settings:
                    return function(*arguments, **settings)
                if arguments:
                    raise _unnamed(self.kind, name_of(choice))
                return functools.partial(choice, **_checked(self.kind, choice, settings))

            _originals[choice] = function

        self[function.__name__] = choice
        _remember_source(choice, function)
        return choice


# by the wrapper of a registered function the function
_originals: "WeakKeyDictionary[Callable, Callable]" = WeakKeyDictionary()


def original(function: Callable) -> Callable:
    """Return a registered function without its wrapper.

    Any other function is returned as it is.
    """
    return _originals.get(function, function) if inspect.isfunction(function) else function


class _Source(NamedTuple):
    file: str
    stamp: tuple[int, int]  # time of the last change, and size
    text: str


# by registered function or class the file that defines it, as it was at registration
_sources: "WeakKeyDictionary[Callable, _Source]" = WeakKeyDictionary()


def _remember_source(choice: Callable, function: Callable) -> None:
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    if file:  # a cell of a notebook has none
        with contextlib.suppress(OSError, UnicodeDecodeError):
            _sources[choice] = _Source(file, _stamp(file), Path(file).read_text("utf-8"))


def _stamp(file: str) -> tuple[int, int]:
    status = os.stat(file)
    return status.st_mtime_ns, status.st_size


def registered_source(choice: Any) -> str:
    """Return the source file's text at registration.

    The text is empty if no file defines the choice.
    """
    source = _source(choice)
    return source.text if source else ""


def changed_files(choices: Iterable[Any]) -> list[str]:
    """Return the source files changed since their import.

    Only files of registered functions count.
    """
    known = {source for choice in choices if (source := _source(_unbound(choice)[0]))}
    return sorted({_short(source.file) for source in known if _has_changed(source)})


def _source(choice: Any) -> _Source | None:
    return _sources.get(choice) if inspect.isfunction(choice) or isinstance(choice, type) else None


def _has_changed(source: _Source) -> bool:
    try:
        return _stamp(source.file) != source.stamp and Path(source.file).read_text("utf-8") != source.text
    except (OSError, UnicodeDecodeError):
        return True


def _short(file: str) -> str:
    project = Path(__file__).parents[2]
    return Path(file).relative_to(project).as_posix() if Path(file).is_relative_to(project) else file


def whole_universe(function: Callable) -> Callable:
    """Mark a function that needs all assets.

    Such a feature or target is a rank, for example. Others see the selected assets only.
    """
    function.whole_universe = True  # type: ignore[attr-defined]
    return function


def needs_universe(value: Any) -> bool:
    """Return True if `whole_universe` marks the function."""
    return getattr(_unbound(value)[0], "whole_universe", False)


def find(kind: str, value: str | Callable, known: Mapping[str, Callable]) -> Callable:
    """Return the function that `value` refers to.

    Its parameters are set.

    Parameters
    ----------
    kind : str
        What is chosen, for messages: "feature", "model".
    value : str or callable
        A name in `known`, a name with parameters, or a callable, which is returned as it is.
    known : mapping of str to callable

    Raises
    ------
    TypeError
        `value` is neither text nor callable.
    ValueError
        An unknown name or parameter; the nearest one is named.
    """
    if callable(value):
        if isinstance(value, functools.partial):
            _checked(kind, value.func, value.keywords)
        return value
    if not isinstance(value, str):
        raise WrongTypeError(f"{kind} takes a name or a function, not {value!r}.")
    name, settings = _parse(kind, value)
    if name not in known:
        changed = "".join(f" {file} {CHANGED}." for file in changed_files(known.values()))
        raise WrongValueError(
            f"{kind} is {value!r}: {suggest(name, known)} Or a function of your own.{changed}"
        )
    if not settings:
        return known[name]
    return functools.partial(known[name], **_checked(kind, known[name], settings))


def canonical(value: Any, known: Mapping[str, Callable]) -> Any:
    """Return a registered function as text.

    `value` is the function or refers to it; other values are returned unchanged.
    """
    function, settings = _unbound(value)
    if callable(value):
        name = getattr(function, "__name__", "")
        return _written(name, settings) if known.get(name) is function else value
    if isinstance(value, str) and "(" in value:
        return _written(*_parse("choice", value))
    return value


def name_of(value: Any) -> str:
    """Return a short name of a callable for labels.

    It is the name of a function or class, or the class name of an object.
    """
    function, settings = _unbound(value)
    return _written(getattr(function, "__name__", type(function).__name__), settings)


def is_plain(value: Any) -> bool:
    """Return True for a plain value.

    Text, numbers, bools and None are plain. Functions, classes and estimators are not.
    """
    return isinstance(value, PLAIN)


def label(value: Any) -> str:
    """Return a choice as text.

    A text is returned unchanged, a callable by its short name.
    """
    return value if isinstance(value, str) else name_of(value)


def full_name_of(value: Any) -> str:
    """Return the module and qualified name of a callable.

    The parameters that are set follow.
    """
    function, settings = _unbound(value)
    named = function if hasattr(function, "__qualname__") else type(function)
    return _written(f"{named.__module__}.{named.__qualname__}", settings)


def own_parameters(function: Callable) -> dict[str, Any]:
    """Return a function's own parameters with their defaults.

    They follow its first two arguments, or three of a sizing that sees the window.
    """
    parameters = list(inspect.signature(function).parameters.values())[2:]
    return {each.name: each.default for each in parameters if each.name != "strategy"}


def _unbound(value: Any) -> tuple[Any, dict[str, Any]]:
    settings: dict[str, Any] = {}
    while isinstance(value, functools.partial):
        value, settings = value.func, {**value.keywords, **settings}
    if hasattr(value, "get_params") and not isinstance(value, type):  # an estimator
        return type(value), _changed_settings(value)
    return value, settings


def _changed_settings(estimator: Any) -> dict[str, Any]:
    """Return an estimator's settings that are not defaults.

    The defaults are taken from its class.
    """
    defaults = inspect.signature(type(estimator)).parameters
    return {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if name not in defaults or _text(defaults[name].default) != _text(value)
    }


def _text(value: Any) -> str:
    """Return a value as reproducible text.

    The text is the same in every process.
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(key)}: {_text(item)}' for key, item in value.items())}}}"
    if callable(value) or hasattr(value, "get_params"):
        return name_of(value)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _parse(kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """Split "rsi(periods=21)" into name and parameters.

    The parameters must be literals.
    """
    if "(" not in text:
        return text, {}
    try:
        call: Any = ast.parse(text.strip(), mode="eval").body
        if call.args:
            raise ValueError
        return call.func.id, {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, AttributeError):
        raise _unnamed(kind, text) from None


def _unnamed(kind: str, text: str) -> WrongValueError:
    example = f"{text.partition('(')[0].strip() or 'name'}(periods=21)"
    return WrongValueError(f"{kind} is {text!r}: write parameters by name, such as {example!r}.")


def _checked(kind: str, function: Callable, settings: Mapping[str, Any]) -> dict[str, Any]:
    known = own_parameters(function)
    for name in settings:
        if name not in known:
            allowed = suggest(name, known) if known else "it takes none."
            raise WrongValueError(f"{kind} {name_of(function)} has no parameter {name!r}: {allowed}")
    return dict(settings)


def _written(name: str, settings: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{key}={_text(value)}" for key, value in sorted(settings.items()))
    return f"{name}({inner})" if inner else name
