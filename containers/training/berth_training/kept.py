"""Keeps what is finished, so that a second start goes on at the last border and ends the same."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from berth_backtest.checkpoint import EVERY_S, MANIFEST, save_arrays, write_atomically
from berth_backtest.errors import StoppedError
from berth_backtest.report import Stop
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Unit = tuple[dict[str, Any], Arrays]
BYTES = "bytes"


class Store:
    """Units by key, in memory and in a folder; the manifest, written last, says which files count."""

    def __init__(
        self, folder: Path | None, identity: str, every_s: float, stop: Stop, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.every_s = every_s
        self.stop = stop
        self.clock = clock
        self.saved_at = clock()
        self.units: dict[str, Unit] = {}
        self.files: dict[str, str] = {}  # of the keys whose arrays are on disk
        self.saves = 0
        self.load()

    def load(self) -> None:
        """Takes up what an earlier start of this very run has kept, if all of it can be read."""
        if self.folder is None:
            return
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text())
            if manifest["identity"] != self.identity:
                return
            units, files = {}, {}
            for key, entry in manifest["units"].items():
                arrays: Arrays = {}
                if entry["file"]:
                    files[key] = Path(entry["file"]).name
                    content = io.BytesIO((self.folder / files[key]).read_bytes())
                    with np.load(content, allow_pickle=False) as part:
                        arrays = {name: part[name] for name in part.files}
                units[key] = (entry["value"], arrays)
            self.units, self.files, self.saves = units, files, int(manifest["saves"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
            return  # no checkpoint, or a damaged one: start from the beginning

    def put(self, key: str, value: dict[str, Any], arrays: Arrays) -> None:
        """Notes a finished unit in place of all that led to it."""
        for old in [each for each in self.units if each == key or each.startswith(f"{key}/")]:
            del self.units[old]
            self.files.pop(old, None)
        self.units[key] = (value, arrays)

    def border(self) -> None:
        """A place where the run can be left: saves when it is time; raises StoppedError when told to stop."""
        stopping = self.stop.asked
        if self.folder is not None and (stopping or self.clock() - self.saved_at >= self.every_s):
            self.save()
        if stopping:
            raise StoppedError("stopped before the end; start again with the same checkpoint to go on")

    def save(self) -> None:
        """Writes the new units, then the manifest, each in one step; then removes what no longer counts."""
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.saves += 1
        for i, (key, (_, arrays)) in enumerate(self.units.items()):
            if arrays and key not in self.files:
                name = f"unit-{self.saves:08d}-{i:06d}.npz"
                write_atomically(self.folder / name, partial(save_arrays, arrays=arrays))
                self.files[key] = name
        units = {key: {"value": value, "file": self.files.get(key)} for key, (value, _) in self.units.items()}
        manifest = json.dumps({"identity": self.identity, "saves": self.saves, "units": units})
        write_atomically(self.folder / MANIFEST, lambda path: path.write_text(manifest))
        for path in self.folder.glob("unit-*.npz"):
            if path.name not in self.files.values():
                path.unlink(missing_ok=True)
        self.saved_at = self.clock()


class Kept:
    """The place of one piece of work in the store: `fold/2/trial/7`."""

    def __init__(self, store: Store, key: str = "run") -> None:
        self.store = store
        self.key = key

    def at(self, name: object) -> "Kept":
        return Kept(self.store, f"{self.key}/{name}")

    def found(self) -> Unit | None:
        """Returns what was kept of it when it was finished, None if it is to be done."""
        return self.store.units.get(self.key)

    def keep(self, value: dict[str, Any], arrays: Arrays | None = None) -> None:
        """Keeps it as finished. Raises StoppedError when told to stop."""
        self.store.put(self.key, value, arrays or {})
        self.store.border()

    def block(self) -> tuple[dict[str, Any], bytes] | None:
        """Returns the last finished block of a model in training."""
        unit = self.at("block").found()
        return None if unit is None else (unit[0], unit[1][BYTES].tobytes())

    def keep_block(self, value: dict[str, Any], model: Callable[[], bytes]) -> None:
        """Keeps a model in training, if it is time or the end: writing it costs as much as a round."""
        store = self.store
        stopping = store.stop.asked
        if store.folder is not None and (stopping or store.clock() - store.saved_at >= store.every_s):
            store.put(f"{self.key}/block", value, {BYTES: np.frombuffer(model(), dtype=np.uint8)})
            store.save()
        if stopping:
            raise StoppedError("stopped before the end; start again with the same checkpoint to go on")


def open_store(identity: str, stop: Stop) -> Store:
    """Returns the store of BERTH_CHECKPOINT_DIR, one that keeps nothing on disk without it."""
    folder = os.environ.get("BERTH_CHECKPOINT_DIR")
    try:
        every_s = float(os.environ.get("BERTH_CHECKPOINT_EVERY_S", EVERY_S))
    except ValueError:
        every_s = EVERY_S
    return Store(Path(folder) if folder else None, identity, every_s, stop, time.monotonic)
