"""The models by name: their library class, and what they need around them."""

from dataclasses import dataclass
from typing import Any, Literal

from berth_training.spec.types import Kind


@dataclass(frozen=True)
class Entry:
    """Where a model comes from. `rounds` is the parameter that counts trees, for models trained in blocks."""

    module: str
    classes: dict[Kind, str]
    takes_missing: bool
    scaled: bool
    file: Literal["model.skops", "model.ubj"] = "model.skops"
    rounds: str | None = None
    reserved: tuple[str, ...] = ()
    usual: dict[str, Any] | None = None


# What belongs to the job and not to the model: seeds, threads, and what would end or print on its own.
SEED = ("random_state",)
TREES = ("random_state", "n_jobs", "warm_start", "verbose")

CATALOGUE: dict[str, Entry] = {
    "linear": Entry(
        "sklearn.linear_model", {"regression": "LinearRegression"}, False, True, reserved=("n_jobs",)
    ),
    "ridge": Entry("sklearn.linear_model", {"regression": "Ridge"}, False, True, reserved=SEED),
    "lasso": Entry(
        "sklearn.linear_model", {"regression": "Lasso"}, False, True, reserved=(*SEED, "warm_start")
    ),
    "logistic": Entry(
        "sklearn.linear_model",
        {"classification": "LogisticRegression"},
        False,
        True,
        reserved=(*TREES, "multi_class"),
        usual={"max_iter": 1_000},
    ),
    "svm": Entry(
        "sklearn.svm",
        {"regression": "SVR", "classification": "SVC"},
        False,
        True,
        reserved=(*SEED, "verbose", "probability"),
    ),
    "random_forest": Entry(
        "sklearn.ensemble",
        {"regression": "RandomForestRegressor", "classification": "RandomForestClassifier"},
        True,
        False,
        rounds="n_estimators",
        reserved=TREES,
    ),
    "gradient_boosting": Entry(
        "sklearn.ensemble",
        {"regression": "HistGradientBoostingRegressor", "classification": "HistGradientBoostingClassifier"},
        True,
        False,
        rounds="max_iter",
        reserved=("random_state", "warm_start", "verbose", "validation_fraction", "categorical_features"),
        usual={"early_stopping": False},
    ),
    "xgboost": Entry(
        "xgboost",
        {"regression": "XGBRegressor", "classification": "XGBClassifier"},
        True,
        False,
        file="model.ubj",
        rounds="n_estimators",
        reserved=(*TREES, "seed", "nthread", "verbosity", "callbacks", "enable_categorical", "feature_types"),
        usual={"n_estimators": 100, "tree_method": "hist"},
    ),
}
