"""Where the chunks of a sweep run: on the CPU, or on a GPU with the CPU as its judge."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from berth_backtest.device import Device, GpuFailedError, choose_device
from berth_backtest.errors import StoppedError
from berth_backtest.gpu.check import SpotCheck
from berth_backtest.kept import Arrays
from berth_backtest.kernel import layout
from berth_backtest.kernel.run import CELLS
from berth_backtest.metrics import NAMES, metrics_of
from berth_backtest.plan import Plan
from berth_backtest.record import raw_of
from berth_backtest.report import log
from berth_backtest.score import mean_of, objectives
from berth_backtest.simulate import Simulator

if TYPE_CHECKING:
    from berth_backtest.gpu.sweep import GpuSweep

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

CHUNK_UPDATES = 500_000_000  # bar-updates: a second or two
CHUNK_ROWS = 200_000  # (set, symbol) pairs: 40 MB of raw sums, and as much again for metrics
GPU_UPDATES = 200_000_000_000  # of a GPU: as long
GPU_ROWS = 20_000_000  # 4 GB there; what comes back is a row a set ...
GPU_SETS = 400_000  # ... of some 600 bytes here, with what goes there
FIRST_SETS = 512  # of the first chunk, which finds the pace ...
GPU_FIRST_SETS = 16_384  # ... which a GPU needs to be busy at all
COUNTS = {"ties": layout.TIES, "ruined": layout.RUINED, "delisted": layout.DELISTED}


class Chunks:
    """Runs the chunks of one sweep; `device` says where they ran."""

    def __init__(self, plan: Plan, simulator: Simulator, keep: bool, checked: Arrays | None = None) -> None:
        """With `keep` each symbol's metrics are among what is found.

        `checked`: a sample of what a GPU found in an earlier start, still to be looked at.
        """
        self.plan = plan
        self.simulator = simulator
        self.keep = keep
        self.device = choose_device(plan)
        self.gpu: GpuSweep | None = None
        self.check: SpotCheck | None = SpotCheck(plan.spec.search.seed, checked) if checked else None
        if self.device.used == "cpu":
            return
        try:
            from berth_backtest.gpu.sweep import open_gpu

            self.gpu = open_gpu(plan, simulator, self.device)
        except GpuFailedError as error:
            self.fall_back(str(error), 0)
        if self.gpu is not None:
            log(f"running on {self.device.used}")

    @property
    def first(self) -> int:
        """The sets of the first chunk."""
        return FIRST_SETS if self.gpu is None else GPU_FIRST_SETS

    @property
    def most(self) -> int:
        """The sets of a chunk at most, a multiple of CELLS."""
        symbols = len(self.plan.panel.symbols)
        a_set = self.plan.panel.bars * symbols
        if self.gpu is None:
            sets = min(CHUNK_UPDATES // a_set, CHUNK_ROWS // symbols)
        else:
            rows = CHUNK_ROWS if self.keep else GPU_ROWS
            sets = min(GPU_UPDATES // a_set, rows // symbols, GPU_SETS)
        return max(CELLS, sets // CELLS * CELLS)

    def run(self, points: Index) -> Arrays:
        """Returns the points' objectives, means and counts.

        Raises GpuFailedError where it is to go on after fall_back().
        """
        if self.gpu is None:
            return run_chunk(self.plan, self.simulator, points, self.keep)
        part = self.gpu.run_chunk(points, self.keep)
        self.check = self.check or SpotCheck(self.plan.spec.search.seed)
        self.check.add(part)
        return part

    def fall_back(self, reason: str, reached: int) -> None:
        """Leaves the GPU: what is not done yet runs on the CPU."""
        log(f"going on on the CPU: {reason}")
        self.gpu = None
        if self.check is None:
            self.device = replace(self.device, used="cpu", reason=reason)
        else:
            self.device = replace(self.device, reason=f"from point {reached} on the CPU: {reason}")

    def judged(self) -> Device:
        """Returns the device after the CPU looked at a sample; raises where the two differ."""
        if self.check is None:
            return self.device
        points = self.check.rows["points"]
        try:
            known = run_chunk(self.plan, self.simulator, points, False)
        except StoppedError:
            return self.device  # the next start looks at them: the checkpoint keeps them
        check = self.check.compare(known, self.plan.panel.bars)
        log(f"{check.points} points of the GPU agree with the CPU, {check.ties} of them but for ties")
        return replace(self.device, check=check)


def run_chunk(plan: Plan, simulator: Simulator, points: Index, keep: bool) -> Arrays:
    raw = raw_of(simulator, points)
    metrics = metrics_from(plan, raw)
    counts = [raw[:, :, column].sum(axis=1) for column in COUNTS.values()]
    arrays: Arrays = {
        "points": points,
        "objective": objectives(metrics, plan.spec.search),
        "means": mean_of(metrics),
        "counts": np.stack(counts, axis=1),
    }
    if keep:
        arrays["metrics"] = metrics
    assert arrays["means"].shape[1] == len(NAMES)
    return arrays


def metrics_from(plan: Plan, raw: Floats) -> Floats:
    return metrics_of(raw, plan.panel.bars, plan.spec.execution.cash, plan.periods, plan.spec.risk_free)
