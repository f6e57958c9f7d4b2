"""Spec JSON to `Spec`: what is wrong with it is told at once, each field by its path."""

from berth_backtest.errors import Problem, invalid_all
from berth_backtest.spec.data import parse_data
from berth_backtest.spec.fields import Fields
from berth_backtest.spec.types import DataSpec

from berth_training.spec.features import parse_features
from berth_training.spec.models import one_of_both, parse_ensemble, parse_model, parse_preprocess
from berth_training.spec.search import MAX_SEED, OBJECTIVES, parse_search
from berth_training.spec.table import parse_table, parse_target
from berth_training.spec.types import Column, Kind, Output, Search, Spec, Target
from berth_training.spec.validation import parse_validation


def parse_spec(value: object) -> Spec:
    """Returns the parsed spec; raises one ProgramError that lists every wrong field."""
    problems: list[Problem] = []
    root = Fields(value, "", problems)
    table = parse_table(root)
    by_table = root.values.get("table") is not None
    data: DataSpec | None = None
    features: tuple[Column, ...] = ()
    target: Target | None = None
    for name in ("data", "features", "target"):
        given = root.values.get(name) is not None
        if by_table and given:
            root.wrong(name, "belongs to prices: give either it or a table")
            root.raw(name)
        elif not by_table and not given and root.ok:
            root.wrong(name, "is required, or a table")
    if by_table:
        root.known += ("data", "features", "target")
    else:
        # A part that is missing was told above.
        data = parse_data(root.object("data")) if root.values.get("data") is not None else None
        features = parse_features(root) if root.values.get("features") is not None else ()
        target = parse_target(root) if root.values.get("target") is not None else None
        root.known += ("data", "features", "target")
    source = table or target
    kind: Kind = source.kind if source is not None else "regression"
    seed = root.integer("seed", 1, 0, MAX_SEED)
    has_model = root.values.get("model") is not None
    model = parse_model(root.object("model"), kind) if has_model else None
    root.known.append("model")
    ensemble = parse_ensemble(root, kind)
    one_of_both(root, model, ensemble)
    preprocess = parse_preprocess(root)
    validation = parse_validation(root.object("validation"))
    search = parse_search(root, kind, seed)
    check_search(root, search, ensemble is not None, validation.holdout)
    horizon = (table.horizon if table else None) or (target.horizon if target else None)
    check_purge(problems, horizon, validation.purge, "validation.purge")
    if search is not None:
        check_purge(problems, horizon, search.validation.purge, "search.validation.purge")
    output = parse_output(root.object("output"))
    tracking = parse_tracking(root)
    root.end()
    if problems:
        raise invalid_all(problems)
    spec = Spec(
        data, features, target, table, preprocess, model, ensemble, search, validation, seed, output, tracking
    )
    return Spec(**{**vars(spec), "effective": effective_spec(root.values, spec)})


def check_search(root: Fields, search: Search | None, is_ensemble: bool, holdout: float) -> None:
    if search is None:
        return
    if is_ensemble:
        root.wrong("search", "belongs to one model: the members of an ensemble have their params")
    if not search.nested and holdout == 0.0:
        text = "false needs validation.holdout: without it every row that is reported was searched on"
        root.problems.append(Problem("search.nested", text))


def check_purge(problems: list[Problem], horizon: int | None, purge: int | None, path: str) -> None:
    """A label that reaches into the test is not honest: the least purge is the horizon."""
    if horizon is not None and purge is not None and purge < horizon:
        text = f"must be at least the horizon ({horizon}): labels of the train would reach into the test"
        problems.append(Problem(path, f"{text}, not {purge}"))


def parse_output(fields: Fields) -> Output:
    output = Output(
        importance=fields.flag("importance", True),
        permutation=fields.flag("permutation", False),
        curves=fields.flag("curves", False),
        plots=fields.flag("plots", True),
        leakage_check=fields.flag("leakage_check", True),
    )
    fields.end()
    return output


def parse_tracking(root: Fields) -> dict[str, str]:
    """Returns what MLflow calls the run; the server is the operator's: BERTH_MLFLOW_URI."""
    if root.values.get("tracking") is None:
        root.raw("tracking")
        return {}
    fields = root.object("tracking")
    found = {name: fields.text(name) for name in ("experiment", "run_name") if fields.has(name)}
    fields.known += ("experiment", "run_name")
    fields.end()
    return found


def effective_spec(given: dict[str, object], spec: Spec) -> dict[str, object]:
    """Returns the spec as it was understood; what the data decides follows later."""
    target: dict[str, object] | None = None
    if spec.target is not None:
        target = {"name": "forward_return", **vars(spec.target)}
    search: dict[str, object] | None = None
    if spec.search is not None:
        words = given.get("search")
        space = words.get("space") if isinstance(words, dict) else None
        inner = {k: v for k, v in vars(spec.search.validation).items() if k != "holdout"}
        search = dict(vars(spec.search)) | {
            "space": space,
            "objective": spec.search.objective or OBJECTIVES[spec.kind][0],
            "validation": inner,
        }
    rows = given.get("table")
    table = dict(rows) | {"kind": spec.kind} if isinstance(rows, dict) else None
    return {
        "data": given.get("data"),
        "features": given.get("features"),
        "target": target,
        "table": table,
        "preprocess": vars(spec.preprocess),
        "model": None if spec.model is None else {"name": spec.model.name, "params": spec.model.params},
        "ensemble": given.get("ensemble"),
        "search": search,
        "validation": vars(spec.validation),
        "seed": spec.seed,
        "output": vars(spec.output),
        "tracking": spec.tracking or None,
    }
