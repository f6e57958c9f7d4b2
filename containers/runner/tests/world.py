"""A folder, a Berth, and real runners on real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripted_berth import ATTEMPT, PATIENCE_S, TOKEN, Berth

RUNNER = Path(__file__).resolve().parents[1]


class Runner:
    """One process of the runner on one folder."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes]) -> None:
        self.home = home
        self.process = process

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def file(self, name: str) -> dict[str, Any]:
        value = json.loads((self.home / name).read_bytes())
        assert isinstance(value, dict)
        return value


class World:
    """A folder, a Berth, and programs written as Python source."""

    def __init__(self, folder: Path, berth: Berth) -> None:
        self.folder = folder
        self.berth = berth
        self.address = folder / "berth-url"
        self.runners: list[Runner] = []

    def write_address(self) -> None:
        self.address.write_text(self.berth.url)

    def run(self, source: str = "", home: str = "home", **env: str) -> Runner:
        """Starts a runner; its program is `source`, with the names of PRELUDE ready to use."""
        path = self.folder / "program.py"
        if source:
            path.write_text(PRELUDE + source)
        process = subprocess.Popen(
            [sys.executable, "-s", "-S", "-P", "-m", "berth_runner"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(RUNNER),
                "BERTH_URL_FILE": str(self.address),
                "BERTH_ATTEMPT_ID": ATTEMPT,
                "BERTH_TOKEN": TOKEN,
                "BERTH_HOME": str(self.folder / home),
                "BERTH_PROGRAM": json.dumps([sys.executable, "-S", str(path)]),
                "BERTH_RUNNER_HEARTBEAT_S": "0.05",
                "BERTH_RUNNER_HEARTBEAT_MIN_S": "0.05",
                "BERTH_RUNNER_PROGRESS_MIN_S": "0.05",
                "BERTH_RUNNER_MEMORY_EVERY_S": "0.05",
                "BERTH_RUNNER_FLUSH_S": "0.05",
                "BERTH_RUNNER_BACKOFF_MAX_S": "0.2",
                "BERTH_RUNNER_PREEMPT_GRACE_S": str(PATIENCE_S),
                **env,
            },
            cwd=self.folder,
        )
        runner = Runner(self.folder / home, process)
        self.runners.append(runner)
        return runner

    def let(self, name: str) -> None:
        """Ends the program's until(name)."""
        (self.folder / "home" / name).touch()


PRELUDE = """\
import json, os, signal, sys, time
SPEC, OUT = json.load(open(sys.argv[1])), sys.argv[2]
def say(**fields): os.write(3, json.dumps(fields).encode() + b"\\n")
def result(**fields): open(OUT + "/result.json", "w").write(json.dumps(fields))
def until(name, meanwhile=lambda: None):
    while not os.path.exists(name): meanwhile(); time.sleep(0.01)
"""


@contextmanager
def open_world(folder: Path, berth: Berth) -> Iterator[World]:
    berth.start()
    world = World(folder, berth)
    world.write_address()
    try:
        yield world
    finally:
        for runner in world.runners:
            if runner.process.poll() is None:
                runner.kill()
        berth.stop()


@contextmanager
def born_deaf() -> Iterator[None]:
    """What is started meanwhile has SIGTERM blocked: one that comes before its first line waits for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def poll(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)
