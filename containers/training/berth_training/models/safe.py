"""Models as files that hold no code: XGBoost's own format, and skops with a fixed list of types."""

import io
import re
import zipfile
from typing import Any

from berth_backtest.errors import invalid

SCHEMA = "schema.json"
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that an archive knows

# What our own models are made of, beside the types that skops trusts itself. Never a file's own list.
TRUSTED = (
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyHalfGammaLoss",
    "sklearn._loss._loss.CyHalfPoissonLoss",
    "sklearn._loss._loss.CyPinballLoss",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)


def dump_estimator(estimator: Any) -> bytes:
    """Returns a scikit-learn model as skops bytes; equal models give equal bytes."""
    import skops.io

    return plain(skops.io.dumps(estimator))


def plain(data: bytes) -> bytes:
    """Returns the archive with its objects numbered in order and without dates.

    skops names objects by their place in memory, and archives keep the time at which they were written.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        schema = old.read(SCHEMA).decode()
        numbers: dict[str, str] = {}
        for place in re.findall(r'"__id__": (\d+)', schema):
            numbers.setdefault(place, str(len(numbers) + 1))

        def numbered(text: str) -> str:
            return re.sub(r"\d{6,}", lambda found: numbers.get(found[0], found[0]), text)

        for name in sorted(old.namelist(), key=lambda name: (name == SCHEMA, numbered(name))):
            content = numbered(schema).encode() if name == SCHEMA else old.read(name)
            new.writestr(zipfile.ZipInfo(numbered(name), FIRST_DATE), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def load_estimator(data: bytes) -> Any:
    """Returns the model; raises (exit 2) for a file with any type that is not on our list."""
    import skops.io

    try:
        strange = [name for name in skops.io.get_untrusted_types(data=data) if name not in TRUSTED]
    except Exception as error:
        raise invalid("model", f"cannot be read: {str(error)[:300]}") from error
    if strange:
        listed = ", ".join(sorted(strange)[:5])
        raise invalid("model", f"holds types that are not trusted and would run as code: {listed}")
    return skops.io.loads(data, trusted=list(TRUSTED))
