"""Keeps the finished part of a sweep, so that a second start goes on where the first was stopped."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]

MANIFEST = "manifest.json"
EVERY_S = 60.0


class Checkpoint:
    """Parts of a sweep in a folder; the manifest, written last, says which of them count."""

    def __init__(
        self, folder: Path | None, identity: str, every_s: float, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.every_s = every_s
        self.clock = clock
        self.saved_at = clock()
        self.parts: list[str] = []
        self.waiting: list[Arrays] = []
        self.chunks = 0  # finished ones, those that wait to be written included

    def load(self) -> list[Arrays]:
        """Returns the parts that were kept for this very run; none if there are none."""
        if self.folder is None:
            return []
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
            if manifest["identity"] != self.identity:
                return []
            found = [self.read(name) for name in manifest["parts"]]
            self.parts, self.chunks = list(manifest["parts"]), int(manifest["chunks"])
        except (OSError, ValueError, KeyError, TypeError):
            return []  # no checkpoint, or a damaged one: start from the beginning
        return found

    def read(self, name: str) -> Arrays:
        assert self.folder is not None
        with np.load(self.folder / Path(name).name, allow_pickle=False) as part:
            return {key: part[key] for key in part.files}

    def add(self, arrays: Arrays) -> None:
        """Notes a finished chunk; writes what waits when it is time."""
        self.chunks += 1
        if self.folder is None:
            return
        self.waiting.append(arrays)
        if self.clock() - self.saved_at >= self.every_s:
            self.save()

    def save(self) -> None:
        """Writes what waits, then the manifest, each in one step."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.waiting:
            name = f"part-{self.chunks:08d}.npz"
            joined = {key: np.concatenate([part[key] for part in self.waiting]) for key in self.waiting[0]}
            write_atomically(self.folder / name, lambda path: save_arrays(path, joined))
            self.parts.append(name)
            self.waiting = []
        manifest = {"identity": self.identity, "chunks": self.chunks, "parts": self.parts}
        text = json.dumps(manifest)
        write_atomically(self.folder / MANIFEST, lambda path: path.write_text(text))
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
    finally:
        part.unlink(missing_ok=True)


def open_checkpoint(identity: str) -> Checkpoint:
    """Returns the checkpoint of BERTH_CHECKPOINT_DIR, one that keeps nothing without it."""
    folder = os.environ.get("BERTH_CHECKPOINT_DIR")
    try:
        every_s = float(os.environ.get("BERTH_CHECKPOINT_EVERY_S", EVERY_S))
    except ValueError:
        every_s = EVERY_S
    return Checkpoint(Path(folder) if folder else None, identity, every_s, time.monotonic)
