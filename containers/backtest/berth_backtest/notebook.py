"""A run from Python: a data frame in, data frames out."""

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq

from berth_backtest.cli import thread_count
from berth_backtest.errors import invalid
from berth_backtest.job import run_job
from berth_backtest.report import Progress, Stop

TABLES = ("points", "metrics", "trades", "equity")


@dataclass(frozen=True)
class Result:
    """What a run wrote: `result` is result.json, `tables` the Parquet files as Arrow tables."""

    result: dict[str, Any]
    tables: dict[str, Any]
    tearsheet: str | None  # the page, for display
    log: str

    def frame(self, name: str) -> Any:
        """Returns a table as a pandas data frame."""
        try:
            return self.tables[name].to_pandas()
        except ModuleNotFoundError as error:
            text = f"pandas is not installed: install it, or take the Arrow table .tables[{name!r}]"
            raise ModuleNotFoundError(text) from error

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
    with tempfile.TemporaryDirectory(prefix="berth-backtest-") as folder:
        root, log = Path(folder), io.StringIO()
        if data is not None:
            spec = {**spec, "data": with_frame(spec.get("data"), data, root / "data.parquet")}
        with contextlib.redirect_stdout(log):
            found = run_job(spec, root / "out", Progress(None), Stop(), threads or thread_count())
        tables = {name: table_of(root / "out" / f"{name}.parquet") for name in TABLES}
        page = root / "out" / "tearsheet.html"
        text = page.read_text(encoding="utf-8") if page.exists() else None
        return Result(found, {k: v for k, v in tables.items() if v is not None}, text, log.getvalue())


def with_frame(given: Any, data: Any, path: Path) -> dict[str, Any]:
    """Returns the spec's `data` with the frame as its only file."""
    kept = dict(given) if isinstance(given, dict) else {}
    for name in ("files", "dataset"):
        if name in kept:
            raise invalid(f"data.{name}", "give either it or a data frame")
    try:
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise invalid("data", f"is no data frame: {str(error)[:300]}") from None
    papq.write_table(table, path)
    return {"adjustment": "total", **kept, "files": [{"url": str(path)}]}


def table_of(path: Path) -> Any:
    """Returns a table in memory, None where the run wrote none."""
    return papq.read_table(path, memory_map=False) if path.exists() else None
