"""report.html: one page that opens from disk and asks nothing of the network."""

from html import escape
from typing import Any

import numpy as np
from berth_backtest.output.page import page, section, warning_part

from berth_training.output.curves import by_size, roc, skill_over_time, symbol_table, tested_rows
from berth_training.output.plots import bars, xy_chart
from berth_training.plan import Run

MAX_FEATURES = 40  # bars; importance.parquet has all
MAX_SYMBOLS = 200  # rows; predictions.parquet has all
MAX_FOLDS = 200
MAX_TRIALS = 2_000
TILES = {
    "regression": ("rmse", "mae", "r2", "ic", "rank_ic", "icir"),
    "classification": ("accuracy", "auc", "f1", "log_loss"),
}


def render(run: Run, found: Any, result: dict[str, Any], importance: Any) -> str:
    """Returns the page; the same run gives the same text, for it holds no times."""
    spec = result["effective_spec"]
    model = spec["model"]["name"] if spec["model"] else f"{spec['ensemble']['method']} of models"
    title = f"{model}, {run.frame.kind} over {run.frame.horizon} dates"
    rows, prediction = tested_rows(run, found)
    skill_title, skill = skill_over_time(run, rows, prediction)
    rising = (
        "Observed by predicted probability" if run.frame.kind == "classification" else "Target by prediction"
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        summary(result),
        warning_part(result["warnings"]),
        tiles(run, result),
        section(skill_title, skill, "Honest: every date was predicted by a model that had not seen it."),
        section(rising, by_size(run, rows, prediction), "Rows in ten groups by their prediction."),
        section("ROC curve", roc(run, rows, prediction)),
        fold_part(run, result),
        importance_part(importance),
        trial_part(run, found, result),
        learning_part(run, result),
        symbol_part(run, rows, prediction),
        run_part(result),
    ]
    return page(title, parts, MORE, SCRIPT)


MORE = """
.other { stroke: var(--soft); fill: none; stroke-width: 1.5; stroke-dasharray: 4 3; }
circle.series { fill: var(--series); stroke: none; } circle.other { fill: var(--soft); stroke: none; }
.readout { font-variant-numeric: tabular-nums; min-height: 1.5em; margin: 4px 0 0; }
"""
# A line's value is read out under the pointer.
SCRIPT = """
for (const group of document.querySelectorAll('g.read')) {
  const svg = group.ownerSVGElement
  const values = group.dataset.values.split('|')
  const out = Object.assign(document.createElement('p'), { className: 'readout' })
  svg.after(out)
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect()
    const x = ((event.clientX - box.left) / box.width) * 960
    const at = Math.round(((x - 64) / (960 - 64 - 12)) * (values.length - 1))
    out.textContent = values[Math.min(Math.max(at, 0), values.length - 1)]
  })
  svg.addEventListener('pointerleave', () => { out.textContent = '' })
}
"""


def shown(value: Any) -> str:
    """Returns a figure as people read it; a dash for null."""
    return "\N{EN DASH}" if value is None else f"{value:,.4g}"


def summary(result: dict[str, Any]) -> str:
    data, rule, rows = result["data"], result["effective_spec"]["validation"], result["rows"]
    return (
        f"<p>{rows['with_target']} rows of {len(data['symbols'])} symbols, {escape(data['start'])} to "
        f"{escape(data['end'])}, {len(result['features'])} features; {escape(rule['method'])}, "
        f"purge {rule['purge']}, embargo {rule['embargo']} dates.</p>"
    )


def tiles(run: Run, result: dict[str, Any]) -> str:
    """Returns the honest metrics, and beside them the one that the search went by."""
    test, selection = result["metrics"]["test"]["overall"], result["metrics"]["selection"]
    names = [name for name in TILES[run.frame.kind] if test.get(name) is not None]
    cells = [tile(name.replace("_", " "), test.get(name)) for name in names]
    if selection is not None:
        chosen = selection["objective"]
        cells.append(tile(f"{chosen} in selection (biased)", selection.get(chosen)))
        cells.append(tile("trials", result["trials"]))
    return f'<div class="tiles">{"".join(cells)}</div>'


def tile(label: str, value: Any) -> str:
    return f'<div class="tile"><span>{escape(label)}</span><b>{shown(value)}</b></div>'


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Returns a table that a click on its head sorts; numbers keep their exact value for that."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(cell_of(cell) for cell in row)}</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table class="sortable">{inner}</table></div>'


def cell_of(cell: Any) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    return f'<td data-value="{cell}">{shown(cell)}</td>'


def fold_part(run: Run, result: dict[str, Any]) -> str:
    folds = result["metrics"]["test"]["folds"][:MAX_FOLDS]
    if not folds:
        return ""
    names = TILES[run.frame.kind]
    rows = [
        [
            fold["fold"],
            fold["path"],
            fold["test"][0],
            fold["test"][1],
            fold["train_rows"],
            fold["test_rows"],
            *[fold["metrics"].get(name) for name in names],
        ]
        for fold in folds
    ]
    head = ["fold", "path", "test from", "to", "train rows", "test rows", *names]
    chosen = names[0]
    labels = [f"fold {fold['fold']}, path {fold['path']}" for fold in folds]
    chart = bars(labels, [fold["metrics"].get(chosen) or 0.0 for fold in folds])
    return section("Folds", chart + table(head, rows), f"Bars: {chosen}.")


def importance_part(importance: Any) -> str:
    if importance is None or importance.num_rows == 0:
        return ""
    rows = importance.to_pylist()
    parts = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method and row["importance"] is not None]
        mine = mine[:MAX_FEATURES]
        chart = bars([row["feature"] for row in mine], [row["importance"] for row in mine])
        parts.append(f"<p>By {escape(method)}:</p>{chart}")
    return section("Importance of features", "".join(parts))


def trial_part(run: Run, found: Any, result: dict[str, Any]) -> str:
    """Returns the objective of the final search's trials, the best so far beside it."""
    trials = [t for t in found.oof.trials if t["fold"] is None and t["state"] == "complete"][:MAX_TRIALS]
    if len(trials) < 2:
        return ""
    from berth_training.metrics import better_first

    number = np.array([float(t["trial"]) for t in trials])
    value = np.array([float(t["objective"]) for t in trials])
    sign = better_first(run.objective)
    best = sign * np.minimum.accumulate(sign * value)
    chart = xy_chart(
        {"trial": (number, value), "best so far": (number, best)}, ["first trial", "", "last trial"]
    )
    shares = result["param_importance"]
    more = ""
    if shares:
        more = "<p>Share of the variance by parameter:</p>" + bars(list(shares), list(shares.values()))
    note = f"{run.objective} on the rows that choose: biased. Pruned trials are in trials.parquet."
    return section("Search", chart + more, note)


def learning_part(run: Run, result: dict[str, Any]) -> str:
    points = result["learning_curve"]
    name = "rmse" if run.frame.kind == "regression" else "log_loss"
    mine = [p for p in points if p["train"].get(name) is not None and p["test"].get(name) is not None]
    if len(mine) < 2:
        return ""
    x = np.array([float(p["train_rows"]) for p in mine])
    series = {part: (x, np.array([float(p[part][name]) for p in mine])) for part in ("test", "train")}
    chart = xy_chart(series, [f"{int(x[0])} rows", "", f"{int(x[-1])} rows"])
    return section(
        "Learning curve", chart, f"{name} of the last split by the rows that train; dashed: on the train."
    )


def symbol_part(run: Run, rows: Any, prediction: Any) -> str:
    if len(run.frame.symbols) < 2 or len(rows) == 0:
        return ""
    names = ("rmse", "mae", "r2") if run.frame.kind == "regression" else TILES["classification"]
    found = symbol_table(run, rows, prediction, MAX_SYMBOLS)
    body = [[symbol, *[metrics.get(name) for name in names]] for symbol, metrics in found]
    return section("By symbol", table(["symbol", *names], body))


def run_part(result: dict[str, Any]) -> str:
    """Returns how it was computed. No times: the page of a repeated run is the same."""
    engine, look = result["engine"], result["look_ahead"]
    verdict = {True: "passed", False: "failed", None: "not made"}[look["ok"]]
    libraries = ", ".join(f"{name} {version}" for name, version in engine["libraries"].items())
    params = (
        ", ".join(f"{name} {value}" for name, value in result["best"]["params"].items())
        or "the library's own"
    )
    rows = {
        "Parameters": params,
        "Leak check": f"{verdict} ({look['checked']} cuts). It cannot see leaks in the data.",
        "Engine": f"berth_training {engine['version']}, {engine['device']}, {engine['dtype']}",
        "Libraries": libraries,
        "Data": f"sha256 {result['data']['sha256']}",
        "Seed": str(result["seed"]),
    }
    body = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
    return section("How it was computed", f'<table class="text">{body}</table>')
