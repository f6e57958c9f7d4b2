"""Looks whether prices fit the job's memory before they are read; what does not is told with the figures."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from berth_backtest.data.load import sources
from berth_backtest.data.read import rows_in
from berth_backtest.errors import Problem, ProgramError
from berth_backtest.spec.types import DataSpec, Spec

GIB = float(1 << 30)
BASE_GIB = 0.35  # Python with the libraries, measured
PRICE_BYTES = 480  # of a row of price files while they are read, checked and merged, with prices and volume
# From the disk: a block of a file while it is checked, and one of symbols while it is written; a chunk of
# sets with its metrics; the markets and indicator tables of some symbols; recordings of some symbols.
PARTS_GIB = 1.6
# Of a date of one symbol on each thread: its market, its indicator tables, its recording.
DATE_BYTES = 1_200
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def granted_gib() -> float | None:
    """Returns the memory that this process may use: BERTH_MEMORY_GIB, the container's, the machine's."""
    found = []
    given = os.environ.get("BERTH_MEMORY_GIB", "")
    with suppress(ValueError):
        found.append(float(given))
    for path in CGROUPS:
        try:
            found.append(int(Path(path).read_text()) / GIB)
        except (OSError, ValueError):
            continue
    with suppress(ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB)
    return min((x for x in found if x > 0), default=None)


def must_lie_on_disk(spec: Spec) -> bool:
    """Returns whether the prices are too large for the memory and must be read from the disk in parts.

    Raises out_of_memory where they do not fit and cannot be, before anything is read.
    """
    rows = price_rows(spec.data)
    need, have = BASE_GIB + rows * PRICE_BYTES / GIB, granted_gib()
    if have is None or need <= have:
        return False
    why = only_in_memory(spec)
    if why is None:
        return True
    shown = f"{rows} rows of prices need about {need:.2f} GiB ({PRICE_BYTES} bytes a row), "
    hint = f"give the job resources.memory_gib of {need:.1f} or more, or smaller files"
    raise refusal(f"{shown}the job has {have:.2f} GiB; {why}", hint)


def price_rows(data: DataSpec) -> int:
    """Returns the rows of all files: by the footer of Parquet, of a CSV about, by the length of its lines."""
    return sum(rows_in(Path(path)) or 0 for path, _, _ in sources(data))


def only_in_memory(spec: Spec) -> str | None:
    """Returns why a spec cannot be run from the disk, None if it can: what goes symbol by symbol."""
    source = spec.strategy.definition.source
    if spec.portfolio.mode == "shared":
        return "portfolio.mode shared needs every symbol's prices at once"
    if spec.validation is not None:
        return "walk_forward is run in memory alone"
    if spec.strategy.from_file or (source is not None and source.kind == "signals"):
        return "signals and predictions are run in memory alone"
    if spec.execution.profile is not None:
        return f"the profile {spec.execution.profile} is run in memory alone"
    return None


def check_room(folder: Path, room_bytes: int, bars: int, threads: int) -> None:
    """Raises where a symbol's dates need more than the memory, or the prices more than the disk has free."""
    need, have = BASE_GIB + PARTS_GIB + bars * threads * DATE_BYTES / GIB, granted_gib()
    if have is not None and need > have:
        text = f"the prices do not fit the memory, and from the disk, symbol by symbol, {bars} dates on "
        text += f"{threads} threads need about {need:.2f} GiB, the job has {have:.2f} GiB"
        raise refusal(text, f"give the job resources.memory_gib of {need:.1f} or more, or fewer dates")
    free = shutil.disk_usage(folder).free
    if room_bytes > free:
        text = "the prices do not fit the memory, and from the disk they need about "
        text += f"{room_bytes / GIB:.2f} GiB of it, of which {free / GIB:.2f} are free"
        raise ProgramError("disk_full", text, [Problem("resources.disk_gib", text)], "give the job more disk")


def refusal(text: str, hint: str) -> ProgramError:
    return ProgramError("out_of_memory", text, [Problem("resources.memory_gib", text)], hint)
