"""The kernels that are launched: a thread's own memory, which part of the arrays is its, and its results.

A block is THREADS neighbouring sets of one symbol, so that they read the same prices, and rows of the
tables that lie side by side. Every array of results has the sets last for the same reason.
"""

from typing import Any

import numpy as np

from berth_backtest.gpu.front import cuda, kernel
from berth_backtest.gpu.kernel import module

THREADS = 128

Book = module("book").Book
layout, steps, metrics, thread = (module(name) for name in ("layout", "steps", "metrics", "thread"))
clear, STEPS = module("run").clear, layout.STEPS
CELL, PURSE, SUMS, RAW = layout.CELL, layout.PURSE, layout.SUMS, layout.RAW
FAULT, FIRST_ROW = steps.FAULT, steps.FIRST_ROW
METRICS, REDUCED = metrics.METRICS, metrics.REDUCED
ROW = 2 * METRICS  # a symbol's metrics, and how many symbols have each
walk_states, walk_steps, start_thread = thread.walk_states, thread.walk_steps, thread.start_thread
reduce_set, start_set, finish_set = metrics.reduce_set, metrics.start_set, metrics.finish_set


def simulation(kind: int, step: Any, series: int, rows: int) -> Any:
    """Returns the kernel of a strategy: the kind of its states, or its step with as many rows of values.

    One thread fills raw[symbol, field, set]; the field after the last is 1 for a step's wrong order.
    """
    work_rows = FIRST_ROW + 2 * series + rows
    picked = max(series, 1)  # there are no arrays of nothing

    @kernel
    def simulate(  # type: ignore[no-untyped-def]
        sets,
        bars,
        states,
        marks,
        totals,
        growth,
        lots,
        rates,
        limits,
        dates,
        actions,
        actions_at,
        delisted,
        closes,
        bar_of,
        own_at,
        step_bars,
        table,
        rules,
        picks,
        levels,
        stops,
        params,
        start,
        previous,
        warmup,
        extremes,
        none2,
        none3,
        raw,
    ):
        blocks = (sets + THREADS - 1) // THREADS
        s = cuda.blockIdx.x // blocks
        at = (cuda.blockIdx.x % blocks) * THREADS + cuda.threadIdx.x
        if at >= sets:
            return
        waiting = cuda.local.array(1, np.int64)
        counts = cuda.local.array(4, np.int64)
        mine = cuda.local.array((1, picked), np.int64)
        b = Book(
            cuda.local.array((CELL, 1), np.float64),
            cuda.local.array((PURSE, 1), np.float64),
            cuda.local.array((1, SUMS), np.float64),
            bars[s],
            states[s],
            cuda.local.array(1, np.float64),
            marks[s],
            totals[s],
            growth[s],
            extremes,  # no bars are accounted together ...
            extremes,
            lots[s],
            rates,
            limits[s],
            dates,
            actions[actions_at[s] : actions_at[s + 1]],
            delisted[s],
            rules,
            waiting,
            counts,
            none2,  # ... and nothing is recorded
            none2,
            none3,
            none2,
            none2,
            cuda.local.array(1, np.uint8),
            0,
            1,
        )
        clear(b, at, stops)
        for i in range(series):
            mine[0, i] = picks[i, at]
        chosen = mine[:, 0:series]
        first, end = own_at[s], own_at[s + 1]
        own_table = table[:, first:end]
        fault = cuda.local.array(FAULT, np.float64)
        fault[0] = 0.0
        if kind == STEPS:
            work = cuda.local.array(work_rows, np.float64)
            ready = cuda.local.array(1, np.int64)
            own = end - first
            start_thread(b, at, own_table, own, chosen, previous, warmup, params, start, ready, work)
            walk_steps(
                b, step, step_bars[first:end], own_table, bar_of[first:end], chosen, ready, work, fault
            )
        else:
            walk_states(b, kind, own_table, closes[first:end], bar_of[first:end], chosen[0], levels[:, at])
        for field in range(RAW):
            raw[s, field, at] = b.purses[field, 0]
        raw[s, RAW, at] = fault[0]

    return simulate


@kernel
def reduce_sets(sets, objective, year, raw, reduced, values, kept):  # type: ignore[no-untyped-def]
    """One thread adds a set's symbols in their order; fills reduced[column, set].

    `values` [symbol, set] takes the objective of each, `kept` [symbol, metric, set] every metric; empty:
    they are not asked for.
    """
    at = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
    if at >= sets:
        return
    row = cuda.local.array(ROW, np.float64)
    out = cuda.local.array(REDUCED, np.float64)
    start_set(row, out)
    for s in range(raw.shape[0]):
        reduce_set(raw[s, :, at], year, objective, row, out)
        if values.shape[0] > 0:
            values[s, at] = row[objective]
        if kept.shape[0] > 0:
            for i in range(METRICS):
                kept[s, i, at] = row[i]
    finish_set(row, out)
    for i in range(REDUCED):
        reduced[i, at] = out[i]
