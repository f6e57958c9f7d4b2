"""The `search` part of the spec."""

import math

from berth_backtest.errors import Problem
from berth_backtest.spec.fields import Fields, check_number, kind_of, shown

from berth_training.spec.types import Axis, Kind, Search, SearchMethod
from berth_training.spec.validation import parse_validation

MAX_TRIALS = 100_000
MAX_VALUES = 10_000
MAX_SEED = 2**32 - 1  # what the libraries take
INNER_FOLDS = 3
FORMS = ("values", "uniform", "log_uniform", "int_uniform")
OBJECTIVES: dict[Kind, tuple[str, ...]] = {
    "regression": ("rmse", "mae", "r2", "ic", "rank_ic", "icir"),
    "classification": ("log_loss", "accuracy", "auc", "f1"),
}
METHODS: tuple[SearchMethod, ...] = ("tpe", "random", "grid")


def parse_search(root: Fields, kind: Kind, seed: int) -> Search | None:
    if root.values.get("search") is None:
        root.raw("search")
        return None
    fields = root.object("search")
    method = fields.choice("method", METHODS, "tpe")
    space = parse_space(fields, method)
    if method == "grid" and fields.has("trials"):
        fields.wrong("trials", "belongs to random and tpe: a grid runs every set, leave it out")
    trials = fields.integer("trials", 30, 1, MAX_TRIALS)
    if method == "grid":
        trials = math.prod(len(axis.values) for axis in space)
        if trials > MAX_TRIALS:
            fields.wrong("space", f"makes {trials} sets; at most {MAX_TRIALS} are run in one job")
    objective = fields.raw("objective")
    if objective is not None and objective not in OBJECTIVES[kind]:
        fields.choice("objective", OBJECTIVES[kind], OBJECTIVES[kind][0])
    search = Search(
        method=method,
        trials=trials,
        space=space,
        objective=objective if isinstance(objective, str) else None,
        pruner="none" if fields.choice("pruner", ("median", "none"), "median") == "none" else "median",
        nested=fields.flag("nested", True),
        validation=parse_validation(fields.object("validation"), INNER_FOLDS, holdout=False),
        seed=fields.integer("seed", seed, 0, MAX_SEED),
    )
    if search.validation.method == "cpcv":
        fields.problems.append(
            Problem("search.validation.method", "cpcv has several scores a date: use purged_kfold")
        )
    fields.end()
    return search


def parse_space(fields: Fields, method: SearchMethod) -> tuple[Axis, ...]:
    """Returns the axes in alphabetical order."""
    value = fields.required("space")
    if not isinstance(value, dict) or not value:
        if fields.has("space"):
            fields.wrong("space", 'must be an object such as {"max_depth": {"int_uniform": [3, 10]}}')
        return ()
    axes = []
    for name in sorted(value):
        axis = parse_axis(str(name)[:100], value[name], fields)
        if axis is not None and method == "grid" and axis.form != "values":
            fields.problems.append(
                Problem(f"search.space.{axis.name}", f"{axis.form} needs search.method random or tpe")
            )
        if axis is not None:
            axes.append(axis)
    return tuple(axes)


def parse_axis(name: str, value: object, fields: Fields) -> Axis | None:
    path = f"search.space.{name}"
    form = Fields(value, path, fields.problems)
    given = [key for key in FORMS if form.has(key)]
    form.known += FORMS
    before = len(fields.problems)
    form.end()
    if not form.ok or len(fields.problems) > before:
        return None
    if len(given) != 1:
        fields.problems.append(Problem(path, f"must have exactly one of {', '.join(FORMS)}"))
        return None
    items = form.values[given[0]]
    if given[0] == "values":
        return values_axis(name, items, form)
    if not isinstance(items, list) or len(items) != 2:
        form.wrong(given[0], f"must be [from, to], not {shown(items)}")
        return None
    low, high = (check_number(item, form.at(given[0]), fields.problems) for item in items)
    if low is None or high is None:
        return None
    whole = given[0] == "int_uniform"
    if low > high or (given[0] == "log_uniform" and low <= 0) or (whole and (low % 1 or high % 1)):
        extra = {"log_uniform": " and from above 0", "int_uniform": ", both whole numbers"}.get(given[0], "")
        form.wrong(given[0], f"must be [from, to] with from <= to{extra}")
        return None
    known = next(known for known in ("uniform", "log_uniform", "int_uniform") if known == given[0])
    return Axis(name, known, (), low, high)


def values_axis(name: str, items: object, form: Fields) -> Axis | None:
    if not isinstance(items, list) or not 0 < len(items) <= MAX_VALUES:
        form.wrong("values", f"must be a list of 1 to {MAX_VALUES} values, not {kind_of(items)}")
        return None
    for item in items:
        if not (item is None or isinstance(item, bool | int | float | str)):
            form.wrong("values", f"must hold numbers, texts, true, false or null, not {kind_of(item)}")
            return None
    seen = {(type(item).__name__, item) for item in items}
    if len(seen) < len(items):
        form.wrong("values", "holds a value twice")
        return None
    return Axis(name, "values", tuple(items))
