"""Users' strategies with step(): read as a syntax tree, compiled, and equal to what the engine brings."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from berth_backtest import cli
from berth_backtest.errors import ProgramError
from berth_backtest.spec.parse import parse_spec
from berth_backtest.user import generate
from berth_backtest.user.declare import read_source
from berth_backtest.user.generate import load_module, module_text
from berth_backtest.user.subset import Refused

from tests.support import (
    FREE,
    ROOT,
    RUN_BOUND_S,
    Json,
    Ran,
    bars_csv,
    closes_csv,
    day,
    run_spec,
    spec_of,
    write_csv,
)

CROSS = """
NEAR = 1e-12

def crosses(a, b, a1, b1):
    return a > b + NEAR * b and not a1 > b1 + NEAR * b1

@strategy()
class Cross:
    "An SMA cross."
    fast = param.int(1, 200, default=10)
    slow = param.int(1, 400, default=30)
    sf = ind.sma("close", window=fast)
    ss = ind.sma(window=slow)

    def valid(p):
        return p.fast < p.slow

    def step(s, bar, t, t1, p):
        if s.pos == 0:
            return target(1) if crosses(t.sf, t.ss, t1.sf, t1.ss) else keep()
        if not t.sf > t.ss + NEAR * t.ss:
            return close()
"""


compiled = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="of compiled code")


def of(source: str, name: str = "X", **parts: Any) -> Json:
    """Returns the parts of a spec that name a user's strategy."""
    return {"strategy": {"source": source, "class": name}, **parts}


def klass(step: str, body: str = "", head: str = "") -> str:
    indented = "\n".join(f"        {line}" for line in step.splitlines())
    return f"\n{head}\n@strategy\nclass X:\n{body}\n    def step(s, bar, t, t1, p):\n{indented}\n"


def run_user(tmp_path: Path, closes: list[float], source: str, **parts: Any) -> Ran:
    spec = {**spec_of(closes_csv(tmp_path / "p.csv", closes)), "parameters": {}, **of(source), **parts}
    return run_spec(tmp_path / "out", spec)


@pytest.mark.parametrize("mode", ["per_symbol", "shared"])
def test_a_users_cross_is_the_built_in_one_byte_for_byte(tmp_path: Path, mode: str) -> None:
    rows = [
        [day(i), s, 5 + (i * (k + 3) * 7919 % 17)]
        for k, s in enumerate(("AA", "BB", "CC"))
        for i in range(3 * k, 90)
        if (i + k) % 11
    ]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    sizing = {"sizing": {"fraction": 0.5}} if mode == "shared" else {}
    spec = spec_of(
        path,
        {"range": [1, 9, 1]},
        {"range": [2, 20, 3]},
        data={"start": day(4)},
        execution={"fill": "next_close", "fractional": True, "fee_bps": 0, "slippage_bps": 0, **sizing},
        portfolio={"mode": mode},
        output={"look_ahead_check": True},
    )
    built_in = run_spec(tmp_path / "a", spec)
    source = CROSS.replace("target(1)", "target(0.5)") if mode == "shared" else CROSS
    users = run_spec(tmp_path / "b", {**spec, **of(source, "Cross")})
    assert users.result["skipped"] == built_in.result["skipped"] > 0
    assert users.result["look_ahead"]["ok"] is True
    for name in ("points", "metrics", "trades", "equity"):
        mine, theirs = users.rows(name), built_in.rows(name)
        assert len(mine) == len(theirs) > 0
        for one, other in zip(mine, theirs, strict=True):
            for key, value in other.items():
                assert one[key] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)
    assert users.result["engine"]["path"] == "lanes"
    assert users.result["engine"]["fallback_reason"] is None


def test_what_a_step_reads_of_its_position(tmp_path: Path) -> None:
    bars = [
        (10, 12, 9, 11),
        (11, 14, 10, 13),
        (13, 15, 12, 12),
        (12, 13, 8, 9),
        (9, 11, 9, 10),
        (10, 10, 10, 10),
    ]
    path = bars_csv(tmp_path / "p.csv", bars)
    # A unit is bought at the open of bar 1. At bar 3 each figure becomes a number of units.
    wanted = {
        "bar.i": 3,
        "bar.open": 12,
        "bar.high": 13,
        "bar.low": 8,
        "bar.close": 9,
        "bar.new_session": 1,
        "s.pos + 1": 2,
        "s.bars_held": 2,
        "s.entry": 11,
        "s.high": 15,
        "s.low": 8,
        "s.cash / 100": 9.89,
        "s.equity / 100": 9.98,
    }
    for number, (text, units) in enumerate(wanted.items()):
        probe = f"if bar.i == 0:\n    return units(1)\nif bar.i == 3:\n    return units({text})"
        execution = {**FREE, "fill": "next_open", "cash": 1000}
        spec = {**spec_of(path), "parameters": {}, **of(klass(probe)), "execution": execution}
        held = [row["position"] for row in run_spec(tmp_path / str(number), spec).rows("equity")]
        assert held == [0, 1, 1, 1, pytest.approx(units), pytest.approx(units)], text
    flat = "isnan(s.entry) and isnan(s.high) and isnan(s.low) and s.bars_held == 0 and s.pos == 0"
    spec = {**spec_of(path), "parameters": {}, **of(klass(f"return units(2 if {flat} else 1)"))}
    assert run_spec(tmp_path / "flat", spec).rows("equity")[1]["position"] == 2


def test_the_first_bar_of_a_run_sees_the_bar_before_it(tmp_path: Path) -> None:
    x = '    many = param.int(1, 9, default=1)\n    x = ind.sma("close", window=1)'
    step = "return units(p.many * (t1.x - 10)) if bar.i == 0 else keep()"
    closes = [10, 11, 13, 20, 21, 22]
    parts = {"data": {"start": day(3)}, "execution": {**FREE, "cash": 1000}}
    spec = {**spec_of(closes_csv(tmp_path / "p.csv", closes), **parts), **of(klass(step, x))}
    run = run_spec(tmp_path / "out", {**spec, "parameters": {"many": {"values": [1, 2]}}})
    for rank in (1, 2):
        held = [row["position"] for row in run.rows("equity") if row["rank"] == rank]
        units = 3 * run.rows("points")[rank - 1]["many"]
        assert held == [0, units, units]


def test_state_is_kept_by_symbol_and_set(tmp_path: Path) -> None:
    rows = [[day(i), s, 10] for s in ("AA", "BB") for i in range(8) if s == "AA" or i < 4]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    body = "    step_size = param.int(1, 5, default=1)\n    n = state.float(3)"
    source = klass("s.n += p.step_size\nreturn units(s.n)", body)
    spec = {**spec_of(path), **of(source), "parameters": {"step_size": {"values": [1, 3]}}, "execution": FREE}
    run = run_spec(tmp_path / "out", spec)
    last = {(r["rank"], r["symbol"]): r["position"] for r in run.rows("equity")}
    sizes = {r["rank"]: r for r in run.rows("equity")}
    assert len(sizes) == 2
    # Its last order was decided on the bar before the last, of BB on the last bar but one of its own.
    assert sorted(last.values()) == [3 + 3, 3 + 7, 3 + 3 * 3, 3 + 7 * 3]


def test_a_step_waits_for_its_tables_and_its_warmup(tmp_path: Path) -> None:
    closes = [10.0 + i for i in range(12)]
    body = "    m = ind.sma(window=4)"
    cases = {
        "strategy": ("return target(1)", 1),
        "strategy()": ("return target(1 if t.m > 0 else 0.5)", 4),
        "strategy(warmup=0)": ("return target(1 if t1.m > 0 else 0.5)", 5),
        "strategy(warmup=6)": ("return target(1 if t.m > 0 else 0.5)", 7),
    }
    for number, (decorator, (text, first)) in enumerate(cases.items()):
        extra = body if "t" in text.replace("return target", "") else ""
        source = klass(text, extra).replace("@strategy", f"@{decorator}")
        (tmp_path / str(number)).mkdir()
        run = run_user(tmp_path / str(number), closes, source, execution=FREE)
        held = [row["position"] > 0 for row in run.rows("equity")]
        assert held.index(True) == first, decorator


def test_an_orders_own_stops_are_those_of_the_execution(tmp_path: Path) -> None:
    bars = [(10, 10.5 + i % 4 / 2, 9.8 - i % 3 / 3, 10) for i in range(40)]
    path = bars_csv(tmp_path / "p.csv", bars)
    plain = "if s.pos == 0 and bar.i % 2 == 0:\n    return target(0.9{})"
    stops = {"stop_loss": 0.07, "take_profit": 0.2, "trailing_stop": 0.3}
    spec = {**spec_of(path), "parameters": {}}
    by_execution = run_spec(
        tmp_path / "a", {**spec, **of(klass(plain.format(""))), "execution": {**FREE, **stops}}
    )
    named = ", stop_loss=0.07, take_profit=0.2, trailing=0.3"
    by_order = run_spec(tmp_path / "b", {**spec, **of(klass(plain.format(named))), "execution": FREE})
    assert {trade["exit_reason"] for trade in by_order.trades()} >= {"stop_loss", "take_profit"}
    assert by_order.trades() == by_execution.trades()


@compiled
def test_both_sides_of_and_and_ternaries_follow_ieee(tmp_path: Path) -> None:
    source = klass(
        "x = bar.i / 0\n"
        "y = log(0) if x > 1e300 else sqrt(-1)\n"
        "if isnan(0 / 0) and (x == inf or bar.i == 0) and max(1, 2, 3) == 3 and abs(-2) == min(2, 5):\n"
        "    x = floor(2.7) + exp(0) - 3 ** 2 % 4 + 7 // 2\n"
        "else:\n"
        "    x = 0\n"
        "return units(x)"
    )
    run = run_user(tmp_path, [10.0] * 5, source, execution=FREE)
    assert [row["position"] for row in run.rows("equity")] == [0, 5, 5, 5, 5]


def test_a_loop_over_a_constant_range_runs_scalar_and_says_so(tmp_path: Path) -> None:
    head = "N = 3\ndef power(x):\n    r = 1\n    for i in range(N):\n        r *= x\n    return r\n"
    run = run_user(tmp_path, [10.0] * 4, klass("return units(power(2) + bar.i)", head=head), execution=FREE)
    assert [row["position"] for row in run.rows("equity")] == [0, 8, 9, 10]
    assert run.result["engine"]["path"] == "scalar"
    assert "power has a for loop" in run.result["engine"]["fallback_reason"]


@compiled
def test_a_fraction_beyond_1_ends_with_3_and_says_where(tmp_path: Path) -> None:
    source = klass("return target(bar.i)")
    spec = {**spec_of(closes_csv(tmp_path / "p.csv", [10, 11, 12, 13])), "parameters": {}, **of(source)}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 3
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["code"] == "user_code"
    assert f"step returned target(2) for p on {day(2)}" in error["message"]
    with pytest.raises(ProgramError, match=r"units\(nan\).*finite"):
        run_user(tmp_path, [10.0] * 3, klass("return units(0 / 0)"))


REFUSED = [
    (klass("while True: pass"), 7, "while may never end"),
    (klass("for i in range(1000000): x = i\nreturn keep()"), 7, "1000000 turns"),
    (klass("for i in range(bar.i): x = i\nreturn keep()"), 7, "constant whole numbers"),
    (klass("for i in range(100):\n    for j in range(200):\n        x = 1"), 8, "20000 turns"),
    (klass("x = [1]\nreturn keep()"), 7, "a list allocates memory"),
    (klass("x = 'a' * 10**9"), 7, "only numbers are allowed"),
    (klass("x = open('/etc/passwd')"), 7, "open cannot be called"),
    (klass("import os"), 7, "import is not allowed"),
    (klass("x = (1).__class__"), 7, "is not allowed in step"),
    (klass("x = s.__class__"), 7, "s.__class__ is unknown"),
    (klass("x = np.fromfile('x')"), 7, "np.fromfile cannot be called"),
    (klass("x = eval('1')"), 7, "eval cannot be called"),
    (klass("try:\n    x = 1\nexcept: pass"), 7, "try is not allowed"),
    (klass("raise 1"), 7, "raise is not allowed"),
    (klass("x = lambda: 1"), 7, "lambda is not allowed"),
    (klass("x = [i for i in range(3)]"), 7, "a comprehension is not allowed"),
    (klass("if bar.i > 3:\n    x = 1\nreturn units(x)"), 9, "x has no value here, on every way"),
    (klass("s.pos = 1"), 7, "s.pos cannot be assigned"),
    (klass("return 1"), 7, "step must return an Order"),
    (klass("x = keep()"), 7, "an Order can only be returned"),
    (klass("return target()"), 7, "target takes 1 number"),
    (klass("return close(stop_loss=1)"), 7, "close has no argument"),
    (klass("return target(1, limit=3)"), 7, "target has no argument limit"),
    (klass("x = bar.shut"), 7, "bar.shut is unknown: bar has i, open"),
    (klass("x = t.m"), 7, "t.m is unknown: t has nothing"),
    (klass("x = 1 if bar is None else 2"), 7, "Is is not a comparison"),
    (klass("x = p"), 7, "p has no value here"),
    (klass("bar.i"), 7, "a value that is not used"),
    (klass("x = y = 1"), 7, "one name at a time"),
    (klass("return keep()", "    a = param.int(5, 1)"), 5, "its least and its greatest"),
    (klass("return keep()", "    a = param.int(1, 9, default=10)"), 5, "the default 10"),
    (klass("return keep()", "    a = param.word(1)"), 5, "param.word is unknown"),
    (klass("return keep()", "    a = param.choice(1, 1)"), 5, "must be different numbers"),
    (klass("return keep()", "    a = ind.nothing()"), 5, "ind.nothing is unknown"),
    (klass("return keep()", "    a = ind.sma('price', window=3)"), 5, "there is no column 'price'"),
    (klass("return keep()", "    a = ind.sma()"), 5, "ind.sma needs window"),
    (klass("return keep()", "    a = ind.sma(window=0)"), 5, "whole number of bars, from 1"),
    (klass("return keep()", "    a = ind.sma(window=b)"), 5, "a number or a parameter"),
    (
        klass("return keep()", "    b = param.float(0, 1)\n    a = ind.sma(window=b)"),
        6,
        "whole and at least 1",
    ),
    (klass("return keep()", "    a = 5"), 5, "must be param..., state... or ind..."),
    (klass("return keep()", "    a = state.list()"), 5, "state has float"),
    (klass("return keep()", "    pos = state.float()"), 4, "the state pos has the name of a field"),
    (klass("return keep()", "    a = state.float()\n    a = state.float()"), 6, "a is declared twice"),
    (klass("return units(f(1))", head="def f(x): return f(x)"), 2, "f calls itself"),
    (klass("return units(f(1))", head="def f(x): return f2(x)\ndef f2(x): return f(x)"), 2, "calls itself"),
    (klass("return units(f(1))", head="def f(x, y): return x"), 7, "f takes 2 numbers"),
    (klass("return units(f(1))", head="def f(x):\n    if x > 1: return 1"), 2, "on every way through it"),
    (klass("return keep()", head="import os"), 2, "import of os is not allowed"),
    (klass("return keep()", head="A = [1]"), 2, "only constant numbers"),
    (klass("return keep()", head="print(1)"), 2, "can stand beside the class"),
    ("class X:\n    pass", 1, "exactly one of step, signals, rebalance"),
    ("class Y:\n    pass", 1, "there is no class X; the source has Y"),
    ("class X:\n    def step(s): pass", 2, "it must be step(s, bar, t, t1, p)"),
    ("class X:\n    def other(s): pass", 2, "other is unknown"),
    ("class X(Y):\n    def step(s, bar, t, t1, p): pass", 1, "no base class"),
    ("@other\nclass X:\n    def step(s, bar, t, t1, p): pass", 1, "the only decorator"),
    ("@strategy(rebalance=5)\nclass X:\n    def step(s, bar, t, t1, p): pass", 2, "needs rebalance()"),
    ("class X:\n  def", 2, "invalid syntax"),
    ("x = 1\n" * 20_000, 1, "longer than"),
    ("(" * 5_000, 1, ""),
    ("class X:\n" + "    x1 = 1 + 1\n" * 3_000, 1, "too large"),
]


@pytest.mark.parametrize(("source", "line", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_allowed_is_refused_with_its_line(source: str, line: int, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read_source(source, "X")
    assert message in str(caught.value)
    assert caught.value.line == line


def test_a_refusal_is_an_error_of_the_spec(tmp_path: Path) -> None:
    spec = {**spec_of(closes_csv(tmp_path / "p.csv", [10, 11])), "parameters": {}}
    (tmp_path / "spec.json").write_text(json.dumps({**spec, **of(klass("while 1: pass"))}))
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 2
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["errors"][0]["path"] == "strategy.source"
    assert error["errors"][0]["message"].startswith("line 7: while may never end")


@pytest.mark.parametrize(
    ("strategy", "path"),
    [
        ({"source": 5, "class": "X"}, "strategy.source"),
        ({"source": "class X: pass"}, "strategy.class"),
        ({"source": "class X: pass", "class": "1"}, "strategy.class"),
        ({"class": "X"}, "strategy.class"),
        ({"source": "class X: pass", "class": "X", "entry": "level"}, "strategy.entry"),
    ],
)
def test_a_wrong_field_is_named(strategy: Json, path: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse_spec({"data": {"dataset": "sample:indices"}, "strategy": strategy})
    assert caught.value.problems[0].path == path


def test_parameters_keep_to_what_the_class_declares() -> None:
    body = "    a = param.int(2, 10, 4)\n    b = param.choice(1.5, 3)\n    c = param.float(0, 1, log=True)"
    spec = {"data": {"dataset": "sample:indices"}, **of(klass("return keep()", body))}
    for parameters, message in (
        ({"a": 4}, "must be 2 and whole steps of 4"),
        ({"a": {"range": [2, 10, 3]}}, "must be 2 and whole steps of 4"),
        ({"b": 2}, "must be one of 1.5, 3"),
        ({"c": 2}, "must be from 0 to 1"),
        ({"d": 2}, "parameters.d"),
    ):
        with pytest.raises(ProgramError) as caught:
            parse_spec({**spec, "parameters": parameters})
        assert message in str(caught.value)
    axes = {axis.name: axis.values.tolist() for axis in parse_spec(spec).axes}
    assert (axes["a"], axes["b"], axes["c"]) == ([2.0], [1.5], [0.0])


def test_a_column_that_the_data_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    for step, body, line, column in (
        ("return units(bar.volume)", "", 7, "volume"),
        ("return keep()", "    a = ind.atr(window=3)", 5, "high"),
    ):
        with pytest.raises(ProgramError, match=f"line {line}: the data has no column {column}"):
            run_user(tmp_path, [10.0, 11.0], klass(step, body))


def test_the_same_source_is_one_module() -> None:
    module = load_module(read_source(CROSS, "Cross"))
    assert load_module(read_source(CROSS, "Cross")) is module
    assert Path(str(module.__file__)).read_text() == module_text(read_source(CROSS, "Cross"))


@compiled
def test_the_loop_over_the_sets_is_vectorised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "cache_folder", lambda: str(tmp_path))
    monkeypatch.setattr(generate, "VERSION", "compiled anew")
    source = klass(
        "x = t.m * p.a if t.m > s.entry else s.equity / s.cash\ns.n = s.n + x\nreturn units(s.n - bar.close)",
        "    a = param.float(0, 1)\n    n = state.float()\n    m = ind.sma(window=3)",
    )
    text = load_module(read_source(source, "X")).step._library.get_asm_str()
    assert "mulpd" in text
    assert "divpd" in text


# In a process of its own, as every run is: what is broken off within Numba compiles nothing any more.
TOO_LONG = """
import sys
from pathlib import Path
from berth_backtest.errors import ProgramError
from berth_backtest.user import generate
from berth_backtest.user.declare import read_source
generate.cache_folder = lambda: sys.argv[1]
generate.COMPILE_S = 0.01
try:
    generate.load_module(read_source(Path(sys.argv[2]).read_text(), "X"))
except ProgramError as error:
    print(error)
"""


@compiled
def test_a_compilation_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    text = "\n".join(f"x = {i} if bar.i > {i} else s.pos" for i in range(300)) + "\nreturn units(x)"
    (tmp_path / "x.py").write_text(klass(text))
    ran = subprocess.run(
        [sys.executable, "-c", TOO_LONG, str(tmp_path), str(tmp_path / "x.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_BOUND_S,
    )
    assert "it takes more than 0.01 s to compile" in ran.stdout


def test_a_bound_that_strikes_where_errors_are_ignored_strikes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "COMPILE_S", RUN_BOUND_S)
    monkeypatch.setattr(generate, "AGAIN_S", 0.2)
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: ignored.append(what.exc_type))
    most = time.monotonic() + RUN_BOUND_S  # a bound that never strikes fails and does not hang

    class Finalized:
        def __del__(self) -> None:
            # The time is up here, however long the machine needed to come to this line.
            _, again_s = signal.getitimer(signal.ITIMER_REAL)
            signal.setitimer(signal.ITIMER_REAL, 0.01, again_s)
            while time.monotonic() < most:
                pass

    def compile_on() -> None:
        with generate.compile_bound():
            Finalized()
            while time.monotonic() < most:
                pass

    with pytest.raises(ProgramError, match="to compile"):
        compile_on()
    assert ignored == [ProgramError]


def test_to_hold_nothing_of_what_is_not_held_is_no_order(tmp_path: Path) -> None:
    rows = [[day(i), s, 10 + i] for s in ("AA", "BB") for i in range(12) if s == "AA" or i % 3]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    for order in ("close()", "target(0)", "units(0)"):
        source = f"@strategy\nclass X:\n    def step(s, bar, t, t1, p):\n        return {order}\n"
        ran = run_spec(tmp_path / order, {**spec_of(path), "parameters": {}, **of(source)})
        assert ran.result["rejected_orders"] == {}
        assert ran.result["best"]["metrics"]["trades"] == 0
