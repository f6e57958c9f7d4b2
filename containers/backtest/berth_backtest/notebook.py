"""A run from Python: a data frame in, data frames out."""

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq

from berth_backtest.cli import thread_count
from berth_backtest.errors import invalid
from berth_backtest.heap import keep_freed
from berth_backtest.job import run_job
from berth_backtest.report import Progress, Stop

TABLES = ("points", "metrics", "trades", "equity")


@dataclass(frozen=True)
class Ran:
    """What a run wrote: `result` is result.json, `tables` the Parquet files as Arrow tables."""

    result: dict[str, Any]
    tables: dict[str, Any]
    page: str | None  # the report, for display
    log: str

    def frame(self, name: str) -> Any:
        """Returns a table as a pandas data frame."""
        try:
            return self.tables[name].to_pandas()
        except ModuleNotFoundError as error:
            text = f"pandas is not installed: install it, or take the Arrow table .tables[{name!r}]"
            raise ModuleNotFoundError(text) from error


class Result(Ran):
    """A backtest's."""

    @property
    def tearsheet(self) -> str | None:
        return self.page

    @property
    def points(self) -> Any:
        return self.frame("points")

    @property
    def metrics(self) -> Any:
        return self.frame("metrics")

    @property
    def trades(self) -> Any:
        return self.frame("trades")

    @property
    def equity(self) -> Any:
        return self.frame("equity")


def run_here(spec: dict[str, Any], data: Any, threads: int | None) -> Result:
    """Runs a spec in this process, its files in a folder that is gone afterwards."""
    keep_freed()
    with tempfile.TemporaryDirectory(prefix="berth-backtest-") as folder:
        root = Path(folder)
        if data is not None:
            spec = {**spec, "data": with_frame(spec.get("data"), data, root / "data.parquet")}
        return Result(**vars(run_into(root / "out", run_job, spec, threads, TABLES, "tearsheet.html")))


def run_into(
    out: Path,
    run: Callable[..., dict[str, Any]],
    spec: dict[str, Any],
    threads: int | None,
    names: tuple[str, ...],
    page: str,
) -> Ran:
    """Runs a program's job and takes up what it wrote."""
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        found = run(spec, out, Progress(None), Stop(), threads or thread_count())
    # In memory: the folder goes.
    there = [name for name in names if (out / f"{name}.parquet").exists()]
    tables = {name: papq.read_table(out / f"{name}.parquet", memory_map=False) for name in there}
    text = (out / page).read_text(encoding="utf-8") if (out / page).exists() else None
    return Ran(found, tables, text, log.getvalue())


def with_frame(given: Any, data: Any, path: Path) -> dict[str, Any]:
    """Returns the spec's `data` with the frame as its only file."""
    kept = dict(given) if isinstance(given, dict) else {}
    for name in ("files", "dataset"):
        if name in kept:
            raise invalid(f"data.{name}", "give either it or a data frame")
    write_frame(data, path, "data")
    return {"adjustment": "total", **kept, "files": [{"url": str(path)}]}


def write_frame(data: Any, path: Path, field: str) -> None:
    try:
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise invalid(field, f"is no data frame: {str(error)[:300]}") from None
    papq.write_table(table, path)
