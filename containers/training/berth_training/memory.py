"""Looks whether a run fits the job's memory before it is tried; what does not is told with the figures."""

import shutil
import tempfile

from berth_backtest.errors import Problem, ProgramError
from berth_backtest.memory import BASE_GIB, GIB, PRICE_BYTES, granted_gib, price_rows, refusal
from berth_backtest.spec.types import DataSpec

from berth_training.spec.types import Spec
from berth_training.validation.splits import path_count

# Copies of the matrix at the worst moment, in float64: the file's columns and two orders of the rows, or the
# rows, a train's part of them, that after its steps, and the library's own. Measured at a million rows of 28:
# 1.55 GiB for a ridge, 1.2 for trees.
COPIES = 6.0
# With the matrix on the disk: what each row has beside its features (keys, target, folds, predictions,
# XGBoost's gradients), and the blocks that are read, sorted into bins and written.
# Measured: 100 bytes a row of three millions with one path.
ROW_BYTES = 160
PATH_BYTES = 120  # of a row for each path of cpcv
BLOCKS_GIB = 0.25
# Of a value there: as it is, and as XGBoost's pages of the train and of the rows of early stopping, where a
# bin takes as much as a value if any is missing.
DISK_BYTES = 12


def must_lie_on_disk(spec: Spec, device: str, rows: int, features: int) -> bool:
    """Returns whether the features are too large for the memory and must be read from the disk in parts.

    Raises out_of_memory where they do not fit and cannot be, before anything is read.
    """
    need, have = need_gib(rows, features), granted_gib()
    if have is None or need <= have:
        return False
    shown = f"{rows} rows of {features} features need about {need:.2f} GiB "
    shown += f"({COPIES:g} copies of 8 bytes a value), the job has {have:.2f} GiB"
    why = only_in_memory(spec, device)
    if why is not None:
        hint = f"give the job resources.memory_gib of {need:.1f} or more, or fewer rows or features"
        raise refusal(f"{shown}; {why}", hint)
    least = need_on_disk_gib(rows, path_count(spec.validation))
    if least > have:
        hint = f"give the job resources.memory_gib of {least:.1f} or more, or fewer rows"
        raise refusal(f"{shown}, and from the disk, in parts, it needs about {least:.2f} GiB", hint)
    room = rows * features * DISK_BYTES / GIB
    free = shutil.disk_usage(tempfile.gettempdir()).free / GIB
    if room > free:
        text = f"{shown}, and from the disk about {room:.1f} GiB of it, of which {free:.1f} are free"
        raise ProgramError("disk_full", text, [Problem("resources.disk_gib", text)], "give the job more disk")
    return True


def refuse_large_prices(data: DataSpec) -> None:
    """Refuses price files that the memory cannot hold, by their size alone."""
    rows = price_rows(data)
    need, have = BASE_GIB + rows * PRICE_BYTES / GIB, granted_gib()
    if have is None or need <= have:
        return
    text = f"{rows} rows of prices need about {need:.2f} GiB ({PRICE_BYTES} bytes a row), "
    hint = f"give the job resources.memory_gib of {need:.1f} or more, or smaller files: "
    raise refusal(
        f"{text}the job has {have:.2f} GiB",
        f"{hint}what data.symbols, start and end leave out is read too",
    )


def need_gib(rows: int, features: int) -> float:
    return BASE_GIB + rows * features * 8 * COPIES / GIB


def need_on_disk_gib(rows: int, paths: int) -> float:
    return BASE_GIB + BLOCKS_GIB + rows * (ROW_BYTES + PATH_BYTES * paths) / GIB


def only_in_memory(spec: Spec, device: str) -> str | None:
    """Returns why a spec cannot be trained from the disk, None if it can: XGBoost's trees on the CPU."""
    if spec.ensemble is not None or spec.model is None or spec.model.name != "xgboost":
        return "only xgboost can be trained from the disk, in parts"
    if device != "cpu":
        return "xgboost is trained from the disk on the CPU alone"
    searched = {} if spec.search is None else {axis.name: axis.values for axis in spec.search.space}
    for name, known in (("tree_method", ("hist", None)), ("booster", ("gbtree", None))):
        values = searched.get(name, (spec.model.params.get(name),))
        if any(value not in known for value in values):
            return f"xgboost is trained from the disk with {name} {known[0]} alone"
    steps = spec.preprocess
    if steps.impute is not None or steps.winsorize > 0 or steps.scale not in (None, "none"):
        return "xgboost is trained from the disk without preprocess alone"
    return None
