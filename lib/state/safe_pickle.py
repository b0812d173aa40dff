"""A reader of the plain values in a pickle.

It runs no function that the file names. It follows only the instructions of `pickletools` that write plain
values; a call is recorded. An `Unpickler` with a restricted `find_class` runs nothing either, but does not
limit the cost of a file: with CPython 3.11 a far memo index takes 4 GiB, nested tuples as a key end the
interpreter, and colliding numbers as keys take minutes. Refusing such instructions beforehand is not safe:
where a frame ends within a value, `Unpickler` skips bytes and reads other instructions than listed.
"""

import pickletools
import warnings
from collections.abc import Callable, Collection
from typing import Any, BinaryIO, NamedTuple

MOST_TOKENS = 2_000_000
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
FRESH: dict[str, Callable] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple},
}


class NotPlain(Exception):
    """An error for a pickle that is not plain.

    The pickle names an unknown function, or has other content than a plain record.
    """


class Name(NamedTuple):
    """The name of a pickle's function or class."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return module.name in printable ASCII.

        The text has at most 80 characters, since a hostile name may upset a terminal.
        """
        text = f"{self.module}.{self.name}"
        return ascii(text if len(text) <= 80 else text[:77] + "...")[1:-1]


class Call(NamedTuple):
    """A recorded call in a pickle.

    The call is never made.
    """

    function: Name
    arguments: tuple


def read_plain(stream: BinaryIO, names: Collection[tuple[str, str]]) -> Any:
    """Read the values of a pickle without running anything.

    Parameters
    ----------
    stream : binary file
        One pickle and nothing after it.
    names : collection of (module, name)
        The functions that may be named, exactly. A call of such a function becomes a `Call`; attributes set
        on its result are dropped.

    Returns
    -------
    None, bool, int, float, str, bytes, list, tuple, dict with str keys, `Name` or `Call`, nested. Every list,
    dict and tuple occurs once: no cycles, and never more values than tokens.

    Raises
    ------
    NotPlain
        Another function is named, or an instruction is found that plain values do not need.
    ValueError, LookupError
        Not a pickle, or an incomplete one.
    """
    reader = _Reader(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in texts, which are refused anyway
        for count, (token, argument, _) in enumerate(pickletools.genops(stream)):
            if count == MOST_TOKENS:
                raise NotPlain(f"more than {MOST_TOKENS} values")
            reader.follow(token.name, argument)
    if stream.read(1):
        raise ValueError("more bytes after its end")
    if len(reader.stack) != 1 or reader.outer:
        raise ValueError("values left over")
    return reader.stack[0]


class _Reader:
    """The stack of a pickle machine for plain values.

    It only builds values. A mark begins a stack of its own.
    """

    def __init__(self, names: Collection[tuple[str, str]]) -> None:
        self.names = names
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def follow(self, token: str, argument: Any) -> None:
        push = self.stack.append
        match token:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _ if token in FRESH:
                push(FRESH[token]())
            case _ if token in LITERALS:
                push(argument)
            case "MARK":
                self.outer.append(self.stack)
                self.stack = []
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                values = self.since_mark() if token == "TUPLE" else self.pop(int(token[-1]))
                self.stack.append(tuple(values))
            case "APPEND" | "APPENDS":
                values = self.pop(1) if token == "APPEND" else self.since_mark()
                self.top(list, "adding to something that is not a list").extend(values)
            case "SETITEM" | "SETITEMS":
                values = self.pop(2) if token == "SETITEM" else self.since_mark()
                if not all(type(key) is str for key in values[::2]):
                    raise NotPlain("a dict with keys that are not text")
                pairs = zip(values[::2], values[1::2], strict=True)
                self.top(dict, "adding to something that is not a dict").update(pairs)
            case "MEMOIZE" | "BINPUT" | "LONG_BINPUT":
                self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
                if isinstance(self.stack[-1], list | dict | tuple) and not isinstance(self.stack[-1], Name):
                    raise NotPlain("a part that occurs twice")  # else a small file could unfold without end
            case "GLOBAL" | "STACK_GLOBAL":
                parts = argument.split(" ", 1) if token == "GLOBAL" else self.pop(2)
                if not all(type(part) is str for part in parts):
                    raise NotPlain("a function without a name")
                if tuple(parts) not in self.names:
                    raise NotPlain(f"{Name(*parts)}")
                push(Name(*parts))
            case "REDUCE":
                function, arguments = self.pop(2)
                if not isinstance(function, Name) or type(arguments) is not tuple:
                    raise NotPlain("a call of something that is not a function")
                push(Call(function, arguments))
            case "BUILD":
                self.pop(1)
                self.top(Call, "setting what no known call returned")
            case _:
                raise NotPlain(f"the instruction {token}" + f" {argument!a:.40}" * (argument is not None))

    def top(self, kind: type, otherwise: str) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise NotPlain(otherwise)
        return self.stack[-1]

    def pop(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.outer.pop()
        return values
