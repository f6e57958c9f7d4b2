"""How the kernel's functions are compiled for a GPU: the names of kernel/jit.py."""

from typing import Any

from berth_backtest.gpu.front import device_function

LANES = 1  # a thread has one set
EACH_BAR = True  # threads go side by side from bar to bar: none waits while another looks back

inner = hot = step_function = device_function


def entry(function: Any) -> Any:
    """What Python calls is not called here."""
    return function


def shared_only(function: Any) -> Any:
    """Leaves out what only a shared purse needs: sorting is nothing for a thread."""

    def never(_b: Any, _t: int, _field: int, _n: int, _equity: float) -> None:
        return

    del function
    return device_function(never)


def lanes_only(function: Any) -> Any:
    """Leaves out the short way of sets that run side by side: a thread has one."""

    def never(_b: Any, _t: int, _field: int) -> bool:
        return False

    del function
    return device_function(never)


def by_reference(held: Any) -> Any:
    return held


def returns_of(plain: Any) -> Any:
    return device_function(plain)


climb_of = returns_of


def unowned(array: Any) -> Any:
    return array


@device_function
def get(array: Any, i: int) -> Any:
    return array[i]


@device_function
def put(array: Any, i: int, value: float) -> None:
    array[i] = value
