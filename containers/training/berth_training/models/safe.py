"""Models as files that hold no code: XGBoost's own format, and skops with a fixed list of types."""

from typing import Any

from berth_backtest.errors import invalid

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
    """Returns a scikit-learn model as skops bytes."""
    import skops.io

    data: bytes = skops.io.dumps(estimator)
    return data


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
