"""Where a sweep runs: asked for, checked, and told as it really was."""

import os
import re
from dataclasses import dataclass
from typing import Any

from berth_backtest.plan import Plan

WISH = re.compile(r"cuda(:\d{1,3})?")


@dataclass(frozen=True)
class Check:
    """What the CPU said to a sample of what a GPU found."""

    points: int
    largest_difference: float  # of final equities, relative
    ties: int  # of the points, those that a rounding could turn and that differ


@dataclass(frozen=True)
class Device:
    """`used` is where it ran; `reason` says why that, or all of it, is not what was `wished`."""

    wished: str = "cpu"
    used: str = "cpu"
    reason: str | None = None
    check: Check | None = None


CPU = Device()


class GpuFailedError(Exception):
    """The GPU cannot go on; the CPU can."""


def choose_device(plan: Plan) -> Device:
    """Returns the device of a sweep's points.

    BERTH_DEVICE, what the job was given, is a wish: what cannot run on a GPU, or finds none, runs on the
    CPU and says so. The second pass over the best points is the CPU's in any case.
    """
    wished = os.environ.get("BERTH_DEVICE", "")
    if not WISH.fullmatch(wished):
        return CPU
    reason = not_for_gpu(plan) or no_gpu()
    if reason is not None:
        return Device(wished, "cpu", reason)
    # A job sees its own GPUs only, counted from 0.
    alone = wished == "cuda" or os.environ.get("CUDA_VISIBLE_DEVICES", "") != ""
    return Device(wished, "cuda:0" if alone else wished)


def to_json(device: Device) -> dict[str, object]:
    return {**vars(device), "check": None if device.check is None else vars(device.check)}


def from_json(value: dict[str, Any]) -> Device:
    check = value["check"]
    return Device(value["wished"], value["used"], value["reason"], None if check is None else Check(**check))


def joined_device(devices: list[Device]) -> Device:
    """Returns where the parts of a sweep ran, as of one."""
    if not devices:
        return CPU
    checks = [one.check for one in devices if one.check is not None]
    check = Check(
        sum(one.points for one in checks),
        max((one.largest_difference for one in checks), default=0.0),
        sum(one.ties for one in checks),
    )
    return Device(
        ", ".join(sorted({one.wished for one in devices})),
        ", ".join(sorted({one.used for one in devices})),
        next((one.reason for one in devices if one.reason is not None), None),
        check if checks else None,
    )


def not_for_gpu(plan: Plan) -> str | None:
    """Returns why a run is not one of many that know nothing of each other, None if it is."""
    source = plan.spec.strategy.definition.source
    if plan.panel.folder is not None:
        return "prices that are larger than the memory are run symbol by symbol, on the CPU"
    if plan.spec.portfolio.mode == "shared":
        return "symbols with one purse are run one after the other, on the CPU"
    if plan.spec.strategy.from_file or (source is not None and source.kind != "step"):
        return "what is wanted comes from a file or from signals(), which is read on the CPU"
    return None


def no_gpu() -> str | None:
    """Returns why there is no GPU for the backtest program, None if there is one."""
    try:
        from berth_backtest.gpu.front import missing
    except Exception as error:  # noqa: BLE001 (an import of a compiler that lacks its libraries fails anyhow)
        return f"the GPU compiler cannot be loaded: {str(error).splitlines()[0][:200]}"
    return missing()
