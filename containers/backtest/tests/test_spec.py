"""What a wrong spec is told: the field, and what it must be."""

import json
from pathlib import Path
from typing import Any

import pytest
from berth_backtest.errors import ProgramError
from berth_backtest.grid import make_grid
from berth_backtest.spec.parse import parse_spec

GOOD: dict[str, Any] = {"data": {"dataset": "sample:sp500-20"}, "strategy": {"name": "sma_cross"}}
FILE = {"url": "/tmp/p.csv"}
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]

WRONG: list[tuple[str, Any, str, str]] = [
    ("", None, "", "must be an object, not null"),
    ("", [], "", "must be an object, not a list"),
    ("data", None, "data", "must be an object"),
    ("strategy", "sma_cross", "strategy", "must be an object, not a text"),
    ("extra", 1, "extra", "is not a known field"),
    ("exection", {}, "exection", "did you mean execution?"),
    ("data", {}, "data.dataset", "either"),
    ("data", {"dataset": "sample:indices", "files": [FILE], "adjustment": "none"}, "data.dataset", "either"),
    ("data.dataset", 3, "data.dataset", "must be a text"),
    ("data.dataset", "a\0b", "data.dataset", "NUL"),
    ("data.dataset", "", "data.dataset", "must not be empty"),
    ("data.dataset", "x" * 5000, "data.dataset", "at most 4096"),
    ("data", {"files": [FILE]}, "data.adjustment", "is required for files"),
    ("data", {"files": [], "adjustment": "none"}, "data.files", "must be a list"),
    ("data", {"files": [{}], "adjustment": "none"}, "data.files[0].url", "is required"),
    (
        "data",
        {"files": [{"url": "s3://b/k"}], "adjustment": "none"},
        "data.files[0].url",
        "fetched by the runner",
    ),
    (
        "data",
        {"files": [{"url": "https://example.com/p.csv"}], "adjustment": "none"},
        "data.files[0].url",
        "runner",
    ),
    (
        "data",
        {"files": [{"url": "file://host/p"}], "adjustment": "none"},
        "data.files[0].url",
        "on this machine",
    ),
    ("data", {"files": [{"url": "ftp://x/p"}], "adjustment": "none"}, "data.files[0].url", "must be a path"),
    ("data", {"files": [{**FILE, "sha256": "12"}], "adjustment": "none"}, "data.files[0].sha256", "64"),
    ("data", {"files": [{**FILE, "x": 1}], "adjustment": "none"}, "data.files[0].x", "not a known field"),
    ("data", {"files": [3], "adjustment": "none"}, "data.files[0]", "must be an object"),
    ("data", {"files": [FILE], "adjustment": "yes"}, "data.adjustment", "must be one of none, split, total"),
    (
        "data",
        {"files": [FILE], "adjustment": "none", "timezone": "Mars/X"},
        "data.timezone",
        "must be a zone",
    ),
    ("data.adjustment", "none", "data.adjustment", "belongs to data.files"),
    ("data", {"files": [FILE] * 10_001, "adjustment": "none"}, "data.files", "at most 10000"),
    ("data.symbols", ["A"] * 100_001, "data.symbols", "at most 100000"),
    ("data.symbols", [], "data.symbols", "must be a list"),
    ("data.symbols", ["A", 2], "data.symbols[1]", "must be a text"),
    ("data.symbols", ["A", "A"], "data.symbols[1]", "twice"),
    ("data.start", "2010-02-30", "data.start", "must be a date"),
    ("data.start", "20100101", "data.start", "must be a date"),
    ("data.end", "2010-01-01T00:00:00", "data.end", "with its zone"),
    ("data.end", 2010, "data.end", "must be a text"),
    ("data", {**GOOD["data"], "start": "2011-01-01", "end": "2010-01-01"}, "data.start", "lies after"),
    ("strategy", {}, "strategy.name", "is required"),
    ("strategy.name", "sma_cros", "strategy.name", "did you mean sma_cross"),
    ("strategy.name", "momentum_top", "strategy.name", "must be one of sma_cross"),
    ("strategy", {"source": "x", "class": "X"}, "strategy.source", "line 1: only constants"),
    ("strategy", {"signals": {}}, "strategy.signals.url", "is required"),
    ("strategy", {"signals": {**FILE, "sha256": "12"}}, "strategy.signals.sha256", "64"),
    ("strategy.entry", "now", "strategy.entry", "must be one of cross, level"),
    ("parameters", {"fats": 3}, "parameters.fats", "did you mean fast?"),
    ("parameters", {"fast": 1.5}, "parameters.fast", "whole number"),
    ("parameters", {"fast": 0}, "parameters.fast", "from 1 to"),
    ("parameters", {"fast": True}, "parameters.fast", "must be a number, not a boolean"),
    ("parameters", {"fast": None}, "parameters.fast", "must be a number, not null"),
    ("parameters", {"fast": {"values": []}}, "parameters.fast.values", "must be a list"),
    ("parameters", {"fast": {"values": [3, "4"]}}, "parameters.fast.values[1]", "must be a number"),
    ("parameters", {"fast": {"values": [3, 3]}}, "parameters.fast.values", "holds 3 twice"),
    ("parameters", {"fast": {"values": [3] * 100_001}}, "parameters.fast.values", "at most"),
    ("parameters", {"fast": {"range": [3, 9]}}, "parameters.fast.range", "[from, to, step]"),
    ("parameters", {"fast": {"range": [9, 3, 1]}}, "parameters.fast.range", "from <= to"),
    ("parameters", {"fast": {"range": [3, 9, 0]}}, "parameters.fast.range", "step > 0"),
    ("parameters", {"fast": {"range": [3, 9, 0.5]}}, "parameters.fast.range", "whole number"),
    ("parameters", {"fast": {"range": [1, 1e6, 1]}}, "parameters.fast.range", "at most 100000"),
    ("parameters", {"fast": {"uniform": [1, 2]}}, "parameters.fast.uniform", "needs search.method random"),
    ("parameters", {"fast": {}}, "parameters.fast", "must be a number"),
    ("parameters", {"fast": {"values": [1], "x": 1}}, "parameters.fast.x", "not a known field"),
    ("parameters", {"stop_loss": 1}, "parameters.stop_loss", "below 1"),
    (
        "parameters",
        {"stop_loss": {"values": [0.1, -0.1]}},
        "parameters.stop_loss.values[1]",
        "0 (off) or more",
    ),
    ("parameters", {"take_profit": 1001}, "parameters.take_profit", "at most 1000"),
    (
        "parameters",
        {
            "fast": {"range": [1, 99_999, 1]},
            "slow": {"range": [1, 99_999, 1]},
            "stop_loss": {"range": [0, 0.9, 0.001]},
        },
        "parameters",
        "at most 1000000000000",
    ),
    ("search.method", "random", "search.trials", "is required"),
    ("search.method", "tpe", "search.trials", "is required"),
    ("search.method", "walk", "search.method", "must be one of grid, random, tpe"),
    ("search.trials", 10, "search.trials", "belongs to random"),
    ("search.objective", "sharp", "search.objective", "did you mean sharpe?"),
    ("search.aggregate", "max", "search.aggregate", "must be one of mean, median, min"),
    ("search.min_trades", -1, "search.min_trades", "whole number from 0"),
    ("search.seed", 1.5, "search.seed", "whole number"),
    ("search.seed", 10**400, "search.seed", "finite"),
    ("execution.fill", "vwap", "execution.fill", "must be one of next_open, next_close, close"),
    ("execution.direction", "up", "execution.direction", "must be one of long, short, both"),
    ("execution.sizing", "half", "execution.sizing", "all_in"),
    ("execution.sizing", {}, "execution.sizing", "exactly one"),
    ("execution.sizing", {"fraction": 0.5, "units": 1}, "execution.sizing", "exactly one"),
    ("execution.sizing", {"fraction": 1.5}, "execution.sizing.fraction", "at most 1"),
    ("execution.sizing", {"units": 0}, "execution.sizing.units", "more than 0"),
    ("execution.sizing", {"shares": 1}, "execution.sizing.shares", "not a known field"),
    ("execution.cash", 0, "execution.cash", "more than 0"),
    ("execution.cash", "10", "execution.cash", "must be a number"),
    ("execution.fee_bps", -1, "execution.fee_bps", "at least 0"),
    ("execution.slippage_bps", 10_000, "execution.slippage_bps", "at most 9999"),
    ("execution.lot", 0, "execution.lot", "more than 0"),
    ("execution.fractional", 1, "execution.fractional", "true or false"),
    ("execution.profile", "cn_a", "data.adjustment", "must be none for the profile cn_a"),
    ("execution.profile", "us", "execution.profile", "must be null"),
    ("execution.allow_short", True, "execution.allow_short", "cn_a"),
    ("execution.stop_loss", "x", "execution.stop_loss", "must be a number"),
    ("execution.trailing_stop", 1.0, "execution.trailing_stop", "below 1"),
    ("execution.stop_reference", "open", "execution.stop_reference", "must be one of fill"),
    ("execution.leverage", 2, "execution.leverage", "not a known field"),
    ("portfolio.mode", "both", "portfolio.mode", "must be one of per_symbol, shared"),
    ("portfolio.call_sequence", "any", "portfolio.call_sequence", "must be one of auto, given"),
    ("validation", {"folds": 3}, "validation.folds", "not a known field"),
    ("periods_per_year", 0, "periods_per_year", "more than 0"),
    ("risk_free", -1, "risk_free", "more than -1"),
    ("output.top_k", 1001, "output.top_k", "from 0 to 1000"),
    ("output.metrics", "some", "output.metrics", "must be one of auto, all"),
    ("output.tearsheet", None, "output.tearsheet", "true or false"),
    ("output", DEEP, "output", "must be an object"),
]


def with_field(path: str, value: Any) -> Any:
    if not path:
        return value
    spec = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    place = spec
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return spec


@pytest.mark.parametrize(("field", "value", "path", "text"), WRONG)
def test_a_wrong_spec_names_its_field(field: str, value: Any, path: str, text: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_spec(with_field(field, value))
    assert caught.value.code == "invalid_params"
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert path in found, found
    assert text in found[path]


def test_all_wrong_fields_are_told_at_once() -> None:
    spec = {**GOOD, "risk_free": "x", "output": {"top_k": -1}}
    with pytest.raises(ProgramError) as caught:
        parse_spec(spec)
    assert [problem.path for problem in caught.value.problems] == ["risk_free", "output.top_k"]
    assert str(caught.value) == "risk_free: must be a number, not a text (and 1 more)"


def test_missing_parts_are_required() -> None:
    with pytest.raises(ProgramError) as caught:
        parse_spec({})
    assert {"data", "strategy"} <= {problem.path for problem in caught.value.problems}


def test_what_is_left_out_has_its_default() -> None:
    spec = parse_spec(GOOD)
    assert spec.execution.fee == 0.001
    assert spec.execution.slippage == 0.0005
    assert (spec.search.objective, spec.search.min_trades, spec.output.top_k) == ("sharpe", 1, 10)
    assert [(axis.name, axis.values.tolist()) for axis in spec.axes][:2] == [
        ("fast", [10.0]),
        ("slow", [30.0]),
    ]


def test_nulls_that_mean_a_default_are_taken() -> None:
    data = {**GOOD["data"], "start": None, "end": None}
    spec = {**GOOD, "data": data, "benchmark": None, "periods_per_year": None}
    spec["execution"] = {"profile": None, "fill": None, "stop_loss": None, "take_profit": 0}
    assert parse_spec(spec).data.start is None


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"range": [0.0, 0.3, 0.1]}, [0.0, 0.1, 0.2, 3 * 0.1]),
        ({"range": [0.05, 0.05, 1]}, [0.05]),
        ({"values": [0.2, None, 0.1]}, [0.2, 0.0, 0.1]),
        (None, [0.0]),
    ],
)
def test_parameter_forms(form: Any, values: list[float]) -> None:
    spec = parse_spec({**GOOD, "parameters": {"stop_loss": form}})
    assert next(axis for axis in spec.axes if axis.name == "stop_loss").values.tolist() == values


def test_a_grid_finds_its_sets_again() -> None:
    parameters = {
        "fast": {"values": [2, 5]},
        "slow": {"values": [5, 3, 9]},
        "stop_loss": {"values": [0, 0.1]},
    }
    spec = parse_spec({**GOOD, "parameters": parameters})
    grid = make_grid(spec.axes, spec.strategy.definition, spec.search)
    assert grid.total == 12
    points = grid.valid_from(0, grid.total)
    assert grid.known == len(points) == 8
    assert grid.parameters(int(points[-1])) == {"fast": 5, "slow": 9, "stop_loss": 0.1}


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    data = {"files": [{"url": f"file://{tmp_path}/a%20b.csv"}], "adjustment": "none"}
    assert parse_spec({**GOOD, "data": data}).data.files[0].path == f"{tmp_path}/a b.csv"


@pytest.mark.parametrize(
    ("strategy", "parameters", "text"),
    [
        ("sma_cross", {"fast": 30, "slow": 10}, "parameters.fast: must be less than slow"),
        ("sma_cross", {"fast": 10, "slow": 10}, "parameters.fast: must be less than slow"),
        ("macd", {"fast": 26, "slow": 12}, "parameters.fast: must be less than slow"),
        ("rsi", {"lower": 60}, "parameters.window: needs lower < exit < upper"),
        ("zscore", {"enter": 0.5}, "parameters.window: must be less than enter"),
    ],
)
def test_a_grid_without_a_valid_set_is_refused(
    strategy: str, parameters: dict[str, float], text: str
) -> None:
    spec = parse_spec({**GOOD, "strategy": {"name": strategy}, "parameters": parameters})
    with pytest.raises(ProgramError, match=text.replace(".", r"\.")):
        make_grid(spec.axes, spec.strategy.definition, spec.search)


def test_each_strategy_has_its_own_parameters() -> None:
    spec = {**GOOD, "strategy": {"name": "rsi"}}
    with pytest.raises(ProgramError, match=r"parameters\.fast: is not a known field"):
        parse_spec({**spec, "parameters": {"fast": 3}})
    with pytest.raises(ProgramError, match=r"parameters\.lower: must be from 0 to 100, not 101"):
        parse_spec({**spec, "parameters": {"lower": 101}})
    names = [axis.name for axis in parse_spec(spec).axes]
    assert names == sorted(["exit", "lower", "upper", "window", "stop_loss", "take_profit", "trailing_stop"])
