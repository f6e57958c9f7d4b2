"""From the spec's `data` to the panel."""

import difflib
import hashlib
import os
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from berth_backtest.data.check import Rows, check_file
from berth_backtest.data.china import CHINA_COLUMNS
from berth_backtest.data.columns import constant, is_constant
from berth_backtest.data.dates import instant, shown_date
from berth_backtest.data.order import blocks_of, in_order, those
from berth_backtest.data.panel import Merged, Panel, build_panel
from berth_backtest.data.read import COLUMNS, PRICES, Source, checked_digest, read_table, source_of
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.spec.fields import near
from berth_backtest.spec.types import DataSpec

SAMPLES = ("sample:sp500-20", "sample:indices")
SURVIVORS = (
    "survivorship",
    "sample:sp500-20 holds only companies that are in the index today: results are too good",
)


def sample_file(name: str) -> Path:
    """Returns the Parquet file of a sample; BERTH_SAMPLES_DIR or containers/samples."""
    folder = os.environ.get("BERTH_SAMPLES_DIR")
    root = Path(folder) if folder else Path(__file__).resolve().parents[3] / "samples"
    return root / f"{name.removeprefix('sample:')}.parquet"


def load_panel(spec: DataSpec, china: bool = False, folder: Path | None = None, threads: int = 1) -> Panel:
    """Reads, checks and merges the files; raises for the first thing that is wrong with them.

    With `china` the columns of A-shares are read too. With a folder the prices lie there, not in memory.
    """
    if folder is not None:
        from berth_backtest.data.disk import panel_on_disk

        return panel_on_disk(spec, folder, threads)
    files, hashes = read_files(spec, china)
    check_alike(files)
    chosen = choose_symbols(spec, files)
    merged = merge(files, chosen, china)
    warnings = warnings_of(spec, sum(rows.null_bars for rows in files))
    first, last = int(merged.dates.min()), int(merged.dates.max())
    start, end = span_of(spec, first, last)
    panel = build_panel(merged, chosen, files[0].dated, start, end, partial(digest_when, hashes), warnings)
    if panel is None:
        raise no_bars(spec, first, last, files[0].dated)
    return panel


def read_files(spec: DataSpec, china: bool) -> tuple[list[Rows], list[Future[str]]]:
    """Returns the rows of all files, and their sha256: of those for which the spec has none a promise."""
    wanted = (*COLUMNS, *CHINA_COLUMNS) if china else COLUMNS
    files: list[Rows] = []
    hashes: list[Future[str]] = []
    beside = ThreadPoolExecutor(1)
    try:
        for path, label, sha256 in sources(spec):
            source = source_of(path, label)
            hashes.append(beside.submit(checked_digest, source, sha256))
            try:
                table = read_table(source, wanted)
                files.append(check_file(source, table, spec.timezone, spec.adjustment, china))
            except pa.ArrowException as error:
                raise source.wrong(None, None, f"cannot be read: {str(error)[:300]}") from None
            finally:
                if sha256:
                    hashes[-1].result()  # a file that is not the one asked for is told first
    finally:
        beside.shutdown(wait=False)
    return files, hashes


def digest_when(hashes: list[Future[str]]) -> str:
    """Returns the data's sha256 once its files are hashed."""
    return digest_of([one.result() for one in hashes])


def digest_of(hashes: list[str]) -> str:
    """Returns the data's sha256: the file's, or that of several files' hashes."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def warnings_of(spec: DataSpec, nulls: int) -> list[tuple[str, str]]:
    found = [SURVIVORS] if spec.dataset == "sample:sp500-20" else []
    return found + ([("null_prices", f"{nulls} rows with a null price count as no bar")] if nulls else [])


def span_of(spec: DataSpec, first: int, last: int) -> tuple[int, int]:
    """Returns the first and the last instant of the run; left out, those of the data."""
    start = instant(spec.start, end=False) if spec.start else first
    return start, instant(spec.end, end=True) if spec.end else last


def no_bars(spec: DataSpec, first: int, last: int, dated: bool) -> ProgramError:
    text = f"leaves no bars: the chosen symbols have prices from {shown_date(first, dated)} "
    return invalid("data.start" if spec.start else "data.end", f"{text}to {shown_date(last, dated)}")


def sources(spec: DataSpec) -> list[tuple[str, str, str | None]]:
    """Returns path, field of the spec and expected sha256 of each file."""
    if spec.dataset is None:
        return [(file.path, f"data.files[{i}]", file.sha256) for i, file in enumerate(spec.files)]
    if spec.dataset not in SAMPLES:
        if spec.dataset.startswith("ds_"):
            text = f"{spec.dataset} is fetched by the runner of a job: by hand, give its files in data.files"
        else:
            text = f"must be {' or '.join(SAMPLES)}{near(spec.dataset, SAMPLES)}"
        raise invalid("data.dataset", text)
    path = sample_file(spec.dataset)
    if not path.exists():
        raise invalid(
            "data.dataset",
            f"{path} does not exist",
            "make the samples with python -m berth_backtest.samples, or set BERTH_SAMPLES_DIR",
        )
    return [(str(path), "data.dataset", None)]


class Known(Protocol):
    """What is known of a file whose rows were looked at."""

    @property
    def source(self) -> Source: ...
    @property
    def symbols(self) -> list[str]: ...
    @property
    def dated(self) -> bool: ...
    @property
    def currencies(self) -> set[str]: ...
    @property
    def prices(self) -> Collection[str]: ...


def check_alike(files: Sequence[Known]) -> None:
    """Raises unless all files have the same price columns, kind of dates and currency."""
    first = files[0]
    currencies = set().union(*(rows.currencies for rows in files))
    if len(currencies) > 1:
        found = ", ".join(sorted(currencies)[:5])
        raise first.source.wrong(None, "currency", f"a run has one currency, the data has {found}")
    for rows in files[1:]:
        for name in PRICES:
            if (name in rows.prices) != (name in first.prices):
                raise rows.source.wrong(
                    None, name, f"must be in every file, as {first.source.path.name} shows"
                )
        if rows.dated != first.dated:
            raise rows.source.wrong(0, "date", "is a time in one file and a date in another")


def choose_symbols(spec: DataSpec, files: Sequence[Known]) -> tuple[str, ...]:
    """Returns the run's symbols: in the spec's order, else alphabetical."""
    known = sorted(set().union(*(rows.symbols for rows in files)))
    if spec.symbols is None:
        return tuple(known)
    have = set(known)
    for i, symbol in enumerate(spec.symbols):
        if symbol not in have:
            close = difflib.get_close_matches(symbol, known, n=3, cutoff=0.5)
            close = close or [name for name in known if name.lower() == symbol.lower()]
            text = f"did you mean {' or '.join(close)}?" if close else f"the data has {some(known)}"
            raise invalid(f"data.symbols[{i}]", f"{symbol[:60]!a} is not in the data; {text}")
    return spec.symbols


def some(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


def merge(files: list[Rows], chosen: tuple[str, ...], china: bool) -> Merged:
    """Returns the chosen symbols' rows of all files, sorted; raises for a key in two files."""
    places = {symbol: i for i, symbol in enumerate(chosen)}
    codes = [np.array([places.get(symbol, -1) for symbol in rows.symbols])[rows.codes] for rows in files]
    kept = [those(code >= 0) for code in codes]

    def together(values: list[Any]) -> Any:
        parts = [one[keep] for one, keep in zip(values, kept, strict=True)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    code, dates = together(codes), together([rows.dates for rows in files])
    starts = blocks_of(code, dates, len(chosen))
    ordered = in_order(code, dates, starts)
    code, dates = ordered(code), ordered(dates)
    if starts is None:
        twice = np.flatnonzero((code[1:] == code[:-1]) & (dates[1:] == dates[:-1]))
        if len(twice):
            numbers = [np.arange(len(one.codes))[keep] for one, keep in zip(files, kept, strict=True)]
            position = int(ordered(np.arange(len(code)))[twice[0] + 1])
            report_twice(files, numbers, position, chosen[code[twice[0]]])

    def joined(values: list[Any]) -> Any:
        if all(is_constant(one) and one[0] == values[0][0] for one in values):
            return constant(values[0][0], len(code))
        # The kernel is compiled for arrays that may be written to; a file's own columns may not.
        found = ordered(together(values))
        return found if found.flags.writeable else found.copy()

    return Merged(
        codes=code,
        dates=dates,
        state=joined([rows.state for rows in files]),
        prices={name: joined([rows.prices[name] for rows in files]) for name in common_columns(files)},
        delisted=joined([rows.delisted for rows in files]),
        splits=joined([rows.splits for rows in files]),
        dividends=joined([rows.dividends for rows in files]),
        extra={
            name: joined([rows.extra[name] for rows in files])
            for name in files[0].extra
            if all(name in rows.extra for rows in files)
        },
        china=china,
    )


def common_columns(files: Sequence[Known]) -> list[str]:
    """Returns the prices of a run, and volume, which is no price: where one file lacks it nothing has it."""
    return [name for name in (*PRICES, "volume") if all(name in rows.prices for rows in files)]


def report_twice(files: list[Rows], kept: list[np.ndarray], position: int, symbol: str) -> None:
    for rows, keep in zip(files, kept, strict=True):
        if position < len(keep):
            raise rows.source.wrong(
                int(keep[position]), "date", f"{symbol} has this date in another file too"
            )
        position -= len(keep)
