"""The samples: made from two libraries' files, read like any other file."""

import gzip
from pathlib import Path

import pyarrow.parquet as papq
import pytest
from berth_backtest import samples
from berth_backtest.errors import ProgramError

from tests.support import run_spec

WIDE = "Date,AAPL,MSFT\n1990-01-02,0.264,0.384\n1990-01-03,0.266,0.386\n"
BARS = "Date,Open,High,Low,Close,Adj Close,Volume\n1/4/1999,2,4,1,3,3,900\n1/5/1999,3,5,2,4,4,800\n"
SPEC = {"strategy": {"name": "sma_cross"}, "parameters": {"fast": 1, "slow": 2}}


def source(tmp_path: Path) -> Path:
    for name, text in ((samples.SP500_20, WIDE), *[(name, BARS) for name in samples.INDICES.values()]):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
    return tmp_path / "source"


def test_the_samples_are_made_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "samples"
    assert samples.main([str(source(tmp_path)), str(out)]) == 0
    assert papq.read_table(out / "sp500-20.parquet").column_names == ["date", "symbol", "close"]
    first = papq.read_table(out / "indices.parquet").to_pylist()[0]
    assert (first["date"].isoformat(), first["symbol"], first["close"]) == ("1999-01-04", "NASDAQ", 3.0)
    monkeypatch.setenv("BERTH_SAMPLES_DIR", str(out))
    run = run_spec(tmp_path / "a", {"data": {"dataset": "sample:sp500-20"}, **SPEC})
    assert run.result["data"]["symbols"] == ["AAPL", "MSFT"]
    assert "survivorship" in run.codes()
    run = run_spec(tmp_path / "b", {"data": {"dataset": "sample:indices"}, **SPEC})
    assert run.result["effective_spec"]["execution"]["fill"] == "next_open"
    assert "survivorship" not in run.codes()


def test_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert samples.main([]) == 2
    assert samples.main([str(tmp_path), str(tmp_path)]) == 2
    assert "sp500_dataset.csv.gz does not exist" in capsys.readouterr().err
    monkeypatch.setenv("BERTH_SAMPLES_DIR", str(tmp_path))
    for name, text in (
        ("sample:indices", "does not exist"),
        ("sample:sp500", "did you mean sample:sp500-20"),
        ("ds_01", "is fetched by the runner"),
    ):
        with pytest.raises(ProgramError, match=text):
            run_spec(tmp_path / "out", {"data": {"dataset": name}, **SPEC})
