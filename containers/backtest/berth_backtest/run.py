"""One run from the parsed JSON of a spec to its files."""

import time
from pathlib import Path

from berth_backtest.errors import StoppedError
from berth_backtest.report import Progress, Stop, log
from berth_backtest.spec.parse import parse_spec


def run(value: object, out: Path, progress: Progress, stop: Stop, threads: int) -> dict[str, object]:
    """Runs a spec and writes its files to `out`; returns what result.json holds."""
    began = time.monotonic()
    progress.tell(0.0, "load")
    spec = parse_spec(value)
    # Imported late: the first line of the log must not wait for them, nor a wrong spec for its error.
    from berth_backtest.data.load import load_panel
    from berth_backtest.plan import make_plan

    plan = make_plan(spec, load_panel(spec.data))
    panel, grid = plan.panel, plan.grid
    loaded = time.monotonic()
    log(
        f"data: {len(panel.symbols)} symbols, {panel.bars} bars; "
        f"{len(grid.points)} parameter sets, {grid.skipped} skipped"
    )
    out.mkdir(parents=True, exist_ok=True)
    progress.tell(0.05, "compile")
    from berth_backtest.checkpoint import open_checkpoint
    from berth_backtest.output.files import write_files
    from berth_backtest.simulate import compile_kernel, make_simulator
    from berth_backtest.sweep import identity_of, keeps_all, run_sweep

    keeps_all(plan)
    compile_kernel()
    compiled = time.monotonic()
    log(f"kernel ready after {compiled - loaded:.2f} s; running on {threads} threads")
    simulator = make_simulator(plan, threads)
    sweep = run_sweep(plan, simulator, open_checkpoint(identity_of(plan)), progress, stop)
    ran = time.monotonic()
    updates = panel.bars * len(panel.symbols) * len(sweep.objective)
    log(f"{updates} bar-updates in {ran - compiled:.3f} s ({updates / (ran - compiled) / 1e6:.1f} M/s)")
    progress.tell(0.9, "write")
    timing = {"load_s": loaded - began, "compile_s": compiled - loaded, "run_s": ran - compiled}
    result = write_files(out, plan, simulator, sweep, timing, began)
    log(f"result written to {out}")
    if not sweep.finished:
        raise StoppedError("stopped before the end; the best so far is written")
    progress.tell(1.0, "done")
    return result
