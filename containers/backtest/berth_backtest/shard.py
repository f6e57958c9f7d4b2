"""The part of a sweep that one process runs: a span of point numbers."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from berth_backtest.errors import invalid

BLOCKS_FILE = "blocks.parquet"  # sums of the returns of a sample of its points
SHARD_FILE = "shard.json"  # a shard's own account of what it ran
MAX_SHARD_BYTES = 4 << 20  # of it: a heat map of 80 x 80 cells and some numbers
MOST_SHARDS = 10_000  # far above any fan-out; a larger number is a slip


@dataclass(frozen=True)
class Shard:
    """Number `index` of `of`; a merge reads the others' folders, named by their numbers."""

    index: int = 0
    of: int = 1
    role: Literal["work", "merge"] = "work"
    folders: tuple[tuple[int, Path], ...] = ()  # of a merge

    @property
    def is_part(self) -> bool:
        """Says whether what it writes is for a merge."""
        return self.role == "work" and self.of > 1

    def span(self, total: int) -> tuple[int, int]:
        """Returns its first point and the one after its last; the spans of all shards are the product."""
        return span_of(self.index, self.of, total)


WHOLE = Shard()


def span_of(index: int, of: int, total: int) -> tuple[int, int]:
    return index * total // of, (index + 1) * total // of


def shard_from_env() -> Shard:
    """Returns the shard that BERTH_SHARD_INDEX, _COUNT, _ROLE and BERTH_SHARDS_DIR name."""
    role = os.environ.get("BERTH_SHARD_ROLE", "work")
    of = whole_number("BERTH_SHARD_COUNT", 1, 1)
    if role == "work":
        index = whole_number("BERTH_SHARD_INDEX", 0, 0)
        if index >= of:
            raise invalid("", f"BERTH_SHARD_INDEX is {index}: it must be below BERTH_SHARD_COUNT, {of}")
        return Shard(index, of)
    if role != "merge":
        raise invalid("", f"BERTH_SHARD_ROLE must be work or merge, not {role[:40]!a}")
    folder = os.environ.get("BERTH_SHARDS_DIR")
    if not folder:
        raise invalid("", "BERTH_SHARDS_DIR is not set: a merge needs the folder of the shards' files")
    found = [(i, Path(folder) / str(i)) for i in range(of) if (Path(folder) / str(i)).is_dir()]
    return Shard(of, of, "merge", tuple(found))


def whole_number(name: str, default: int, least: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= MOST_SHARDS:
        raise invalid("", f"{name} must be a whole number from {least} to {MOST_SHARDS}, not {text[:40]!a}")
    return int(text)


def shard_of_folders(folders: list[Path]) -> Shard:
    """Returns the merge of folders in any order; each says itself which shard of how many it is."""
    found: dict[int, Path] = {}
    counts = set()
    for folder in folders:
        index, of = own_number(folder)
        if index in found:
            raise invalid("", f"{found[index]} and {folder} are both shard {index}")
        found[index] = folder
        counts.add(of)
    if len(counts) > 1:
        listed = " and ".join(map(str, sorted(counts)))
        raise invalid("", f"the folders are of sweeps that were cut into {listed} shards")
    of = counts.pop()
    return Shard(of, of, "merge", tuple(sorted(found.items())))


def own_number(folder: Path) -> tuple[int, int]:
    try:
        with (folder / SHARD_FILE).open("rb") as stream:
            state = json.loads(stream.read(MAX_SHARD_BYTES))
        index, of = state["index"], state["of"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise invalid("", f"{folder} is no folder of a shard: {error}") from None
    if not isinstance(index, int) or not isinstance(of, int) or not 0 <= index < of <= MOST_SHARDS:
        raise invalid("", f"{folder}/{SHARD_FILE} names no shard")
    return index, of
