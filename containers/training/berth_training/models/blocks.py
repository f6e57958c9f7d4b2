"""Trees in blocks of rounds: each block begins from what was kept and its own seed, interrupted or not."""

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from berth_training.data.disk import Rows, features_of
from berth_training.data.frame import Floats, Mask, Matrix
from berth_training.kept import Kept
from berth_training.models.params import rounds_of
from berth_training.seeds import seed_of
from berth_training.spec.types import Model, Params

if TYPE_CHECKING:
    from berth_training.models.fit import Job

# Rounds between two borders: some seconds at a million rows, within the grace of a stop. Of a forest it is
# trees a thread, for a tree takes 20 s then. What scikit-learn trains is the same in blocks of any size.
BLOCK = {"xgboost": 50, "gradient_boosting": 50, "random_forest": 2}
# Boosting begins each block anew: scikit-learn bins all rows, a fifth of 50 rounds; XGBoost predicts them
# with the trees so far. It has more rounds in a block while these are quick. Values that are looked at in
# one: about ten seconds on two cores.
BLOCK_VALUES = 4_000_000_000

Split = tuple[Mask, Mask]


def fit_blocks(
    job: "Job", model: Model, made: Any, chosen: Params, x: Matrix, y: Floats, last: Split | None, kept: Kept
) -> tuple[Any, int, str]:
    """Returns the fitted estimator, its rounds and device; `last` are the rows of early stopping."""
    if model.name == "xgboost":
        return fit_xgboost(job, made, chosen, x, y, last, kept)
    assert not isinstance(x, Rows)  # memory.only_in_memory
    return fit_warm(job, model, made, chosen, x, y, last, kept)


def fit_warm(
    job: "Job", model: Model, made: Any, chosen: Params, x: Floats, y: Floats, last: Split | None, kept: Kept
) -> tuple[Any, int, str]:
    """Trains scikit-learn's trees by warm start, which is the same as training them at once."""
    from berth_training.models.safe import dump_estimator, load_estimator

    counted = "max_iter" if model.name == "gradient_boosting" else "n_estimators"
    total = rounds_of(counted, chosen.get(counted, 100))
    fixed: Params = {"random_state": seed_of(job.seed, "model"), "warm_start": True}
    extra: dict[str, Any] = {}
    if model.name == "random_forest":
        fixed["n_jobs"] = job.threads
    if last is not None:
        extra = {"X_val": x[last[1]], "y_val": y[last[1]]}
        x, y = x[last[0]], y[last[0]]
    block = BLOCK[model.name]
    if model.name == "random_forest":
        block *= job.threads
    else:
        block = max(block, BLOCK_VALUES // x.size)
    estimator = made(**{**chosen, **fixed})
    done, before = 0, kept.block()
    if before is not None:
        estimator, done = load_estimator(before[1]), int(before[0]["done"])
    while done < total:
        rounds = min(done + block, total)
        estimator.set_params(**{counted: rounds})
        estimator.fit(x, y, **extra)
        grown = int(getattr(estimator, "n_iter_", rounds))
        done = total if grown < rounds else rounds  # it stopped early
        if done < total:
            kept.keep_block({"done": done}, lambda: dump_estimator(estimator))
    estimator.set_params(warm_start=False)
    if model.name == "random_forest":
        # Threads add the trees up as they come: one thread always in the same order.
        estimator.set_params(n_jobs=None)
    return estimator, int(getattr(estimator, "n_iter_", total)), "cpu"


def fit_xgboost(
    job: "Job", made: Any, chosen: Params, x: Matrix, y: Floats, last: Split | None, kept: Kept
) -> tuple[Any, int, str]:
    """Trains boosters block by block; with early stopping the model ends at its best round."""
    import xgboost

    chosen = dict(chosen)
    total = rounds_of("n_estimators", chosen.pop("n_estimators"))
    patience = chosen.pop("early_stopping_rounds", None)
    if isinstance(chosen.get("eval_metric"), list):
        chosen["eval_metric"] = chosen["eval_metric"][-1]  # the last one decides, as in the library
    shown = made(**{**chosen, "n_estimators": total, "n_jobs": job.threads, "device": job.device})
    params = {**shown.get_xgb_params(), "verbosity": 0}
    params.pop("n_estimators", None)
    if job.kind == "classification":
        params["objective"] = params.get("objective") or "binary:logistic"
    matrix = matrix_of(x, y, last[0] if last else None, params, job.threads)
    check = matrix_of(x, y, last[1], params, job.threads, matrix) if last else None
    booster, done, scores, device = None, 0, [], "cpu"
    before = kept.block()
    if before is not None:
        booster = booster_from(before[1])
        done, scores = int(before[0]["done"]), [float(s) for s in before[0]["scores"]]
    best = done
    block = BLOCK["xgboost"]
    if check is None:  # early stopping looks at each block's end
        block = max(block, BLOCK_VALUES // (len(x) * features_of(x)))
    while done < total:
        rounds = min(block, total - done)
        told: dict[str, dict[str, list[float]]] = {}
        booster = xgboost.train(
            {**params, "seed": seed_of(job.seed, "block", done)},
            matrix,
            rounds,
            evals=[(check, "last")] if check is not None else [],
            evals_result=told,
            verbose_eval=False,
            xgb_model=booster,
        )
        done += rounds
        best, device = done, device_of(booster)
        if check is not None:
            name = list(told["last"])[-1]
            scores += told["last"][name]
            best, stopped = best_round(scores, int(patience or 1), name)
            if stopped:
                break
        raw = bytes(booster.save_raw("ubj"))
        # What goes on is what was kept: the booster is read back whether or not the run is stopped here.
        booster = booster_from(raw)
        if done < total:
            kept.keep_block({"done": done, "scores": scores}, partial(bytes, raw))
    assert booster is not None  # total >= 1
    if best < booster.num_boosted_rounds():
        booster = booster[:best]
    estimator = made(**{**chosen, "n_estimators": best, "n_jobs": job.threads, "device": job.device})
    estimator.load_model(bytearray(booster.save_raw("ubj")))
    return estimator, best, device


def matrix_of(x: Matrix, y: Floats, rows: Mask | None, params: Params, threads: int, like: Any = None) -> Any:
    """Returns the rows in the library's form: quantized once, where its method takes that."""
    import xgboost

    x, y = (x, y) if rows is None else (x[rows], y[rows])
    if isinstance(x, Rows):
        from berth_training.models.external import external_matrix

        return external_matrix(x, y, int(params.get("max_bin") or 256), threads, like)
    if params.get("tree_method") == "hist" and params.get("booster") != "gblinear":
        bins = int(params.get("max_bin") or 256)
        return xgboost.QuantileDMatrix(x, y, max_bin=bins, nthread=threads, ref=like)
    return xgboost.DMatrix(x, y, nthread=threads)


def device_of(booster: Any) -> str:
    """Returns where the library trained: it goes on without a GPU and only prints that."""
    config = json.loads(booster.save_config())
    return str(config["learner"]["generic_param"]["device"])


def booster_from(raw: bytes) -> Any:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(raw))
    return booster


def best_round(scores: list[float], patience: int, metric: str) -> tuple[int, bool]:
    """Returns the rounds up to the best score, and whether none of the next `patience` was better."""
    sign = -1.0 if metric.split("@", maxsplit=1)[0] in ("auc", "aucpr", "map", "ndcg", "pre") else 1.0
    best, at = math.inf, 0
    for i, score in enumerate(scores):
        if np.isfinite(score) and sign * score < best:
            best, at = sign * score, i
        elif i - at >= patience:
            return at + 1, True
    return at + 1, False
