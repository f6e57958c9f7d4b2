"""Random search: draws that depend only on the seed and the trial, cut and stopped in any way."""

import json
import math
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest import chunks, draws, grid
from berth_backtest.data.load import load_panel
from berth_backtest.draws import permuted, shares
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.plan import Plan, make_plan
from berth_backtest.spec.parse import parse_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Json, Ran, closes_csv, run_spec, spec_of
from tests.test_shards import cut, market, merge, run_shard, same_bytes
from tests.test_stop_and_split import StopAfter

examples = settings(max_examples=100, deadline=None, derandomize=True)

FINITE: Json = {"fast": {"int_uniform": [1, 12]}, "slow": {"range": [2, 21, 1]}}
MIXED: Json = {
    "fast": {"int_uniform": [1, 12]},
    "slow": {"values": [5, 9, 30]},
    "parameters": {"stop_loss": {"uniform": [0.01, 0.2]}, "take_profit": {"log_uniform": [0.01, 1]}},
}
SPACES = {"finite": FINITE, "mixed": MIXED}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes chunks of 64 sets out of 100 looked at, so that a small search has several of both."""
    monkeypatch.setattr(chunks, "CHUNK_UPDATES", 1)
    monkeypatch.setattr(grid, "AT_ONCE", 100)


def searching(path: Path, space: Json, trials: int = 200, seed: int = 1, **parts: Any) -> Json:
    given = json.loads(json.dumps(space))
    search = {"method": "random", "trials": trials, "seed": seed}
    return spec_of(path, **given, search=search, **parts)


def plan_of(tmp_path: Path, space: Json, trials: int, seed: int = 1) -> Plan:
    spec = parse_spec(searching(closes_csv(tmp_path / "c.csv", [10.0, 11.0]), space, trials, seed))
    return make_plan(spec, load_panel(spec.data))


@examples
@given(st.integers(1, 3_000), st.integers(0, 2**53))
def test_draws_from_a_finite_space_never_repeat(below: int, seed: int) -> None:
    assert sorted(permuted(seed, np.arange(below), below).tolist()) == list(range(below))


def test_a_huge_space_is_drawn_from_without_repeats_and_evenly() -> None:
    found = permuted(7, np.arange(100_000), draws.MOST_SETS - 5)
    assert len(np.unique(found)) == 100_000
    counts, _ = np.histogram(found / 2.0**62, bins=10, range=(0, 1))
    assert counts.min() > 9_500
    assert found.min() >= 0


@examples
@given(st.integers(0, 2**53), st.lists(st.integers(0, 999), min_size=1, max_size=20))
def test_a_draw_depends_only_on_the_seed_and_the_trial(seed: int, some: list[int]) -> None:
    points = np.array(some)
    assert permuted(seed, points, 5_000).tolist() == permuted(seed, np.arange(1_000), 5_000)[points].tolist()
    assert shares(seed, points, 3).tolist() == shares(seed, np.arange(1_000), 3)[points].tolist()


def test_every_pair_of_values_is_as_likely_and_trials_extend_a_shorter_search(tmp_path: Path) -> None:
    space = {"fast": {"values": [1, 2, 3, 4]}, "slow": {"int_uniform": [10, 19]}}
    counts = np.zeros((4, 10))
    for seed in range(400):
        chosen = plan_of(tmp_path, space, 10, seed).grid
        points = np.arange(10)
        np.add.at(counts, (chosen.places("fast", points), chosen.places("slow", points)), 1)
    assert counts.sum() == 4_000
    assert (np.abs(counts - 100) < 45).all()
    few, many = plan_of(tmp_path, MIXED, 50).grid, plan_of(tmp_path, MIXED, 5_000).grid
    for point in range(50):
        assert few.parameters(point) == many.parameters(point)


def test_continuous_parameters_fill_their_bounds(tmp_path: Path) -> None:
    chosen = plan_of(tmp_path, MIXED, 20_000).grid
    points = np.arange(20_000)
    stops, profits = (chosen.values(name, points) for name in ("stop_loss", "take_profit"))
    for share in ((stops - 0.01) / 0.19, np.log(profits / 0.01) / math.log(100)):
        counts, _ = np.histogram(share, bins=10, range=(0, 1))
        assert counts.sum() == 20_000
        assert counts.min() > 1_850
    assert abs(float(np.corrcoef(stops, np.log(profits))[0, 1])) < 0.02
    assert np.bincount(chosen.places("slow", points)).min() > 6_400


@pytest.mark.parametrize("space", SPACES)
def test_what_is_run_is_what_was_drawn(tmp_path: Path, space: str) -> None:
    path = market(tmp_path)
    ran = run_spec(tmp_path / "out", searching(path, SPACES[space], 60, output={"tearsheet": True}))
    assert ran.result["points"] + ran.result["skipped"] == 60
    assert ran.result["effective_spec"]["search"]["trials"] == 60
    assert ran.result["overfitting"]["trials"] == ran.result["points"]
    names = ["fast", "slow", *SPACES[space].get("parameters", {})]
    rows = ran.rows("points")
    assert len({tuple(row[name] for name in names) for row in rows}) == len(rows)
    assert all(row["fast"] < row["slow"] for row in rows)
    best = {name: ran.result["best"]["parameters"][name] for name in names}
    stops = {name: best.pop(name) for name in names[2:]}
    alone = run_spec(tmp_path / "alone", spec_of(path, **best, parameters=stops))
    assert alone.metrics == ran.metrics


def test_tables_of_several_parameters_are_those_of_each_draw(tmp_path: Path) -> None:
    bounds = {
        "fast": {"int_uniform": [2, 5]},
        "slow": {"int_uniform": [6, 9]},
        "signal": {"int_uniform": [2, 4]},
    }
    spec = searching(market(tmp_path), {"parameters": {"stop_loss": {"uniform": [0.01, 0.2]}}}, 40)
    spec |= {"strategy": {"name": "macd"}, "parameters": {**bounds, **spec["parameters"]}}
    for name in ("fast", "slow"):
        spec["parameters"][name] = bounds[name]
    for row in run_spec(tmp_path / "out", spec).rows("points")[::8]:
        alone = {name: {"values": [row[name]]} for name in (*bounds, "stop_loss")}
        again = run_spec(tmp_path / "alone", {**spec, "search": {}, "parameters": alone})
        assert again.metrics["final_equity"] == row["final_equity"]
        assert again.metrics["sharpe"] == row["sharpe"]


def test_all_sets_are_drawn_when_there_are_as_many_trials(tmp_path: Path) -> None:
    path = market(tmp_path)
    drawn = run_spec(tmp_path / "drawn", searching(path, FINITE, 240))
    every = run_spec(tmp_path / "every", spec_of(path, fast={"range": [1, 12, 1]}, slow=FINITE["slow"]))

    def by_set(ran: Ran) -> dict[tuple[int, int], Any]:
        return {(row["fast"], row["slow"]): row["objective"] for row in ran.rows("points")}

    assert by_set(drawn) == by_set(every)
    assert drawn.result["skipped"] == every.result["skipped"]


@pytest.mark.parametrize("of", [2, 5])
@pytest.mark.parametrize("space", SPACES)
def test_a_search_cut_into_shards_merges_to_the_whole(tmp_path: Path, space: str, of: int) -> None:
    output = {"tearsheet": True, "look_ahead_check": True, "robustness": True}
    spec = searching(market(tmp_path), SPACES[space], output=output)
    whole = run_spec(tmp_path / "whole", spec)
    same_bytes(cut(tmp_path, spec, of), whole)
    assert whole.result["robustness"]["neighbours"] is None
    same_bytes(run_spec(tmp_path / "threads", spec, threads=3), whole)


@pytest.mark.parametrize("space", SPACES)
def test_a_search_that_is_stopped_and_resumed_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    spec = searching(market(tmp_path), SPACES[space])
    whole = run_spec(tmp_path / "whole", spec)
    draw = random.Random(3)
    folders = [tmp_path / f"shard-{i}" for i in range(2)]
    stops = 0
    for i, folder in enumerate(folders):
        monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / f"kept-{i}"))
        while True:
            try:
                run_shard(folder, spec, i, 2, StopAfter(draw.randrange(3)))
            except StoppedError:
                stops += 1
                continue
            break
    assert stops > 0
    monkeypatch.delenv("BERTH_CHECKPOINT_DIR")
    same_bytes(merge(tmp_path / "merged", spec, folders), whole)


def test_a_million_trials_need_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "AT_ONCE", 50_000)
    chosen = plan_of(tmp_path, MIXED, 2).grid
    tracemalloc.start()
    many = grid.replace(chosen, trials=1_000_000, known=None)
    seen = sum(len(points) for points, _ in many.chunks(0, 200_000, lambda: 10_000))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert 0 < seen < 200_000


@pytest.mark.parametrize(
    ("search", "space", "message"),
    [
        ({"method": "random"}, {}, "search.trials: is required"),
        ({"method": "random", "trials": 0}, {}, "search.trials: "),
        ({"method": "random", "trials": 10**6 + 1}, FINITE, "search.trials: "),
        ({"method": "random", "trials": 1.5}, FINITE, "search.trials: "),
        ({"method": "random", "trials": 241}, FINITE, "search.trials: 241 are more than the 240 sets"),
        ({"trials": 5}, {}, "search.trials: belongs to random"),
        ({"method": "tpe", "trials": 5}, {}, "search.trials: 5 are more than the 1 sets"),
        ({}, FINITE, "parameters.fast.int_uniform: needs search.method random"),
        (None, {"fast": {"uniform": [1, 5]}}, "parameters.fast.uniform: takes whole numbers only"),
        (None, {"fast": {"int_uniform": [1, 2.5]}}, "parameters.fast.int_uniform: must be"),
        (None, {"fast": {"int_uniform": [1, 10**6]}}, "parameters.fast.int_uniform: holds more than"),
        (None, {"fast": {"int_uniform": [5, 5]}}, "parameters.fast.int_uniform: must be [from, to]"),
        (None, {"fast": {"int_uniform": [5]}}, "parameters.fast.int_uniform: must be [from, to]"),
        (None, {"fast": {"int_uniform": [-5, 5]}}, "parameters.fast.int_uniform: must be from 1"),
        (None, {"parameters": {"stop_loss": {"log_uniform": [0, 0.5]}}}, "stop_loss.log_uniform: must be"),
        (None, {"parameters": {"stop_loss": {"uniform": [0.5, 2]}}}, "parameters.stop_loss.uniform: "),
    ],
)
def test_a_wrong_search_is_refused_with_its_field(
    tmp_path: Path, search: Json | None, space: Json, message: str
) -> None:
    path = closes_csv(tmp_path / "c.csv", [10.0, 11.0])
    given = {"method": "random", "trials": 2} if search is None else search
    with pytest.raises(ProgramError) as caught:
        run_spec(tmp_path / "out", spec_of(path, **json.loads(json.dumps(space)), search=given))
    assert message in str(caught.value)


def test_a_finite_space_beyond_64_bits_and_steps_of_a_users_parameter_are_refused(tmp_path: Path) -> None:
    source = "class X:\n    a = param.int(0, 100, 5)\n    b = param.float(0, 1)\n"
    source += "    def step(s, bar, t, t1, p):\n        return keep()\n"
    spec: Json = {
        **spec_of(closes_csv(tmp_path / "c.csv", [10.0, 11.0])),
        "strategy": {"source": source, "class": "X"},
        "search": {"method": "random", "trials": 2},
    }
    for parameters, message in [
        ({"a": {"int_uniform": [0, 10]}}, "must be 0 and whole steps of 5"),
        ({"a": {"uniform": [0, 10]}}, "takes whole numbers only"),
        (
            {name: {"range": [0.00001, 0.9, 0.00001]} for name in ("b", "stop_loss", "trailing_stop")}
            | {"take_profit": {"range": [0.00001, 0.9, 0.00001]}},
            "random draws from at most",
        ),
    ]:
        with pytest.raises(ProgramError) as caught:
            run_spec(tmp_path / "out", {**spec, "parameters": parameters})
        assert message in str(caught.value)
