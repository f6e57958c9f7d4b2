"""The `model`, `ensemble` and `preprocess` parts of the spec. Parameters are checked later."""

from berth_backtest.errors import Problem
from berth_backtest.spec.fields import Fields, kind_of

from berth_training.spec.types import Ensemble, Kind, Model, Params, Preprocess

MODELS = (
    "linear",
    "ridge",
    "lasso",
    "logistic",
    "svm",
    "random_forest",
    "gradient_boosting",
    "xgboost",
)
FOR_KIND: dict[Kind, tuple[str, ...]] = {
    "regression": tuple(name for name in MODELS if name != "logistic"),
    "classification": ("logistic", "svm", "random_forest", "gradient_boosting", "xgboost"),
}
METHODS = ("voting", "stacking", "bayesian_average")
MAX_MEMBERS = 20


def parse_model(fields: Fields, kind: Kind) -> Model | None:
    """Returns a model, None after a problem."""
    if not fields.ok:
        return None
    fields.required("name")
    before = len(fields.problems)
    name = fields.choice("name", MODELS, "ridge")
    value = fields.raw("params")
    params: Params = value if isinstance(value, dict) else {}
    if fields.has("params") and not isinstance(value, dict):
        fields.wrong("params", f"must be an object, not {kind_of(value)}")
    fields.end()
    if fields.has("name") and name not in FOR_KIND[kind] and len(fields.problems) == before:
        fields.wrong("name", f"{name} does not do {kind}: use one of {', '.join(FOR_KIND[kind])}")
    return Model(name, params, fields.path)


def parse_ensemble(root: Fields, kind: Kind) -> Ensemble | None:
    if root.values.get("ensemble") is None:
        root.raw("ensemble")
        return None
    fields = root.object("ensemble")
    method = fields.choice("method", METHODS, "voting")
    fields.required("method")
    value = fields.required("members")
    fields.end()
    if not isinstance(value, list) or not 2 <= len(value) <= MAX_MEMBERS:
        given = len(value) if isinstance(value, list) else kind_of(value)
        fields.wrong("members", f"must be a list of 2 to {MAX_MEMBERS} models, not {given}")
        return None
    members = [
        parse_model(Fields(item, f"{fields.at('members')}[{i}]", root.problems), kind)
        for i, item in enumerate(value)
    ]
    found = next(known for known in ("voting", "stacking", "bayesian_average") if known == method)
    return Ensemble(found, tuple(model for model in members if model is not None))


def parse_preprocess(root: Fields) -> Preprocess:
    fields = root.object("preprocess")
    impute = fields.raw("impute")
    scale = fields.raw("scale")
    for name, value, known in (
        ("impute", impute, ("median", "mean", "zero")),
        ("scale", scale, ("standard", "robust", "none")),
    ):
        if value is not None and value not in known:
            fields.choice(name, known, known[0])
    winsorize = 0.0
    if fields.values.get("winsorize") is not None:
        winsorize = fields.number("winsorize", 0.0, least=0.0, below=0.5)
    else:
        fields.raw("winsorize")
    fields.end()
    return Preprocess(
        impute=next((word for word in ("median", "mean", "zero") if word == impute), None),
        scale=next((word for word in ("standard", "robust", "none") if word == scale), None),
        winsorize=winsorize,
    )


def one_of_both(root: Fields, model: Model | None, ensemble: Ensemble | None) -> None:
    """A spec has a model or an ensemble."""
    if root.values.get("model") is None and ensemble is None and not root.problems:
        root.problems.append(Problem("model", "is required, or an ensemble"))
    if model is not None and ensemble is not None:
        root.wrong("ensemble", "give either model or ensemble: its members are models")
