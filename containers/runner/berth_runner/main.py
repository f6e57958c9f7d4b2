"""One attempt from its spec to the acknowledged report, and what a restart of its folder means."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from berth_runner import processes, program
from berth_runner.attempt import Attempt
from berth_runner.folder import Folder
from berth_runner.link import Orders
from berth_runner.settings import BadSettings, Settings

EX_USAGE = 64  # <sysexits.h>


def main() -> int:
    """The process's exit code: the program's own; 1 when it never ran; 0 when there was nothing to do."""
    code = _attempt()
    after = os.environ.get("BERTH_AFTER")
    # None: this machine is another runner's.
    if after and code is not None:
        os.execv("/bin/sh", ["sh", "-c", after])  # noqa: S606 - of whoever started the container
    return code or 0


def _attempt() -> int | None:
    program.reserve_progress_fd()
    try:
        settings = Settings(os.environ)
    except BadSettings as error:
        print(f"berth runner: {error}", file=sys.stderr)
        return EX_USAGE
    # Same-user processes, the program first of all, must not read the token from /proc/<pid>/environ.
    processes.prctl(processes.PR_SET_DUMPABLE, 0)
    os.environ.pop("BERTH_TOKEN", None)
    folder = Folder(settings.home)
    if not folder.lock():
        print("berth runner: another runner lives on this folder", file=sys.stderr)
        return None
    # One that comes when all is over must not be taken for the attempt at work.
    if folder.read("acknowledged.json") is None:
        folder.write("pid.json", {"pid": os.getpid(), "start_time": processes.start_time(os.getpid())})
    wake_read, wake_write = os.pipe()
    notice_read, notice_write = os.pipe()
    for fd in (wake_read, wake_write, notice_write):
        os.set_blocking(fd, False)
    orders = Orders(lambda: _wake(wake_write), settings.heartbeat_s, settings.heartbeat_min_s)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the end of the session that launched us is not ours
    for notice in (signal.SIGTERM, signal.SIGINT):
        # Only a byte: the handler interrupts code that may hold any lock. A thread reads it.
        signal.signal(notice, lambda *_: _wake(notice_write))
    try:
        folder.prepare()
        return Attempt(settings, folder, orders, (wake_read, notice_read)).run()
    except Exception:
        # Nobody reads a runner's own log unless it never spoke; a traceback of ours holds no secret.
        import traceback  # 6 ms of start

        traceback.print_exc()
        return 1


def _wake(fd: int) -> None:
    with suppress(BlockingIOError):  # full: it is awake
        os.write(fd, b"\0")
