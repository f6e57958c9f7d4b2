"""Processes by pid, start time and descent. /proc on Linux, ps elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIB = 1024**3
LINUX = sys.platform == "linux"
PS_TIMEOUT_S = 5

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


def start_time(pid: int) -> str | None:
    """With the pid, the identity of a process; None when there is none (a zombie counts as none).

    Linux: field 22 of /proc/<pid>/stat, in clock ticks since boot (proc(5)). Else: what ps prints.
    """
    if LINUX:
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else fields[19]
    return _ps("lstart=", pid) or None


def descendants(root: int) -> list[int]:
    """All live processes below `root`; orphans too, since the runner adopts them (child subreaper)."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def adopted() -> list[int]:
    """Everything below this process in other sessions than ours, zombies too. The program leads a session
    of its own; what shares ours are helpers such as nvidia-smi. Empty where the system adopts nothing."""
    if not LINUX:
        return []
    session = str(os.getsid(0))
    found = [(pid, _stat(pid)) for pid in descendants(os.getpid())]
    return [pid for pid, fields in found if fields is not None and fields[3] != session]


def with_environment(value: str) -> list[int]:
    """Processes that were started with this value of an environment variable, and their children."""
    wanted = f"={value}\0".encode()
    found = []
    for name in os.listdir("/proc") if LINUX else []:
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in file.read(1024**2) + b"\0":
                        found.append(int(name))
            except OSError:
                pass  # gone, or another user's
    return found


def signal_group(pgid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(pgid, number)


def end_group(pgid: int) -> None:
    """What the program left behind dies too: its group, then what left the group and was adopted by us."""
    signal_group(pgid, signal.SIGKILL)
    for _ in range(100):  # a child may fork while it is killed; 100 rounds are more than it can win
        left = adopted()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass  # gone meanwhile, or a grandchild that becomes ours in the next round
        if not left:
            return
        time.sleep(0.01)


def kill_left_over(program: dict[str, Any], marker: str) -> None:
    """After a crash of the runner: the program died with it, what the program had started did not."""
    pid = program.get("pid")
    if isinstance(pid, int) and start_time(pid) == program.get("start_time") is not None:
        signal_group(pid, signal.SIGKILL)
    for other in with_environment(marker):
        with suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)


def reap_adopted(child: int) -> None:
    """Orphans that ended (the runner is their init); the program and our own helpers have their waiters."""
    while LINUX:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == child or ended.si_pid not in adopted():
            return
        os.waitpid(ended.si_pid, 0)


def tree_memory_gib(root: int, bound_gib: float) -> float:
    """Memory of `root` and everything below it.

    The sum of resident sizes counts shared pages once a process, so a sum over the bound is
    looked at again by what each process alone is charged for: anonymous and shared-memory pages
    (Pss_Anon, Pss_Shmem of smaps_rollup), without pages of files that the kernel may drop.
    """
    pids = [root, *descendants(root)]
    if not LINUX:
        return sum(int(_ps("rss=", pid) or 0) for pid in pids) * 1024 / GIB
    resident = sum(_resident(pid) for pid in pids) / GIB
    if resident <= bound_gib:
        return resident
    return sum(_charged(pid) for pid in pids) / GIB


def prctl(option: int, value: int) -> None:
    """Best effort: a kernel that refuses it only loses the extra safety."""
    if LINUX:
        _libc().prctl(option, value, 0, 0, 0)


_LIBC: list[Any] = []


def _libc() -> Any:
    """Loaded once, before any fork: a child must not import."""
    if not _LIBC:
        import ctypes

        _LIBC.append(ctypes.CDLL(None))
    return _LIBC[0]


def _stat(pid: int) -> list[str] | None:
    """Fields from the third on of /proc/<pid>/stat; the second, the name, may hold anything."""
    text = "".join(lines_of(f"/proc/{pid}/stat"))
    return text.rpartition(")")[2].split() or None


def _parents() -> list[tuple[int, int]]:
    if LINUX:
        stats = [(int(name), _stat(int(name))) for name in os.listdir("/proc") if name.isdigit()]
        return [(pid, int(fields[1])) for pid, fields in stats if fields is not None]
    rows = [line.split() for line in _run_ps("-axo", "pid=,ppid=").splitlines()]
    return [(int(row[0]), int(row[1])) for row in rows if len(row) == 2]


def _resident(pid: int) -> int:
    words = "".join(lines_of(f"/proc/{pid}/statm")).split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 else 0


def _charged(pid: int) -> int:
    kib = [
        int(line.split()[1])
        for line in lines_of(f"/proc/{pid}/smaps_rollup")
        if line.startswith(("Pss_Anon", "Pss_Sh"))
    ]
    return sum(kib) * 1024 if kib else _resident(pid)


def _ps(field: str, pid: int) -> str:
    return _run_ps("-o", field, "-p", str(pid)).strip()


def _run_ps(*arguments: str) -> str:
    try:
        env = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            ["ps", *arguments], capture_output=True, text=True, timeout=PS_TIMEOUT_S, env=env
        )
        return done.stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def lines_of(path: str) -> list[str]:
    """Of a small file of the kernel; none when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(256 * 1024).splitlines()
    except OSError:
        return []
