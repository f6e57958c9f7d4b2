"""Asks a user's signals() for a set's wanted fractions, in a process of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import berth_backtest
from berth_backtest.data.panel import Panel
from berth_backtest.errors import Problem, ProgramError
from berth_backtest.user.declare import Source
from berth_backtest.user.worker import HEAD

Floats = NDArray[np.float64]

CALL_S = 60.0  # of one set: a thousand symbols of ten years take a second
REMEMBERED = 4  # sets whose signals are kept: a whole run asks twice


class Signals:
    """One process with one panel. May be called from any thread, one call at a time."""

    def __init__(self, source: Source, panel: Panel) -> None:
        self.source = source
        self.panel = panel
        self.lock = threading.Lock()
        self.known: dict[tuple[float, ...], Floats] = {}
        root = str(Path(berth_backtest.__file__).parents[1])
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", "berth_backtest.user.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": root,
                "PYTHONUNBUFFERED": "1",
                **ONE_THREAD,
            },
            bufsize=0,
        )
        weakref.finalize(self, end, self.process)
        self.send(first_message(source, panel))

    def of(self, parameters: dict[str, float]) -> Floats:
        """Returns wanted fractions by [bar, symbol]; NaN is no order. Raises what the user's code raised."""
        key = tuple(parameters.values())
        with self.lock:
            if key not in self.known:
                while len(self.known) >= REMEMBERED:
                    self.known.pop(next(iter(self.known)))
                self.known[key] = self.ask(parameters)
            return self.known[key]

    def ask(self, parameters: dict[str, float]) -> Floats:
        timer = threading.Timer(CALL_S, self.process.kill)
        timer.start()
        try:
            self.send(json.dumps(parameters).encode())
            answer = self.receive()
        finally:
            late = not timer.is_alive()
            timer.cancel()
        if answer is None:
            raise user_error(self.ending(late))
        if answer[:1] == b"-":
            told = json.loads(answer[1:])
            print(told["text"], file=sys.stderr)  # noqa: T201 (the user's own traceback)
            raise user_error(told["message"])
        found = np.frombuffer(answer[1:], dtype=np.float64).reshape(self.panel.bars, -1)
        wrong = np.isinf(found) | (np.abs(found) > 1.0)
        if wrong.any():
            bar, at = (int(x[0]) for x in np.nonzero(wrong))
            text = f"signals returned {found[bar, at]:g} for {self.panel.symbols[at]} at bar {bar}"
            raise user_error(f"{text}: it must be a fraction from -1 to 1")
        return found

    def ending(self, late: bool) -> str:
        """Says how the process ended."""
        code = self.process.wait()
        if late:
            return f"signals ran for more than {CALL_S:g} s for one set of parameters"
        if code == -signal.SIGXCPU:
            return "signals used up its processor time"
        return f"signals ended its process (exit code {code}): perhaps it asked for too much memory"

    def send(self, content: bytes) -> None:
        assert self.process.stdin is not None
        rest = memoryview(HEAD.pack(len(content)) + content)
        try:
            while rest:
                rest = rest[self.process.stdin.write(rest) :]
        except BrokenPipeError:
            pass  # it has ended: receive() finds out how

    def receive(self) -> bytes | None:
        """Returns the next answer, None if the process has ended."""
        head = self.read(HEAD.size)
        return None if head is None else self.read(HEAD.unpack(head)[0])

    def read(self, size: int) -> bytes | None:
        assert self.process.stdout is not None
        parts: list[bytes] = []
        while size > 0:
            part = self.process.stdout.read(min(size, 1 << 20))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


# Threads of a linear-algebra library count as processes of the user, of which there may be none.
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)


def first_message(source: Source, panel: Panel) -> bytes:
    setup = {"source": source.text, "class": source.name, "symbols": panel.symbols}
    there = panel.state.T == 1
    columns: dict[str, Any] = {"close": panel.close}
    if panel.has_open:
        columns["open"] = panel.open
    if panel.has_range:
        columns |= {"high": panel.high, "low": panel.low}
    if panel.volume is not None:
        columns["volume"] = panel.volume
    arrays: dict[str, Any] = {name: np.where(there, values.T, np.nan) for name, values in columns.items()}
    arrays["adjusted_close"] = own_grid(panel)
    unit = "D" if panel.dated else "us"
    dates = panel.dates.astype("datetime64[us]").astype(f"datetime64[{unit}]")
    stream = io.BytesIO()
    np.savez(stream, setup=json.dumps(setup), dates=dates, **arrays)
    return stream.getvalue()


def own_grid(panel: Panel) -> Floats:
    """Returns the closes as indicators see them: without the moves of splits and dividends."""
    found = np.full((panel.bars, len(panel.symbols)), np.nan)
    code = np.repeat(np.arange(len(panel.symbols)), np.diff(panel.own_start))
    inside = panel.own_row > 0
    found[panel.own_row[inside] - 1, code[inside]] = panel.own["close"][inside]
    return found


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def user_error(message: str) -> ProgramError:
    return ProgramError("user_code", message, [Problem("strategy.source", message)])
