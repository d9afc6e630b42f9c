"""Arrays that refuse what CuPy's refuse: to be mixed with NumPy's, or to become one without being asked."""

from types import ModuleType
from typing import Any

import numpy as np

FROM_HOST = {"asarray", "array", "ascontiguousarray"}  # what may take host arrays


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """A host array that behaves as if it lay in another memory."""

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use to_host")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return wrap(getattr(ufunc, method)(*unwrap(inputs), **unwrap(kwargs)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.host, name)
        if not callable(value) or isinstance(value, type | np.dtype):
            return wrap(value)
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))

    def __getitem__(self, key: Any) -> Any:
        found = self.host[unwrap(key)]
        return DeviceArray(np.asarray(found))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[unwrap(key)] = unwrap(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "host":
            object.__setattr__(self, name, value)
        else:
            setattr(self.host, name, unwrap(value))

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self.host)))

    def __float__(self) -> float:
        return float(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __repr__(self) -> str:
        return f"device {self.host!r}"


def unwrap(value: Any) -> Any:
    """Host arrays of device arrays, however deep; a host array among them is an error, as with CuPy."""
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"Unsupported type {type(value)}: a host array met a device array")
    if isinstance(value, tuple | list):
        return type(value)(unwrap(v) for v in value)
    if isinstance(value, dict):
        return {key: unwrap(v) for key, v in value.items()}
    return value


def wrap(value: Any) -> Any:
    """Device arrays of host arrays; CuPy leaves no scalar either: a sum is an array without axes."""
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(wrap(v) for v in value)
    return value


class StrictModule:
    """An array module whose arrays are :class:`DeviceArray`."""

    def __init__(self, module: ModuleType = np) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, ModuleType):
            return StrictModule(value)
        if isinstance(value, type) or not callable(value):
            return value
        if name in FROM_HOST:
            return lambda array, *args, **kwargs: wrap(
                value(array.host if isinstance(array, DeviceArray) else array, *args, **kwargs)
            )
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **unwrap(kwargs)))
