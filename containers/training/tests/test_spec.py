"""What is wrong with a spec is told with its field, all of it at once, with what was meant."""

from pathlib import Path
from typing import Any

import pytest
from berth_backtest.errors import ProgramError
from berth_training.models.params import check_names, check_values
from berth_training.spec.parse import parse_spec

PRICES: dict[str, Any] = {
    "data": {"dataset": "sample:sp500-20"},
    "features": [{"name": "ret", "lags": [1]}],
    "target": {"name": "forward_return", "horizon": 5},
    "model": {"name": "ridge"},
}
TABLE = {"url": "t.csv", "target": "y", "time": "date", "horizon": 1}
SPACE = {"space": {"alpha": {"uniform": [0, 1]}}}


def problems(spec: object) -> dict[str, str]:
    with pytest.raises(ProgramError) as error:
        parse_spec(spec)
    assert error.value.code == "invalid_params"
    return {problem.path: problem.message for problem in error.value.problems}


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        ({"featurs": []}, "featurs", "did you mean features"),
        ({"features": []}, "features", "must be a list such as"),
        ({"features": [{"name": "rsii", "window": 3}]}, "features[0].name", "did you mean rsi"),
        ({"features": [{"name": "rsi"}]}, "features[0].window", "is required"),
        ({"features": [{"name": "rsi", "window": 2.5}]}, "features[0].window", "whole number"),
        ({"features": [{"name": "rsi", "window": 3, "windw": 1}]}, "features[0].windw", "window"),
        ({"features": [{"name": "ret", "lags": [0]}]}, "features[0].lags[0]", "would be the future"),
        ({"features": [{"name": "ret", "lags": [-1]}]}, "features[0].lags[0]", "would be the future"),
        ({"features": [{"name": "ret"}]}, "features[0].lags", "is required"),
        ({"features": [{"name": "ret", "lags": 3}]}, "features[0].lags", "must be a list"),
        ({"features": [{"name": "ret", "lags": [1, 1]}]}, "features[0]", "ret_1 a second time"),
        ({"features": [{"name": "volatility"}]}, "features[0].window", "is required"),
        ({"features": [{"name": "lag", "column": "clos", "lags": [1]}]}, "features[0].column", "close"),
        ({"features": [{"name": "calendar", "parts": []}]}, "features[0].parts", "must be a list"),
        ({"features": [{"name": "calendar", "parts": ["moon"]}]}, "features[0].parts[0]", "weekday"),
        ({"features": [{"name": "rank", "of": 3}]}, "features[0].of", "must be an object"),
        ({"features": [{"name": "rank", "of": {"name": "rank"}}]}, "features[0].of.name", "cannot be ranked"),
        ({"features": [{"name": 7}]}, "features[0].name", "must be one of"),
        ({"features": ["rsi"]}, "features[0]", "must be an object"),
        ({"target": {"name": "future"}}, "target.name", "forward_return, sign"),
        ({"target": {"name": "sign", "kind": "regression"}}, "target.kind", "sign is a class"),
        ({"target": {"name": "sign", "horizon": 0}}, "target.horizon", "whole number from 1"),
        ({"target": {"name": "sign", "entry": "open"}}, "target.entry", "next_open, close"),
        ({"target": None}, "target", "is required, or a table"),
        ({"model": None}, "model", "is required, or an ensemble"),
        ({"model": {"name": "xgbost"}}, "model.name", "did you mean xgboost"),
        ({"model": {"name": "logistic"}}, "model.name", "logistic does not do regression"),
        ({"model": {"name": "ridge", "params": []}}, "model.params", "must be an object"),
        ({"model": "ridge"}, "model", "must be an object"),
        ({"ensemble": {"method": "voting", "members": []}}, "ensemble.members", "2 to 20 models"),
        ({"ensemble": {"method": "vote", "members": []}}, "ensemble.method", "voting"),
        ({"preprocess": {"scale": "minmax"}}, "preprocess.scale", "standard, robust, none"),
        ({"preprocess": {"winsorize": 0.5}}, "preprocess.winsorize", "less than 0.5"),
        ({"validation": {"method": "kfold"}}, "validation.method", "purged_kfold"),
        ({"validation": {"method": "purged_kfold", "folds": 1}}, "validation.folds", "at least 2"),
        ({"validation": {"method": "cpcv", "folds": 3, "test_folds": 3}}, "validation.test_folds", "less"),
        ({"validation": {"method": "expanding", "train_dates": 9}}, "validation.train_dates", "walk_forward"),
        ({"validation": {"method": "random", "purge": 9}}, "validation.purge", "not to random"),
        ({"validation": {"purge": 4}}, "validation.purge", "at least the horizon (5)"),
        ({"validation": {"holdout": 0.95}}, "validation.holdout", "at most 0.9"),
        ({"search": {}}, "search.space", "is required"),
        ({"search": {"space": {}}}, "search.space", "must be an object"),
        ({"search": {"space": {"alpha": 3}}}, "search.space.alpha", "must be an object"),
        ({"search": {"space": {"alpha": {}}}}, "search.space.alpha", "exactly one of"),
        ({"search": {"space": {"alpha": {"uniform": [1]}}}}, "search.space.alpha.uniform", "[from, to]"),
        ({"search": {"space": {"alpha": {"uniform": [2, 1]}}}}, "search.space.alpha.uniform", "from <= to"),
        (
            {"search": {"space": {"alpha": {"log_uniform": [0, 1]}}}},
            "search.space.alpha.log_uniform",
            "above 0",
        ),
        ({"search": {"space": {"alpha": {"values": []}}}}, "search.space.alpha.values", "must be a list"),
        ({"search": {"space": {"alpha": {"values": [[1]]}}}}, "search.space.alpha.values", "must hold"),
        ({"search": {"space": {"alpha": {"values": [1, 1]}}}}, "search.space.alpha.values", "twice"),
        ({"search": {"method": "grid", **SPACE}}, "search.space.alpha", "needs search.method"),
        ({"search": {"method": "grid", "trials": 3, **SPACE}}, "search.trials", "leave it out"),
        ({"search": {"objective": "auc", **SPACE}}, "search.objective", "rmse"),
        ({"search": {"nested": False, **SPACE}}, "search.nested", "needs validation.holdout"),
        ({"search": {"validation": {"purge": 1}, **SPACE}}, "search.validation.purge", "horizon (5)"),
        ({"search": {"validation": {"method": "cpcv"}, **SPACE}}, "search.validation.method", "purged_kfold"),
        ({"output": {"plot": True}}, "output.plot", "did you mean plots"),
        ({"seed": -1}, "seed", "whole number from 0"),
        ({"tracking": {"uri": "x"}}, "tracking.uri", "not a known field"),
        ({"table": TABLE}, "data", "give either it or a table"),
    ],
)
def test_a_wrong_field_is_named(more: dict[str, Any], path: str, message: str) -> None:
    found = problems({name: value for name, value in {**PRICES, **more}.items() if value is not None})
    assert path in found, found
    assert message in found[path]


@pytest.mark.parametrize(
    ("table", "path", "message"),
    [
        ({"horizon": None}, "table.horizon", "give either horizon"),
        ({"label_end": "end"}, "table.horizon", "give either horizon"),
        ({"sha256": "12"}, "table.sha256", "64 hexadecimal"),
        ({"features": "f"}, "table.features", "list of column names"),
        ({"features": ["f", "f"]}, "table.features[1]", "twice"),
        ({"kind": "ranking"}, "table.kind", "regression, classification"),
        ({"target": None}, "table.target", "must be a text"),
        ({"url": "ftp://x/y.csv"}, "table.url", "must be a path"),
    ],
)
def test_a_wrong_table_is_named(table: dict[str, Any], path: str, message: str) -> None:
    found = problems({"table": {**TABLE, **table}, "model": {"name": "ridge"}})
    assert message in found[path]


def test_all_problems_come_at_once_and_nothing_is_no_object() -> None:
    assert len(problems({**PRICES, "seed": "x", "modle": 1, "target": {"name": "sign", "horizon": -1}})) >= 3
    assert problems([])[""] == "must be an object, not a list"
    ensemble = {"method": "voting", "members": [{"name": "ridge"}, {"name": "lasso"}]}
    assert "either model or ensemble" in problems({**PRICES, "ensemble": ensemble})["ensemble"]
    searched = {name: value for name, value in PRICES.items() if name != "model"}
    found = problems({**searched, "ensemble": ensemble, "search": SPACE})
    assert "belongs to one model" in found["search"]


@pytest.mark.parametrize(
    ("model", "path", "message"),
    [
        ({"name": "xgboost", "params": {"max_dept": 3}}, "model.params.max_dept", "did you mean max_depth"),
        ({"name": "xgboost", "params": {"eta": 3}}, "model.params.eta", "did you mean learning_rate"),
        ({"name": "xgboost", "params": {"seed": 3}}, "model.params.seed", "the spec's seed sets it"),
        ({"name": "ridge", "params": {"random_state": 3}}, "model.params.random_state", "cannot be set"),
        ({"name": "ridge", "params": {"alpha": -1}}, "model.params", "alpha"),
        ({"name": "xgboost", "params": {"max_depth": -3}}, "model.params", "max_depth"),
        ({"name": "xgboost", "params": {"max_depth": "deep"}}, "model.params", "max_depth"),
        ({"name": "random_forest", "params": {"criterion": "x"}}, "model.params", "criterion"),
        ({"name": "xgboost", "params": {"early_stopping_rounds": 0}}, "model.params", "from 1"),
    ],
)
def test_parameters_are_checked_against_the_library(model: dict[str, Any], path: str, message: str) -> None:
    spec = parse_spec({**PRICES, "model": model})

    def check() -> None:
        check_names(spec)
        check_values(spec, 3)

    with pytest.raises(ProgramError) as error:
        check()
    found = {problem.path: problem.message for problem in error.value.problems}
    assert message in found[path], found


def test_a_searched_parameter_is_checked_at_the_ends_of_its_range() -> None:
    space = {"alpha": {"values": [1.0, -1.0]}}
    with pytest.raises(ProgramError, match=r"search\.space\.alpha"):
        check_values(parse_spec({**PRICES, "search": {"space": space}}), 3)
    with pytest.raises(ProgramError, match="is no parameter of ridge; did you mean alpha"):
        check_names(parse_spec({**PRICES, "search": {"space": {"alphaa": {"values": [1]}}}}))


def test_the_example_of_the_contract_is_understood() -> None:
    spec = parse_spec(
        {
            "data": {"dataset": "sample:sp500-20"},
            "features": [
                {"name": "ret", "lags": [1, 2, 5, 10]},
                {"name": "rsi", "window": 14},
                {"name": "zscore", "window": 20},
            ],
            "target": {"name": "forward_return", "horizon": 5, "kind": "regression"},
            "table": None,
            "preprocess": {},
            "model": {"name": "xgboost", "params": {"n_estimators": 200, "max_depth": 6}},
            "ensemble": None,
            "search": {
                "method": "tpe",
                "trials": 30,
                "space": {"max_depth": {"int_uniform": [3, 10]}},
                "objective": "rmse",
                "pruner": "median",
                "seed": 1,
            },
            "validation": {"method": "walk_forward", "folds": 5, "purge": 5, "embargo": 0},
            "seed": 1,
            "output": {"importance": True, "plots": True},
        }
    )
    names = [column.name for column in spec.features]
    assert names == ["ret_1", "ret_2", "ret_5", "ret_10", "rsi_14", "zscore_20"]
    assert spec.search is not None
    assert spec.search.nested
    check_names(spec)
    check_values(spec, len(spec.features))


def test_a_file_url_is_a_path() -> None:
    spec = parse_spec({"table": {**TABLE, "url": "file:///data/t.csv"}, "model": {"name": "ridge"}})
    assert spec.table is not None
    assert spec.table.file.path == str(Path("/data/t.csv"))
