"""Each class of failure, from what nvidia-smi prints when it happens."""

from pathlib import Path
from typing import Any

import pytest
from berth_runner import gpu_check
from berth_runner.gpu_check import GpuFault, check_gpus

GOOD = {"index,memory.total": "0, 23034", "index,ecc": "0, 0, No", "": "CUDA Version: 12.4 |"}
LOST = "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system"
MISSING = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], code: int = 0) -> None:
    """A machine whose nvidia-smi answers each query so."""
    for number, text in enumerate(answers.values()):
        (tmp_path / f"answer{number}").write_text(text)
    cases = "".join(
        f'  *"{query}"*) cat {tmp_path}/answer{number};;\n' for number, query in enumerate(answers)
    )
    script = tmp_path / "nvidia-smi"
    script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}esac\nexit {code}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("answers", "code", "wanted", "kind"),
    [
        ({"": MISSING}, 9, {}, "driver_missing"),
        ({"": MISMATCH}, 18, {}, "driver_mismatch"),
        ({"": "No devices were found"}, 6, {}, "no_device"),
        ({"": "No devices were found"}, 0, {}, "no_device"),
        ({"": ""}, 0, {}, "no_device"),
        ({"": LOST}, 15, {}, "gpu_lost"),
        ({"": "0, [GPU is lost]"}, 0, {}, "gpu_lost"),
        ({"": "something new"}, 3, {}, "failed"),
        (GOOD, 0, {"count": 2}, "wrong_count"),
        (GOOD, 0, {"memory_gib": 40}, "too_little_memory"),
        ({**GOOD, "index,ecc": "0, 2, No"}, 0, {}, "ecc"),
        ({**GOOD, "index,ecc": "0, 0, Yes"}, 0, {}, "ecc"),
    ],
)
def test_a_failure_is_told_by_its_class(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, str],
    code: int,
    wanted: dict[str, Any],
    kind: str,
) -> None:
    machine(tmp_path, monkeypatch, answers, code)
    with pytest.raises(GpuFault) as fault:
        check_gpus("cuda", wanted)
    assert fault.value.kind == kind
    assert len(str(fault.value)) > len(kind) + 10


def test_without_nvidia_smi_the_driver_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GpuFault, match="driver_missing: there is no nvidia-smi"):
        check_gpus("cuda", {})


def test_a_driver_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, {})
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(gpu_check, "NVIDIA_SMI_TIMEOUT_S", 0.1)
    with pytest.raises(GpuFault) as fault:
        check_gpus("cuda", {})
    assert fault.value.kind == "hung"


@pytest.mark.parametrize(
    ("required", "kind"),
    [
        ("cuda>=12.4 brand=tesla,driver>=470", None),
        ("cuda>=12.10", "driver_too_old"),
        ("", None),
        ("x", None),
    ],
)
def test_the_cuda_that_an_image_needs_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, kind: str | None
) -> None:
    machine(tmp_path, monkeypatch, GOOD)
    monkeypatch.setenv("NVIDIA_REQUIRE_CUDA", required)
    if kind is None:
        check_gpus("cuda:0", {"count": 1, "memory_gib": 24})
        return
    with pytest.raises(
        GpuFault, match=f"{kind}: this image needs CUDA 12.10, and the driver goes up to 12.4"
    ):
        check_gpus("cuda", {})


def test_a_driver_without_figures_of_health_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, {**GOOD, "index,ecc": "0, [N/A], [N/A]"})
    check_gpus("cuda", {})
