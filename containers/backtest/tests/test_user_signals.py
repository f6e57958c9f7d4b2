"""Users' signals(): ordinary Python in a bounded process."""

import json
from pathlib import Path
from typing import Any

import pytest
from berth_backtest import cli
from berth_backtest.errors import ProgramError
from berth_backtest.user import signals, worker
from berth_backtest.user.declare import read_source
from berth_backtest.user.subset import Refused

from tests.support import FREE, Json, Ran, day, run_spec, spec_of, write_csv


def source_of(body: str, head: str = "", declared: str = "    a = param.float(0, 1, default=0.5)") -> str:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"{head}\nclass X:\n{declared}\n\n    def signals(data, p):\n{lines}\n"


def prices(tmp_path: Path, symbols: int = 2, bars: int = 30) -> Path:
    rows = [
        [day(i), f"S{k}", c := 10 + (i * (k + 3) * 7919 % 7), c + 2, c - 1, c + 1, 100 * (i + 1)]
        for k in range(symbols)
        for i in range(bars)
        if (i + k) % 9
    ]
    return write_csv(tmp_path / "p.csv", "date,symbol,open,high,low,close,volume", rows)


def run_signals(tmp_path: Path, body: str, **parts: Any) -> Ran:
    head = parts.pop("head", "")
    spec: Json = {
        **spec_of(prices(tmp_path), output=parts.pop("output", {})),
        "strategy": {"source": source_of(body, head), "class": "X"},
        "execution": FREE,
        "parameters": {},
        **parts,
    }
    return run_spec(tmp_path / "out", spec)


HELD = """
w = np.full(data.close.shape, np.nan)
w[::5] = p.a
w[::10] = 0
return w
"""


@pytest.mark.parametrize("mode", ["per_symbol", "shared"])
def test_signals_are_those_of_a_file(tmp_path: Path, mode: str) -> None:
    rows = [
        [day(i), f"S{k}", 0 if i % 10 == 1 else 0.4] for i in range(1, 30, 5) for k in (0, 1) if (i + k) % 9
    ]
    file = write_csv(tmp_path / "s.csv", "date,symbol,target", rows)
    plain = {**spec_of(prices(tmp_path)), "execution": FREE, "portfolio": {"mode": mode}, "parameters": {}}
    of_file = run_spec(tmp_path / "file", {**plain, "strategy": {"signals": {"url": str(file)}}})
    user = run_signals(
        tmp_path,
        HELD.replace("[::5]", "[1::5]").replace("[::10]", "[1::10]"),
        portfolio={"mode": mode},
        parameters={"a": 0.4},
    )
    assert len(of_file.trades()) > 2
    assert user.trades() == of_file.trades()
    assert user.equity() == of_file.equity()


def test_each_set_has_its_own_signals(tmp_path: Path) -> None:
    run = run_signals(tmp_path, HELD, parameters={"a": {"values": [0.2, 0.8, 0.5]}})
    assert run.result["points"] == 3
    exposure = {row["a"]: row["turnover"] for row in run.rows("points")}
    assert exposure[0.2] < exposure[0.5] < exposure[0.8]


def test_it_sees_columns_dates_and_symbols_and_nan_where_there_is_no_bar(tmp_path: Path) -> None:
    body = """
assert data.close.shape == data.open.shape == data.high.shape == data.low.shape == data.volume.shape
assert data.symbols == ("S0", "S1") and data.dates.shape == (len(data.close),)
assert str(data.dates[0]) == "2020-01-01" and np.isnan(data.close[8, 1])
assert helper(2) == K
try: data.close[0, 0] = 1
except ValueError: pass
else: raise ValueError("it can be written")
return np.zeros(data.close.shape)
"""
    head = "import numpy as np\nimport math\nK = 4\ndef helper(x): return x * 2 + math.floor(0.5)"
    assert run_signals(tmp_path, body, head=head).metrics["trades"] == 0


def test_the_methods_of_arrays_work(tmp_path: Path) -> None:
    names = ("all", "any", "max", "mean", "min", "prod", "std", "sum", "var")
    calls = "\n".join(f"data.close[:3].{name}(axis=0)" for name in names)
    body = f"{calls}\nnp.bincount([1, 2])\nreturn (data.close * 0).clip(0, 1)"
    assert run_signals(tmp_path, body).metrics["trades"] == 0


def test_a_part_that_is_not_numpys_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="os cannot be imported by a strategy"):
        worker.loaded_part("os")
    with pytest.raises(ImportError, match=r"numpy\.distutils cannot"):
        worker.loaded_part("numpy.distutils")


def test_look_ahead_in_signals_is_found(tmp_path: Path) -> None:
    output = {"look_ahead_check": True}
    good = "return np.where(data.close > 12, 0.5, 0.0)"
    assert run_signals(tmp_path, good, output=output).result["look_ahead"]["ok"] is True
    bad = "after = np.roll(data.close, -1, axis=0)\nreturn np.where(after > data.close, 0.5, 0.0)"
    with pytest.raises(ProgramError) as caught:
        run_signals(tmp_path, bad, output=output)
    assert caught.value.code == "look_ahead"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1\nreturn 1 / (x - 1)", "line 7: ZeroDivisionError: division by zero"),
        ("return [1, 2]", "array of shape (2,), not (30, 2)"),
        ("return data.close * np.inf", "it must be a fraction from -1 to 1"),
        ("return np.full(data.close.shape, 1.5)", "signals returned 1.5 for S0 at bar 0"),
        ("return np.zeros(data.close.shape + (10**9,))", "MemoryError: it may allocate"),
        ("x = []\nwhile True: x.append(np.ones(10**6))", "MemoryError: it may allocate"),
        ("f = lambda n: f(n + 1)\nreturn f(0)", "RecursionError"),
        ("raise ValueError('mine')", "ValueError: mine"),
        ("return np.asarray(data.nothing)", "nothing"),
    ],
)
def test_what_user_code_raises_ends_with_3_and_its_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, message: str
) -> None:
    spec = {
        **spec_of(prices(tmp_path)),
        "strategy": {"source": source_of(body), "class": "X"},
        "parameters": {},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 3
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["code"] == "user_code"
    assert message in error["message"]
    if "Error" in message:
        assert 'File "<strategy>"' in capfd.readouterr().err


def test_a_loop_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "CALL_S", 1.0)
    with pytest.raises(ProgramError, match="ran for more than 1 s"):
        run_signals(tmp_path, "while True: pass")


def test_no_file_can_be_opened_even_past_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth_backtest.user.declare.check_ordinary", lambda _: None)
    with pytest.raises(ProgramError, match=r"line 6: \w+Error"):
        run_signals(tmp_path, "return np.fromfile('/etc/passwd')")


def test_what_is_printed_goes_with_the_log_and_not_between_the_answers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_signals(tmp_path, "print('hello from the strategy')\nreturn np.zeros(data.close.shape)")
    assert "hello from the strategy" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return open('/etc/passwd')", "open is not allowed"),
        ("return np.fromfile('/etc/passwd')", "reads and writes no files"),
        ("return np.load('/etc/passwd')", "reads and writes no files"),
        ("data.close.tofile('x')", "reads and writes no files"),
        ("import os", "import is not allowed"),
        ("return (1).__class__", ".__class__ is not allowed"),
        ("return __import__('os')", "__import__ is not allowed"),
        ("return eval('1')", "eval is not allowed"),
        ("return np.random.rand(3)", "random numbers would make two runs differ"),
        ("with x: pass", "with is not allowed"),
        ("global x", "global is not allowed"),
        ("yield 1", "a generator is not allowed"),
        ("return getattr(np, 'load')", "getattr is not allowed"),
    ],
)
def test_what_reaches_out_is_refused_with_its_line(body: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read_source(source_of(body), "X")
    assert caught.value.line == 6
    assert message in str(caught.value)


def test_declarations_that_signals_has_no_use_for_are_refused() -> None:
    with pytest.raises(Refused, match="takes no ind"):
        read_source(source_of("return 0", declared="    m = ind.sma(window=3)"), "X")
