"""Where a model is trained: asked for, checked, and told as it really was."""

import os
import re
from dataclasses import dataclass

from berth_backtest.errors import invalid

from berth_training.spec.types import Model

DEVICE = re.compile(r"cpu|cuda|cuda:\d{1,3}")


@dataclass(frozen=True)
class Device:
    """`used` is where it runs; `reason` says why that is not what was wished."""

    wished: str
    used: str
    reason: str | None


def choose_device(models: tuple[Model, ...]) -> Device:
    """Returns the device of the XGBoost models; every other model runs on the CPU.

    `model.params.device` is an order: a GPU that is not there ends the run (exit 2). BERTH_DEVICE, what the
    job was given, is a wish: without a GPU in reach of the library the CPU is taken and told.
    """
    boosters = [model for model in models if model.name == "xgboost"]
    for model in boosters:
        given = model.params.get("device")
        if given is None:
            continue
        if not isinstance(given, str) or not DEVICE.fullmatch(given):
            raise invalid(f"{model.path}.params.device", f'must be "cpu", "cuda" or "cuda:N", not {given!a}')
        if given == "cpu":
            return Device("cpu", "cpu", None)
        missing = no_gpu()
        if missing:
            raise invalid(f"{model.path}.params.device", f"{given} cannot be used: {missing}")
        return Device(given, "cuda:0" if given == "cuda" else given, None)
    wished = os.environ.get("BERTH_DEVICE", "")
    if not DEVICE.fullmatch(wished) or wished == "cpu":
        return Device("cpu", "cpu", None)
    if not boosters:
        return Device(wished, "cpu", "the model has no GPU version in this library")
    missing = no_gpu()
    if missing:
        return Device(wished, "cpu", missing)
    # A job sees its own GPUs only, counted from 0.
    alone = wished == "cuda" or os.environ.get("CUDA_VISIBLE_DEVICES", "") != ""
    return Device(wished, "cuda:0" if alone else wished, None)


def no_gpu() -> str | None:
    """Returns why XGBoost cannot use a GPU here, None if it can. It itself only warns and goes on."""
    import xgboost

    if not xgboost.build_info().get("USE_CUDA"):
        return "this XGBoost was built without CUDA (xgboost-cpu): the training image with xgboost has it"
    try:
        import ctypes

        count = ctypes.c_int()
        driver = ctypes.CDLL("libcuda.so.1")
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0:
            return None
    except OSError:
        return "there is no CUDA driver on this machine"
    return "the CUDA driver sees no GPU"
