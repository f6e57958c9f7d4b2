"""Out-of-fold predictions: every outer split is searched, fitted and tested on its own."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from berth_training.data.frame import Floats, Index
from berth_training.kept import Kept
from berth_training.metrics import Metrics, metrics_of
from berth_training.output.permute import permuted_losses, wants_permutation
from berth_training.plan import Run
from berth_training.spec.types import Params
from berth_training.validation.splits import Split


@dataclass
class OutOfFold:
    """Rows in the order in which they were tested."""

    row: list[Index] = field(default_factory=list)
    fold: list[Index] = field(default_factory=list)
    split: list[Index] = field(default_factory=list)
    path: list[Index] = field(default_factory=list)
    prediction: list[Floats] = field(default_factory=list)
    folds: list[dict[str, Any]] = field(default_factory=list)
    permuted: list[Floats] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: Index, fold: Index, split: int, path: Index, prediction: Floats) -> None:
        self.row.append(row)
        self.fold.append(fold)
        self.split.append(np.full(len(row), split))
        self.path.append(path)
        self.prediction.append(prediction)

    def joined(self) -> dict[str, Any]:
        names = ("row", "fold", "split", "path", "prediction")
        empty = {name: np.empty(0, dtype=np.int64) for name in names[:4]} | {"prediction": np.empty(0)}
        return {name: np.concatenate(getattr(self, name)) if self.row else empty[name] for name in names}


def cross_validate(run: Run, found: OutOfFold, kept: Kept) -> None:
    """Fills `found` split by split: what is there when the run is stopped is what was finished."""
    for split in run.splits:
        test_split(run, split, found, kept.at(split.number))


def test_split(run: Run, split: Split, found: OutOfFold, kept: Kept) -> None:
    unit = kept.found()
    train = np.zeros(run.dates, dtype=np.bool_)
    train[: run.rest] = split.train
    params: Params = {}
    if unit is not None:
        params = unit[0]["params"]
        trials, rows, arrays = unit[0]["trials"], unit[0]["rows"], unit[1]
        dropped, converged = unit[0]["dropped"], unit[0]["converged"]
        run.pace.fitted("fold", fits_a_split(run))
    else:
        trials = []
        if run.spec.search is not None:
            from berth_training.search.study import search

            outcome = search(run, train, kept.at("search"), str(split.number))
            params, trials = outcome.params, outcome.rows
        chosen = run.rows_of(train)
        fitted = run.fit(params, chosen, kept.at("fit"))
        rows, dropped, converged = len(chosen), fitted.dropped, fitted.converged
        arrays = predict_folds(run, split, fitted)
        run.pace.fitted("fold")
        value = {"params": params, "trials": trials, "rows": rows, "dropped": dropped}
        kept.keep({**value, "converged": converged}, arrays)
    note(run, split, found, params, trials, (rows, dropped, converged), arrays)


def fits_a_split(run: Run) -> int:
    search = run.spec.search
    return 1 + (search.trials * search.validation.folds if search is not None else 0)


def predict_folds(run: Run, split: Split, fitted: Any) -> dict[str, Any]:
    """Returns the tested rows with their fold, path and prediction, and permuted losses if asked for."""
    row, fold, path = [], [], []
    for number, way, places in split.folds:
        rows = run.tested_rows(places)
        row.append(rows)
        fold.append(np.full(len(rows), number))
        path.append(np.full(len(rows), way))
    rows = np.concatenate(row)
    arrays: dict[str, Any] = {
        "row": rows,
        "fold": np.concatenate(fold),
        "path": np.concatenate(path),
        "prediction": fitted.predict(run.frame.x[rows]),
    }
    if wants_permutation(run.spec):
        arrays["permuted"] = permuted_losses(run, fitted, rows, arrays["prediction"], split.number)
    return arrays


def note(
    run: Run,
    split: Split,
    found: OutOfFold,
    params: Params,
    trials: list[dict[str, Any]],
    counts: tuple[int, int, bool],
    arrays: dict[str, Any],
) -> None:
    found.add(arrays["row"], arrays["fold"], split.number, arrays["path"], arrays["prediction"])
    found.trials += [{"fold": split.number, **trial} for trial in trials]
    if "permuted" in arrays:
        found.permuted.append(arrays["permuted"])
    for number, way, places in split.folds:
        mine = arrays["fold"] == number
        found.folds.append(
            {
                "fold": number,
                "split": split.number,
                "path": way,
                "train": spans(run, split),
                "test": span(run, places),
                "train_rows": counts[0],
                "dropped_rows": counts[1],
                "converged": counts[2],
                "test_rows": int(mine.sum()),
                "params": params,
                "metrics": score(run, arrays["row"][mine], arrays["prediction"][mine]),
            }
        )


def score(run: Run, rows: Index, prediction: Floats) -> Metrics:
    frame = run.frame
    return metrics_of(frame.kind, frame.y[rows], prediction, frame.date[rows], frame.horizon)


def spans(run: Run, split: Split) -> list[list[str]]:
    """Returns the stretches of dates of a train, first and last day each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], split.train.astype(np.int8), [0]])))
    return [span(run, np.arange(a, b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def span(run: Run, places: Index) -> list[str]:
    from berth_backtest.data.dates import shown_date

    labelled = run.frame.labelled
    ends = labelled[[int(places[0]), int(places[-1])]]
    return [shown_date(int(run.frame.dates[at]), run.frame.dated) for at in ends]
