"""What the machine says: processes, memory, GPUs. /proc on Linux, ps elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIB = 1024**3
LINUX = sys.platform == "linux"
# A driver in trouble lets nvidia-smi hang; a heartbeat must not.
NVIDIA_SMI_TIMEOUT_S = 5
PS_TIMEOUT_S = 5

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


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


def oom_kills(path: str) -> int | None:
    """How many processes the kernel killed for memory in this cgroup (v2, then v1); None: not told."""
    files = [path] if path else ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"]
    for name in files:
        for line in _lines(name):
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return None


def memory_gib() -> tuple[float, float] | None:
    """Total and available memory: the machine's, or the container's where that is less. None: not told."""
    found = {
        line.split(":")[0]: int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if "kB" in line
    }
    if "MemTotal" not in found or "MemAvailable" not in found:
        return None
    total, available = found["MemTotal"], found["MemAvailable"]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        bound = "".join(_lines(limit)[:1])
        if bound.isdigit() and int(bound) < total:
            total = int(bound)
            available = min(available, total - int("".join(_lines(used)[:1]) or 0))
    return total / GIB, max(available, 0) / GIB


def gpus(fields: str) -> list[list[str]] | None:
    """Rows of `nvidia-smi --query-gpu`; None: no nvidia-smi, or it failed."""
    output = _nvidia_smi(f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    if output is None:
        return None
    return [[cell.strip() for cell in row.split(",")] for row in output.splitlines() if row.strip()]


def host(device: str) -> dict[str, Any]:
    """Of `started`: { gpus, driver, cuda, memory_gib }."""
    memory = memory_gib()
    rows = gpus("index,name,memory.total,driver_version,compute_cap") if device != "cpu" else None
    header = (_nvidia_smi() or "") if rows else ""
    return {
        "gpus": [
            {"index": int(row[0]), "model": row[1], "memory_gib": _gib(row[2]), "compute_capability": row[4]}
            for row in rows or []
            if len(row) == 5 and row[0].isdigit()
        ],
        "driver": rows[0][3] if rows and len(rows[0]) == 5 else None,
        "cuda": header.partition("CUDA Version:")[2].split("|")[0].strip()[:20] or None,
        "memory_gib": round(memory[0], 2) if memory else None,
    }


class Gauge:
    """Figures for heartbeats: { cpu, memory, gpus }, shares of 1, GPU figures as nvidia-smi gives them."""

    def __init__(self, device: str) -> None:
        self._has_gpu = device != "cpu"
        self._busy = _cpu_times()

    def read(self) -> dict[str, Any]:
        before, self._busy = self._busy, _cpu_times()
        passed = self._busy[1] - before[1]
        memory = memory_gib()
        rows = gpus("utilization.gpu,memory.used,temperature.gpu,power.draw") if self._has_gpu else None
        self._has_gpu = rows is not None
        return {
            "cpu": round((self._busy[0] - before[0]) / passed, 4) if passed > 0 else None,
            "memory": round(1 - memory[1] / memory[0], 4) if memory else None,
            "gpus": [
                {
                    "utilization": _scaled(row[0], 100),
                    "memory_used_gib": _gib(row[1]),
                    "temperature_c": _scaled(row[2], 1),
                    "power_w": _scaled(row[3], 1),
                }
                for row in rows or []
                if len(row) == 4
            ],
        }


def _cpu_times() -> tuple[int, int]:
    """Busy and all ticks of all cores since boot."""
    ticks = [int(word) for word in "".join(_lines("/proc/stat")[:1]).split()[1:9]]
    return (sum(ticks) - sum(ticks[3:5]), sum(ticks)) if ticks else (0, 0)


def _nvidia_smi(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def _gib(mib: str) -> float | None:
    value = _scaled(mib, 1024)
    return None if value is None else round(value, 3)


def _scaled(text: str, unit: float) -> float | None:
    try:
        return float(text) / unit
    except ValueError:
        return None  # "[N/A]"


def _stat(pid: int) -> list[str] | None:
    """Fields from the third on of /proc/<pid>/stat; the second, the name, may hold anything."""
    text = "".join(_lines(f"/proc/{pid}/stat"))
    return text.rpartition(")")[2].split() or None


def _parents() -> list[tuple[int, int]]:
    if LINUX:
        stats = [(int(name), _stat(int(name))) for name in os.listdir("/proc") if name.isdigit()]
        return [(pid, int(fields[1])) for pid, fields in stats if fields is not None]
    rows = [line.split() for line in _run_ps("-axo", "pid=,ppid=").splitlines()]
    return [(int(row[0]), int(row[1])) for row in rows if len(row) == 2]


def _resident(pid: int) -> int:
    words = "".join(_lines(f"/proc/{pid}/statm")).split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 else 0


def _charged(pid: int) -> int:
    kib = [
        int(line.split()[1])
        for line in _lines(f"/proc/{pid}/smaps_rollup")
        if line.startswith(("Pss_Anon", "Pss_Sh"))
    ]
    return sum(kib) * 1024 if kib else _resident(pid)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(256 * 1024).splitlines()
    except OSError:
        return []


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
