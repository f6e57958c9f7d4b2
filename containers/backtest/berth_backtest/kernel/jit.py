"""The one place that names Numba."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

# error_model: by IEEE, x / 0 = inf; Numba's own check of each division stops vectorisation.
# fastmath stays off: a sum must not depend on how the compiler groups it.
_compile = numba.njit(error_model="numpy", cache=True, nogil=True)


def compiled(function: F) -> F:
    """Compiles a function at its first call; NUMBA_DISABLE_JIT=1 leaves it as it is."""
    return cast(F, _compile(function))
