"""A checked strategy as a module of compiled code, kept on disk by its content."""

import ast
import hashlib
import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType

from berth_backtest import VERSION
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.kernel.jit import cache_folder
from berth_backtest.user.declare import BAR_FIELDS, OWN_FIELDS, Source, plain_arguments
from berth_backtest.user.rebalance import FIELDS, SCALARS
from berth_backtest.user.subset import Checked

COMPILE_S = 120.0  # what compiles for longer is not a strategy: most take a second
AGAIN_S = 1.0  # from one try to end it to the next

CPU, GPU = "berth_backtest.kernel", "berth_backtest.gpu.kernel"  # what it is compiled beside

HEAD = '''"""Made from a user's strategy; see berth_backtest.user.generate."""

from {maths} import exp, floor, inf, isnan, log, nan, pi, sqrt

from {kernel}.jit import entry, get, hot, put, step_function
from {kernel}.rebalance import rank_of
'''

LOOP = """

@step_function
def step(first, end, bar, work):
{bars}
    for c in range(first, end):
        {results} = one({arguments})
        live = get(work, {live} + c) > 0.0
        put(work, {kind} + c, kind if live else 0.0)
        put(work, {want} + c, want)
{stops}
{kept}
"""

REBALANCE = """

@step_function
def step(first, end, bar, work):
    count = end
{fields}
    rebalance({arguments})
"""

VALID = """

@entry
def valid_rows(params, found):
    for i in range(params.shape[1]):
        found[i] = valid({arguments}) != 0.0
"""


def module_text(source: Source, kernel: str = CPU) -> str:
    """Returns the module of a strategy's functions, compiled as those of a kernel's modules are."""
    maths = "numpy" if kernel == CPU else f"{kernel}.maths"
    parts = [HEAD.format(kernel=kernel, maths=maths)]
    for name, checked in source.checked.items():
        if name.startswith("h_"):
            arguments = [f"v_{arg}" for arg in plain_arguments(source.helpers[name.removeprefix("h_")])]
            parts.append(function_text(name, arguments, checked))
    params = [param.name for param in source.params]
    if "valid" in source.checked:
        checked = source.checked["valid"]
        names = [f"p_{name}" for name in params]
        parts.append(function_text("valid", names, checked))
        values = ", ".join(f"params[{k}, i]" for k in range(len(params)))
        parts.append(VALID.format(arguments=values))
    if "step" in source.checked:
        parts.append(step_text(source, params, import_module(f"{kernel}.steps")))
    if "rebalance" in source.checked:
        parts.append(rebalance_text(source, params))
    return "".join(parts)


def function_text(name: str, arguments: list[str], checked: Checked) -> str:
    body = [ast.fix_missing_locations(statement) for statement in checked.body]
    text = "\n".join(ast.unparse(statement) for statement in body)
    lines = "\n".join(f"    {line}" for line in text.splitlines())
    return f"\n\n@hot\ndef {name}({', '.join(arguments)}):\n{lines}\n"


def step_text(source: Source, params: list[str], steps: ModuleType) -> str:
    """Returns the function of one set, and the loop of it over the sets, by where a kernel's rows are."""
    lanes = steps.LANES
    checked = source.checked["step"]
    tables, states = [one.name for one in source.series], list(source.states)
    rows = {("s", name): i for i, name in enumerate(OWN_FIELDS)}
    first = steps.FIRST_ROW
    for owner, names in (("t", tables), ("t1", tables), ("p", params), ("s", states)):
        rows |= {(owner, name): first + i for i, name in enumerate(names)}
        first += len(names)
    reads = sorted(checked.reads | {("s", state) for state in states})
    arguments = [f"{owner}_{name}" for owner, name in reads]
    values = [
        f"{owner}_{name}" if owner == "bar" else f"get(work, {rows[owner, name] * lanes} + c)"
        for owner, name in reads
    ]
    kept = [
        f"        put(work, {rows['s', state] * lanes} + c, "
        f"n_{state} if live else get(work, {rows['s', state] * lanes} + c))"
        for state in states
    ]
    # Read before the loop: within it the compiler cannot know that they stay the same.
    bars = [f"    bar_{name} = bar[{i}]" for i, name in enumerate(BAR_FIELDS) if ("bar", name) in reads]
    # Of a step that names no stop the rows are what they are at its start.
    stops = [
        f"        put(work, {steps.O_STOPS + i * lanes} + c, {name})"
        for i, name in enumerate(STOPS)
        if checked.stops
    ]
    loop = LOOP.format(
        bars="\n".join(bars),
        results=", ".join(["kind", "want", *STOPS, *[f"n_{state}" for state in states]]),
        arguments=", ".join(values),
        kept="\n".join(kept),
        live=steps.S_LIVE,
        kind=steps.O_KIND,
        want=steps.O_WANT,
        stops="\n".join(stops),
    )
    return function_text("one", arguments, checked) + loop


def rebalance_text(source: Source, params: list[str]) -> str:
    """Returns the function of one date; `bar` holds the scalars and parameters, `work` an array a row."""
    checked = source.checked["rebalance"]
    arrays = ["out", *FIELDS, *[one.name for one in source.series]]
    scalars = [("view", name) for name in SCALARS] + [("p", name) for name in params]
    reads = sorted(checked.reads)
    lines = ["    out = work[:count]"]
    for owner, name in reads:
        if (owner, name) in scalars:
            lines.append(f"    {owner}_{name} = bar[{scalars.index((owner, name))}]")
        else:
            at = arrays.index(name)
            lines.append(f"    {owner}_{name} = work[{at} * count : {at + 1} * count]")
    names = ["count", "out", *[f"{owner}_{name}" for owner, name in reads]]
    call = REBALANCE.format(fields="\n".join(lines), arguments=", ".join(names))
    return function_text("rebalance", names, checked) + call


STOPS = ("stop_loss", "take_profit", "trailing")


def load_module(source: Source, kernel: str = CPU) -> ModuleType:
    """Returns the strategy's module; the same content is one module, and compiled once on this machine."""
    text = module_text(source, kernel)
    digest = hashlib.sha256(f"{VERSION}\0{text}".encode()).hexdigest()[:24]
    name = f"berth_strategy_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = Path(cache_folder()) / f"{name}.py"
    if not path.exists():
        # Written once, then left alone: compiled code is kept by the file's time.
        handle, part = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(part).replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with compile_bound():
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, ProgramError) or not isinstance(error, Exception):
            raise
        raise invalid("strategy.source", f"it cannot be compiled: {first_line(error)}") from error
    return module


@contextmanager
def compile_bound() -> Iterator[None]:
    """Ends a compilation that takes too long; only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise invalid("strategy.source", f"it takes more than {COMPILE_S:g} s to compile: make it smaller")

    before = signal.signal(signal.SIGALRM, end)
    # Again and again: what is raised within a finalizer or a callback of the garbage collector is ignored.
    signal.setitimer(signal.ITIMER_REAL, COMPILE_S, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Failed in")]
    return (lines[0] if lines else type(error).__name__)[:300]
