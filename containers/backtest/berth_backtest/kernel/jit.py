"""The one place that names Numba for the CPU: how functions are compiled, and where that is kept.

gpu/kernel/jit.py has the same names for the GPU.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

from .reference import refer
from .vectors import climb_code, returns_code

LANES = 64  # sets that a user's step works on in one call
EACH_BAR = False  # held bars are accounted many at once, when the position changes

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def cache_folder() -> str:
    """Returns the folder of compiled code: NUMBA_CACHE_DIR or ~/.cache/berth/numba, by sources.

    Numba compares only the file of a function itself with what it kept. A caller would go on with
    the old code of a callee in another file, so each state of all the sources has its own folder.
    One that is there and cannot be written (an image's, baked in) is copied: Numba asks to write.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted([*package.glob("kernel/*.py"), *package.glob("indicators/*.py")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    try:
        base = Path(given) if given else Path.home() / ".cache" / "berth" / "numba"
        folder = base / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return str(folder)
        return shutil.copytree(folder, tempfile.mkdtemp(prefix="berth-numba-"), dirs_exist_ok=True)
    except (OSError, RuntimeError):
        return tempfile.mkdtemp(prefix="berth-numba-")


KEPT = cache_folder()  # where compiled code is
setattr(numba.config, "CACHE_DIR", KEPT)  # noqa: B010 (made at import, unknown to mypy)

# error_model: by IEEE, x / 0 = inf; Numba's own check of each division stops vectorisation.
# fastmath stays off: a sum must not depend on how the compiler groups it.
_entry = numba.njit(error_model="numpy", cache=True, nogil=True)
# What only other compiled functions call needs no way in from Python and no cache of its own.
_options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_inner = numba.njit(error_model="numpy", nogil=True, **_options)
_hot = numba.njit(error_model="numpy", nogil=True, forceinline=True, **_options)


def entry(function: F) -> F:
    """Compiles a function that Python calls, at its first call; NUMBA_DISABLE_JIT=1 leaves it as it is."""
    return cast(F, _entry(function))


def inner(function: F) -> F:
    """Compiles a function that compiled functions call."""
    return cast(F, _inner(function))


def hot(function: F) -> F:
    """Compiles a function into its callers: a call copies every field of every array of a book."""
    return cast(F, _hot(function))


shared_only = inner  # what only a shared purse needs: it never runs on a GPU
lanes_only = inner  # what sets that run side by side need

_floats = numba.types.float64[::1]
_step = numba.types.void(numba.types.int64, numba.types.int64, _floats, _floats)


def step_function(function: F) -> F:
    """Compiles a user's step to a pointer that the kernel calls: the kernel itself is compiled once."""
    if getattr(numba.config, "DISABLE_JIT"):  # noqa: B009
        return function
    return cast(F, numba.cfunc(_step, error_model="numpy", cache=True)(function))


def series_function(function: F, columns: int, arguments: tuple[float, ...]) -> F:
    """Returns a compiled function of series and numbers as a value that compiled functions take.

    Their code is then the same for all functions with such arguments: compiled once, and kept.
    """
    if getattr(numba.config, "DISABLE_JIT"):  # noqa: B009
        return function
    numbers = [numba.types.int64 if isinstance(x, int) else numba.types.float64 for x in arguments]
    signature = _floats(*[_floats] * columns, *numbers)
    compiled: Any = function
    compiled.compile(signature)
    code = compiled.get_compile_result(signature)
    address = code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)
    return cast(F, _value_class()(address, signature))


@cache
def _value_class() -> Any:
    """Returns the class of a function's address and types, which Numba takes for the function."""

    class Value(numba.types.WrapperAddressProtocol):
        def __init__(self, address: int, types: Any) -> None:
            self.address = address
            self.types = types

        def __wrapper_address__(self) -> int:
            return self.address

        def signature(self) -> Any:
            return self.types

    return Value


def unowned(array: T) -> T:
    """Returns the same array without its reference count; the caller must hold the array itself.

    Each call counts the references of each array it passes, in atomic steps that cost as much as
    the arithmetic of a bar. Views without an owner are not counted.
    """
    return array


def by_reference(held: T) -> T:
    """Returns a NamedTuple of arrays as what compiled functions pass on as one pointer.

    It is good until the calling function returns, which must hold the arrays.
    """
    return held


# As names of their own: a GPU has no vectors.
returns_of, climb_of = returns_code, climb_code


def get(array: Any, i: int) -> float:
    """Returns array[i] of a one-dimensional array without the code for negative places.

    That code keeps the compiler from working on several bars at once; `i` must lie inside.
    """
    value: float = array[i]
    return value


def put(array: Any, i: int, value: float) -> None:
    """Sets array[i] of a one-dimensional array, as `get` reads it."""
    array[i] = value


def _view(_typing: Any, array: Any) -> Any:
    """Builds the code of `unowned`: the array's own fields without its owner."""

    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        fields = context.make_array(array)(context, builder, value=values[0])
        fields.meminfo = fields.meminfo.type(None)
        fields.parent = fields.parent.type(None)
        return fields._getvalue()

    return array(array), build


def _place(context: Any, builder: Any, array: Any, values: Any) -> Any:
    fields = context.make_array(array)(context, builder, value=values[0])
    return builder.gep(fields.data, [values[1]])


def _get(_typing: Any, array: Any, i: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.load(_place(context, builder, array, values))

    return array.dtype(array, numba.types.int64), build


def _put(_typing: Any, array: Any, i: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        builder.store(values[2], _place(context, builder, array, values))
        return context.get_dummy_value()

    return numba.types.void(array, numba.types.int64, array.dtype), build


if not getattr(numba.config, "DISABLE_JIT"):  # noqa: B009 (made at import, unknown to mypy)
    globals().update(
        unowned=intrinsic(_view),
        by_reference=intrinsic(refer),
        get=intrinsic(_get),
        put=intrinsic(_put),
    )
