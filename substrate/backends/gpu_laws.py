"""One kernel per device law, made from the law: its `advance` is run once on symbols that write down what it does.

A law is plain arithmetic on arrays of cells in which no cell looks at another, so that the operations it does on one
symbol are those it does on every cell. Questions about all cells at once (``any``) are answered yes: what follows is
masked, and changes nothing where it does not apply. Cells picked by a mask are all cells, until they are written back
where the mask holds. What cannot be written so raises :class:`Untraceable`, and the law runs as array operations.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

TYPES = {"f": "float", "d": "double", "?": "bool", "l": "long long", "i": "int"}
INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "true_divide": "/", "greater": ">", "less": "<",
    "greater_equal": ">=", "less_equal": "<=", "equal": "==", "not_equal": "!=", "bitwise_and": "&",
    "bitwise_or": "|", "logical_and": "&&", "logical_or": "||", "bitwise_xor": "^",
}  # fmt: skip
CALLS = {
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "sqrt": "sqrt", "absolute": "fabs", "abs": "fabs",
    "sin": "sin", "cos": "cos", "tanh": "tanh", "floor": "floor", "ceil": "ceil", "rint": "rint", "trunc": "trunc",
    "power": "pow", "float_power": "pow", "arctan": "atan", "cosh": "cosh", "sinh": "sinh", "cbrt": "cbrt",
}  # fmt: skip
SHAPES = {  # of the rest, in terms of operands {0}, {1}; what NumPy does with NaN is done too
    "negative": "-({0})",
    "positive": "{0}",
    "square": "({0}) * ({0})",
    "reciprocal": "1 / ({0})",
    "invert": "!({0})",
    "logical_not": "!({0})",
    "maximum": "(({0}) >= ({1}) || ({0}) != ({0})) ? ({0}) : ({1})",
    "minimum": "(({0}) <= ({1}) || ({0}) != ({0})) ? ({0}) : ({1})",
    "sign": "({0}) > 0 ? 1 : ({0}) < 0 ? -1 : ({0})",
    "isfinite": "({0}) - ({0}) == 0",
    "isnan": "({0}) != ({0})",
}
POWERS = {2: "square", 0.5: "sqrt", 1: "positive", -1: "reciprocal"}  # as NumPy's arrays take them


class Untraceable(Exception):
    """A law does something that one cell cannot tell."""


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """A number of one cell: a name in the kernel's text, and the dtype that NumPy would give it."""

    __array_priority__ = 100
    size, ndim = 1, 1
    shape: ClassVar[tuple[int, ...]] = (1,)
    T = property(lambda self: self)

    def __init__(self, trace: "Trace", name: str, dtype: Any) -> None:
        self.trace, self.name, self.dtype = trace, name, np.dtype(dtype)

    @property
    def flags(self) -> Any:
        """As of an array that lies in one piece."""
        return np.zeros(1).flags

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs.keys() - {"dtype", "casting"}:
            raise Untraceable(f"{ufunc.__name__}.{method} with {', '.join(kwargs)}")
        made = self.trace.apply(ufunc, *inputs)
        return self.trace.put(out[0], made) if out is not None else made

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return getattr(self.trace.xp, function.__name__)(*args, **kwargs)

    def __pow__(self, exponent: Any) -> Any:
        known = POWERS.get(exponent) if isinstance(exponent, int | float) else None
        return self.trace.apply(getattr(np, known), self) if known else self.trace.apply(np.power, self, exponent)

    def _into(self, made: Any) -> "Symbol":
        return self.trace.put(self, made)

    def __iadd__(self, other: Any) -> "Symbol":
        return self._into(self + other)

    def __isub__(self, other: Any) -> "Symbol":
        return self._into(self - other)

    def __imul__(self, other: Any) -> "Symbol":
        return self._into(self * other)

    def __itruediv__(self, other: Any) -> "Symbol":
        return self._into(self / other)

    def __getitem__(self, key: Any) -> "Symbol":
        if key is Ellipsis or (isinstance(key, slice) and key == slice(None)):
            return self
        if isinstance(key, Symbol) and key.dtype == bool:
            return self.copy()
        raise Untraceable(f"picks cells by {type(key).__name__}")

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Symbol) and key.dtype == bool:
            self._into(self.trace.xp.where(key, value, self))
        elif key is Ellipsis or (isinstance(key, slice) and key == slice(None)):
            self._into(value)
        else:
            raise Untraceable(f"writes to cells picked by {type(key).__name__}")

    def __bool__(self) -> bool:
        raise Untraceable("asks one question of all cells")

    def __float__(self) -> float:
        raise Untraceable("wants a number of all cells")

    def copy(self, order: str = "C") -> "Symbol":
        """Another symbol of the same value."""
        return self.trace.new(self.name, self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> "Symbol":
        """The value in another dtype."""
        return self.trace.new(self.trace.cast(self, np.dtype(dtype)), np.dtype(dtype))

    def reshape(self, *shape: Any) -> "Symbol":
        """Itself: one cell has one shape."""
        return self

    def any(self) -> bool:
        """Yes."""
        return True


class Normals:
    """The standard normals of one cell: ``[count, 1]``."""

    def __init__(self, rows: list[Symbol]) -> None:
        self.rows, self.shape, self.ndim, self.size = rows, (len(rows), 1), 2, len(rows)

    def __getitem__(self, key: Any) -> Any:
        return Normals(self.rows[key]) if isinstance(key, slice) else self.rows[key]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows)


class Trace:
    """What has been written down so far: lines of C, each of which gives one value a name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.xp = _Module(self)

    def new(self, expression: str, dtype: Any) -> Symbol:
        """A symbol for an expression."""
        name = f"v{len(self.lines)}"
        self.lines.append(f"const {TYPES[np.dtype(dtype).char]} {name} = {expression};")
        return Symbol(self, name, dtype)

    def put(self, target: Symbol, value: Any) -> Symbol:
        """Write a value into a symbol, in the symbol's own dtype."""
        target.name = self.new(self.cast(value, target.dtype), target.dtype).name
        return target

    def cast(self, value: Any, dtype: np.dtype[Any]) -> str:
        """A value in a dtype, as text."""
        if isinstance(value, Symbol):
            return value.name if value.dtype == dtype else f"({TYPES[dtype.char]}){value.name}"
        array = np.asarray(value)
        if array.size != 1:
            raise Untraceable("meets an array that is no cell's")
        number = array.astype(dtype).item()
        if isinstance(number, float) and not np.isfinite(number):
            return f"({TYPES[dtype.char]})({'-' if number < 0 else ''}no_end())" if number == number else "(0.0 / 0.0)"
        text = (
            repr(number).lower() if not isinstance(number, float) else f"{number!r}{'f' if dtype.char == 'f' else ''}"
        )
        return f"({text})"

    def apply(self, ufunc: Any, *inputs: Any) -> Symbol:
        """A ufunc of symbols and numbers, in the dtypes that NumPy would take it in."""
        kinds = [_kind(value) for value in inputs]
        loop = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
        operands = [self.cast(value, dtype) for value, dtype in zip(inputs, loop, strict=False)]
        name = ufunc.__name__
        if name in INFIX:
            text = f"{operands[0]} {INFIX[name]} {operands[1]}"
        elif name in CALLS:
            text = f"{CALLS[name]}({', '.join(operands)})"
        elif name in SHAPES:
            text = SHAPES[name].format(*operands)
        else:
            raise Untraceable(f"uses {name}")
        return self.new(text, loop[len(inputs)])


def _kind(value: Any) -> Any:
    """What a ufunc resolves its dtypes from: a dtype, or the type of a plain number, which is weak."""
    if isinstance(value, Symbol):
        return value.dtype
    if type(value) in (int, float, bool):
        return np.dtype(bool) if type(value) is bool else type(value)
    return np.asarray(value).dtype


class _Module:
    """The array module that a law sees while it is written down."""

    ndarray = Symbol

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if isinstance(value, np.ufunc):
            return lambda *inputs, out=None: (
                self._ufunc(value, *inputs) if out is None else self.trace.put(out, self._ufunc(value, *inputs))
            )
        if isinstance(value, type) or not callable(value):
            return value
        raise Untraceable(f"uses {name}")

    def _ufunc(self, ufunc: Any, *inputs: Any) -> Any:
        if not any(isinstance(value, Symbol) for value in inputs):
            return ufunc(*inputs)
        return self.trace.apply(ufunc, *inputs)

    def where(self, mask: Any, yes: Any, no: Any) -> Any:
        """One or the other."""
        if not isinstance(mask, Symbol):
            return yes if mask else no
        loop = np.add.resolve_dtypes((_kind(yes), _kind(no), None))[2]
        loop = np.dtype(float) if type(yes) is type(no) is float else loop
        return self.trace.new(f"{mask.name} ? {self.trace.cast(yes, loop)} : {self.trace.cast(no, loop)}", loop)

    def clip(self, value: Any, low: Any, high: Any, out: Any = None) -> Any:
        """Within bounds."""
        made = self.minimum(self.maximum(value, low), high)
        return made if out is None else self.trace.put(out, made)

    def interp(self, x: Any, knots: Any, values: Any) -> Symbol:
        """A curve through a few points, which become part of the kernel."""
        places = ", ".join(repr(float(k)) for k in np.asarray(knots))
        levels = ", ".join(repr(float(v)) for v in np.asarray(values))
        name = f"t{len(self.trace.lines)}"
        self.trace.lines.append(f"const double {name}[] = {{{places}}}, {name}_at[] = {{{levels}}};")
        return self.trace.new(
            f"curve_value({self.trace.cast(x, np.dtype(float))}, {name}, {name}_at, {len(np.asarray(knots))})", float
        )

    def any(self, mask: Any) -> bool:
        """Yes: what follows is masked."""
        return True

    def all(self, mask: Any) -> bool:
        """No, for the same reason."""
        return False

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """A symbol as it is; a number as a number."""
        if isinstance(value, Symbol):
            return value if dtype is None else value.astype(dtype)
        array = np.asarray(value, dtype)
        return array[()] if array.ndim == 0 else array

    def zeros_like(self, like: Any, dtype: Any = None) -> Any:
        """Zero."""
        return self.full_like(like, 0, dtype)

    def ones_like(self, like: Any, dtype: Any = None) -> Any:
        """One."""
        return self.full_like(like, 1, dtype)

    def full_like(self, like: Any, value: Any, dtype: Any = None) -> Any:
        """A number."""
        kind = np.dtype(dtype or like.dtype)
        return self.trace.new(self.trace.cast(value, kind), kind)

    def zeros(self, shape: Any, dtype: Any = float) -> Any:
        """Zero."""
        return self.trace.new(self.trace.cast(0, np.dtype(dtype)), dtype)

    def broadcast_to(self, value: Any, shape: Any) -> Any:
        """A number for the cell."""
        return value if isinstance(value, Symbol) else self.trace.new(
            self.trace.cast(value, np.asarray(value).dtype), np.asarray(value).dtype
        )  # fmt: skip


def written(device: Any, state: dict[str, Any], drive: Any, seconds: float, name: str) -> tuple[str, list[str]]:
    """The text of a kernel that advances cells of a device by ``seconds``, and the states it takes, in order.

    Its arguments are the number of cells, the arrays of the states, the drive, the normals ``[normals, cells]`` and
    where the value goes. ``state`` and ``drive`` tell dtypes only. Raises Untraceable.
    """
    trace, names, normals = Trace(), list(state), device.normals
    kinds = {key: np.dtype(array.dtype) for key, array in state.items()}
    value = np.dtype(drive.dtype)
    cells = {key: Symbol(trace, f"s{i}", kinds[key]) for i, key in enumerate(names)}
    xi = Normals([Symbol(trace, f"x{i}", value) for i in range(normals)]) if normals else None
    try:
        device.advance(trace.xp, cells, Symbol(trace, "u", value), seconds, xi)
        seen = device.value(trace.xp, cells)
    except (TypeError, AttributeError, KeyError) as error:
        raise Untraceable(str(error)) from error
    arguments = [f"{TYPES[kinds[key].char]}* state{i}" for i, key in enumerate(names)]
    plain = TYPES[value.char]
    text = [f'extern "C" __global__ void {name}(i64 cells, {", ".join(arguments)}, const {plain}* drive,',
            f"    const {plain}* normals, {plain}* value) {{",
            "  for (i64 i = first_item(); i < cells; i += all_threads()) {",
            f"    const {plain} u = drive[i];"]  # fmt: skip
    text += [f"    const {TYPES[kinds[key].char]} s{i} = state{i}[i];" for i, key in enumerate(names)]
    text += [f"    const {plain} x{i} = normals[{i} * cells + i];" for i in range(normals)]
    text += [f"    {line}" for line in trace.lines]
    text += [f"    state{i}[i] = {cells[key].name};" for i, key in enumerate(names) if cells[key].name != f"s{i}"]
    text += [f"    value[i] = {trace.cast(seen, value)};", "  }", "}"]
    return "\n".join(text), names


Advance = Callable[[dict[str, Any], Any, Any, Any], None]
MOST_LAWS = 8  # kernels a device gets: one for each length of a tick


class Laws:
    """The kernels of the devices of a run, written when first needed."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.known: dict[tuple[Any, ...], tuple[Any, list[str]] | None] = {}

    def advance(self, law: Any, state: dict[str, Any], drive: Any, seconds: float, xi: Any) -> Any:
        """Advance the cells and return their new values; None where the law must run as array operations."""
        key = (id(law), seconds, drive.dtype.char, *((n, a.dtype.char) for n, a in state.items()))
        if key not in self.known:
            ours = [k for k in self.known if k[0] == id(law)]
            self.known[key] = None if len(ours) >= MOST_LAWS else self._made(law, state, drive, seconds)
        found = self.known[key]
        if found is None or not _plain([*state.values(), drive]):
            return None
        run, names = found
        value = self.device.xp.empty(drive.shape, dtype=drive.dtype)
        arguments: Sequence[Any] = (np.int64(drive.size), *(state[n] for n in names), drive, xi, value)
        run(self.device.blocks(drive.size), self.device.threads,
            tuple(np.uint64(0) if a is None else a for a in arguments))  # fmt: skip
        return value

    def _made(self, law: Any, state: dict[str, Any], drive: Any, seconds: float) -> tuple[Any, list[str]] | None:
        try:
            text, names = written(law, state, drive, seconds, "law")
        except Untraceable:
            return None
        return self.device.compile(text, "law"), names


def _plain(arrays: Sequence[Any]) -> bool:
    """Whether all lie in one piece and are of one shape."""
    return all(a.flags.c_contiguous and a.shape == arrays[0].shape for a in arrays)
