"""One run from the parsed JSON of a spec to its files."""

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

from berth_backtest.errors import StoppedError, invalid
from berth_backtest.report import Progress, Stop, log
from berth_backtest.shard import WHOLE, Shard
from berth_backtest.spec.parse import parse_spec

if TYPE_CHECKING:
    from berth_backtest.plan import Plan
    from berth_backtest.simulate import Simulator
    from berth_backtest.spec.types import Spec
    from berth_backtest.sweep import Sweep

SCRATCH = "berth-backtest-"  # folders in TMPDIR
READY = Event()  # this process has the kernel


def run_job(
    value: object, out: Path, progress: Progress, stop: Stop, threads: int, shard: Shard = WHOLE
) -> dict[str, object]:
    """Runs a spec, or a shard of it, and writes its files to `out`; returns what result.json holds."""
    with ExitStack() as ended:
        return run_until(ended, value, out, progress, stop, threads, shard)


def run_until(
    ended: ExitStack, value: object, out: Path, progress: Progress, stop: Stop, threads: int, shard: Shard
) -> dict[str, object]:
    """Runs a spec; what it leaves goes when all has `ended`."""
    began = time.monotonic()
    progress.tell(0.0, "load")
    spec = parse_spec(value)
    if spec.validation is not None and shard != WHOLE:
        raise invalid("validation", "each fold chooses among all points: it is not run in shards")
    if spec.search.method == "tpe" and shard != WHOLE:
        raise invalid("search.method", "tpe draws by all trials before: it is not run in shards")
    with kernel_beside():
        plan = plan_of(spec, ended, threads)
        panel, grid = plan.panel, plan.grid
        loaded = time.monotonic()
    where = "" if panel.folder is None else ", from the disk"
    log(f"data: {len(panel.symbols)} symbols, {panel.bars} bars{where}; {sets_of(grid.total, grid.known)}")
    out.mkdir(parents=True, exist_ok=True)
    progress.tell(0.05, "compile")
    from berth_backtest.kernel.ready import compile_kernel
    from berth_backtest.output.files import write_files
    from berth_backtest.output.shard import write_shard
    from berth_backtest.simulate import make_simulator
    from berth_backtest.sweep import keeps_all

    keeps_all(plan)
    compile_kernel()
    READY.set()
    keep_imports()
    compiled = time.monotonic()
    log(f"kernel ready after {compiled - loaded:.2f} s; running on {threads} threads")
    simulator = make_simulator(plan, threads)
    if spec.validation is not None:
        timing = {"load_s": loaded - began, "compile_s": compiled - loaded}
        return walk_job(plan, simulator, out, progress, stop, timing, began)
    sweep, run_s = sweep_of(plan, simulator, shard, progress, stop)
    updates = panel.bars * len(panel.symbols) * sweep.tried
    log(f"{updates} bar-updates in {run_s:.3f} s ({updates / max(run_s, 1e-9) / 1e6:.1f} M/s)")
    progress.tell(0.9, "write")
    timing = {"load_s": loaded - began, "compile_s": compiled - loaded, "run_s": run_s}
    timing["overfitting_s"] = sweep.sampled_s
    if shard.is_part:
        result = write_shard(out, plan, shard, sweep, threads, timing, began)
    elif sweep.tried == 0:
        raise grid.no_valid(spec.strategy.definition)
    else:
        result = write_files(out, plan, simulator, sweep, timing, began)
    log(f"result written to {out}")
    if not sweep.finished and shard.role == "work":
        raise StoppedError("stopped before the end; the best so far is written")
    progress.tell(1.0, "done")
    return result


@contextmanager
def kernel_beside() -> Iterator[None]:
    """Loads the compiled kernel while something else is done; one that is not kept yet is left for later.

    To compile it takes a minute, for which an error of the data would wait.
    """

    def load() -> None:
        from berth_backtest.kernel.ready import compile_kernel, is_kept

        if is_kept():
            compile_kernel()

    if READY.is_set():
        yield
        return
    thread = Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def keep_imports() -> None:
    """Goes on with the collection of garbage, which the program leaves out until all is imported.

    To look through what imports made, again and again and once more at the end, is a fifth of a short run.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def plan_of(spec: "Spec", ended: ExitStack, threads: int) -> "Plan":
    """Returns the plan; prices larger than the memory lie in a folder that goes when all has `ended`."""
    # Imported late: the first line of the log must not wait for them, nor a wrong spec for its error.
    from berth_backtest.data.load import load_panel
    from berth_backtest.memory import must_lie_on_disk
    from berth_backtest.plan import make_plan

    folder = None
    if must_lie_on_disk(spec):
        scratch = TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True)
        folder = Path(ended.enter_context(scratch))
    return make_plan(spec, load_panel(spec.data, spec.execution.profile == "cn_a", folder, threads))


def walk_job(
    plan: "Plan",
    simulator: "Simulator",
    out: Path,
    progress: Progress,
    stop: Stop,
    timing: dict[str, float],
    began: float,
) -> dict[str, object]:
    """Runs a validated search, fold by fold, and writes its files."""
    from berth_backtest.output.files import write_walk
    from berth_backtest.walk.walk import run_walk

    started = time.monotonic()
    walk = run_walk(plan, simulator.threads, progress, stop)
    sampled_s = walk.sweep.sampled_s
    timing |= {"run_s": time.monotonic() - started - sampled_s, "overfitting_s": sampled_s}
    log(f"{walk.updates} bar-updates in the trains of {len(walk.folds)} folds, {timing['run_s']:.3f} s")
    progress.tell(0.9, "write")
    result = write_walk(out, plan, simulator, walk, timing, began)
    log(f"result written to {out}")
    progress.tell(1.0, "done")
    return result


def sweep_of(
    plan: "Plan", simulator: "Simulator", shard: Shard, progress: Progress, stop: Stop
) -> tuple["Sweep", float]:
    """Returns the points of a shard, or of all shards that a merge joins, and the seconds it took."""
    from berth_backtest.checkpoint import open_checkpoint
    from berth_backtest.merge import merge
    from berth_backtest.sweep import identity_of, run_sweep

    if shard.role == "merge":
        progress.tell(0.1, "merge")
        return merge(plan, shard)
    began = time.monotonic()
    span = shard.span(plan.grid.total)
    checkpoint = open_checkpoint(lambda: f"{identity_of(plan)} {span[0]} {span[1]}")
    sweep = run_sweep(plan, simulator, span, checkpoint, progress, stop)
    return sweep, time.monotonic() - began - sweep.sampled_s


def sets_of(total: int, known: int | None) -> str:
    if known is None:
        return f"a space of {total} parameter sets"
    return f"{known} parameter sets, {total - known} skipped"


def explain_job(
    value: object, out: Path, progress: Progress, stop: Stop, threads: int, symbol: str, date: str
) -> list[str]:
    """Explains a date of the best set; runs the spec first unless its result is there."""
    from berth_backtest.explain import explain, known_best
    from berth_backtest.simulate import make_simulator

    spec = parse_spec(value)
    if spec.validation is not None:
        raise invalid("validation", "--explain is of one run over all dates: leave validation out for it")
    with ExitStack() as ended:
        plan = plan_of(spec, ended, threads)
        best = known_best(out, plan)
        if best is None:
            run_job(value, out, progress, stop, threads)
            best = known_best(out, plan)
        assert best is not None  # it was just written
        return explain(plan, make_simulator(plan, threads), best, symbol, date)
