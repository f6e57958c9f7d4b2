"""Chunks of a sweep on a GPU: what goes there, in batches that fit, and what comes back of each point."""

from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.device import Device, GpuFailedError
from berth_backtest.errors import ProgramError
from berth_backtest.gpu import front, launch
from berth_backtest.gpu.front import cuda
from berth_backtest.gpu.markets import Markets, on_device, upload_markets
from berth_backtest.kept import Arrays
from berth_backtest.kernel import layout
from berth_backtest.kernel import metrics as sums
from berth_backtest.market import market_of, own_bars
from berth_backtest.metrics import NAMES
from berth_backtest.plan import Plan
from berth_backtest.report import log
from berth_backtest.score import counted, median_of
from berth_backtest.simulate import Simulator
from berth_backtest.strategies.series import Row, fill_rows, rows_of
from berth_backtest.user.generate import GPU, load_module

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

SHARE = 0.4  # of the free device memory for a batch, and as much for tables: the driver needs some too
LEAST = 64  # points of a batch: with fewer a GPU is idle, and what fails is not the batch


@dataclass
class GpuSweep:
    """One plan on one device. `rows` are the places of the indicator tables that are there."""

    plan: Plan
    simulator: Simulator
    markets: Markets
    kernel: Any
    rules: Any
    year: Any
    rows: dict[Row, int] = field(default_factory=dict)
    table: Any = None

    def run_chunk(self, points: Index, keep: bool) -> Arrays:
        """Returns what sweep.run_chunk returns. Raises GpuFailedError where only the CPU can go on."""
        parts: list[Arrays] = []
        first, size = 0, min(len(points), self.batch(keep))
        while first < len(points) or not parts:
            part = points[first : first + size]
            try:
                parts.append(self.run_batch(part, keep))
                first += len(part)
            except ProgramError:
                raise
            except Exception as error:  # of a driver, a compiler, a device: all end the same
                self.rows, self.table = {}, None
                if not front.is_out_of_memory(error):
                    raise GpuFailedError(f"the GPU failed: {first_line(error)}") from error
                size //= 2
                if size < LEAST:
                    raise GpuFailedError("the device memory is not enough for this data") from error
                log(f"the device memory is not enough for {len(part)} sets at once: trying {size}")
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def batch(self, keep: bool) -> int:
        """Returns how many points fit the free device memory beside their tables."""
        a_pair = layout.RAW + 2 + (len(NAMES) if keep else 0)
        given = self.simulator.definition
        a_point = sums.REDUCED + len(given.series) + len(given.params) + 7  # four levels, three stops
        symbols = len(self.plan.panel.symbols)
        return max(LEAST, int(front.free_bytes() * SHARE) // (8 * (symbols * a_pair + a_point)))

    def run_batch(self, points: Index, keep: bool) -> Arrays:
        simulator, search = self.simulator, self.plan.spec.search
        symbols, sets = len(self.plan.panel.symbols), len(points)
        objective = NAMES.index(search.objective)
        if sets == 0:
            return self.found(points, np.empty((sums.REDUCED, 0)), np.empty((symbols, 0)), None, keep)
        picks = self.picks(points)
        steps = simulator.steps_of(None, points, 1)
        raw = cuda.device_array((symbols, layout.RAW + 1, sets))
        blocks = -(-sets // launch.THREADS)
        self.kernel[blocks * symbols, min(launch.THREADS, sets)](
            sets,
            *self.markets.arrays,
            self.table,
            self.rules,
            on_device(picks.T),
            on_device(simulator.levels(points).T),
            on_device(simulator.grid.stops(points)),
            on_device(steps.params),
            on_device(steps.start),
            on_device(steps.previous),
            steps.warmup,
            on_device(np.empty((1, 0, 0))),
            on_device(np.empty((0, 0))),
            on_device(np.empty((0, 0, 0))),
            raw,
        )
        reduced = cuda.device_array((sums.REDUCED, sets))
        values = cuda.device_array((symbols if search.aggregate == "median" else 0, sets))
        kept = cuda.device_array((symbols if keep else 0, len(NAMES), sets))
        launch.reduce_sets[blocks, min(launch.THREADS, sets)](
            sets, objective, self.year, raw, reduced, values, kept
        )
        return self.found(points, reduced.copy_to_host(), values.copy_to_host(), kept.copy_to_host(), keep)

    def found(self, points: Index, reduced: Floats, values: Floats, kept: Any, keep: bool) -> Arrays:
        """Returns a batch's arrays; raises the error of the first step's order that cannot be one."""
        search = self.plan.spec.search
        wrong = points[reduced[sums.R_FAULTS] > 0.0]
        if len(wrong):
            self.simulator.run(wrong[:1])
            raise GpuFailedError("an order of the strategy cannot be one on the GPU alone")
        count = reduced[sums.R_COUNT]
        if search.aggregate == "mean":
            one = reduced[NAMES.index(search.objective)]
        elif search.aggregate == "min":
            one = np.where(count > 0, reduced[sums.R_LEAST], np.nan)
        else:
            one = median_of(np.ascontiguousarray(values.T), count.astype(np.int64))
        symbols = len(self.plan.panel.symbols)
        arrays: Arrays = {
            "points": points,
            "objective": counted(one, count, symbols, reduced[sums.R_TRADES], search),
            "means": np.ascontiguousarray(reduced[: len(NAMES)].T),
            "counts": reduced[[sums.R_TIES, sums.R_RUINED, sums.R_DELISTED]].T,
        }
        if keep:
            arrays["metrics"] = (
                np.empty((0, symbols, len(NAMES)))
                if kept is None
                else np.ascontiguousarray(kept.transpose(2, 0, 1))
            )
        return arrays

    def picks(self, points: Index) -> Index:
        """Makes sure that the points' tables are on the device; returns [point, series], their places."""
        rows, picks = rows_of(self.simulator.definition.series, self.simulator.grid, points)
        new = [row for row in rows if row not in self.rows]
        if new or self.table is None:
            whole = [*self.rows, *new]
            self.table = None  # what is there makes room
            if not self.fits(whole):
                whole = rows
                if not self.fits(whole):
                    raise MemoryError("the tables are too large")
            self.rows = {row: i for i, row in enumerate(whole)}
            self.table = self.upload_tables(whole)
        return np.array([self.rows[row] for row in rows], dtype=np.int64)[picks]

    def fits(self, rows: list[Row]) -> bool:
        return 8 * len(rows) * int(self.markets.own_at[-1]) <= front.free_bytes() * SHARE

    def upload_tables(self, rows: list[Row]) -> Any:
        """Returns [row, own bar of all symbols], rows side by side: neighbouring sets read them together."""
        simulator, at = self.simulator, self.markets.own_at
        table = cuda.device_array((len(rows), int(at[-1])), order="F")
        symbols = range(len(at) - 1) if rows else range(0)
        for first in symbols[:: simulator.threads]:
            block = symbols[first : first + simulator.threads]
            parts = simulator.each([partial(self.tables_of, s, rows) for s in block])
            for s, part in zip(block, parts, strict=True):
                if part.size:
                    table[:, int(at[s]) : int(at[s + 1])].copy_to_device(part)
        return table

    def tables_of(self, s: int, rows: list[Row]) -> Floats:
        return np.asfortranarray(fill_rows(rows, own_bars(self.simulator.panel, s), self.markets.skips[s]))


def open_gpu(plan: Plan, simulator: Simulator, device: Device) -> GpuSweep:
    """Returns the sweep of a plan on the chosen device. Raises GpuFailedError where it cannot begin."""
    try:
        cuda.select_device(int(device.used.partition(":")[2] or 0))
        panel, ex = plan.panel, plan.spec.execution
        market = market_of(plan, panel, range(len(panel.symbols)))
        year = np.array([panel.bars, ex.cash, plan.periods, plan.spec.risk_free])
        definition = simulator.definition
        step, rows = None, 0
        if definition.source is not None:
            step = load_module(definition.source, GPU).step
            rows = len(definition.source.params) + len(definition.source.states)
        kernel = kernel_of(definition.move_kind, step, len(definition.series), rows)
        return GpuSweep(
            plan, simulator, upload_markets(market), kernel, on_device(simulator.rules), on_device(year)
        )
    except ProgramError:
        raise
    except Exception as error:
        raise GpuFailedError(f"the GPU cannot be used: {first_line(error)}") from error


kernel_of = cache(launch.simulation)  # compiled once, whatever the folds of a walk


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
