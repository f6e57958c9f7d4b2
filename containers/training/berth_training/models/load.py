"""Reads a model of record; refuses files that hold anything but the types we write.

from berth_training.models.load import load_model
load_model("out/model").predict(rows)
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from berth_backtest.errors import invalid

from berth_training.data.frame import Floats
from berth_training.models.catalogue import CATALOGUE
from berth_training.models.ensemble import Combined
from berth_training.models.fit import Fitted
from berth_training.models.params import library_class, said
from berth_training.models.preprocess import steps_from
from berth_training.models.safe import load_estimator
from berth_training.models.save import FORMAT
from berth_training.spec.types import Kind, Model


@dataclass(frozen=True)
class Loaded:
    """A model as it was saved; `about` is model.json."""

    about: dict[str, Any]
    predictor: Any

    @property
    def features(self) -> list[str]:
        found: list[str] = self.about["features"]
        return found

    def predict(self, x: Any) -> Floats:
        """Returns predictions, or probabilities of class 1, of [row, feature] in the order of `features`."""
        values = np.asarray(x, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.features):
            text = f"rows must have {len(self.features)} columns: {', '.join(self.features[:20])}"
            raise ValueError(text)
        found: Floats = self.predictor.predict(values)
        return found


def load_model(folder: str | Path) -> Loaded:
    """Returns the model of a folder. Raises ProgramError (exit 2) for one that cannot be trusted or read."""
    root = Path(folder)
    try:
        about = json.loads((root / "model.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise invalid("model", f"has the format {about['format']}, this version reads {FORMAT}")
        loaded = Loaded(about, predictor_of(root, about))
        # What does not fit together is told here, not at the first row.
        if loaded.predict(np.zeros((1, len(loaded.features)))).shape != (1,):
            raise ValueError("it makes more than one number a row")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(
            "model", f"{root} cannot be read: {type(error).__name__}: {said(error)[:200]}"
        ) from error
    return loaded


def predictor_of(root: Path, about: dict[str, Any]) -> Fitted | Combined:
    members = [load_one(root, entry, about["kind"], len(about["features"])) for entry in about["members"]]
    chosen = about["ensemble"]
    if chosen is None:
        return members[0]
    weights, scores = tuple(chosen["weights"]), tuple(chosen["log_likelihood"])
    return Combined(
        chosen["method"], about["kind"], tuple(members), weights, float(chosen["intercept"]), scores
    )


def load_one(root: Path, entry: dict[str, Any], kind: Kind, features: int) -> Fitted:
    if entry["name"] not in CATALOGUE:
        raise invalid("model", f"{entry['name']!a} is no model of this version")
    data = (root / Path(entry["file"]).name).read_bytes()
    # Before a library reads it: XGBoost ends the process at some damaged files. Earlier models have no sum.
    if not data or sha256(data).hexdigest() != entry.get("sha256", sha256(data).hexdigest()):
        raise invalid("model", f"{entry['file']} is not the file that was saved: its SHA-256 is another")
    if entry["file"].endswith(".ubj"):
        estimator = library_class(entry["name"], kind)()
        estimator.load_model(bytearray(data))
    else:
        estimator = load_estimator(data)
        if not isinstance(estimator, library_class(entry["name"], kind)):
            raise invalid("model", f"{entry['file']} holds a {type(estimator).__name__}, not {entry['name']}")
    calibration = entry["calibration"]
    return Fitted(
        Model(entry["name"], entry["params"], "model"),
        entry["params"],
        kind,
        steps_from(entry["preprocess"], features),
        estimator,
        None if calibration is None else (float(calibration[0]), float(calibration[1])),
        int(entry["rows"]),
        0,
        entry["rounds"],
    )
