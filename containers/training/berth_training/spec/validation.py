"""The `validation` part of the spec, and that of a search."""

from berth_backtest.spec.fields import Fields

from berth_training.spec.types import Method, Validation

METHODS: tuple[Method, ...] = ("walk_forward", "expanding", "purged_kfold", "cpcv", "random")
MAX_FOLDS = 100
MAX_DATES = 10_000_000
BELONGS = {
    "test_folds": ("cpcv",),
    "train_dates": ("walk_forward",),
    "test_dates": ("walk_forward", "expanding"),
    "purge": ("walk_forward", "expanding", "purged_kfold", "cpcv"),
    "embargo": ("walk_forward", "expanding", "purged_kfold", "cpcv"),
}


def parse_validation(fields: Fields, folds: int = 5, holdout: bool = True) -> Validation:
    """Returns how to validate; `folds` is the default, `holdout` whether one can be asked for here."""
    method = fields.choice("method", METHODS, "walk_forward")
    for name, methods in BELONGS.items():
        if fields.has(name) and fields.values[name] is not None and method not in methods:
            fields.wrong(name, f"belongs to {', '.join(methods)}, not to {method}")
    count = fields.integer("folds", 6 if method == "cpcv" else folds, 1, MAX_FOLDS)
    if method in ("purged_kfold", "cpcv", "random") and count < 2:
        fields.wrong("folds", f"must be at least 2 for {method}")
    test_folds = fields.integer("test_folds", 2, 1, MAX_FOLDS)
    if method == "cpcv" and test_folds >= count:
        fields.wrong("test_folds", f"must be less than folds ({count}), not {test_folds}")
    found = Validation(
        method=method,
        folds=count,
        test_folds=test_folds if method == "cpcv" else 1,
        train_dates=optional(fields, "train_dates", 1),
        test_dates=optional(fields, "test_dates", 1),
        purge=optional(fields, "purge", 0),
        embargo=optional(fields, "embargo", 0),
        holdout=0.0,
    )
    if holdout and fields.values.get("holdout") is not None:
        found = Validation(**{**vars(found), "holdout": fields.number("holdout", 0.0, least=0.0, most=0.9)})
    elif holdout:
        fields.raw("holdout")
    fields.end()
    return found


def optional(fields: Fields, name: str, least: int) -> int | None:
    if fields.values.get(name) is None:
        fields.raw(name)
        return None
    return fields.integer(name, least, least, MAX_DATES)
