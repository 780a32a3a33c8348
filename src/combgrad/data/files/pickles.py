"""Object arrays in the pickles of other people, read as data: nothing that they name is called.

A pickle is a program. Here its opcodes fill plain values and stand-ins of our own, arrays are made
from the bytes by numpy's ordinary functions once shape and type are checked, and whatever numpy
does not itself write for an array is refused.
"""

import math
import pickletools
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: What the interpreter takes at most; the published countries are 2 MB and some 6,000 opcodes. As
#: many bytes, once more, may be copied: a pickle can refer to one text as often as it likes.
LIMIT_BYTES = 1 << 26
LIMIT_OPCODES = 1_000_000
#: Of what comes out: values in all, counted wherever they stand, and lists within lists.
LIMIT_VALUES = 1_000_000
LIMIT_DEPTH = 8

_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})

_NDARRAY, _DTYPE, _ENCODE = "numpy.ndarray", "numpy.dtype", "_codecs.encode"
_RECONSTRUCT, _SCALAR = "multiarray._reconstruct", "multiarray.scalar"
_NAMES = {name: name for name in (_NDARRAY, _DTYPE, _ENCODE)} | {
    f"{package}.{name}": name
    for package in ("numpy.core", "numpy._core")
    for name in (_RECONSTRUCT, _SCALAR)
}
_TYPE_CODES = re.compile(r"b1|[iu][1248]|f[248]|[US]\d{1,6}")
_OBJECT_CODES = ("O", "O4", "O8")


class RefusedPickleError(ValueError):
    """A pickle that asks for anything but plain values and arrays of them."""


@dataclass(frozen=True)
class _Named:
    """Stands for a class or function that the pickle names."""

    name: str


@dataclass
class _Dtype:
    """Stands for a dtype; usable once its state is known to be the one numpy writes."""

    own: np.dtype
    built: bool = False


@dataclass
class _Array:
    """Stands for an array: numbers or text in `values`, or objects in C order in `items`."""

    values: np.ndarray | None = None
    items: list[Any] = field(default_factory=list)
    shape: tuple[int, ...] | None = None


def object_array(content: bytes) -> tuple[list[Any], tuple[int, ...]]:
    """The values of a pickled object array in C order, and its shape.

    Values are None, bool, int, float, str, bytes, arrays of numbers or text, and tuples and lists
    of these; an object array within becomes a list. Raises RefusedPickleError for a pickle that
    names or holds anything else; a damaged one may raise any ValueError, LookupError or TypeError.
    """
    if len(content) > LIMIT_BYTES:
        raise RefusedPickleError(f"it has more than {LIMIT_BYTES:,} bytes")
    result = _Machine().run(content)
    if not isinstance(result, _Array) or result.shape is None:
        kind = "ndarray" if isinstance(result, _Array) else type(result).__name__.lstrip("_")
        raise RefusedPickleError(f"the pickle holds a {kind} instead of an array of objects")
    return _Values().plain(result.items), result.shape


class _Machine:
    """A stack and a memo, as the pickle format has them, for the opcodes that arrays need."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def run(self, content: bytes) -> Any:
        """What lies on the stack at the end."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if count == LIMIT_OPCODES:
                raise RefusedPickleError(f"the pickle has more than {LIMIT_OPCODES:,} opcodes")
            self.step(opcode.name, argument)
        (result,) = self.stack
        return result

    def step(self, name: str, argument: Any) -> None:
        """Do what one opcode says."""
        if name in _LITERALS:
            self.stack.append(_checked_literal(argument))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _PUTS:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in _TUPLES:
            self.stack.append(tuple(self.popped(len(self.stack) - _TUPLES[name])))
        elif hasattr(self, f"do_{name.lower()}"):
            getattr(self, f"do_{name.lower()}")(argument)
        elif name not in _IGNORED:
            raise RefusedPickleError(f"the pickle has the opcode {name}, which is refused")

    def popped(self, start: int) -> list[Any]:
        """Take all from place `start` on off the stack."""
        if start < 0:
            raise RefusedPickleError("the pickle takes more from its stack than there is")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.popped(self.marks.pop())))

    def do_list(self, _: None) -> None:
        self.stack.append(self.popped(self.marks.pop()))

    def do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def do_append(self, _: None) -> None:
        self.extend(self.popped(len(self.stack) - 1))

    def do_appends(self, _: None) -> None:
        self.extend(self.popped(self.marks.pop()))

    def extend(self, items: list[Any]) -> None:
        """Append items to the list on top of the stack."""
        if not isinstance(self.stack[-1], list):
            raise RefusedPickleError("the pickle appends to something that is no list")
        self.stack[-1].extend(items)

    def do_global(self, argument: str) -> None:
        self.stack.append(_named(*argument.split(" ", 1)))

    def do_stack_global(self, _: None) -> None:
        self.stack.append(_named(*self.popped(len(self.stack) - 2)))

    def count_bytes(self, parts: object) -> None:
        """Add what a call or a state copies, at most, to what was copied before."""
        if isinstance(parts, tuple):
            self.copied += len(parts)
            texts = [part for part in parts[:5] if isinstance(part, str | bytes)]
            lists = [part for part in parts[:5] if isinstance(part, list)]
            self.copied += sum(map(len, texts)) + 64 * sum(map(len, lists))
        if self.copied > LIMIT_BYTES:
            raise RefusedPickleError(f"the pickle copies more than {LIMIT_BYTES:,} bytes")

    def do_reduce(self, _: None) -> None:
        function, arguments = self.popped(len(self.stack) - 2)
        self.count_bytes(arguments)
        self.stack.append(_reduced(function, arguments))

    def do_build(self, _: None) -> None:
        target, state = self.popped(len(self.stack) - 2)
        self.count_bytes(state)
        if isinstance(target, _Dtype):
            _build_dtype(target, state)
        elif isinstance(target, _Array):
            _build_array(target, state)
        else:
            raise RefusedPickleError("the pickle gives a state to something that has none")
        self.stack.append(target)


def _checked_literal(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > 64:
        raise RefusedPickleError(f"the pickle holds an integer of {value.bit_length()} bits")
    if isinstance(value, str):
        value.encode()  # lone surrogates can be neither printed nor written
    return value


def _shown(value: object) -> str:
    # Not the repr of anything else: tuples within tuples may have one without end.
    return ascii(value[:80]) if isinstance(value, str) else type(value).__name__


def _named(module: object, name: object) -> _Named:
    full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "nothing"
    if full not in _NAMES:
        raise RefusedPickleError(f"the pickle names {_shown(full)[1:-1]}, which is refused")
    return _Named(_NAMES[full])


def _reduced(function: object, arguments: object) -> Any:
    """Our own for what numpy writes as a call."""
    called = function.name if isinstance(function, _Named) else ""
    given = arguments if isinstance(arguments, tuple) else ()
    if called == _RECONSTRUCT and given in _NEW_ARRAYS:
        return _Array()
    if called == _DTYPE and len(given) == 3 and given[1:] == (False, True):
        return _Dtype(_own_dtype(given[0]))
    if called == _SCALAR and len(given) == 2:
        values = _from_bytes(_usable(given[0]), (), False, given[1])
        return values.item()
    if called == _ENCODE and len(given) == 2 and isinstance(given[0], str):
        if given[1] not in ("latin1", "latin-1"):
            raise RefusedPickleError(f"the encoding {_shown(given[1])} is refused")
        return given[0].encode("latin1")
    raise RefusedPickleError(f"the pickle calls {called or 'what is no function'} in a strange way")


# As numpy for Python 3 and for Python 2 writes it: an empty array of bytes, still to be filled.
_NEW_ARRAYS = ((_Named(_NDARRAY), (0,), b"b"), (_Named(_NDARRAY), (0,), "b"))


def _own_dtype(code: object) -> np.dtype:
    if code in _OBJECT_CODES:
        return np.dtype(object)
    if isinstance(code, str) and _TYPE_CODES.fullmatch(code):
        return np.dtype(code)
    raise RefusedPickleError(f"the type {_shown(code)} is refused")


def _build_dtype(target: _Dtype, state: object) -> None:
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    if order in ("<", ">"):
        target.own = target.own.newbyteorder(order)
    if state != target.own.__reduce__()[2]:
        raise RefusedPickleError(f"the state of the type {target.own} is not the one numpy writes")
    target.built = True


def _usable(dtype: object) -> np.dtype:
    if not isinstance(dtype, _Dtype) or not dtype.built:
        raise RefusedPickleError("an array or number has no type")
    return dtype.own


def _build_array(target: _Array, state: object) -> None:
    if not isinstance(state, tuple) or len(state) != 5 or state[0] != 1:
        raise RefusedPickleError("the state of an array is not one that numpy writes")
    _, shape, kind, fortran, data = state
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or len(shape) > LIMIT_DEPTH or fortran not in (False, True):
        raise RefusedPickleError("the shape of an array is none")
    dtype = _usable(kind)
    if not dtype.hasobject:
        target.values = _from_bytes(dtype, shape, fortran, data)
        return
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise RefusedPickleError(f"an array of shape {shape} does not hold as many objects")
    # In C order also where the array is not; `fortran` is about the memory it had.
    target.items = list(data)
    target.shape = shape


def _from_bytes(dtype: np.dtype, shape: tuple[int, ...], fortran: bool, data: object) -> np.ndarray:
    # Python 2 had no other kind of bytes than text.
    raw = data.encode("latin1") if isinstance(data, str) else data
    size = math.prod(shape) * dtype.itemsize
    if not isinstance(raw, bytes) or len(raw) != size or dtype.hasobject:
        raise RefusedPickleError(
            f"{dtype} of shape {shape} does not have the {size} bytes it needs"
        )
    if not raw:
        return np.zeros(shape, dtype)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C").copy()


class _Values:
    """Turns stand-ins into what they stand for, up to a number of values and a depth."""

    def __init__(self) -> None:
        self.count = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        """A value with all that lies within it."""
        self.count += 1
        if self.count > LIMIT_VALUES or depth > LIMIT_DEPTH:
            raise RefusedPickleError("its values are too many, or lie too deep within each other")
        if isinstance(value, tuple):
            return tuple(self.plain(item, depth + 1) for item in value)
        if isinstance(value, list):
            return [self.plain(item, depth + 1) for item in value]
        if isinstance(value, _Array):
            if value.shape is not None:
                return self.plain(value.items, depth + 1)
            if value.values is not None:
                return value.values
        elif not isinstance(value, _Named | _Dtype):
            return value
        raise RefusedPickleError("it holds an array without a content, or a function, as a value")
