"""Compiles every kernel for every kind of GPU, without one: says how long it took and what each needs.

Run: python -m berth_backtest.gpu.ptx [KIND...]
It prints one JSON line. Needs numba-cuda with libNVVM and libdevice (containers/requirements-cuda.in);
where ptxas is there too it tells registers and bytes of local memory.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from berth_backtest.gpu import front, launch
from berth_backtest.gpu.front import cuda
from berth_backtest.gpu.kernel import module
from berth_backtest.user.declare import read_source
from berth_backtest.user.generate import GPU, load_module

CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (12, 0))
SERIES = {"COMPARES": 3, "LEVELS": 1, "CHANNELS": 4, "HOLDS": 0}
STEP = """
@strategy
class X:
    fast = param.int(1, 50, default=3)
    worst = state.float(0)
    sf = ind.sma("close", window=fast)

    def step(s, bar, t, t1, p):
        s.worst = min(s.worst, log(sqrt(bar.close / t.sf)), inf if isnan(t1.sf) else pi)
        if s.pos == 0:
            return target(1, stop_loss=0.05) if t.sf > t1.sf else keep()
        return close() if s.worst < -0.04 or floor(exp(s.worst)) > 1 else keep()
"""
PTXAS_S = 300  # of one kernel: most take ten seconds


def main(only: list[str]) -> int:
    without_a_driver()
    ptxas = find_ptxas()
    found: dict[str, Any] = {}
    for name in [*SERIES, "STEPS", "reduce"]:
        if only and name not in only:
            continue
        kernel, signature = kernel_of(name)
        for capability in CAPABILITIES:
            began = time.monotonic()
            ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
            row: dict[str, Any] = {"seconds": round(time.monotonic() - began, 2), "bytes": len(ptx)}
            row["fused"] = len(re.findall(r"\bfma\.rn\.f64", ptx))
            row |= measured(ptxas, ptx, capability)
            found[f"{name.lower()} {capability[0]}.{capability[1]}"] = row
    print(json.dumps(found))
    return 0


def kernel_of(name: str) -> tuple[Any, Any]:
    """Returns a kernel and the types of its arguments, in its order."""
    types = import_module("numba").types
    whole, real, small = types.int64, types.float64, types.int8

    def array(dimensions: int, kind: Any = real, order: str = "C") -> Any:
        return types.Array(kind, dimensions, order)

    if name == "reduce":
        return launch.reduce_sets, (whole, whole, array(1), array(3), array(2), array(2), array(3))
    market = (
        *(array(4), array(3, small), array(3), array(3), array(4), array(3), array(2), array(4)),
        *(array(1, whole), array(2), array(1, whole), array(2, whole), array(1), array(1, whole)),
        *(array(1, whole), array(2)),
    )
    sets = (array(2, real, "F"), array(1), array(2, whole), array(2), array(2), array(2), array(1))
    rest = (array(1, whole), whole, array(3), array(2), array(3), array(3))
    kind = getattr(module("layout"), name)
    if name != "STEPS":
        return launch.simulation(kind, None, SERIES[name], 0), (whole, *market, *sets, *rest)
    source = read_source(STEP, "X")
    rows = len(source.params) + len(source.states)
    step = load_module(source, GPU).step
    return launch.simulation(kind, step, len(source.series), rows), (whole, *market, *sets, *rest)


def without_a_driver() -> None:
    """Answers what numba-cuda asks a driver or NVRTC, which is 200 MB, while it only compiles."""
    for name, attribute, answer in (
        ("dispatcher", "get_current_device", lambda: SimpleNamespace(compute_capability=CAPABILITIES[0])),
        ("cudadrv.nvrtc", "get_supported_ccs", lambda: list(CAPABILITIES)),
        ("cuda_paths", "_get_nvrtc_path", lambda: None),
    ):
        setattr(import_module(f"numba.cuda.{name}"), attribute, answer)
    assert not front.SIMULATED


def find_ptxas() -> str | None:
    packages = (Path(place) / "nvidia" for place in sys.path)
    return next((str(path) for place in packages for path in sorted(place.glob("*/bin/ptxas"))), None)


def measured(ptxas: str | None, ptx: str, capability: tuple[int, int]) -> dict[str, int]:
    """Returns what a thread needs, by ptxas."""
    if ptxas is None:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as stream:
        stream.write(ptx)
        stream.flush()
        target = f"-arch=sm_{capability[0]}{capability[1]}"
        done = subprocess.run(  # noqa: S603 (a program of the environment)
            [ptxas, "-v", "--fmad=false", target, "-o", "/dev/null", stream.name],
            capture_output=True,
            text=True,
            check=True,
            timeout=PTXAS_S,
        )
    text = done.stdout + done.stderr
    names = {
        "registers": r"Used (\d+) registers",
        "stack_bytes": r"(\d+) bytes stack frame",
        "spill_bytes": r"(\d+) bytes spill stores",
    }
    return {key: int(hit.group(1)) for key, text_ in names.items() if (hit := re.search(text_, text))}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
