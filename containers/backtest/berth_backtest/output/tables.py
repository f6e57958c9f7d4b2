"""points, metrics, trades and equity as Parquet. Nulls are nulls, never NaN."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.data.dates import DAY_US
from berth_backtest.honest.blocks import BLOCKS, Blocks
from berth_backtest.kernel import layout
from berth_backtest.metrics import COUNTS, NAMES
from berth_backtest.output.arrow import TEXT, flags, numbers, texts
from berth_backtest.plan import Plan
from berth_backtest.record import Recording
from berth_backtest.sweep import Sweep

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

Segment = tuple[int | None, str]  # the fold, counted from 0, and all, train, test or oos
WHOLE: Segment = (None, "all")
# Hardly a value comes twice: a dictionary would be larger than they are.
VARIED = ("equity", "drawdown", *(name for name in NAMES if name not in COUNTS))
# A dictionary would make these no smaller, and to look each value up takes longer than all else.
PACKED = ("rank", "date", "position")
PACKED_ROWS = 1 << 15  # of a column at once: by Arrow's own 1,024 curves take a tenth longer
ROWS_AT_ONCE = 200_000  # of a table under construction: bounds memory, not the file


def open_parquet(path: Path, schema: Any) -> Any:
    """Returns the writer of a file; with a dictionary and the least and greatest where values come again.

    Without Arrow's own schema, by which readers would have texts as dictionaries, as they are in memory.
    Packed as Parquet's writers are used to: zstd is a fifth smaller, but takes half as long again, and
    for each column of a short table longer than all else.
    """
    repeated = [name for name in schema.names if name not in VARIED]
    return papq.ParquetWriter(
        path,
        schema,
        compression="snappy",
        use_dictionary=[name for name in repeated if name not in PACKED],
        write_statistics=repeated,
        write_batch_size=PACKED_ROWS,
        store_schema=False,
    )


def always(name: str, kind: Any) -> Any:
    """Returns a column without nulls: looking for them takes as long as the values."""
    return pa.field(name, kind, nullable=False)


def write_parquet(path: Path, schema: Any, batches: Iterator[Any]) -> None:
    """Writes batches as they come; the file appears when it is whole."""

    def write(part: Path) -> None:
        with open_parquet(part, schema) as writer:
            for batch in batches:
                writer.write_table(batch)

    write_atomically(path, write)


def write_points(path: Path, plan: Plan, sweep: Sweep, of: Segment = WHOLE) -> None:
    """Writes a row a set: parameters, objective and the means of the metrics over symbols."""
    schema = pa.schema(
        [
            always("point", pa.int64()),
            *parameter_fields(plan),
            ("fold", pa.int32()),
            always("segment", TEXT),
            ("objective", pa.float64()),
            *[(name, pa.float64()) for name in NAMES],
        ]
    )

    def batches() -> Iterator[Any]:
        for first in range(0, len(sweep.objective), ROWS_AT_ONCE):
            part = slice(first, min(first + ROWS_AT_ONCE, len(sweep.objective)))
            points = sweep.points[part]
            columns = [
                numbers(points),
                *parameter_columns(plan, points),
                *segment_columns([of], np.zeros(len(points), dtype=np.int64)),
                nullable(sweep.objective[part]),
                *[nullable(sweep.means[part, i]) for i in range(len(NAMES))],
            ]
            yield pa.Table.from_arrays(columns, schema=schema)

    write_parquet(path, schema, batches())


def write_metrics(
    path: Path, plan: Plan, metrics: Floats, points: Index, of: Sequence[Segment] | None = None
) -> None:
    """Writes a row a set and symbol; `of` says of which dates each set's are."""
    types = [always(name, pa.int64()) if name in COUNTS else (name, pa.float64()) for name in NAMES]
    schema = pa.schema(
        [
            always("point", pa.int64()),
            always("symbol", TEXT),
            ("fold", pa.int32()),
            always("segment", TEXT),
            *parameter_fields(plan),
            *types,
        ]
    )
    count = len(plan.accounts)
    step = max(1, ROWS_AT_ONCE // count)
    known = [WHOLE] if of is None else of
    which = np.zeros(len(points), dtype=np.int64) if of is None else np.arange(len(points))

    def batches() -> Iterator[Any]:
        for first in range(0, len(points), step):
            some = np.repeat(points[first : first + step], count)
            names = texts(plan.accounts, np.tile(np.arange(count), len(some) // count))
            rows = metrics[first : first + step].reshape(-1, len(NAMES))
            columns = [
                numbers(some),
                names,
                *segment_columns(known, np.repeat(which[first : first + step], count)),
                *parameter_columns(plan, some),
                *[
                    numbers(rows[:, i].astype(np.int64)) if name in COUNTS else nullable(rows[:, i])
                    for i, name in enumerate(NAMES)
                ],
            ]
            yield pa.Table.from_arrays(columns, schema=schema)

    write_parquet(path, schema, batches())


def write_blocks(path: Path, blocks: Blocks) -> None:
    """Writes a row a point of the sample: its sums of returns, and of their squares, by block."""
    columns = {"point": numbers(blocks.points)}
    for k, name in enumerate(("r", "q")):
        for i in range(blocks.sums.shape[1]):
            columns[f"{name}{i}"] = numbers(blocks.sums[:, i, k])
    table = pa.table(columns)
    write_parquet(path, table.schema, iter([table]))


def read_blocks(path: Path, bars: int) -> Blocks:
    table = papq.read_table(path)
    sums = [
        np.stack([table.column(f"{name}{i}").to_numpy() for i in range(BLOCKS + 1)], axis=1)
        for name in ("r", "q")
    ]
    return Blocks(table.column("point").to_numpy(), np.stack(sums, axis=2), bars)


def parameter_fields(plan: Plan) -> list[Any]:
    return [always(axis.name, pa.int64() if axis.integer else pa.float64()) for axis in plan.grid.shown()]


def parameter_columns(plan: Plan, points: Index) -> list[Any]:
    grid = plan.grid
    return [
        numbers(grid.values(axis.name, points).astype(np.int64 if axis.integer else np.float64))
        for axis in grid.shown()
    ]


def segment_columns(known: Sequence[Segment], which: Index) -> list[Any]:
    """Returns the fold and the segment of rows, each one of those that are known."""
    folds = np.array([-1 if fold is None else fold for fold, _ in known], dtype=np.int32)
    return [
        numbers(folds[which], folds[which] < 0),
        texts([name for _, name in known], which),
    ]


def nullable(values: Floats) -> Any:
    """Returns numbers with null for NaN."""
    return numbers(values, np.isnan(values))


def date_type(plan: Plan) -> Any:
    return pa.date32() if plan.panel.dated else pa.timestamp("us", tz="UTC")


def dates_of(plan: Plan) -> NDArray[Any]:
    """Returns the run's dates as numbers of date_type."""
    return (plan.panel.dates // DAY_US).astype(np.int32) if plan.panel.dated else plan.panel.dates


def date_column(plan: Plan, bars: Index) -> Any:
    """Returns the dates of bars; null below 0."""
    return numbers(dates_of(plan)[np.maximum(bars, 0)], bars < 0, date_type(plan))


def trade_schema(plan: Plan) -> Any:
    day, number = date_type(plan), pa.float64()
    return pa.schema(
        [
            always("rank", pa.int32()),
            always("symbol", TEXT),
            always("entry_date", day),
            ("exit_date", day),
            always("entry_price", number),
            ("exit_price", number),
            always("units", number),
            always("fees", number),
            always("pnl", number),
            always("return", number),
            ("bars", pa.int64()),
            ("exit_reason", TEXT),
            always("open", pa.bool_()),
        ]
    )


def trade_table(plan: Plan, rank: int, run: Recording) -> Any:
    """Returns a run's trades by symbol, in the order of their entries."""
    rows = by_symbol(run.trades)
    entry, leave = (rows[:, i].astype(np.int64) for i in (layout.T_ENTRY_BAR, layout.T_EXIT_BAR))
    reason = rows[:, layout.T_REASON].astype(np.int64)
    columns = [
        numbers(np.full(len(rows), rank, dtype=np.int32)),
        texts(plan.panel.symbols, rows[:, layout.T_CELL].astype(np.int64)),
        date_column(plan, entry),
        date_column(plan, leave),
        numbers(rows[:, layout.T_ENTRY]),
        nullable(rows[:, layout.T_EXIT]),
        numbers(rows[:, layout.T_UNITS]),
        numbers(rows[:, layout.T_FEES]),
        numbers(rows[:, layout.T_PNL]),
        numbers(rows[:, layout.T_PNL] / rows[:, layout.T_VALUE]),
        numbers(leave - entry, leave < 0),
        texts(layout.REASONS, np.maximum(reason, 0), reason < 0),
        flags(leave < 0),
    ]
    return pa.Table.from_arrays(columns, schema=trade_schema(plan))


def by_symbol(trades: Floats) -> Floats:
    """Returns trades by symbol, in the order of their entries; mostly they are in it."""
    symbol, entry = trades[:, layout.T_CELL], trades[:, layout.T_ENTRY_BAR]
    follows = (symbol[1:] > symbol[:-1]) | ((symbol[1:] == symbol[:-1]) & (entry[1:] >= entry[:-1]))
    return trades if follows.all() else trades[np.lexsort((entry, symbol))]


def equity_schema(plan: Plan) -> Any:
    number = pa.float64()
    return pa.schema(
        [
            always("rank", pa.int32()),
            always("symbol", TEXT),
            always("date", date_type(plan)),
            always("equity", number),
            always("position", number),
            always("drawdown", number),
        ]
    )


def equity_tables(plan: Plan, rank: int, symbols: Sequence[int], run: Recording) -> Iterator[Any]:
    """Yields some symbols' equity, units held and drawdown at every bar, by account, many in a table.

    The position of a shared purse is the number of symbols that it holds.
    """
    n, cash = plan.panel.bars, plan.spec.execution.cash
    shared = plan.spec.portfolio.mode == "shared"
    names = plan.accounts if shared else [plan.panel.symbols[s] for s in symbols]
    held = (run.units != 0).sum(axis=1, keepdims=True) if shared else run.units
    step = max(1, ROWS_AT_ONCE // n)
    for first in range(0, len(names), step):
        some = slice(first, first + step)
        equity = np.ascontiguousarray(run.equity[:, some].T)
        count = len(equity)
        columns = [
            numbers(np.full(count * n, rank, dtype=np.int32)),
            texts(names[some], np.repeat(np.arange(count, dtype=np.int32), n)),
            numbers(np.tile(dates_of(plan), count), kind=date_type(plan)),
            numbers(equity.reshape(-1)),
            numbers(held[:, some].T.astype(np.float64, copy=False).reshape(-1)),
            numbers(drawdowns(equity, cash).reshape(-1)),
        ]
        yield pa.Table.from_arrays(columns, schema=equity_schema(plan))


def drawdowns(equity: Floats, cash: float) -> Floats:
    """Returns equity / peak - 1 of [account, bar] or [bar], the peak starting at the cash."""
    from berth_backtest.kernel.metrics import fill_drawdowns

    rows = np.ascontiguousarray(equity).reshape(-1, equity.shape[-1])
    found = np.empty_like(rows)
    fill_drawdowns(rows, cash, found)
    return found.reshape(equity.shape)
