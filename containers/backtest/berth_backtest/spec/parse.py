"""Spec JSON to `Spec`: every default, range and refusal of a backtest's parameters in one place."""

from berth_backtest.errors import Problem, invalid_all
from berth_backtest.kernel.layout import TARGETS
from berth_backtest.metrics import NAMES as METRIC_NAMES
from berth_backtest.spec.axes import parse_axes
from berth_backtest.spec.data import parse_data
from berth_backtest.spec.execution import parse_execution
from berth_backtest.spec.fields import Fields, kind_of, near, shown
from berth_backtest.spec.predictions import check_top_k, parse_file, parse_predictions
from berth_backtest.spec.types import (
    Aggregate,
    BenchmarkSpec,
    Output,
    Portfolio,
    Search,
    Spec,
    Strategy,
    Validation,
)
from berth_backtest.strategies.builtin import BUILT_IN, IN_SOURCE, NAMES
from berth_backtest.strategies.definition import Definition

MAX_TOP_K = 1_000  # each rank adds a whole equity curve per symbol to the files
MAX_TRIALS = 1_000_000  # every one is kept and written
MAX_TPE_TRIALS = 5_000  # each looks at all before it: two minutes of drawing, growing with the square
BATCH = 64  # trials of tpe: as many sets as run side by side over a symbol
MAX_BATCH = 1_024
MAX_SEED = 2**53  # beyond it JSON readers disagree about a number's value
AGGREGATES: tuple[Aggregate, ...] = ("mean", "median", "min")
MAX_REBALANCE = 100_000  # bars
CALENDARS = ("weekly", "monthly")
MAX_FOLDS = 1_000  # each runs the whole space
MAX_BARS = 100_000_000


def parse_spec(value: object) -> Spec:
    """Returns the parsed spec; raises one ProgramError that lists every wrong field."""
    problems: list[Problem] = []
    root = Fields(value, "", problems)
    for name in ("data", "strategy"):
        if root.ok and not root.has(name):
            root.wrong(name, "is required")
    data = parse_data(root.object("data"))
    strategy = parse_strategy(root.object("strategy"))
    execution, stops = parse_execution(root.object("execution"))
    parameters = root.object("parameters")
    trials = trials_of(root.values.get("search"))
    axes = parse_axes(parameters, strategy.definition, stops, trials) if strategy else ()
    if execution.profile == "cn_a" and (data.adjustment != "none" or data.dataset):
        path = "data.adjustment" if root.values.get("data") else "data"
        problems.append(Problem(path, "must be none for the profile cn_a: limits are of prices as traded"))
    portfolio = parse_portfolio(root.object("portfolio"))
    if strategy and strategy.rebalance is not None and portfolio.mode != "shared":
        problems.append(
            Problem("portfolio.mode", 'must be "shared": weights spread one purse over the symbols')
        )
    check_top_k(strategy, portfolio, problems)
    search = parse_search(root.object("search"))
    validation = parse_validation(root.object("validation"))
    if validation is not None and search.method == "tpe":
        text = "tpe is not run in walk_forward: use random, whose sets are the same in every fold"
        problems.append(Problem("search.method", text))
    benchmark = parse_benchmark(root)
    periods = parse_periods(root)
    risk_free = root.number("risk_free", 0.0, above=-1.0, most=10.0)
    output = parse_output(root.object("output"))
    root.end()
    if problems or strategy is None:
        raise invalid_all(problems)
    effective = effective_spec(
        root.values, strategy, search, output, execution_json(root, stops), portfolio, risk_free, validation
    )
    return Spec(
        data,
        strategy,
        axes,
        search,
        execution,
        portfolio,
        periods,
        risk_free,
        output,
        benchmark,
        validation,
        effective,
    )


def parse_strategy(fields: Fields) -> Strategy | None:
    """Returns the strategy, None after a problem: then its parameters are not known."""
    if fields.has("signals"):
        return parse_signals(fields)
    if fields.has("predictions"):
        return parse_predictions(fields)
    if fields.has("source"):
        return parse_source(fields)
    for part, owner in (("class", "source"), ("rule", "predictions"), ("every", "predictions")):
        if fields.has(part):
            fields.raw(part)
            fields.wrong(part, f"belongs to strategy.{owner}")
            return None
    name = fields.required("name")
    if isinstance(name, str) and name in IN_SOURCE:
        return parse_in_source(name, fields)
    entry = fields.choice("entry", ("cross", "level"), "cross")
    fields.end()
    if not isinstance(name, str) or name not in BUILT_IN:
        if fields.has("name"):
            fields.wrong("name", f"must be one of {', '.join(NAMES)}, not {shown(name)}{near(name, NAMES)}")
        return None
    return Strategy(BUILT_IN[name], "level" if entry == "level" else "cross")


def parse_in_source(name: str, fields: Fields) -> Strategy:
    """Returns a built-in strategy that is written as users write theirs."""
    from berth_backtest.user.declare import read_source
    from berth_backtest.user.strategy import definition_of

    source = read_source(IN_SOURCE[name], name)
    every = fields.raw("rebalance")
    whole = isinstance(every, int) and not isinstance(every, bool) and 1 <= every <= MAX_REBALANCE
    if fields.has("rebalance") and not whole and every not in CALENDARS:
        fields.wrong("rebalance", f'must be a number of bars, "weekly" or "monthly", not {shown(every)}')
    fields.end()
    chosen = every if isinstance(every, int | str) else source.rebalance
    return Strategy(definition_of(source), "cross", rebalance=chosen)


def parse_source(fields: Fields) -> Strategy | None:
    """Returns the strategy of a user's source, None after a problem."""
    text, name = fields.raw("source"), fields.required("class")
    before = len(fields.problems)
    fields.end()
    if not isinstance(text, str):
        fields.wrong("source", f"must be a text of Python, not {kind_of(text)}")
    if fields.has("class") and (not isinstance(name, str) or not name.isidentifier()):
        fields.wrong("class", f"must be the name of a class in the source, not {shown(name)}")
    if len(fields.problems) > before or not isinstance(text, str) or not isinstance(name, str):
        return None
    # Imported late: its list of indicators comes with the compiler.
    from berth_backtest.user.declare import read_source
    from berth_backtest.user.strategy import definition_of
    from berth_backtest.user.subset import Refused

    try:
        source = read_source(text, name)
        return Strategy(definition_of(source), "cross", rebalance=source.rebalance)
    except Refused as error:
        fields.wrong("source", str(error))
        return None


def parse_signals(fields: Fields) -> Strategy:
    """Returns the strategy of a file that states wanted fractions."""
    file = fields.object("signals")
    found = parse_file(file)
    file.end()
    fields.end()
    return Strategy(Definition("signals", move_kind=TARGETS), "cross", found)


def parse_search(fields: Fields) -> Search:
    method = fields.choice("method", ("grid", "random", "tpe"), "grid")
    trials = batch = None
    if method == "grid" and fields.has("trials"):
        fields.raw("trials")
        fields.wrong("trials", "belongs to random and tpe: a grid runs every set, leave it out")
    elif method != "grid":
        fields.required("trials")
        trials = fields.integer("trials", 1, 1, MAX_TRIALS if method == "random" else MAX_TPE_TRIALS)
    if method == "tpe":
        batch = fields.integer("batch", BATCH, 1, MAX_BATCH)
    elif fields.has("batch"):
        fields.raw("batch")
        fields.wrong("batch", "belongs to tpe: the other methods know all sets from the start")
    search = Search(
        objective=fields.choice("objective", METRIC_NAMES, "sharpe"),
        aggregate=fields.choice("aggregate", AGGREGATES, "mean"),
        min_trades=fields.integer("min_trades", 1, 0, 1_000_000_000),
        seed=fields.integer("seed", 1, 0, MAX_SEED),
        prior_trials=fields.integer("prior_trials", 0, 0, 1_000_000_000),
        trials=trials,
        batch=batch,
    )
    fields.end()
    return search


def trials_of(given: object) -> int | None:
    """Returns the trials of random and tpe, None of a grid; what is wrong with them is told elsewhere."""
    if not isinstance(given, dict) or given.get("method") not in ("random", "tpe"):
        return None
    trials = given.get("trials")
    return trials if isinstance(trials, int) else 1


def search_json(search: Search) -> dict[str, object]:
    given = {name: x for name, x in vars(search).items() if x is not None}
    return {"method": search.method, **given}


def parse_portfolio(fields: Fields) -> Portfolio:
    mode = fields.choice("mode", ("per_symbol", "shared"), "per_symbol")
    sequence = fields.choice("call_sequence", ("auto", "given"), "auto")
    fields.end()
    return Portfolio(
        "shared" if mode == "shared" else "per_symbol", "given" if sequence == "given" else "auto"
    )


def parse_validation(fields: Fields) -> Validation | None:
    """Returns how the search is validated, None: not at all."""
    method = fields.choice("method", ("none", "walk_forward"), "none")
    if method == "none":
        fields.end()
        return None
    found = Validation(
        folds=fields.integer("folds", 5, 1, MAX_FOLDS),
        train_bars=bars_of(fields, "train_bars"),
        test_bars=bars_of(fields, "test_bars"),
        anchored=fields.flag("anchored", False),
        purge=fields.integer("purge", 0, 0, MAX_BARS),
    )
    if found.anchored and found.train_bars is not None:
        fields.wrong("train_bars", "cannot be with anchored: such a train begins at the first date")
    fields.end()
    return found


def bars_of(fields: Fields, name: str) -> int | None:
    """Returns a number of dates, None where it is left out or null."""
    if fields.values.get(name) is None:
        fields.raw(name)
        return None
    return fields.integer(name, 1, 1, MAX_BARS)


def validation_json(validation: Validation | None) -> dict[str, object]:
    return {"method": "none"} if validation is None else {"method": "walk_forward", **vars(validation)}


def parse_benchmark(root: Fields) -> BenchmarkSpec | None:
    """Returns what the best set is compared with, None: nothing, or a problem."""
    value = root.raw("benchmark")
    if value is None:
        return None
    if value == "equal_weight":
        return BenchmarkSpec()
    if not isinstance(value, dict):
        forms = 'null, "equal_weight", {"symbol"} or {"url", "sha256"}'
        root.wrong("benchmark", f"must be {forms}, not {shown(value)}")
        return None
    fields = Fields(value, "benchmark", root.problems)
    if fields.has("symbol") == fields.has("url"):
        root.wrong("benchmark", "give either benchmark.symbol or benchmark.url")
        return None
    found = BenchmarkSpec(symbol=fields.text("symbol")) if fields.has("symbol") else None
    found = found or BenchmarkSpec(file=parse_file(fields))
    fields.end()
    return found


def parse_periods(root: Fields) -> float | None:
    """Returns periods_per_year, None to derive it from the spacing of the bars."""
    if root.has("periods_per_year") and root.values["periods_per_year"] is None:
        root.raw("periods_per_year")
        return None
    most = 366.0 * 86_400  # one bar a second, all year
    periods = root.number("periods_per_year", 0.0, above=0.0, most=most)
    return periods or None


def parse_output(fields: Fields) -> Output:
    output = Output(
        top_k=fields.integer("top_k", 10, 0, MAX_TOP_K),
        metrics=fields.choice("metrics", ("auto", "all"), "auto"),
        tearsheet=fields.flag("tearsheet", True),
        look_ahead_check=fields.flag("look_ahead_check", True),
        robustness=fields.flag("robustness", True),
    )
    fields.end()
    return output


def execution_json(root: Fields, stops: dict[str, float]) -> dict[str, object]:
    """Returns `execution` with its defaults, in the units of the spec."""
    defaults: dict[str, object] = {
        "fill": None,
        "direction": "long",
        "sizing": "all_in",
        "cash": 10_000,
        "fee_bps": 10,
        "fee_min": 0,
        "transfer_fee_bps": 0,
        "stamp_duty_bps": 0,
        "slippage_bps": 5,
        "borrow_bps_per_year": 0,
        "lot": 1,
        "fractional": False,
        "profile": None,
        "stop_reference": "fill",
        "stop_slippage": True,
        "close_at_end": False,
        "retry_entries": False,
        "allow_short": False,
    }
    given = root.values.get("execution")
    if isinstance(given, dict) and given.get("profile") == "cn_a":
        # Its own rates, by date, are told under `profile` of the result.
        for name in ("fee_bps", "fee_min", "transfer_fee_bps", "stamp_duty_bps", "lot"):
            defaults[name] = None
    off: dict[str, object] = {name: x or None for name, x in stops.items()}
    return {**defaults, **(given if isinstance(given, dict) else {}), **off}


def strategy_json(given: object, strategy: Strategy) -> dict[str, object]:
    values: dict[str, object] = dict(given) if isinstance(given, dict) else {}
    if strategy.rebalance is not None and "name" in values:
        return {"rebalance": strategy.rebalance, **values}
    if strategy.predictions is not None:
        return {"every": strategy.predictions.every, **values}
    return values if strategy.definition.source or strategy.signals else {"entry": "cross", **values}


def effective_spec(
    given: dict[str, object],
    strategy: Strategy,
    search: Search,
    output: Output,
    execution: dict[str, object],
    portfolio: Portfolio,
    risk_free: float,
    validation: Validation | None,
) -> dict[str, object]:
    """Returns the spec as it was understood; `fill`, dates and parameters follow with the data."""
    return {
        "data": given["data"],
        "strategy": strategy_json(given["strategy"], strategy),
        "parameters": given.get("parameters", {}),
        "search": search_json(search),
        "execution": execution,
        "portfolio": vars(portfolio),
        "validation": validation_json(validation),
        "benchmark": given.get("benchmark"),
        "periods_per_year": given.get("periods_per_year"),
        "risk_free": risk_free,
        "output": vars(output),
    }
