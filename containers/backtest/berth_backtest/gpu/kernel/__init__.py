"""The files of berth_backtest/kernel once more, as modules of their own that are compiled for a GPU.

`berth_backtest.gpu.kernel.orders` is kernel/orders.py, and so on: a module is looked for here, then
there. Only jit.py is here, so that each "from .jit import inner" there compiles for the GPU.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__path__.append(str(Path(__file__).parents[2] / "kernel"))


def module(name: str) -> Any:
    """Returns one of the kernel's modules, compiled for a GPU."""
    return import_module(f"{__name__}.{name}")
