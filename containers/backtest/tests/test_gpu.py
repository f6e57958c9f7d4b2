"""A sweep on a GPU, simulated: the same figures to the last digit as on the CPU, or the reason why not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.device import Check, Device, from_json, joined_device, to_json
from berth_backtest.errors import ProgramError
from berth_backtest.gpu.check import SpotCheck
from berth_backtest.metrics import NAMES

from tests.support import ROOT, RUN_BOUND_S, Json, closes_csv, run_spec, spec_of

pytestmark = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="compared with compiled code")

# Those of gpu_cases.py, which imports what Numba's simulator replaces.
STRATEGIES = ("sma_cross", "ema_cross", "macd", "rsi", "bollinger", "zscore", "donchian", "buy_and_hold")
FEATURES = (
    *("stops", "stops_at_close", "stops_of_shorts", "level", "reverse", "lots", "least_fee", "units"),
    *("retried", "ruined", "warm_up", "warm_up_level", "random_search", "least_of_the_symbols"),
    *("median_of_the_symbols", "walk_forward", "actions", "cn_a", "step", "step_cn_a", "small_memory"),
    *(f"rules_{seed}" for seed in range(6)),
    *(f"{name}_warm" for name in STRATEGIES),
)
OTHERS = ("wrong_order", "no_memory", "lost_device", "wrong_sums", "stopped_check")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """Returns what every case found, all of one process: Numba decides at import."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu_cases", str(tmp_path_factory.mktemp("gpu"))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_BOUND_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.removeprefix("case ") for line in done.stdout.splitlines() if line.startswith("case ")]
    found = {case["name"]: case for case in map(json.loads, lines)}
    assert set(found) == {*STRATEGIES, *FEATURES, *OTHERS}
    return found


@pytest.mark.parametrize("name", [*STRATEGIES, *FEATURES])
def test_a_gpu_finds_what_the_cpu_finds(name: str, cases: dict[str, Json]) -> None:
    case = cases[name]
    assert case["differences"] == []
    engine = case["engine"]
    assert (engine["device"], engine["path"], engine["fallback_reason"]) == ("cuda:0", "threads", None)
    check = engine["spot_check"]
    assert check["points"] > 0
    assert (check["largest_difference"], check["ties"]) == (0, 0)
    assert case["trades"] is not None


def test_cases_trade(cases: dict[str, Json]) -> None:
    assert sum(case["trades"] or 0 for case in cases.values()) > 300


def test_an_order_that_cannot_be_one_is_told_as_on_the_cpu(cases: dict[str, Json]) -> None:
    case = cases["wrong_order"]
    assert case["differences"] == []
    assert "step returned target(3) for AA" in case["found"]


def test_without_device_memory_the_cpu_runs(cases: dict[str, Json]) -> None:
    case = cases["no_memory"]
    assert case["differences"] == []
    assert case["engine"]["device"] == "cpu"
    assert case["engine"]["fallback_reason"] == "the device memory is not enough for this data"


def test_what_a_lost_gpu_has_not_done_the_cpu_does(cases: dict[str, Json]) -> None:
    case = cases["lost_device"]
    assert case["differences"] == []
    assert case["engine"]["device"] == "cuda:0"
    reason = "from point 64 on the CPU: the GPU failed: CUDA_ERROR_ILLEGAL_ADDRESS"
    assert case["engine"]["fallback_reason"] == reason
    assert case["engine"]["spot_check"]["points"] == 64


def test_figures_that_are_not_those_of_the_cpu_end_the_run(cases: dict[str, Json]) -> None:
    assert "the GPU's figures are not to be trusted: sharpe of point" in cases["wrong_sums"]["found"]


def test_points_whose_check_was_stopped_are_checked_by_the_next_start(cases: dict[str, Json]) -> None:
    case = cases["stopped_check"]
    early = case["early"]
    assert early["points"] > 0
    assert early["warnings"][0]["code"] == "stopped_early"
    assert early["engine"]["spot_check"] is None
    assert case["differences"] == []
    assert case["engine"]["device"] == "cuda:0"
    assert case["engine"]["spot_check"] == {"points": early["points"], "largest_difference": 0, "ties": 0}


def test_a_tie_explains_a_difference() -> None:
    names = {"points": np.array([3, 5]), "counts": np.array([[0.0, 0, 0], [1.0, 0, 0]])}
    found = {**names, "means": np.ones((2, len(NAMES)))}
    spot = SpotCheck(7)
    spot.add(found)
    order = np.argsort(spot.rows["points"])
    spot.rows = {name: values[order] for name, values in spot.rows.items()}
    tied = found["means"].copy()
    tied[1] = 2.0
    assert spot.compare({**found, "means": tied}, 1000) == Check(2, 0.0, 1)
    near = found["means"].copy()
    near[0, NAMES.index("final_equity")] += 5e-13
    assert spot.compare({**found, "means": near}, 1000).largest_difference == pytest.approx(5e-13, rel=1e-3)
    near[0, NAMES.index("final_equity")] += 1e-12
    assert spot.compare({**found, "means": near}, 2000).ties == 0
    with pytest.raises(ProgramError, match="final_equity of point 3"):
        spot.compare({**found, "means": near}, 1000)
    undefined = found["means"].copy()
    undefined[0, NAMES.index("sharpe")] = np.nan
    with pytest.raises(ProgramError, match="sharpe of point 3"):
        spot.compare({**found, "means": undefined}, 1000)


def sweep(tmp_path: Path, **parts: Any) -> Any:
    path = closes_csv(tmp_path / "p.csv", [10 + (i * 7919 % 13) for i in range(40)])
    return run_spec(tmp_path / "out", spec_of(path, slow={"range": [2, 5, 1]}, **parts))


def test_without_a_gpu_the_cpu_runs_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_DEVICE", "cuda:0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = sweep(tmp_path)
    engine = found.result["engine"]
    assert (engine["device"], engine["device_wished"], engine["path"]) == ("cpu", "cuda:0", "events")
    assert "no CUDA driver on this machine" in engine["fallback_reason"]
    assert found.codes()[0] == "device"


def test_one_purse_is_not_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_DEVICE", "cuda")
    found = sweep(tmp_path, portfolio={"mode": "shared"})
    reason = "symbols with one purse are run one after the other, on the CPU"
    assert found.result["engine"]["fallback_reason"] == reason
    assert found.result["warnings"][0]["message"] == f"cuda was asked for: {reason}"


@pytest.mark.parametrize("wish", ["", "cpu", "auto", "cuda:x"])
def test_a_gpu_is_taken_only_where_one_was_given(
    wish: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_DEVICE", wish)
    found = sweep(tmp_path)
    engine = found.result["engine"]
    assert (engine["device"], engine["device_wished"], engine["fallback_reason"]) == ("cpu", "cpu", None)
    assert "device" not in found.codes()


def test_shards_are_told_as_one_device() -> None:
    one = Device("cuda", "cuda:0", None, Check(64, 1e-15, 0))
    other = Device("cuda", "cpu", "the CUDA driver sees no GPU", None)
    assert joined_device([one, one]) == Device("cuda", "cuda:0", None, Check(128, 1e-15, 0))
    both = joined_device([from_json(json.loads(json.dumps(to_json(part)))) for part in (one, other)])
    assert both == Device("cuda", "cpu, cuda:0", "the CUDA driver sees no GPU", Check(64, 1e-15, 0))
    assert joined_device([]) == Device()
