"""What the machine says of its memory, cores and GPUs."""

from __future__ import annotations

import subprocess

from berth_runner.processes import lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIB = 1024**3
# A driver in trouble lets nvidia-smi hang; a heartbeat must not.
NVIDIA_SMI_TIMEOUT_S = 5


def oom_kills(path: str) -> int | None:
    """How many processes the kernel killed for memory in this cgroup (v2, then v1); None: not told."""
    files = [path] if path else ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"]
    for name in files:
        for line in lines_of(name):
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return None


def memory_gib() -> tuple[float, float] | None:
    """Total and available memory: the machine's, or the container's where that is less. None: not told."""
    found = {
        line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines_of("/proc/meminfo") if "kB" in line
    }
    if "MemTotal" not in found or "MemAvailable" not in found:
        return None
    total, available = found["MemTotal"], found["MemAvailable"]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        bound = "".join(lines_of(limit)[:1])
        if bound.isdigit() and int(bound) < total:
            total = int(bound)
            available = min(available, total - int("".join(lines_of(used)[:1]) or 0))
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
    ticks = [int(word) for word in "".join(lines_of("/proc/stat")[:1]).split()[1:9]]
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
