"""The first look at a large file: its symbols, how many rows each has, and the dates, part by part."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.check import Order, read_currencies, read_symbols
from berth_backtest.data.dates import read_dates
from berth_backtest.data.read import PRICES, Source, blocks_of, columns_of, unreadable
from berth_backtest.spec.types import DataSpec

Index = NDArray[np.int64]

KEYS = ("date", "symbol", "currency", "delist_date")
NO_DATES: Index = np.empty(0, dtype=np.int64)


@dataclass
class Scan:
    """What a file's keys tell."""

    source: Source
    prices: tuple[str, ...]  # its columns of prices and volume
    texts: bool  # dates of a CSV in several forms, which are read as texts
    instants: bool = False  # times of a day, as some rows tell, though others are all midnight
    dated: bool = True
    currencies: set[str] = field(default_factory=set)
    symbols: list[str] = field(default_factory=list)  # by their first row
    rows: Index = field(default_factory=lambda: NO_DATES)  # of each symbol
    dates: Index = field(default_factory=lambda: NO_DATES)  # of the chosen symbols, each once

    def blocks(self, wanted: tuple[str, ...]) -> Iterator[tuple[Source, Any]]:
        return blocks_of(self.source, wanted, self.texts)


def scan_file(source: Source, spec: DataSpec, texts: bool = False) -> Scan:
    """Returns what a file's keys tell; raises where they cannot be read or are out of order."""
    try:
        names = tuple(name for name in columns_of(source) if name in (*PRICES, "volume"))
        return read_keys(Scan(source, names, texts), spec)
    except pa.ArrowException as error:
        if source.is_csv and not texts:
            return scan_file(source, spec, texts=True)
        raise unreadable(source, error) from None


def read_keys(scan: Scan, spec: DataSpec) -> Scan:
    order, known = Order(), dict[str, int]()
    chosen = None if spec.symbols is None else set(spec.symbols)
    for part, table in scan.blocks(KEYS):
        dates, dated = read_dates(part, table.column("date"), spec.timezone, instants=scan.instants)
        if order.rows > 0 and dated != scan.dated:
            return read_keys(Scan(scan.source, scan.prices, scan.texts, instants=True), spec)
        scan.dated = dated
        symbols, codes = read_symbols(part, table)
        places = np.array([known.setdefault(name, len(known)) for name in symbols])
        order.add(scan.source, dates, places[codes])
        scan.rows = np.pad(scan.rows, (0, len(known) - len(scan.rows)))
        scan.rows += np.bincount(places[codes], minlength=len(known))
        if chosen is not None:
            dates = dates[np.array([name in chosen for name in symbols])[codes]]
        scan.dates = joined(scan.dates, np.unique(dates))
        scan.currencies |= read_currencies(table)
    scan.symbols = list(known)
    return scan


def joined(known: Index, more: Index) -> Index:
    """Returns the distinct values of both, which each ascend."""
    if len(known) > 0:
        more = more[known[np.minimum(np.searchsorted(known, more), len(known) - 1)] != more]
    return np.sort(np.concatenate([known, more]), kind="stable") if len(more) > 0 else known
