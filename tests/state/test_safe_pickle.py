"""The reader of pickles: plain values come back, and nothing that a file names is run."""

import contextlib
import copyreg
import io
import os
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lib.state import safe_pickle
from lib.state.safe_pickle import Call, Name, NotPlain
from tests.switches import ALL, LONG

UNTIMED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=400 if ALL else 150 if LONG else 40,
)
BROKEN_ERRORS = (ValueError, LookupError)

PROTOCOL_2 = b"\x80\x02"
TEXT = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | TEXT
PLAIN = st.recursive(
    SCALARS | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5) | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


def read_plain(data, names):
    return safe_pickle.read_plain(io.BytesIO(data), names)


class Canary:
    """Leaves a mark where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@UNTIMED
@given(PLAIN, st.sampled_from([3, 4, 5]))
@example({"text": "\ud800", "long": ["x" * 70000, b"y" * 70000], "many": list(range(1500))}, 4)
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    class Unshared(pickle._Pickler):  # the standard pickler writes equal tuples of a program once
        def memoize(self, obj):
            if isinstance(obj, str | bytes):
                super().memoize(obj)

    stream = io.BytesIO()
    Unshared(stream, protocol).dump(value)
    assert read_plain(stream.getvalue(), ()) == value == pickle.loads(stream.getvalue())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_named_and_not_made(tmp_path, protocol):
    data = pickle.dumps({"weights": Canary(tmp_path / "canary")}, protocol)
    with pytest.raises(NotPlain, match=rf"{os.name}\.mkdir" if protocol else "instruction DICT"):
        read_plain(data, ())
    assert not (tmp_path / "canary").exists()
    pickle.loads(data)
    assert (tmp_path / "canary").exists(), "the canary is no canary"


def test_a_known_call_is_written_down_and_not_made(tmp_path):
    data = pickle.dumps(Canary(tmp_path / "canary"))
    assert read_plain(data, {(os.name, "mkdir")}) == Call(Name(os.name, "mkdir"), (str(tmp_path / "canary"),))
    assert not (tmp_path / "canary").exists()


def test_dates_of_numpy_are_calls_like_others():
    names = {
        ("numpy", "dtype"),
        (np.dtype("M8[D]").type.__reduce__(np.datetime64("2024-01-02"))[0].__module__, "scalar"),
    }
    for unit in "D", "ns":
        call = read_plain(pickle.dumps(np.datetime64("2024-01-02", unit)), names)
        assert call.function.name == "scalar"
        assert call.arguments[0].function == ("numpy", "dtype")


REFUSED = {
    "old protocol": (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
    "name on the stack": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"os\.system"),
    "name that goes on behind a dot": (
        b"\x80\x04\x8c\x05known\x8c\x0ename.__class__\x93.",
        r"known\.name\.__class__",
    ),
    "name that is no text": (b"\x80\x04K\x01K\x02\x93.", "without a name"),
    "very long name": (b"c" + b"o" * 500 + b"\nsystem\n.", r"^o{77}\.\.\.$"),
    "name to upset a terminal": (
        "\x80\x04".encode("latin-1") + b"\x8c\x04\x1b[2J\x8c\x01x\x93.",
        r"^\\x1b\[2J\.x$",
    ),
    "instance of a class": (b"(S'true'\nios\nsystem\n.", "instruction"),
    "instance by mark": (b"(cknown\nname\nS'true'\no.", "instruction"),
    "new object": (PROTOCOL_2 + b"cknown\nname\n)\x81.", "instruction NEWOBJ"),
    "extension code": (b"\x80\x02\x82\xf0)R.", "instruction EXT1 240"),
    "persistent id": (b"Pid\n.", "instruction PERSID"),
    "persistent object": (b"K\x01Q.", "instruction BINPERSID"),
    "attributes of a function": (PROTOCOL_2 + b"cknown\nname\n}X\x01\x00\x00\x00aK\x01sb.", "no known call"),
    "attributes of a list": (PROTOCOL_2 + b"]}b.", "no known call"),
    "call of a result": (PROTOCOL_2 + b"cknown\nname\n)R)R.", "not a function"),
    "call with a list": (PROTOCOL_2 + b"cknown\nname\n]R.", "not a function"),
    "append to a dict": (PROTOCOL_2 + b"}K\x01a.", "not a list"),
    "item of a list": (PROTOCOL_2 + b"]X\x01\x00\x00\x00aK\x01s.", "not a dict"),
    "item of a result": (PROTOCOL_2 + b"cknown\nname\n)RX\x01\x00\x00\x00aK\x01s.", "not a dict"),
    "key that is a number": (PROTOCOL_2 + b"}K\x01K\x01s.", "not text"),
    "key that is a tuple": (PROTOCOL_2 + b"})K\x01s.", "not text"),
    "list that holds itself": (PROTOCOL_2 + b"]q\x00h\x00a.", "twice"),
    "lists that unfold": (PROTOCOL_2 + b"]q\x00(" + b"h\x00" * 50 + b"l.", "twice"),
    "dict used twice": (PROTOCOL_2 + b"]}q\x00ah\x00a.", "twice"),
    "tuple used twice": (PROTOCOL_2 + b"]K\x01\x85q\x00ah\x00a.", "twice"),
    "result used twice": (PROTOCOL_2 + b"]cknown\nname\n)Rq\x00ah\x00a.", "twice"),
    "set": (b"\x80\x04\x8f.", "instruction EMPTY_SET"),
    "number without end": (b"\x80\x02\x8b\x01\x00\x00\x00\x01.", "instruction LONG4"),
    "copy of the top": (b"\x80\x02]2.", "instruction DUP"),
}


@pytest.mark.parametrize(("data", "says"), REFUSED.values(), ids=REFUSED)
def test_what_plain_values_do_not_need_is_refused(data, says):
    with pytest.raises(NotPlain, match=says):
        read_plain(data, {("known", "name")})


def test_an_extension_that_the_process_has_loaded_is_refused(tmp_path):
    copyreg.add_extension(os.name, "mkdir", 240)
    try:
        data = pickle.dumps(Canary(tmp_path / "c"), protocol=2)
        assert data.startswith(b"\x80\x02\x82\xf0")
        pickle.loads(data)
        (tmp_path / "c").rmdir()
        with pytest.raises(NotPlain, match="EXT1 240"):
            read_plain(data, {(os.name, "mkdir")})
        assert not (tmp_path / "c").exists()
    finally:
        copyreg.remove_extension(os.name, "mkdir", 240)


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "cut": pickle.dumps(["a", "b"])[:-3],
    "without end": b"\x80\x04N",
    "nothing on the stack": b"\x80\x04.",
    "two values": b"\x80\x04NN.",
    "open mark": b"\x80\x04(N.",
    "no mark": b"\x80\x04Nt.",
    "values beneath a mark": b"\x80\x04NN(\x86.",
    "value beneath a mark": b"\x80\x04N(N\x86t\x86.",
    "memo of nothing": b"\x80\x04\x94.",
    "unknown memo": b"\x80\x04h\x07.",
    "more behind the end": pickle.dumps([]) + b"x",
    "length beyond the end": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "text that is none": b"\x80\x04\x8c\x01\xff.",
    "key without a value": PROTOCOL_2 + b"}(X\x01\x00\x00\x00au.",
    "odd escape": b"S'\\d'\n."[:-1],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_pickle_is_called_broken(data):
    with pytest.raises((*BROKEN_ERRORS, NotPlain)) as caught:
        read_plain(data, ())
    assert isinstance(caught.value, NotPlain) == (data[:1] == b"S")


def test_the_memo_goes_by_its_numbers():
    assert read_plain(b"\x80\x02(X\x01\x00\x00\x00aq\x05K\x01q\x00h\x05h\x00t.", ()) == ("a", 1, "a", 1)


def test_a_memo_far_out_takes_no_memory():
    data = b"\x80\x02Nr\xff\xff\xff\x0f."  # the standard library makes room for 2**28 entries
    tracemalloc.start()
    assert read_plain(data, ()) is None
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_function_may_be_named_twice():
    call = b"h\x00)R"
    value = read_plain(b"\x80\x02(cknown\nname\nq\x00)R" + call * 2 + b"t.", {("known", "name")})
    assert value == (Call(Name("known", "name"), ()),) * 3


def test_a_frame_that_ends_amid_a_value_hides_nothing():
    data = b"\x80\x04\x95" + (3).to_bytes(8, "little") + b"J\x01\x02\x00\x00."
    assert read_plain(data, ()) == 0x201


def number(value):
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


EXPENSIVE = {  # what the standard library's reader spends minutes or gigabytes on, or dies of
    "deep key": b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.",
    "shared key": b"\x80\x02})q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"0" * 60 + b"h\x00Ns.",
    "colliding keys": b"\x80\x02}(" + b"".join(number(k * (2**61 - 1)) + b"N" for k in range(20_000)) + b"u.",
}


@pytest.mark.parametrize("data", EXPENSIVE.values(), ids=EXPENSIVE)
def test_keys_that_cost_without_end_are_refused(data):
    with pytest.raises(NotPlain):
        read_plain(data, ())


def test_depth_and_number_of_values_are_survived(monkeypatch):
    deep = read_plain(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", ())  # deeper than recursion may go
    assert len(deep) == 1
    assert read_plain(b"\x80\x02)" + b"\x85" * 50_000 + b".", ()) is not None
    monkeypatch.setattr("lib.state.safe_pickle.MOST_TOKENS", 100)
    with pytest.raises(NotPlain, match="more than 100"):
        read_plain(pickle.dumps(list(range(200))), ())


@UNTIMED
@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_one_of_two_errors(data):
    for begin in b"", b"\x80\x04":
        with contextlib.suppress(NotPlain, *BROKEN_ERRORS):
            read_plain(begin + data, {("known", "name")})


TOKENS = [
    *(
        b"N",
        b"\x88",
        b"K\x01",
        b"(",
        b")",
        b"]",
        b"}",
        b"t",
        b"\x85",
        b"\x86",
        b"a",
        b"e",
        b"s",
        b"u",
        b"\x94",
    ),
    *(
        b"h\x00",
        b"h\x01",
        b"cknown\nname\n",
        b"R",
        b"b",
        b"\x93",
        b"\x8c\x01x",
        b"C\x01x",
        b"G" + bytes(8),
        b"0",
    ),
]


@UNTIMED
@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_any_tokens_give_what_pickle_gives_or_an_error(tokens):
    data = b"\x80\x04" + b"".join(tokens) + b"."
    try:
        value = read_plain(data, {("known", "name")})
    except (NotPlain, *BROKEN_ERRORS):
        return
    if b"cknown" not in data:
        assert value == pickle.loads(data)
