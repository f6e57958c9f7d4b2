"""Keeps the finished part of a sweep, so that a second start goes on where the first was stopped."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from berth_backtest.kept import Arrays, join

State = dict[str, Any]

MANIFEST = "manifest.json"
EVERY_S = 60.0
MOST_WAITING = 64 << 20  # bytes of rows that wait for the next save: fast sweeps make more in a minute


class Checkpoint:
    """Rows of a sweep in a folder; the manifest, written last, says which files count."""

    def __init__(
        self, folder: Path | None, identity: str, every_s: float, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.every_s = every_s
        self.clock = clock
        self.saved_at = clock()
        self.parts: list[str] = []
        self.state_file = ""
        self.waiting: list[Arrays] = []
        self.waiting_bytes = 0
        self.saves = 0

    def load(self) -> tuple[State, Arrays, list[Arrays]] | None:
        """Returns the state, its arrays and the rows that were kept for this very run, if any were."""
        if self.folder is None:
            return None
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
            if manifest["identity"] != self.identity:
                return None
            found = manifest["state"], self.read(manifest["file"]), [self.read(p) for p in manifest["parts"]]
            self.parts, self.saves = list(manifest["parts"]), int(manifest["saves"])
            self.state_file = str(manifest["file"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # no checkpoint, or a damaged one: start from the beginning
        return found

    def read(self, name: str) -> Arrays:
        assert self.folder is not None
        with np.load(self.folder / Path(name).name, allow_pickle=False) as part:
            return {key: part[key] for key in part.files}

    def add(self, rows: Arrays) -> None:
        """Notes rows that are written with the next save."""
        if self.folder is not None:
            self.waiting.append(dict(rows))
            self.waiting_bytes += sum(values.nbytes for values in rows.values())

    def is_due(self) -> bool:
        """Says whether it is time to save, or enough waits for it."""
        late = self.clock() - self.saved_at >= self.every_s
        return self.folder is not None and (late or self.waiting_bytes >= MOST_WAITING)

    def save(self, state: State, arrays: Arrays) -> None:
        """Writes what waits and the state's arrays, then the manifest, each in one step."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.saves += 1
        if self.waiting:
            name = f"part-{self.saves:08d}.npz"
            rows = join(self.waiting)
            write_atomically(self.folder / name, lambda path: save_arrays(path, rows))
            self.parts.append(name)
            self.waiting, self.waiting_bytes = [], 0
        before, self.state_file = self.state_file, f"state-{self.saves:08d}.npz"
        write_atomically(self.folder / self.state_file, lambda path: save_arrays(path, arrays))
        manifest = {
            "identity": self.identity,
            "saves": self.saves,
            "state": state,
            "file": self.state_file,
            "parts": self.parts,
        }
        text = json.dumps(manifest)
        write_atomically(self.folder / MANIFEST, lambda path: path.write_text(text))
        if before:
            (self.folder / Path(before).name).unlink(missing_ok=True)
        self.saved_at = self.clock()


def save_arrays(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file beside its place and moves it there: readers see all of it or none."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_checkpoint(identity: Callable[[], str]) -> Checkpoint:
    """Returns the checkpoint of BERTH_CHECKPOINT_DIR, one that keeps nothing without it.

    `identity` returns what is the same for the same run: to know it may take as long as hashing its data.
    """
    folder = os.environ.get("BERTH_CHECKPOINT_DIR")
    try:
        every_s = float(os.environ.get("BERTH_CHECKPOINT_EVERY_S", EVERY_S))
    except ValueError:
        every_s = EVERY_S
    if not folder:
        return Checkpoint(None, "", every_s, time.monotonic)
    return Checkpoint(Path(folder), identity(), every_s, time.monotonic)
