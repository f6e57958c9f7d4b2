from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy
import pandas
import pytest

import berth

# Incompressible, so that it has two parts of 16 MiB.
ROWS = 1_800_000


@pytest.fixture(scope="module")
def prices() -> pandas.DataFrame:
    dates = pandas.date_range("2000-01-01", periods=ROWS, freq="min", name="date")
    close = 100 + numpy.random.default_rng(1).random(ROWS)
    return pandas.DataFrame({"symbol": "X", "close": close}, index=dates)


def test_a_push_that_broke_off_goes_on(client: berth.Client, prices: pandas.DataFrame) -> None:
    sent: list[str] = []

    def watch(request: httpx.Request) -> None:
        if request.method == "PUT":
            if sent == ["0"]:
                sent.append("broken off")
                raise KeyboardInterrupt
            sent.append(request.url.path.rsplit("/", 1)[1])

    client._driver.http.event_hooks = {"request": [watch]}
    with pytest.raises(KeyboardInterrupt):
        client.datasets.push(prices, name="minutes", adjustment="none")
    (begun,) = client.datasets.list()
    assert begun["upload"] is not None
    assert begun["upload"]["received"] == [0]
    whole = client.datasets.push(prices, name="minutes", adjustment="none", progress=True)
    assert (whole["id"], whole["state"], whole["rows"]) == (begun["id"], "ready", ROWS)
    assert sent == ["0", "broken off", "1"]
    assert client.datasets.get(whole["id"]) == whole
    client.datasets.delete(whole["id"])
    with pytest.raises((berth.NotFound, berth.Gone)):
        client.datasets.get(whole["id"])


def test_a_server_that_puts_a_large_file_together_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now_s = [0.0]
    tries: list[str] = []
    monkeypatch.setattr("berth.plans.time", SimpleNamespace(monotonic=lambda: now_s[0]))

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/complete"):
            upload = {"part_bytes": 16 * 1024**2, "parts": 1, "received": []}
            return httpx.Response(200, json={"id": "ds_1", "upload": upload})
        tries.append(request.method)
        if len(tries) < 4:
            now_s[0] += 60
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(200, json={"id": "ds_1", "state": "ready", "upload": None})

    file = tmp_path / "prices.csv"
    file.write_text("date,close\n2020-01-02,1\n")
    client = berth.Client("http://127.0.0.1:1", "berth_key")
    client._driver.http = httpx.Client(transport=httpx.MockTransport(answer))
    assert client.datasets.push(file, adjustment="none")["state"] == "ready"
    assert len(tries) == 4


def test_a_frame_is_backtested(client: berth.Client, prices: pandas.DataFrame, tmp_path: Path) -> None:
    daily = prices.head(200_000).resample("D").last()
    data = client.datasets.push(daily, name="daily", adjustment="none")
    params = {"data": {"dataset": data["id"]}, "strategy": {"name": "buy_and_hold"}}
    job = client.submit({"kind": "backtest", "params": params}).wait(progress=False)
    assert job.result()["best"]["metrics"]["trades"] >= 0
    with pytest.raises(berth.BerthError, match=r"\.parquet or \.csv"):
        client.datasets.push(tmp_path / "prices.xlsx", adjustment="none")
