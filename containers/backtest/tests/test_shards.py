"""A sweep that is cut, stopped and merged writes what the whole one writes, byte for byte."""

import json
import os
import random
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest import chunks, cli, grid, points, sweep
from berth_backtest.data.load import load_panel
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.job import run_job as run
from berth_backtest.kept import Best
from berth_backtest.plan import Plan, make_plan
from berth_backtest.report import Progress, Stop
from berth_backtest.shard import Shard, shard_from_env, shard_of_folders, span_of
from berth_backtest.simulate import make_simulator
from berth_backtest.spec.parse import parse_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Json, Ran, closes_csv, day, program, run_spec, spec_of, write_csv, write_spec
from tests.test_stop_and_split import FILES, StopAfter, without_times

examples = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes chunks of 64 sets out of 100 looked at, so that a small grid has several of both."""
    monkeypatch.setattr(chunks, "CHUNK_UPDATES", 1)
    monkeypatch.setattr(grid, "AT_ONCE", 100)


def market(tmp_path: Path) -> Path:
    rows = [
        [day(i), name, 5 + (i * (k + 3) * 7919 % 17)]
        for k, name in enumerate(("AA", "BB", "CC"))
        for i in range(40)
    ]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows)


def signals(tmp_path: Path) -> Json:
    rows = [[day(i), name, (i % 5) / 4] for i in range(0, 40, 3) for name in ("AA", "BB", "CC")]
    return {"url": str(write_csv(tmp_path / "s.csv", "date,symbol,target", rows))}


def specs(tmp_path: Path) -> dict[str, Json]:
    path = market(tmp_path)
    output = {"tearsheet": True, "look_ahead_check": True, "top_k": 4}
    skipping = {"fast": {"range": [1, 18, 1]}, "slow": {"range": [2, 22, 1]}}
    stops = {"stop_loss": {"values": [0, 0.05, 0.1]}, "take_profit": {"range": [0.1, 0.9, 0.02]}}
    of_signals = {**spec_of(path), "strategy": {"signals": signals(tmp_path)}, "parameters": stops}
    return {
        "skipped sets": spec_of(path, **skipping, output=output),
        "null objectives": spec_of(
            path, **skipping, output=output, search={"objective": "profit_factor", "min_trades": 30}
        ),
        "ties": spec_of(path, **skipping, output=output, search={"objective": "max_drawdown_bars"}),
        "shared": spec_of(path, **skipping, output=output, portfolio={"mode": "shared"}),
        "signals": {**of_signals, "output": {**output, "look_ahead_check": False}},
    }


CASES = ("skipped sets", "null objectives", "ties", "shared", "signals")


def run_shard(out: Path, spec: Json, index: int, of: int, stop: Stop | None = None) -> Json:
    shard = Shard(index, of)
    return run(json.loads(json.dumps(spec)), out, Progress(None), stop or Stop(), 1, shard)


def merge(out: Path, spec: Json, folders: list[Path]) -> Ran:
    shard = shard_of_folders(folders)
    return Ran(out, run(json.loads(json.dumps(spec)), out, Progress(None), Stop(), 1, shard))


def cut(tmp_path: Path, spec: Json, of: int) -> Ran:
    """Runs a sweep in `of` shards and merges them, in another order than they ran."""
    folders = [tmp_path / f"shard-{i}" for i in range(of)]
    for i, folder in enumerate(folders):
        run_shard(folder, spec, i, of)
    return merge(tmp_path / "merged", spec, folders[::-1])


def same_bytes(merged: Ran, whole: Ran) -> None:
    there = {path.name for path in whole.out.iterdir()}
    assert {path.name for path in merged.out.iterdir()} == there
    for name in there - {"result.json"}:
        assert (merged.out / name).read_bytes() == (whole.out / name).read_bytes(), name
    assert without_times(merged.result) == without_times(whole.result)


@pytest.mark.parametrize("of", [1, 2, 3, 7])
@pytest.mark.parametrize("case", CASES)
def test_a_sweep_cut_into_shards_merges_to_the_bytes_of_the_whole(tmp_path: Path, case: str, of: int) -> None:
    spec = specs(tmp_path)[case]
    whole = run_spec(tmp_path / "whole", spec)
    assert {path.name for path in whole.out.iterdir()} == FILES
    if of == 1:  # a whole run, in one part of one: it has nothing to merge
        run_shard(tmp_path / "one", spec, 0, 1)
        same_bytes(Ran(tmp_path / "one", json.loads((tmp_path / "one/result.json").read_text())), whole)
        return
    same_bytes(cut(tmp_path, spec, of), whole)


@pytest.mark.parametrize("case", ["skipped sets", "shared"])
def test_beyond_the_bounds_the_best_are_kept_whatever_the_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    spec = specs(tmp_path)[case]
    everything = run_spec(tmp_path / "everything", spec)
    monkeypatch.setattr(grid, "COUNTED", 10)
    monkeypatch.setattr(sweep, "ALL_POINTS", 10)
    monkeypatch.setattr(sweep, "BEST_POINTS", 37)
    whole = run_spec(tmp_path / "whole", spec)
    same_bytes(cut(tmp_path, spec, 5), whole)
    rows = everything.rows("points")
    best = sorted(rows, key=lambda row: (-row["objective"], row["point"]))[:37]
    assert whole.rows("points") == sorted(best, key=lambda row: row["point"])
    assert len(whole.rows("metrics")) == 4 * len({row["symbol"] for row in whole.rows("metrics")})
    for name in ("best", "points", "skipped", "ties"):
        assert whole.result[name] == everything.result[name]
    for name in ("trades.parquet", "equity.parquet", "tearsheet.html"):
        assert (whole.out / name).read_bytes() == (everything.out / name).read_bytes()
    spec["output"]["metrics"] = "all"
    with pytest.raises(ProgramError, match=r"output\.metrics: all would be"):
        run_spec(tmp_path / "all", spec)


def test_more_shards_than_points_leave_some_of_them_empty(tmp_path: Path) -> None:
    spec = spec_of(market(tmp_path), fast={"values": [1, 3]}, slow={"values": [2, 3]})
    merged = cut(tmp_path, spec, 9)
    same_bytes(merged, run_spec(tmp_path / "whole", spec))
    empty = json.loads((tmp_path / "shard-0" / "result.json").read_text())
    assert (empty["points"], empty["best"], empty["shard"]["span"]) == (0, None, [0, 0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("best_only", [False, True])
def test_shards_that_are_stopped_at_random_and_resumed_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, best_only: bool
) -> None:
    spec = specs(tmp_path)["skipped sets"]
    if best_only:
        monkeypatch.setattr(sweep, "ALL_POINTS", 10)
        monkeypatch.setattr(sweep, "BEST_POINTS", 37)
    whole = run_spec(tmp_path / "whole", spec)
    draw = random.Random(seed)
    folders = [tmp_path / f"shard-{i}" for i in range(3)]
    stops = 0
    for i, folder in enumerate(folders):
        monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / f"kept-{i}"))
        while True:
            try:
                run_shard(folder, spec, i, 3, StopAfter(draw.randrange(3)))
            except StoppedError:
                stops += 1
                continue
            break
    assert stops > 0
    monkeypatch.delenv("BERTH_CHECKPOINT_DIR")
    same_bytes(merge(tmp_path / "merged", spec, folders), whole)


def test_a_checkpoint_of_another_shard_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = specs(tmp_path)["skipped sets"]
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "0")
    for i in range(2):
        run_shard(tmp_path / str(i), spec, i, 2)
    monkeypatch.delenv("BERTH_CHECKPOINT_DIR")
    whole = run_spec(tmp_path / "whole", spec)
    same_bytes(merge(tmp_path / "merged", spec, [tmp_path / "0", tmp_path / "1"]), whole)


def test_a_shard_that_failed_is_told_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs(tmp_path)["skipped sets"]
    for i in (0, 2):
        run_shard(tmp_path / "shards" / str(i), spec, i, 3)
    for name, value in {
        "BERTH_SHARD_INDEX": "3",
        "BERTH_SHARD_COUNT": "3",
        "BERTH_SHARD_ROLE": "merge",
        "BERTH_SHARDS_DIR": str(tmp_path / "shards"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    first, end = span_of(1, 3, 18 * 21)
    text = f"1 shards failed for good: the points {first} to {end - 1} are missing"
    assert {"code": "shards_missing", "message": text} in result["warnings"]
    kept = [row["point"] for row in Ran(tmp_path / "out", result).rows("points")]
    assert kept
    assert not any(first <= point < end for point in kept)
    assert result["points"] + result["skipped"] == 18 * 21 - (end - first)


def test_a_shard_that_was_stopped_for_good_is_told(tmp_path: Path) -> None:
    spec = specs(tmp_path)["skipped sets"]
    folders = [tmp_path / str(i) for i in range(2)]
    run_shard(folders[0], spec, 0, 2)
    with pytest.raises(StoppedError):
        run_shard(folders[1], spec, 1, 2, StopAfter(1))
    assert merge(tmp_path / "merged", spec, folders).codes()[0] == "stopped_early"


def test_a_space_without_a_valid_set_is_refused_at_the_end_of_a_long_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "COUNTED", 10)
    spec = spec_of(market(tmp_path), fast={"range": [20, 40, 1]}, slow={"range": [2, 19, 1]})
    with pytest.raises(ProgramError, match=r"parameters\.fast: must be less than slow"):
        run_spec(tmp_path / "whole", spec)
    with pytest.raises(ProgramError, match=r"parameters\.fast: must be less than slow"):
        cut(tmp_path, spec, 3)


def broken_shards(tmp_path: Path) -> Iterator[tuple[str, list[Path], str]]:
    spec = specs(tmp_path)["skipped sets"]
    other = {**spec, "risk_free": 0.5}
    a, b, c, d = (tmp_path / name for name in "abcd")
    run_shard(a, spec, 0, 2)
    run_shard(b, other, 1, 2)
    yield "another spec", [a, b], "it ran another spec, other data"
    yield "twice", [a, a], "are both shard 0"
    run_shard(c, spec, 1, 3)
    yield "another cut", [a, c], "into 2 and 3 shards"
    yield "no shard", [a, tmp_path], "is no folder of a shard"
    run_shard(d, spec, 1, 2)
    state = json.loads((d / "shard.json").read_text())
    (d / "shard.json").write_text(json.dumps({**state, "rows": 1}))
    yield "rows", [a, d], "points.parquet holds"
    (d / "shard.json").write_text(json.dumps({**state, "index": 7}))
    yield "number", [a, d], "names no shard"
    (d / "shard.json").write_text(json.dumps(state))
    (d / "points.parquet").write_bytes((a / "points.parquet").read_bytes())
    yield "points", [a, d], "holds points of another shard"
    (d / "points.parquet").write_bytes(b"PAR1")
    yield "damaged", [a, d], "its files cannot be read"


def test_what_does_not_belong_together_is_not_merged(tmp_path: Path) -> None:
    spec = specs(tmp_path)["skipped sets"]
    for name, folders, message in broken_shards(tmp_path):
        with pytest.raises(ProgramError) as caught:
            merge(tmp_path / "merged", spec, folders)
        assert message in str(caught.value), name


def test_a_merge_by_hand_and_its_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_spec(tmp_path)
    parts = [tmp_path / "a", tmp_path / "b"]
    for i, part in enumerate(parts):
        env = {"BERTH_SHARD_INDEX": str(i), "BERTH_SHARD_COUNT": "2"}
        assert program(spec, part, env=env).returncode == 0
    assert {path.name for path in parts[0].iterdir()} == {
        "points.parquet",
        "metrics.parquet",
        "blocks.parquet",
        "points.json",
        "shard.json",
        "result.json",
    }
    assert cli.main(["--merge", str(spec), str(tmp_path / "out"), *map(str, parts)]) == 0
    whole = run_spec(tmp_path / "whole", json.loads(spec.read_text()))
    merged = Ran(tmp_path / "out", json.loads((tmp_path / "out" / "result.json").read_text()))
    same_bytes(merged, whole)
    assert cli.main(["--merge", str(spec), str(tmp_path / "out")]) == 2
    assert "--merge SPEC.json OUT_DIR SHARD_DIR..." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"BERTH_SHARD_INDEX": "2", "BERTH_SHARD_COUNT": "2"}, "must be below BERTH_SHARD_COUNT"),
        ({"BERTH_SHARD_COUNT": "0"}, "BERTH_SHARD_COUNT must be a whole number from 1"),
        ({"BERTH_SHARD_INDEX": "-1"}, "BERTH_SHARD_INDEX must be a whole number from 0"),
        ({"BERTH_SHARD_ROLE": "rest"}, "BERTH_SHARD_ROLE must be work or merge"),
        ({"BERTH_SHARD_ROLE": "merge"}, "BERTH_SHARDS_DIR is not set"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], message: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ProgramError) as caught:
        shard_from_env()
    assert message in str(caught.value)


@examples
@given(st.integers(0, 10**12), st.integers(1, 64))
def test_spans_partition_the_product(total: int, of: int) -> None:
    spans = [span_of(i, of, total) for i in range(of)]
    assert spans[0][0] == 0
    assert spans[-1][1] == total
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    sizes = [end - first for first, end in spans]
    assert max(sizes) - min(sizes) <= 1


@examples
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, float("nan")])), st.integers(1, 9), st.randoms())
def test_the_best_are_the_same_in_whatever_parts_they_come(
    values: list[float], limit: int, draw: random.Random
) -> None:
    number = np.arange(len(values), dtype=np.int64)
    objective = np.array(values)
    kept = Best(limit, "sharpe")
    kept.add({"points": number[:0], "objective": objective[:0]})
    cuts = sorted(draw.choices(range(len(values) + 1), k=3))
    parts = list(zip([0, *cuts], [*cuts, len(values)], strict=True))
    draw.shuffle(parts)
    for first, end in parts:
        kept.add({"points": number[first:end], "objective": objective[first:end]})
    key = np.where(np.isnan(objective), -np.inf, objective)
    wanted = sorted(sorted(range(len(values)), key=lambda i: (-key[i], i))[:limit])
    assert kept.arrays()["points"].tolist() == wanted


def huge_plan(tmp_path: Path) -> tuple[Plan, Shard]:
    """Returns a space of 10^12 sets on a few prices, and the shard in its middle."""
    spec = spec_of(
        closes_csv(tmp_path / "p.csv", [10 + (i * 7919 % 13) for i in range(60)]),
        fast={"range": [1, 10_000, 1]},
        slow={"range": [1, 10_000, 1]},
        parameters={"stop_loss": {"range": [0.0001, 0.9999, 0.0001]}},
    )
    parsed = parse_spec(spec)
    return make_plan(parsed, load_panel(parsed.data)), Shard(3, 7)


def test_a_space_of_10_to_the_12_runs_its_first_chunk_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "AT_ONCE", 10_000)
    plan, shard = huge_plan(tmp_path)
    assert plan.grid.total == 9_999 * 10**8
    span = shard.span(plan.grid.total)
    assert 3 * plan.grid.total // 7 == span[0]
    simulator = make_simulator(plan, 1)
    checkpoint = sweep.Checkpoint(None, "", 60.0, lambda: 0.0)
    stopped = sweep.run_sweep(plan, simulator, span, checkpoint, Progress(None), StopAfter(1))
    tracemalloc.start()
    found = sweep.run_sweep(plan, simulator, span, checkpoint, Progress(None), StopAfter(3))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert not found.finished
    assert found.tried == 3 * stopped.tried == 192
    assert found.tried + found.skipped == found.reached - span[0]
    values = plan.grid.parameters(int(found.points[0]))
    assert values["fast"] < values["slow"]


def test_partial_points_are_told_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PARTIAL_EVERY_S", 0.0)
    monkeypatch.setattr("berth_backtest.report.MIN_GAP_S", 0.0)
    monkeypatch.setattr("berth_backtest.report.BURST", 1_000)
    monkeypatch.setattr(sweep, "TOLD_ROWS", 5)
    reading, writing = os.pipe()
    spec = specs(tmp_path)["skipped sets"]
    progress = Progress(writing)
    progress.told_at = type(progress.told_at)(maxlen=1_000)
    run(spec, tmp_path / "out", progress, Stop(), 1)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [json.loads(line) for line in stream]
    told = [line["points"] for line in lines if "points" in line]
    assert told
    assert all(1 <= len(rows) <= 5 for rows in told)
    leaders = json.loads((tmp_path / "out" / "points.json").read_text())
    best = [[-row["objective"] for row in rows] for rows in [*told, leaders]]
    assert all(keys == sorted(keys) for keys in best)
    assert set(told[0][0]) == {"point", "objective", "parameters", "metrics"}
    assert told[-1][0] == leaders[0] or told[-1][0]["objective"] <= leaders[0]["objective"]


def test_points_json_holds_the_best_within_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = specs(tmp_path)["null objectives"]
    ran = run_spec(tmp_path / "out", spec)
    rows: list[dict[str, Any]] = json.loads((ran.out / "points.json").read_text())
    assert len(rows) == ran.result["points"]
    assert rows[0]["parameters"] == ran.result["best"]["parameters"]
    assert rows[0]["metrics"] == ran.result["best"]["metrics"]
    found = [row["objective"] for row in rows]
    numbers = [value for value in found if value is not None]
    assert found == [*sorted(numbers, reverse=True), *[None] * found.count(None)]
    monkeypatch.setattr("berth_backtest.output.files.FILE_BYTES", 5_000)
    assert run_spec(tmp_path / "few", spec).out.joinpath("points.json").stat().st_size <= 5_000
    assert points.FILE_BYTES <= 1 << 20
