"""Whether the GPUs of this machine can be worked with, in classes that tell who has to mend what."""

from __future__ import annotations

import os
import re
import subprocess

from berth_runner.machine import NVIDIA_SMI_TIMEOUT_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A GPU of 24 GiB shows 22.5 of them: ECC and the driver take their part.
MEMORY_SHARE = 0.9
# What nvidia-smi says when it fails, in the words of its own manual and of drivers 470 to 580.
_SAID = (
    ("gpu_lost", re.compile(r"GPU is lost|fallen off the bus|Unable to determine the device handle", re.I)),
    ("driver_mismatch", re.compile(r"Driver/library version mismatch", re.I)),
    ("no_device", re.compile(r"No devices were found", re.I)),
    ("driver_missing", re.compile(r"couldn't communicate with the NVIDIA driver|NVML|not found", re.I)),
)
_ADVICE = {
    "driver_missing": "the NVIDIA driver is not loaded on this machine, or not given to the container",
    "driver_mismatch": "the driver was replaced while it was loaded: restart the machine",
    "no_device": "the driver shows no GPU on this machine",
    "gpu_lost": "a GPU does not answer any more: restart the machine or give it back",
    "hung": f"nvidia-smi did not answer in {NVIDIA_SMI_TIMEOUT_S} s: restart the machine or give it back",
    "failed": "nvidia-smi failed",
}


class GpuFault(Exception):
    """`kind`: a class of the table above, or of the checks below; the message is for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def check_gpus(device: str, wanted: dict[str, Any]) -> None:
    """`wanted`: { count, memory_gib } of the spec, each may be missing. Errors: GpuFault."""
    rows = _rows("index,memory.total")
    if any("lost" in cell.lower() or "ERR!" in cell for row in rows for cell in row):
        raise GpuFault("gpu_lost", _ADVICE["gpu_lost"])
    if not rows:
        raise GpuFault("no_device", _ADVICE["no_device"])
    index = device.partition(":")[2]
    if index and index not in [row[0] for row in rows] and "CUDA_VISIBLE_DEVICES" not in os.environ:
        raise GpuFault("wrong_count", f"{device} was asked for, but nvidia-smi shows {len(rows)} GPU")
    count = wanted.get("count")
    if isinstance(count, int) and len(rows) < count:
        raise GpuFault("wrong_count", f"{count} GPUs were asked for, but nvidia-smi shows {len(rows)}")
    _check_memory(rows, wanted.get("memory_gib"))
    _check_health()
    _check_cuda(os.environ.get("NVIDIA_REQUIRE_CUDA", ""))


def _check_memory(rows: list[list[str]], wanted_gib: object) -> None:
    if not isinstance(wanted_gib, int | float):
        return
    for index, mib in ((row[0], row[1]) for row in rows if len(row) == 2):
        if mib.replace(".", "").isdigit() and float(mib) / 1024 < wanted_gib * MEMORY_SHARE:
            has = float(mib) / 1024
            raise GpuFault(
                "too_little_memory", f"GPU {index} has {has:.1f} GiB of memory, {wanted_gib:g} were asked for"
            )


def _check_health() -> None:
    """Memory that is known to be broken gives wrong results or ends the program in its middle."""
    try:
        rows = _rows("index,ecc.errors.uncorrected.volatile.total,retired_pages.pending")
    except GpuFault:
        return  # a driver that does not know these fields
    for row in rows:
        if len(row) != 3:
            continue
        index, errors, pending = row
        if errors.isdigit() and int(errors) > 0:
            raise GpuFault(
                "ecc", f"GPU {index} has {errors} uncorrectable memory errors since its last start"
            )
        if pending.lower() == "yes":
            raise GpuFault("ecc", f"GPU {index} has broken memory that is taken out at its next start")


def _check_cuda(required: str) -> None:
    """Images of NVIDIA say which CUDA their libraries need: `cuda>=12.4 brand=tesla,...`."""
    needed = re.match(r"\s*cuda>=(\d+)\.(\d+)", required)
    shown = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", _ask()) if needed else None
    if needed and shown and tuple(map(int, shown.groups())) < tuple(map(int, needed.groups())):
        raise GpuFault(
            "driver_too_old",
            f"this image needs CUDA {'.'.join(needed.groups())}, and the driver goes up to "
            f"{'.'.join(shown.groups())}: use an older image or a machine with a newer driver",
        )


def _rows(fields: str) -> list[list[str]]:
    output = _ask(f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    return [[cell.strip() for cell in row.split(",")] for row in output.splitlines() if row.strip()]


def _ask(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GpuFault("hung", _ADVICE["hung"]) from None
    except OSError:
        raise GpuFault("driver_missing", "there is no nvidia-smi on this machine") from None
    said = done.stdout.decode("utf-8", "replace")
    kind = next((name for name, words in _SAID if words.search(said)), None)
    if done.returncode != 0 or kind in ("no_device", "gpu_lost"):
        kind = kind or "failed"
        words = " ".join(said.split())[:300]
        raise GpuFault(kind, f"{_ADVICE[kind]} ({words or f'exit code {done.returncode}'})")
    return said
