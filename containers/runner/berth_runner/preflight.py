"""What is missing on this machine is found out before the program finds out in its own words."""

from __future__ import annotations

import os

from berth_runner import machine
from berth_runner.verdict import Verdict, failed

MEMORY_FREE_MIN_GIB = 0.125  # a Python program cannot even load its libraries in less


def preflight(device: str, home: str, disk_free_min_bytes: int) -> Verdict | None:
    """The failure to report instead of a start; None: go on."""
    if device.startswith("cuda"):
        rows = machine.gpus("index")
        if not rows:
            return failed(
                "gpu_preflight", "device cuda was asked for, but nvidia-smi shows no GPU on this machine"
            )
        index = device.partition(":")[2]
        if index and [index] not in rows and "CUDA_VISIBLE_DEVICES" not in os.environ:
            return failed("gpu_preflight", f"{device} was asked for, but nvidia-smi shows {len(rows)} GPU")
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
