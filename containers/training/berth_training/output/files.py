"""Writes the files of OUT_DIR, result.json last."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berth_backtest.checkpoint import write_atomically
from berth_backtest.output.result import write_json

from berth_training.models.device import Device
from berth_training.models.save import save_model
from berth_training.output.result import make_result, shown_window
from berth_training.output.tables import importance_table, prediction_table, trial_table
from berth_training.plan import Run
from berth_training.train import Training

# Every file of a run; those that a run does not write are removed, or an older run's would stay.
FILES = (
    "predictions.parquet",
    "importance.parquet",
    "trials.parquet",
    "report.html",
    "result.json",
    "error.json",
)
MODEL_FILES = ("model.json", "model.ubj", "model.skops")


@dataclass
class Context:
    """What the result tells beside what was trained."""

    run: Run
    effective: dict[str, object]
    device: Device
    threads: int
    leaks: dict[str, Any] | None
    load_s: float
    began: float
    run_s: float = 0.0


def clear(out: Path) -> None:
    """Removes what an earlier run left, which is not this run's."""
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    folder = out / "model"
    if folder.is_dir():
        for pattern in (*MODEL_FILES, "member-*.ubj", "member-*.skops"):
            for path in folder.glob(pattern):
                path.unlink()


def write_files(out: Path, context: Context, found: Training) -> dict[str, Any]:
    """Writes all files of a finished run; returns what result.json holds."""
    started = time.monotonic()
    run = context.run
    frame = run.frame
    about = {
        "kind": frame.kind,
        "features": list(frame.names),
        "target": context.effective["target"] or context.effective["table"],
        "horizon": frame.horizon,
        "trained_on": shown_window(run, run.rest),
        "rows": found.final_rows,
        "data_sha256": frame.sha256,
        "seed": run.spec.seed,
        "device": found.final.device,
    }
    save_model(out / "model", found.final, about)
    write_table(out / "predictions.parquet", prediction_table(run, found))
    importance = importance_table(run, found) if run.spec.output.importance else None
    if importance is not None:
        write_table(out / "importance.parquet", importance)
    if found.oof.trials:
        write_table(out / "trials.parquet", trial_table(found.oof.trials))
    result = make_result(context, found)
    if run.spec.output.plots:
        from berth_training.output.report import render

        page = render(run, found, result, importance)
        write_atomically(out / "report.html", lambda part: part.write_text(page, encoding="utf-8"))
    now = time.monotonic()
    timing = {
        "load_s": context.load_s,
        "run_s": context.run_s,
        "write_s": now - started,
        "total_s": now - context.began,
    }
    result["timing"] = {name: round(seconds, 6) for name, seconds in timing.items()}
    write_json(out / "result.json", result)
    return result


def write_partial(out: Path, context: Context, found: Training) -> None:
    """Writes what a stopped run has finished, if any fold was: readable, labelled, without a model."""
    if not found.oof.row:
        return
    write_table(out / "predictions.parquet", prediction_table(context.run, found))
    if found.oof.trials:
        write_table(out / "trials.parquet", trial_table(found.oof.trials))
    result = make_result(context, found, stopped=True)
    result["timing"] = {
        "load_s": round(context.load_s, 6),
        "total_s": round(time.monotonic() - context.began, 6),
    }
    write_json(out / "result.json", result)


def write_table(path: Path, table: Any) -> None:
    import pyarrow.parquet as papq

    write_atomically(path, lambda part: papq.write_table(table, part, compression="zstd"))
