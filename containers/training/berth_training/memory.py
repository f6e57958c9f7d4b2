"""Refuses what cannot fit the job's memory before it is tried, with the figures."""

import os
from contextlib import suppress
from pathlib import Path

from berth_backtest.data.panel import Panel
from berth_backtest.errors import Problem, ProgramError

from berth_training.data.frame import Frame

GIB = float(1 << 30)
BASE_GIB = 0.35  # Python with the libraries, measured
# Copies of the matrix at the worst moment, in float64: the file's columns and two orders of the rows, or the
# rows, a train's part of them, that after its steps, and the library's own. Measured at a million rows of 28:
# 1.55 GiB for a ridge, 1.2 for trees.
COPIES = 6.0
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


def refuse_too_large(frame: Frame) -> None:
    refuse(need_gib(len(frame.y), len(frame.names)), len(frame.y), len(frame.names))


def refuse_large_panel(panel: Panel, features: int) -> None:
    """The same before the features are computed."""
    rows = len(panel.symbols) * panel.bars
    refuse(need_gib(rows, features), rows, features)


def need_gib(rows: int, features: int) -> float:
    return BASE_GIB + rows * features * 8 * COPIES / GIB


def refuse(need: float, rows: int, features: int) -> None:
    have = granted_gib()
    if have is None or need <= have:
        return
    text = (
        f"{rows} rows of {features} features need about {need:.2f} GiB "
        f"({COPIES:g} copies of 8 bytes a value), the job has {have:.2f} GiB"
    )
    hint = f"give the job resources.memory_gib of {need:.1f} or more, or fewer rows or features"
    raise ProgramError("out_of_memory", text, [Problem("resources.memory_gib", text)], hint)
