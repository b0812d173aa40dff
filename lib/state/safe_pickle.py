"""What does a pickle say, if nothing in it may run?

`pickle.loads` is a small machine that calls whatever a file names. Here only the tokens of the stream are
read, and a few of them understood: those that write plain values. A call is written down, not made.
"""

import io
import pickletools
import warnings
from collections.abc import Collection
from typing import Any, NamedTuple

MOST_TOKENS = 2_000_000
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class NotPlain(ValueError):
    """The stream wants something run, or holds what no plain record holds."""


class Malformed(ValueError):
    """The stream is no pickle, or a broken one."""


class Name(NamedTuple):
    """A function or class that the stream names; only its name."""

    module: str
    name: str

    def __str__(self) -> str:
        """module.name, fit for a sentence: a foreign one may be long, or made to upset a terminal."""
        text = f"{self.module}.{self.name}"
        return ascii(text if len(text) <= 80 else text[:77] + "...")[1:-1]


class Call(NamedTuple):
    """A call that the stream asks for; it is never made."""

    function: Name
    arguments: tuple


def read_plain(data: bytes, names: Collection[tuple[str, str]]) -> Any:
    """Values of a pickle, read without running anything.

    Parameters
    ----------
    data : bytes
        One pickle and nothing behind it.
    names : collection of (module, name)
        The functions that may be named, exactly. A call of one becomes a `Call`; what the stream would set on
        its result is dropped.

    Returns
    -------
    None, bool, int, float, str, bytes, list, tuple, dict with str keys, `Name` or `Call`, nested. Every list,
    dict and tuple occurs once: no cycles, and never more values than tokens.

    Raises
    ------
    NotPlain
        Another function is named, or a token is found that plain values do not need.
    Malformed
        Not a pickle, or not a whole one.
    """
    stream = io.BytesIO(data)
    reader = _Reader(names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in texts, which are refused anyway
            for count, (token, argument, _) in enumerate(pickletools.genops(stream)):
                if count == MOST_TOKENS:
                    raise NotPlain(f"more than {MOST_TOKENS} values")
                reader.take(token.name, argument)
    except (NotPlain, Malformed):
        raise
    except LookupError:
        raise Malformed("a value is missing") from None
    except ValueError as error:
        raise Malformed(f"{error!s:.80}") from None
    if stream.read(1):
        raise Malformed("more bytes behind its end")
    return reader.result()


class _Reader:
    """The stack of a pickle machine that can only build values."""

    def __init__(self, names: Collection[tuple[str, str]]) -> None:
        self.names = names
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise Malformed("values left over")
        return self.stack[0]

    def take(self, token: str, argument: Any) -> None:
        push = self.stack.append
        if token in CONSTANTS:
            push(CONSTANTS[token])
        elif token in LITERALS:
            push(argument)
        elif token in EMPTY:
            push(EMPTY[token]())
        elif token == "MARK":
            self.marks.append(len(self.stack))
        elif token == "TUPLE":
            push(tuple(self.since_mark()))
        elif token in TUPLES:
            push(tuple(self.pop(TUPLES[token])))
        elif token in ("APPEND", "APPENDS"):
            values = self.pop(1) if token == "APPEND" else self.since_mark()
            self.top(list, "adding to something that is no list").extend(values)
        elif token in ("SETITEM", "SETITEMS"):
            self.set_items(self.pop(2) if token == "SETITEM" else self.since_mark())
        elif token in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if argument is None else argument] = self.top(object, "")
        elif token in ("BINGET", "LONG_BINGET"):
            push(self.recall(argument))
        elif token in ("GLOBAL", "STACK_GLOBAL"):
            push(self.name(argument.split(" ", 1) if token == "GLOBAL" else self.pop(2)))
        elif token == "REDUCE":
            function, arguments = self.pop(2)
            if not isinstance(function, Name) or type(arguments) is not tuple:
                raise NotPlain("a call of something that is no function")
            push(Call(function, arguments))
        elif token == "BUILD":
            self.pop(1)
            self.top(Call, "setting what no known call returned")
        elif token not in ("PROTO", "FRAME", "STOP"):
            detail = "" if argument is None else f" {argument!a:.40}"
            raise NotPlain(f"the instruction {token}{detail}")

    def need(self, count: int) -> None:
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise Malformed("a value is missing")

    def top(self, kind: type, otherwise: str) -> Any:
        self.need(1)
        if not isinstance(self.stack[-1], kind):
            raise NotPlain(otherwise)
        return self.stack[-1]

    def pop(self, count: int) -> list:
        self.need(count)
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def since_mark(self) -> list:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def set_items(self, values: list) -> None:
        keys = values[::2]
        if len(values) % 2 or not all(type(key) is str for key in keys):
            raise NotPlain("a dict with keys that are no text")
        self.top(dict, "adding to something that is no dict").update(zip(keys, values[1::2], strict=True))

    def recall(self, key: int) -> Any:
        value = self.memo[key]
        if isinstance(value, list | dict | tuple) and not isinstance(value, Name):
            raise NotPlain("a part that occurs twice")  # else a small file could unfold without end
        return value

    def name(self, parts: list) -> Name:
        if len(parts) != 2 or not all(type(part) is str for part in parts):
            raise NotPlain("a function without a name")
        if tuple(parts) not in self.names:
            raise NotPlain(f"{Name(*parts)}")
        return Name(*parts)
