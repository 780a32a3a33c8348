"""Hostile pickles in the place of published object arrays: refused, and nothing of them is done."""

import pickle
import pickletools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from combgrad.data.files.npy import DataFileError, load_object_array
from combgrad.data.files.pickles import LIMIT_BYTES, LIMIT_OPCODES, RefusedPickleError, object_array

RECONSTRUCT, NEW_ARRAY = np.zeros(0).__reduce__()[:2]
SCALAR = np.float64(0).__reduce__()[0]
FLOAT = np.dtype("<f8")


class Fake:
    """Is pickled as a call with arguments and a state, whatever these are."""

    def __init__(self, function: Callable[..., Any], arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


def array_like(*state: Any) -> Fake:
    """An array with a state of its own."""
    return Fake(RECONSTRUCT, NEW_ARRAY, state)


def dtype_like(code: str, *state: Any) -> Fake:
    """A dtype with a state of its own."""
    return Fake(np.dtype, (code, False, True), state)


def floats_of(dtype: Any) -> Fake:
    """Two numbers of a dtype."""
    return array_like(1, (2,), dtype, False, bytes(16))


def pickled(value: Any, protocol: int = 4) -> bytes:
    """An object array whose only row is `value`."""
    array = np.empty(1, dtype=object)
    array[0] = value
    return pickle.dumps(array, protocol=protocol)


def test_what_numpy_writes_is_read() -> None:
    rows = [
        ("Côte", (1.5, -2), np.arange(6.0).reshape(2, 3)),
        ["x", None, True, b"\xff", np.float32(0.1), np.str_("né"), np.int64(-(2**63))],
        np.asfortranarray(np.arange(6, dtype=">u2").reshape(2, 3)),
        (np.array(5.0), np.array(["a", "bcd"]), np.array([True, False])),
    ]
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    for protocol in range(5):
        values, shape = object_array(pickle.dumps(array, protocol=protocol))
        assert shape == (4,)
        assert values[0][:2] == rows[0][:2]
        assert values[1] == rows[1]
        np.testing.assert_array_equal(values[0][2], rows[0][2], strict=True)
        np.testing.assert_array_equal(values[2], rows[2], strict=True)
        for found, wanted in zip(values[3], rows[3], strict=True):
            np.testing.assert_array_equal(found, wanted, strict=True)
            assert found.flags.owndata


def test_an_array_without_entries_is_read() -> None:
    ((row,), _) = object_array(pickled(np.zeros((0, 3))))
    np.testing.assert_array_equal(row, np.zeros((0, 3)), strict=True)


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_dimensions_come_in_c_order(order: Any) -> None:
    array = np.array([["a", 1], ["b", 2], ["c", 3]], dtype=object, order=order)
    assert object_array(pickle.dumps(array)) == (["a", 1, "b", 2, "c", 3], (3, 2))


def test_what_python_2_wrote_is_read() -> None:
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x01\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87R(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]h\x01h\x02K\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"h\x04U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U\x02\x07\xfftbatb."
    )
    ((row,), shape) = object_array(content)
    assert shape == (1,)
    np.testing.assert_array_equal(row, np.array([7, 255], np.uint8), strict=True)


STATE = (3, "<", None, None, None, -1, -1, 0)
HOSTILE_DTYPES = {
    "flags": dtype_like("f8", *STATE[:7], 63),
    "more flags": dtype_like("f8", *STATE[:7], 1),
    "object without flags": dtype_like("O8", 3, "|", *STATE[2:]),
    "size": dtype_like("f8", *STATE[:5], 1 << 40, -1, 0),
    "size of text": dtype_like("U2", 3, "<", None, None, None, 1 << 40, 4, 8),
    "alignment": dtype_like("f8", *STATE[:6], 3, 0),
    "order": dtype_like("f8", 3, "!", *STATE[2:]),
    "subarray": dtype_like("f8", 3, "<", (FLOAT, (4,)), *STATE[3:]),
    "fields": dtype_like("f8", 3, "<", None, ("a",), {}, *STATE[5:]),
    "metadata": dtype_like("f8", *STATE, {}),
    "version": dtype_like("f8", 4, *STATE[1:]),
    "short": dtype_like("f8", 3, "<"),
    "no tuple": Fake(np.dtype, ("f8", False, True), [3, "<"]),
    "no state": Fake(np.dtype, ("f8", False, True)),
    "void": dtype_like("V8", 3, "|", *STATE[2:]),
    "code": dtype_like("f8,f8", *STATE),
    "alignment asked for": Fake(np.dtype, ("f8", True, True), STATE),
    "a class": np.float64,
}


@pytest.mark.parametrize("name", HOSTILE_DTYPES)
def test_other_states_of_types_are_refused(name: str) -> None:
    for value in (HOSTILE_DTYPES[name], floats_of(HOSTILE_DTYPES[name])):
        with pytest.raises((RefusedPickleError, ValueError)):
            object_array(pickled(value))


HOSTILE_VALUES = {
    "too few bytes": array_like(1, (3,), FLOAT, False, bytes(16)),
    "too many bytes": array_like(1, (1,), FLOAT, False, bytes(16)),
    "huge": array_like(1, (1 << 62,), FLOAT, False, bytes(16)),
    "overflowing to right": array_like(1, (1 << 61, 8, 2), FLOAT, False, b""),
    "huge and empty": array_like(1, (0, 1 << 62, 1 << 62), FLOAT, False, b""),
    "negative": array_like(1, (-2,), FLOAT, False, bytes(16)),
    "two negative": array_like(1, (-1, -2), FLOAT, False, bytes(16)),
    "list as shape": array_like(1, [2], FLOAT, False, bytes(16)),
    "float as shape": array_like(1, (2.0,), FLOAT, False, bytes(16)),
    "many dimensions": array_like(1, (1,) * 40 + (2,), FLOAT, False, bytes(16)),
    "order": array_like(1, (2,), FLOAT, 2, bytes(16)),
    "version": array_like(2, (2,), FLOAT, False, bytes(16)),
    "old state": array_like((2,), FLOAT, False, bytes(16)),
    "no bytes": array_like(1, (2,), FLOAT, False, [1.0, 2.0]),
    "pointers": array_like(1, (1,), np.dtype(object), False, b"\x41" * 8),
    "too few objects": array_like(1, (3,), np.dtype(object), False, [1, 2]),
    "huge with objects": array_like(1, (1 << 62, 4), np.dtype(object), False, []),
    "no content": Fake(RECONSTRUCT, NEW_ARRAY),
    "other array": Fake(RECONSTRUCT, (np.ndarray, (1 << 40,), b"b"), (1, (0,), FLOAT, False, b"")),
    "subclass": Fake(RECONSTRUCT, (np.memmap, (0,), b"b")),
    "array called": Fake(np.ndarray, (1 << 40,)),
    "number of pointers": Fake(SCALAR, (np.dtype(object), b"\x41" * 8)),
    "number too short": Fake(SCALAR, (FLOAT, b"\x41" * 7)),
    "number without bytes": Fake(SCALAR, (FLOAT,)),
    "number as a type": floats_of(5),
    "type as a value": FLOAT,
    "class as a value": np.ndarray,
    "half a character": "\ud800",
    "large number": 1 << 8000,
    "dictionary": {"a": 1},
    "set": {1},
    "complex": 1j,
    "structured": np.zeros(2, dtype=[("a", "f8"), ("b", "O")]),
    "dates": np.zeros(2, dtype="M8[s]"),
    "bytearray": bytearray(8),
}


@pytest.mark.parametrize("name", HOSTILE_VALUES)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_other_states_and_values_are_refused(name: str, protocol: int) -> None:
    with pytest.raises((RefusedPickleError, ValueError, OverflowError)):
        object_array(pickled((HOSTILE_VALUES[name],), protocol))


def itself() -> list[Any]:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


def doubled(times: int) -> tuple[Any, ...]:
    """A tuple of two tuples of two ..., each of which is stored once."""
    value: tuple[Any, ...] = ()
    for _ in range(times):
        value = (value, value)
    return value


def nested_arrays(depth: int) -> np.ndarray:
    """Object arrays within object arrays."""
    array = np.empty(1, dtype=object)
    for _ in range(depth):
        outer = np.empty(1, dtype=object)
        outer[0] = array
        array = outer
    return array


@pytest.mark.parametrize("value", [itself(), doubled(60), nested_arrays(20)])
def test_bombs_of_references_are_refused(value: Any) -> None:
    with pytest.raises(RefusedPickleError, match="too many, or lie too deep"):
        object_array(pickled(value))


def test_nested_arrays_that_are_not_deep_are_lists() -> None:
    ((row,), _) = object_array(pickle.dumps(nested_arrays(1)))
    assert row == [None]


def around(inside: bytes) -> bytes:
    """The pickle of an object array, with opcodes in the place of its only row."""
    before, after = pickle.dumps(np.array(["ROW"], dtype=object), protocol=2).split(
        b"X\x03\x00\x00\x00ROW"
    )
    return before + inside + after[2:]  # without its place in the memo


def test_an_endless_depth_is_refused() -> None:
    with pytest.raises(RefusedPickleError, match="too deep"):
        object_array(around(b"]" * 100_000 + b"a" * 99_999))


def test_too_many_opcodes_are_refused() -> None:
    with pytest.raises(RefusedPickleError, match="opcodes"):
        object_array(around(b"(" + b"N" * LIMIT_OPCODES + b"l"))


def test_copies_without_end_are_refused() -> None:
    text = b"X" + (1 << 20).to_bytes(4, "little") + b"x" * (1 << 20) + b"r\xff\xff\x00\x00"
    copy = b"c_codecs\nencode\nj\xff\xff\x00\x00X\x06\x00\x00\x00latin1\x86R"
    assert object_array(around(b"(" + text + copy * 10 + b"l"))[1] == (1,)
    with pytest.raises(RefusedPickleError, match="copies more than"):
        object_array(around(b"(" + text + copy * 100 + b"l"))


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(RefusedPickleError, match="bytes"):
        object_array(bytes(LIMIT_BYTES + 1))


NEEDED = {
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"),
    *("GET", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
OTHERS = [opcode for opcode in pickletools.opcodes if opcode.name not in NEEDED]


@pytest.mark.parametrize("opcode", OTHERS, ids=lambda opcode: opcode.name)
def test_other_opcodes_are_refused(opcode: Any) -> None:
    argument = b"" if opcode.name == "BYTEARRAY8" else b"\x01\n\x01\n"
    content = around(b"NN" + opcode.code.encode("latin1") + argument + bytes(16))
    with pytest.raises(RefusedPickleError, match=f"the opcode {opcode.name}, which is refused"):
        object_array(content)


@pytest.mark.parametrize(
    "inside", [b"a", b"e", b"t", b"l", b"h\xee", b"R", b"b", b"\x93", b"NNa", b"Nb", b"N(Ne"]
)
def test_opcodes_without_their_operands_are_refused(inside: bytes) -> None:
    for content in (inside + b".", around(inside)):
        with pytest.raises((RefusedPickleError, LookupError, ValueError)):
            object_array(content)


def test_damaged_files_are_named_whatever_the_damage(tmp_path: Any) -> None:
    rows = np.empty(2, dtype=object)
    rows[:] = [(f"Côte {n}", (1.0, np.float64(2)), np.full((2, 3), n, np.uint8)) for n in range(2)]
    path = tmp_path / "rows.npy"
    np.save(path, rows, allow_pickle=True)
    content, draw = path.read_bytes(), random.Random(0)
    errors = []
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 5])):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged[: draw.choice([None, draw.randrange(len(damaged))])])
        try:
            assert load_object_array(path).size <= 2
        except DataFileError as error:
            errors.append(str(error))
    assert all(str(path) in error and len(error) < 500 for error in errors)
    assert 2000 < len(errors) < 3000
