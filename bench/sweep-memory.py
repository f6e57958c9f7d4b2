"""Peak memory of sweeps by their number of points (see sweep-memory.ts); prints one JSON line."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 600  # for half a million points, on a machine that does other things
BASE = {
    "data": {"dataset": "sample:sp500-20", "symbols": ["AAPL"], "start": "2019-01-01", "end": "2019-12-31"},
    "strategy": {"name": "sma_cross"},
    "execution": {"fill": "next_close"},
}
DRAWN = {
    "fast": {"int_uniform": [2, 100]},
    "slow": {"int_uniform": [101, 250]},
    "stop_loss": {"uniform": [0, 0.5]},
}


def grid(stops: int) -> dict:
    """Returns a grid of 10,000 pairs of windows and some stops."""
    step = 0.9 / stops
    stop = {"range": [0.0, step * (stops - 1), step]}
    return {"fast": {"range": [1, 100, 1]}, "slow": {"range": [101, 200, 1]}, "stop_loss": stop}


def random(trials: int) -> dict:
    return {**BASE, "parameters": DRAWN, "search": {"method": "random", "trials": trials}}


def kept_in(folder: Path) -> int:
    """Returns the points of a checkpoint."""
    try:
        return int(json.loads((folder / "manifest.json").read_text())["state"]["tried"])
    except OSError:
        return 0


def peak_mib(
    spec: dict, points: int, kept: Path | None = None, stop_at: int | None = None
) -> tuple[float, float]:
    """Returns the peak resident memory of the program in MiB, and its seconds.

    `kept` is a folder for its checkpoint; with `stop_at` it is stopped when that holds so many points.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.json"
        path.write_text(json.dumps(spec))
        began = time.monotonic()
        env = {**os.environ, **({"BERTH_CHECKPOINT_DIR": str(kept)} if kept else {})}
        command = [sys.executable, "-m", "berth_backtest", str(path), str(Path(folder) / "out")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
        if kept is not None and stop_at is not None:
            while kept_in(kept) < stop_at and time.monotonic() - began < LIMIT_S:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wanted = 0 if stop_at is None else 75
        assert process.returncode == wanted, f"exit code {process.returncode}, not {wanted}"
        if stop_at is None:
            found = json.loads((Path(folder) / "out" / "result.json").read_text())
            assert found["points"] == points, found["points"]
        return used.ru_maxrss / 1024, time.monotonic() - began


few, _ = peak_mib(random(100_000), 100_000)
many, seconds = peak_mib(random(1_000_000), 1_000_000)
whole, _ = peak_mib({**BASE, "parameters": grid(100)}, 1_000_000)
with tempfile.TemporaryDirectory() as kept:
    peak_mib(random(1_000_000), 0, Path(kept), stop_at=500_000)
    taken_up = kept_in(Path(kept))
    resumed, _ = peak_mib(random(1_000_000), 1_000_000, Path(kept))
most, _ = peak_mib({**BASE, "parameters": grid(1_000)}, 10_000_000)
beyond, _ = peak_mib({**BASE, "parameters": grid(1_200)}, 12_000_000)
figures = {
    "hundred_thousand_random_mib": few,
    "million_random_mib": many,
    "million_grid_mib": whole,
    "million_resumed_mib": resumed,
    "resumed_from_points": float(taken_up),
    "bytes_a_point": (many - few) * 1024 * 1024 / 900_000,
    "ten_million_mib": most,
    "twelve_million_mib": beyond,
    "million_s": seconds,
}
print(json.dumps({name: round(x, 1) for name, x in figures.items()}))
