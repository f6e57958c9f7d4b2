"""The program as a child: in a group of its own, read without blocking, bounded, never left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time

from berth_runner import machine, processes
from berth_runner.output import Progress, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    from berth_runner.link import Orders
    from berth_runner.settings import Settings
    from berth_runner.spool import Spool

    Sink = Text | Progress

READ_BYTES = 64 * 1024
PROGRESS_FD = 3
# After the end of the program its pipes are empty, unless something it started holds them open.
DRAIN_S = 2.0


class Ending:
    """How the program ended."""

    def __init__(self) -> None:
        self.exit_code: int | None = None  # 128 + signal for a signal, as shells and Docker say it
        self.cause: str | None = None  # ours: timed_out, out_of_memory; None: its own, or an order
        self.message: str | None = None
        self.killed_by_us = False
        self.oom_kills = 0
        self.stderr_tail = ""


def reserve_progress_fd() -> None:
    """Called before anything is opened, so that number 3 is free for the program's progress pipe."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if null != PROGRESS_FD:
        os.dup2(null, PROGRESS_FD, inheritable=False)
        os.close(null)


def run_program(
    settings: Settings,
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    timeout_at: float,
    parts: tuple[Orders, Spool, int],
    started: Callable[[int], None],
    listeners: tuple[Callable[[dict[str, Any]], None], Callable[[str], None]],
) -> Ending:
    """Starts the program and stays with it to its end. Main thread only: PR_SET_PDEATHSIG means the
    thread that forked. Errors: OSError when it cannot be started."""
    orders, spool, wake_fd = parts
    ending = Ending()
    kills_before = machine.oom_kills(settings.memory_events)
    progress_read, progress_write = os.pipe()
    os.dup2(progress_write, PROGRESS_FD, inheritable=True)
    os.close(progress_write)
    try:
        child = _spawn(argv, env, cwd)
    except BaseException:
        os.close(progress_read)
        raise
    finally:
        reserve_progress_fd()
    started(child.pid)
    assert child.stdout and child.stderr
    progress = os.fdopen(progress_read, "rb", buffering=0)
    texts = [Text("stdout", spool, settings.flush_s), Text("stderr", spool, settings.flush_s)]
    streams: dict[IO[bytes], Sink] = {
        child.stdout: texts[0],
        child.stderr: texts[1],
        progress: Progress(*listeners),
    }
    with selectors.DefaultSelector() as selector:
        for pipe in streams:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
        selector.register(wake_fd, selectors.EVENT_READ)
        guard = _Guard(settings, child, orders, timeout_at, ending)
        try:
            while child.poll() is None:
                processes.reap_adopted(child.pid)
                wait = min([guard.step(), *(sink.step() for sink in streams.values())])
                _read_ready(selector, streams, wake_fd, wait)
        finally:
            processes.end_group(child.pid)
            child.wait()
        _drain(selector, streams, wake_fd)
    for pipe, sink in streams.items():
        sink.close()
        pipe.close()
    ending.exit_code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    kills_after = machine.oom_kills(settings.memory_events)
    ending.oom_kills = (kills_after or 0) - (kills_before or 0)
    ending.stderr_tail = texts[1].tail
    return ending


def _spawn(argv: list[str], env: dict[str, str], cwd: str) -> subprocess.Popen[bytes]:
    runner = os.getpid()
    processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)

    def die_with_runner() -> None:
        processes.prctl(processes.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != runner:  # it died before the line above
            os._exit(128 + signal.SIGKILL)

    return subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(PROGRESS_FD,),
        start_new_session=True,
        preexec_fn=die_with_runner,
    )


class _Guard:
    """Stop orders, the time limit and the memory bound."""

    def __init__(
        self,
        settings: Settings,
        child: subprocess.Popen[bytes],
        orders: Orders,
        timeout_at: float,
        ending: Ending,
    ) -> None:
        self._settings = settings
        self._child = child
        self._orders = orders
        self._timeout_at = timeout_at
        self._ending = ending
        self._told = False
        self._memory_at = time.monotonic()

    def step(self) -> float:
        """Does what is due; returns the seconds until it must look again."""
        now = time.monotonic()
        if now >= self._timeout_at and not self._orders.stopping.is_set():
            self._ending.cause = "timed_out"
            self._orders.stop("timed_out", self._orders.grace_s)
        if self._orders.stopping.is_set():
            if not self._told:
                self._told = True
                processes.signal_group(self._child.pid, signal.SIGTERM)
            if now >= self._orders.kill_at:
                self._kill()
            return max(self._orders.kill_at - now, 0.01) if not self._ending.killed_by_us else 0.2
        wait = self._timeout_at - now
        if self._settings.memory_gib:
            if now >= self._memory_at:
                self._memory_at = now + self._settings.memory_every_s
                self._bound_memory()
            wait = min(wait, self._settings.memory_every_s)
        return max(wait, 0.01)

    def _bound_memory(self) -> None:
        bound = self._settings.memory_gib
        used = processes.tree_memory_gib(self._child.pid, bound)
        if used > bound:
            self._ending.cause = "out_of_memory"
            self._ending.message = f"the program used {used:.2f} GiB of memory, its bound is {bound:.2f} GiB"
            self._kill()

    def _kill(self) -> None:
        self._ending.killed_by_us = True
        processes.signal_group(self._child.pid, signal.SIGKILL)


def _read_ready(
    selector: selectors.BaseSelector, streams: dict[IO[bytes], Sink], wake_fd: int, wait_s: float
) -> int:
    done = 0
    for key, _ in selector.select(min(wait_s, 3600)):
        if key.fileobj == wake_fd:
            empty(wake_fd)
            continue
        pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
        try:
            data = os.read(pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            continue
        done += 1
        if data:
            streams[pipe].feed(data)
        else:
            selector.unregister(pipe)
    return done


def _drain(selector: selectors.BaseSelector, streams: dict[IO[bytes], Sink], wake_fd: int) -> None:
    until = time.monotonic() + DRAIN_S
    while len(selector.get_map()) > 1 and time.monotonic() < until:
        _read_ready(selector, streams, wake_fd, 0.05)


def empty(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass
