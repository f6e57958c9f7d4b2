"""TPE: batches that depend on nothing but the seed and what the batches before came to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest import chunks
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.honest.deflated import expected_maximum, variance_of
from berth_backtest.job import explain_job
from berth_backtest.job import run_job as run
from berth_backtest.report import Progress, Stop
from berth_backtest.shard import Shard

from tests.support import CLOSES, Json, Ran, closes_csv, run_spec, spec_of
from tests.test_overfitting import sharpe
from tests.test_stop_and_split import StopAfter, same_files

SPACE: Json = {
    "fast": {"int_uniform": [1, 12]},
    "slow": {"values": [30, 5, 9, 15]},  # not in order: what TPE is told is
    "parameters": {"stop_loss": {"uniform": [0.01, 0.3]}, "take_profit": {"log_uniform": [0.01, 1]}},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_UPDATES", 1)


def searching(tmp_path: Path, trials: int = 60, batch: int = 20, method: str = "tpe", **parts: Any) -> Json:
    search = {"method": method, "trials": trials, **parts.pop("search", {})}
    if method == "tpe":
        search["batch"] = batch
    path = tmp_path / "p.csv"
    return spec_of(path if path.exists() else closes_csv(path, CLOSES), **SPACE, search=search, **parts)


def sets_of(ran: Ran) -> list[tuple[float, ...]]:
    names = ("point", "fast", "slow", "stop_loss", "take_profit")
    return [tuple(row[name] for name in names) for row in ran.rows("points")]


def test_the_first_batch_is_random_and_the_next_ones_go_where_it_was_good(tmp_path: Path) -> None:
    tpe = run_spec(tmp_path / "tpe", searching(tmp_path, 120, 30))
    random = run_spec(tmp_path / "random", searching(tmp_path, 120, method="random"))
    found, drawn = sets_of(tpe), sets_of(random)
    assert [row for row in found if row[0] < 30] == [row for row in drawn if row[0] < 30]
    assert not {row[1:] for row in found if row[0] >= 30} & {row[1:] for row in drawn if row[0] >= 30}

    def mean(ran: Ran) -> float:
        rows = [row["objective"] for row in ran.rows("points") if row["point"] >= 90]
        return float(np.mean([x for x in rows if x is not None]))

    assert mean(tpe) > mean(random) + 0.2
    assert tpe.result["points"] + tpe.result["skipped"] == 120
    assert tpe.result["skipped"] < random.result["skipped"]  # sets that are not run are as bad as can be


def test_what_is_minimised_is_looked_for_below(tmp_path: Path) -> None:
    spec = searching(tmp_path, 90, 30, search={"objective": "annual_volatility"})
    rows = run_spec(tmp_path / "out", spec).rows("points")
    first, last = ([r["objective"] for r in rows if low <= r["point"] < low + 30] for low in (0, 60))
    assert np.mean([x for x in last if x is not None]) < np.mean([x for x in first if x is not None])


@pytest.mark.parametrize(
    # A look is before each chunk of 64 sets at most, and before each draw of TPE.
    ("batch", "trials", "looks", "least", "most"),
    [
        (20, 60, 0, 0, 0),
        (20, 60, 1, 20, 20),  # after the first batch
        (20, 60, 9, 20, 20),  # while the second is drawn
        (20, 60, 22, 40, 40),  # after the second
        (20, 60, 43, 60, 60),  # after all, before their returns are looked at
        (100, 180, 1, 64, 99),  # in the middle of a batch at random ...
        (100, 180, 83, 164, 179),  # ... and of one of TPE
        (7, 21, 2, 14, 14),  # two batches begin before the tenth trial
    ],
)
def test_stopped_at_any_border_it_ends_as_the_unbroken_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    trials: int,
    looks: int,
    least: int,
    most: int,
) -> None:
    spec = searching(tmp_path, trials, batch, output={"tearsheet": True})
    whole = run_spec(tmp_path / "whole", spec)
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        run(spec, out, Progress(None), StopAfter(looks), 1)
    if looks:  # the best so far is readable
        early = json.loads((out / "result.json").read_text())
        assert early["warnings"][0]["code"] == "stopped_early"
        assert least <= early["points"] + early["skipped"] <= most
    same_files(run_spec(out, spec, threads=2), whole)


def test_another_seed_draws_others_and_the_same_one_the_same(tmp_path: Path) -> None:
    one, same, other = (
        run_spec(tmp_path / str(i), searching(tmp_path, 40, 20, search={"seed": seed}))
        for i, seed in enumerate((1, 1, 2))
    )
    same_points = (one.out / "points.parquet").read_bytes()
    assert (same.out / "points.parquet").read_bytes() == same_points
    assert sets_of(one)[-5:] != sets_of(other)[-5:]


def test_luck_is_measured_on_the_random_trials_and_counts_all(tmp_path: Path) -> None:
    spec = searching(tmp_path, 60, 20, output={"top_k": 60}, search={"min_trades": 0, "prior_trials": 7})
    ran = run_spec(tmp_path / "out", spec)
    rows = ran.rows("points")
    order = sorted(rows, key=lambda row: (row["objective"] is None, -(row["objective"] or 0), row["point"]))
    curves: dict[int, list[float]] = {}
    for row in ran.rows("equity"):
        curves.setdefault(row["rank"], []).append(row["equity"])
    sharpes = []
    for rank, row in enumerate(order, 1):
        if row["point"] < 20:
            curve = curves[rank]
            found = sharpe([b / a - 1 for a, b in zip([10_000.0, *curve[:-1]], curve, strict=True)], 0.0)
            sharpes.append(np.nan if found is None else found)
    assert ran.result["overfitting"]["trials"] == ran.result["points"] + 7
    luck = expected_maximum(variance_of(np.array(sharpes)) or 0.0, ran.result["points"] + 7) * np.sqrt(252)
    assert ran.result["overfitting"]["expected_max_sharpe"] == pytest.approx(luck, rel=1e-9)


def test_a_date_of_the_best_set_is_explained_with_its_own_parameters(tmp_path: Path) -> None:
    spec = searching(tmp_path, 60, 20)
    ran = run_spec(tmp_path / "out", spec)
    assert ran.result["best"]["point"] >= 20  # not one of the random ones
    said = explain_job(spec, ran.out, Progress(None), Stop(), 1, "p", "2020-02-20")
    for name, value in ran.result["best"]["parameters"].items():
        assert f"{name} {value:g}" in said[0]


@pytest.mark.parametrize(
    ("search", "parts", "field"),
    [
        ({"method": "tpe"}, {}, "search.trials"),
        ({"method": "tpe", "trials": 5_001}, {}, "search.trials"),
        ({"method": "tpe", "trials": 5, "batch": 0}, {}, "search.batch"),
        ({"method": "tpe", "trials": 5, "batch": 1_025}, {}, "search.batch"),
        ({"method": "random", "trials": 5, "batch": 2}, {}, "search.batch"),
        ({"method": "tpe", "trials": 5}, {"validation": {"method": "walk_forward"}}, "search.method"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(tmp_path: Path, search: Json, parts: Json, field: str) -> None:
    spec = {**searching(tmp_path), "search": search, **parts}
    with pytest.raises(ProgramError) as caught:
        run_spec(tmp_path / "out", spec)
    assert [problem.path for problem in caught.value.problems] == [field]


def test_it_is_not_run_in_shards(tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        run(searching(tmp_path), tmp_path / "out", Progress(None), Stop(), 1, Shard("work", 0, 2))
    assert [problem.path for problem in caught.value.problems] == ["search.method"]
