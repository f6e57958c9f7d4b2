import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import berth

SPEC = {
    "kind": "backtest",
    "name": "sma cross",
    "params": {
        "data": {
            "dataset": "sample:sp500-20",
            "symbols": ["AAPL", "KO"],
            "start": "2015-01-01",
            "end": "2019-12-31",
        },
        "strategy": {"name": "sma_cross"},
        "parameters": {"fast": [5, 10], "slow": {"range": [20, 60, 20]}},
        "execution": {"fill": "next_close"},
        "output": {"tearsheet": False},
    },
    "resources": {"cpu": 1, "memory_gib": 1, "disk_gib": 1},
    "cache": False,
    "labels": {"desk": "alpha"},
}
SPEC["params"]["parameters"]["fast"] = {"values": [5, 10]}  # type: ignore[index]


def test_a_backtest_from_submission_to_frames(
    client: berth.Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.estimate(SPEC)["offers"][0]["provider"] == "local"
    job = client.submit(SPEC, idempotency_key="once")
    assert client.submit(SPEC, idempotency_key="once").id == job.id
    lines = "".join(line["text"] for line in job.logs(follow=True))
    assert job.wait(progress=True).state == "succeeded"
    assert "sma cross" in capsys.readouterr().err
    assert "".join(line["text"] for line in job.logs()) == lines
    best = job.result()["best"]
    points = job.points()
    assert len(points) == 6
    assert points.iloc[0][["fast", "slow"]].to_dict() == best["parameters"]
    assert points.iloc[0]["objective"] == points["objective"].max()
    assert job.table("points.parquet").num_rows == len(job.frame("points.parquet")) == 6
    trades = job.trades(symbol="KO")
    curve = job.series("equity", "price", symbol="KO", max_points=10_000)
    assert curve["equity"].iloc[-1] == pytest.approx(10_000 + trades["pnl"].sum())
    assert curve.attrs["left_out"] == []
    assert trades["entry_date"].isin(curve.index).all()
    assert list(job.series().columns) == ["equity", "drawdown"]
    assert len(job.trades(rank=2)) > 0
    saved = job.save("result.json", tmp_path)
    assert saved.read_bytes() == job.read("result.json")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert {one["name"] for one in job.artifacts()} >= {"result.json", "trades.parquet"}
    assert job.explain()["state"] == "succeeded"
    assert [found.id for found in client.jobs(label="desk:alpha")] == [job.id]
    assert [event["type"] for event in job.events()][-1] == "job.succeeded"
    with pytest.raises(berth.JobFinished):
        job.cancel()
    with pytest.raises(berth.NotFound, match=r"it has .*result\.json"):
        job.read("other.json")
    job.delete()
    with pytest.raises((berth.NotFound, berth.Gone)):
        job.refresh()


def test_the_same_with_asyncio(url: str) -> None:
    async def story() -> None:
        async with berth.AsyncClient(url) as client:
            first, second = await asyncio.gather(client.submit(SPEC), client.submit(SPEC))
            assert first.id != second.id
            await asyncio.gather(first.wait(progress=False), second.wait(progress=False))
            followed = [line["text"] async for line in first.logs(follow=True)]
            assert followed == [line["text"] async for line in first.logs()]
            assert (await first.result())["best"] == (await second.result())["best"]
            assert (await first.points()).equals(await second.points())
            assert (await first.trades()).shape[0] > 0
            assert (await first.series(symbol="KO", start="2017-01-01")).index[0].year == 2017
            assert {found.id async for found in client.jobs(state="succeeded")} >= {first.id, second.id}
            with pytest.raises(berth.JobFinished):
                await first.stop()

    asyncio.run(story())


def test_what_is_refused_is_a_class_with_its_problem(client: berth.Client, url: str) -> None:
    with pytest.raises(berth.InvalidRequest) as refused:
        client.submit({**SPEC, "timeout_s": "long"})
    assert refused.value.problem["code"] == refused.value.code
    assert [error["path"] for error in refused.value.errors] == ["timeout_s"]
    assert "timeout_s" in str(refused.value)
    assert refused.value.request_id
    client.submit({**SPEC, "placement": {"providers": ["nowhere"]}}, idempotency_key="taken")
    with pytest.raises(berth.IdempotencyKeyReused):
        client.submit(SPEC, idempotency_key="taken")
    waiting = client.submit({**SPEC, "placement": {"providers": ["nowhere"]}, "labels": {"desk": "beta"}})
    with pytest.raises(TimeoutError, match="goes on"):
        waiting.wait(timeout=0, progress=False)
    assert waiting.explain()["state"] == "queued"
    assert client.cancel_jobs(label="desk:beta") == 1
    with pytest.raises(berth.JobCancelled):
        waiting.wait(progress=False)
    assert waiting.state == "cancelled"
    batch = client.submit_batch([{"kind": "none"}, {**SPEC, "placement": {"providers": ["nowhere"]}}])
    assert ["problem" in item for item in batch] == [True, False]
    key = "berth_wrong_key"
    with berth.Client(url, key) as stranger, pytest.raises(berth.Unauthorized) as unknown:
        stranger.job("job_01jd3m4k5nep7r8r9s0t1v2w3x")
    assert key not in repr(stranger) + repr(unknown.value) + str(unknown.value)


def test_a_job_that_fails_says_why(client: berth.Client) -> None:
    source = "class X:\n    pass\n"
    params = {**SPEC["params"], "strategy": {"source": source, "class": "X"}, "parameters": {}}  # type: ignore[dict-item]
    job = client.submit({**SPEC, "params": params, "retry": {"max_attempts": 1}})
    with pytest.raises(berth.JobFailed) as failed:
        job.wait(progress=False)
    assert failed.value.error is not None
    assert failed.value.error["where"] in {"user", "program"}
    assert failed.value.error["message"] in str(failed.value)
    assert job.wait(check=False, progress=False).state == "failed"


def test_the_notebook_runs(url: str) -> None:
    """Its cells, one after the other, as a kernel would run them."""
    assert url
    file = Path(__file__).resolve().parents[1] / "examples" / "sweep.ipynb"
    names: dict[str, Any] = {}
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102
    names["client"].close()
    assert names["surface"].shape == (5, 4)
    assert names["trades"].shape[0] > 0
