"""A sweep over a hundred million bars from the disk, beside the same in memory; prints one JSON line.

Run: npm run bench -- large-data
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq

GRANTED_GIB = 4
THREADS = 2
ROUNDS = 2  # the better of them counts: others work on the machine too
SAMPLED_S = 0.05
MINUTE_US = 60_000_000
PRICES = ("open", "high", "low", "close")
PARAMETERS = {"fast": {"range": [10, 40, 10]}, "slow": {"range": [100, 400, 100]}}  # 16 sets


def write_prices(path: Path, symbols: int, bars: int) -> None:
    """Writes one-minute bars, a row group a symbol."""
    rng = np.random.default_rng(1)
    dates = pa.array(np.arange(bars) * MINUTE_US).cast(pa.timestamp("us", tz="UTC"))
    kind = pa.dictionary(pa.int32(), pa.string())
    fields = [("date", dates.type), ("symbol", kind), *[(name, pa.float64()) for name in PRICES]]
    with papq.ParquetWriter(path, pa.schema(fields), compression="zstd", compression_level=1) as writer:
        for s in range(symbols):
            close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, bars)))
            opened = np.concatenate([[100.0], close[:-1]])
            high, low = np.maximum(opened, close) * 1.0004, np.minimum(opened, close) * 0.9996
            name = pa.DictionaryArray.from_arrays(pa.array(np.zeros(bars, np.int32)), [f"S{s:05}"])
            writer.write_table(
                pa.Table.from_arrays([dates, name, opened, high, low, close], schema=pa.schema(fields))
            )


def spec_on(path: Path) -> dict[str, Any]:
    return {
        "data": {"files": [{"url": str(path)}], "adjustment": "total"},
        "strategy": {"name": "sma_cross"},
        "parameters": PARAMETERS,
        "periods_per_year": 252 * 390,
        "output": {"top_k": 0, "look_ahead_check": False, "robustness": False},
    }


def anonymous_mib(pid: int) -> float:
    """Returns the memory of a process without what is a file's: the page cache is not the program's."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("RssAnon")), 0.0
    )


def run_program(path: Path, folder: Path) -> dict[str, float]:
    """Runs the program as a job of 4 GiB does; returns its figures."""
    spec, scratch = folder / "spec.json", folder / "scratch"
    spec.write_text(json.dumps(spec_on(path)))
    scratch.mkdir()
    env = {
        **os.environ,
        "BERTH_MEMORY_GIB": str(GRANTED_GIB),
        "BERTH_THREADS": str(THREADS),
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "berth_backtest", str(spec), str(folder / "out")]
    process = subprocess.Popen(command, stdout=sys.stderr, env=env)
    peak_mib, room = 0.0, 0
    while process.poll() is None:
        peak_mib = max(peak_mib, anonymous_mib(process.pid))
        room = max(room, sum(file.stat().st_size for file in scratch.glob("*/*")))
        time.sleep(SAMPLED_S)
    assert process.returncode == 0, f"exit code {process.returncode}"
    assert not any(scratch.iterdir()), "files were left on the disk"
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["data"]["storage"] == "disk", result["data"]["storage"]
    timing = result["timing"]
    return {
        "bars": result["data"]["bars"] * len(result["data"]["symbols"]),
        "peak_anonymous_gib": peak_mib / 1024,
        "scratch_gib": room / (1 << 30),
        "load_s": timing["load_s"],
        "total_s": timing["total_s"],
        "program_m_per_s": result["bar_updates_per_s"] / 1e6,
    }


def rates(path: Path, folder: Path) -> dict[str, float]:
    """Returns the rates of the same sweep over prices on the disk and in memory, which take turns."""
    from berth_backtest.data.load import load_panel
    from berth_backtest.plan import make_plan
    from berth_backtest.kernel.ready import compile_kernel
    from berth_backtest.simulate import make_simulator
    from berth_backtest.spec.parse import parse_spec

    spec = parse_spec(spec_on(path))
    disk = load_panel(spec.data, folder=folder, threads=THREADS)
    own = {name: values.copy() for name, values in disk.own.items()}
    kept = {name: getattr(disk, name).copy() for name in (*PRICES, "state", "own_row")}
    memory = replace(disk, **kept, own=own, folder=None)
    compile_kernel()
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, panel in (("memory", memory), ("disk", disk)):
            plan = make_plan(spec, panel)
            simulator, points = make_simulator(plan, THREADS), plan.grid.valid_from(0, plan.grid.total)
            began = time.monotonic()
            simulator.run(points)
            rate = len(points) * panel.state.size / (time.monotonic() - began)
            best[name] = max(rate, best.get(name, 0.0))
    return {f"{name}_m_per_s": rate / 1e6 for name, rate in best.items()}


def main(symbols: int, bars: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="berth-large-") as name:
        folder = Path(name)
        path = folder / "prices.parquet"
        write_prices(path, symbols, bars)
        figures = {"file_gib": path.stat().st_size / (1 << 30), **run_program(path, folder)}
        (folder / "panel").mkdir()
        figures |= rates(path, folder / "panel")
    figures["disk_over_memory"] = figures["disk_m_per_s"] / figures["memory_m_per_s"]
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
