"""One run from the parsed JSON of a spec to its files."""

import hashlib
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from berth_backtest.errors import StoppedError
from berth_backtest.report import Progress, Stop, log

from berth_training import VERSION
from berth_training.spec.parse import parse_spec

if TYPE_CHECKING:
    from berth_training.data.frame import Frame
    from berth_training.spec.types import Spec


def run_job(value: object, out: Path, progress: Progress, stop: Stop, threads: int) -> dict[str, Any]:
    """Runs a spec and writes its files to `out`; returns what result.json holds."""
    with TemporaryDirectory(prefix="berth-training-", ignore_cleanup_errors=True) as scratch:
        return run_in(Path(scratch), value, out, progress, stop, threads)


def run_in(
    scratch: Path, value: object, out: Path, progress: Progress, stop: Stop, threads: int
) -> dict[str, Any]:
    """Runs a spec; `scratch` is a folder for what is larger than the memory."""
    began = time.monotonic()
    progress.tell(0.0, "load")
    spec = parse_spec(value)
    # Imported late: the first line of the log must not wait for them, nor a wrong spec for its error.
    from berth_training.models.device import choose_device
    from berth_training.models.params import check_names, check_values
    from berth_training.tracking import open_tracking

    tracking = open_tracking(spec)
    check_names(spec)
    device = choose_device(spec.models)
    frame, leaks, effective = load(spec, device.used, scratch, threads)
    log(
        f"data: {len(frame.y)} rows, {int(frame.known.sum())} with a target, {len(frame.dates)} dates, "
        f"{len(frame.symbols)} symbols, {len(frame.names)} features"
    )
    check_values(spec, len(frame.names))
    out.mkdir(parents=True, exist_ok=True)
    loaded = time.monotonic()
    from threadpoolctl import threadpool_limits

    from berth_training.kept import Kept, open_store
    from berth_training.models.fit import Job
    from berth_training.output.files import Context, clear, write_files, write_partial
    from berth_training.plan import make_run
    from berth_training.train import Training, train

    job = Job(frame.kind, spec.preprocess, spec.seed, threads, device.used, frame.horizon)
    run = make_run(spec, frame, job, progress)
    log(f"{len(run.splits)} splits, at most {run.pace.fits} fits, on {device.used}, {threads} threads")
    identity = identity_of(spec, frame, device.used)
    context = Context(run, effective, device, threads, leaks, loaded - began, began)
    found = Training()
    clear(out)
    try:
        with threadpool_limits(limits=threads):
            train(run, found, Kept(open_store(identity, stop)))
            context.run_s = time.monotonic() - loaded
            progress.tell(0.9, "write")
            result = write_files(out, context, found)
    except StoppedError:
        write_partial(out, context, found)
        raise
    log(f"out of fold: {told(result['metrics']['test']['overall'])}")
    tracking(result, out)
    log(f"result written to {out}")
    progress.tell(1.0, "done")
    return result


def told(metrics: dict[str, Any]) -> str:
    """Returns metrics in one line of the log."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if value is not None)


def load(
    spec: "Spec", device: str, scratch: Path, threads: int
) -> tuple["Frame", dict[str, Any] | None, dict[str, object]]:
    """Returns the rows, what the leakage check found, and the spec as the data completes it."""
    from berth_training.data.check import check_frame
    from berth_training.memory import must_lie_on_disk, refuse_large_prices

    effective = dict(spec.effective)
    if spec.table is not None:
        from berth_training.data.stream import size_of
        from berth_training.data.table import load_table

        size = size_of(spec.table)
        on_disk = size is not None and must_lie_on_disk(spec, device, *size)
        frame = load_table(spec.table, scratch if on_disk else None)
        table = effective["table"]
        assert isinstance(table, dict)  # parse_spec
        effective["table"] = {**table, "features": list(frame.names)}
        return check_frame(frame, spec.output.leakage_check), None, effective
    from berth_backtest.data.load import load_panel

    from berth_training.data.prices import frame_of, shown_data, shown_target
    from berth_training.features.leak import check_leaks

    assert spec.data is not None  # parse_spec
    refuse_large_prices(spec.data)
    panel = load_panel(spec.data)
    on_disk = must_lie_on_disk(spec, device, len(panel.symbols) * panel.bars, len(spec.features))
    effective["data"] = shown_data(effective["data"], panel)
    effective["target"] = shown_target(effective["target"], panel, spec)
    leaks = None
    if spec.output.leakage_check:
        leaks = check_leaks(panel, spec.features, spec.seed, threads)
    frame = frame_of(spec, panel, scratch if on_disk else None, threads)
    return check_frame(frame, spec.output.leakage_check), leaks, effective


def identity_of(spec: "Spec", frame: "Frame", device: str) -> str:
    """Returns a digest of all that a checkpoint depends on; threads do not change what is trained."""
    from berth_training.data.disk import Rows

    content = json.dumps(
        [VERSION, spec.effective, frame.sha256, list(frame.names), device, isinstance(frame.x, Rows)],
        sort_keys=True,
        default=vars,
    )
    return hashlib.sha256(content.encode()).hexdigest()
