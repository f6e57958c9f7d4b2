"""The one place that names Numba: how functions are compiled, and where that is kept."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def cache_folder() -> str:
    """Returns the folder of compiled code: NUMBA_CACHE_DIR or ~/.cache/berth/numba, by sources.

    Numba compares only the file of a function itself with what it kept. A caller would go on with
    the old code of a callee in another file, so each state of all the sources has its own folder.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    try:
        base = Path(given) if given else Path.home() / ".cache" / "berth" / "numba"
        folder = base / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except (OSError, RuntimeError):
        usable = False
    return str(folder) if usable else tempfile.mkdtemp(prefix="berth-numba-")


setattr(numba.config, "CACHE_DIR", cache_folder())  # noqa: B010 (made at import, unknown to mypy)

# error_model: by IEEE, x / 0 = inf; Numba's own check of each division stops vectorisation.
# fastmath stays off: a sum must not depend on how the compiler groups it.
_entry = numba.njit(error_model="numpy", cache=True, nogil=True)
# What only other compiled functions call needs no way in from Python and no cache of its own.
_options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_inner = numba.njit(error_model="numpy", nogil=True, **_options)


def entry(function: F) -> F:
    """Compiles a function that Python calls, at its first call; NUMBA_DISABLE_JIT=1 leaves it as it is."""
    return cast(F, _entry(function))


def inner(function: F) -> F:
    """Compiles a function that compiled functions call."""
    return cast(F, _inner(function))


def unowned(array: T) -> T:
    """Returns the same array without its reference count; the caller must hold the array itself.

    Each call counts the references of each array it passes, in atomic steps that cost as much as
    the arithmetic of a bar. Views without an owner are not counted.
    """
    return array


def _view(_typing: Any, array: Any) -> Any:
    """Builds the code of `unowned`: the array's own fields without its owner."""

    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        fields = context.make_array(array)(context, builder, value=values[0])
        fields.meminfo = fields.meminfo.type(None)
        fields.parent = fields.parent.type(None)
        return fields._getvalue()

    return array(array), build


if not getattr(numba.config, "DISABLE_JIT"):  # noqa: B009 (made at import, unknown to mypy)
    globals()["unowned"] = intrinsic(_view)
