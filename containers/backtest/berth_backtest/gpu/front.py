"""The one place that names the GPU compiler: everything else takes `cuda` from here.

Numba's own target, or numba-cuda in its place where that is installed; NUMBA_ENABLE_CUDASIM=1 is its
simulator, which runs threads as plain Python without a GPU.
"""

import warnings
from functools import partial
from importlib import import_module
from typing import Any

import numba

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that Numba's own target is no longer developed
    cuda: Any = import_module("numba.cuda")

SIMULATED = bool(getattr(numba.config, "ENABLE_CUDASIM"))  # noqa: B009 (made at import, unknown to mypy)
SIMULATED_BYTES = 1 << 30  # there is no device memory to ask for

if not SIMULATED:
    nvvm: Any = import_module("numba.cuda.cudadrv.nvvm")
    # A fused multiply-add rounds once where the CPU rounds twice, and NVVM fuses unless told otherwise;
    # the jit has no option for it.
    nvvm.compile_ir = partial(nvvm.compile_ir, fma=False)


def device_function(function: Any) -> Any:
    """Compiles a function that other functions on the GPU call."""
    # The simulator would look through all names of its module at every call.
    return function if SIMULATED else cuda.jit(device=True)(function)


def kernel(function: Any) -> Any:
    """Compiles a function that is launched on a grid of threads."""
    return cuda.jit(function)


def missing() -> str | None:
    """Returns why no GPU can be used here, None if one can."""
    if SIMULATED:
        return None
    if not cuda.is_available() or len(cuda.gpus) == 0:
        return "there is no CUDA driver on this machine, or it sees no GPU"
    nvvm.NVVM()  # raises where the compiler's library is not there
    return None


def free_bytes() -> int:
    """Returns the device memory that can still be asked for."""
    if SIMULATED:
        return SIMULATED_BYTES
    context = cuda.current_context()
    context.memory_manager.deallocations.clear()  # what was let go is kept for a while otherwise
    return int(context.get_memory_info()[0])


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "OUT_OF_MEMORY" in str(error).upper()
