"""What is missing on this machine is found out before the program finds out in its own words."""

from __future__ import annotations

import os

from berth_runner import machine
from berth_runner.gpu_check import GpuFault, check_gpus
from berth_runner.verdict import Verdict, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MEMORY_FREE_MIN_GIB = 0.125  # a Python program cannot even load its libraries in less


def preflight(device: str, gpu: dict[str, Any], home: str, disk_free_min_bytes: int) -> Verdict | None:
    """The failure to report instead of a start; None: go on. `gpu`: { count, memory_gib }, as asked for."""
    if device.startswith("cuda"):
        try:
            check_gpus(device, gpu)
        except GpuFault as fault:
            return failed("gpu_preflight", str(fault))
    disk = os.statvfs(home)
    free = disk.f_bavail * disk.f_frsize
    if free < disk_free_min_bytes:
        return failed(
            "disk_full", f"{free >> 20} MiB are free on the disk, {disk_free_min_bytes >> 20} are needed"
        )
    memory = machine.memory_gib()
    if memory is not None and memory[1] < MEMORY_FREE_MIN_GIB:
        return failed(
            "out_of_memory", f"{memory[1]:.3f} GiB of memory are free, {MEMORY_FREE_MIN_GIB} are needed"
        )
    return None
