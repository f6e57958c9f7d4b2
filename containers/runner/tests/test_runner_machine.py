"""GPU, disk and memory of the machine, by a scripted nvidia-smi and a small file system."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_berth import Berth
from world import open_world

NVIDIA_SMI = """#!/bin/sh
case "$*" in
  *query-gpu=index,name*) for i in 0 1; do echo "$i, NVIDIA L4, 23034, 550.54.15, 8.9"; done;;
  *query-gpu=utilization*) echo "37, 1024, 61, [N/A]"; echo "0, 3, 40, 16.50";;
  *query-gpu=index*) echo 0; echo 1;;
  *) echo "| NVIDIA-SMI 550.54.15  Driver Version: 550.54.15   CUDA Version: 12.4  |";;
esac
"""


def path_with_nvidia_smi(folder: Path, script: str = NVIDIA_SMI) -> str:
    folder.joinpath("nvidia-smi").write_text(script)
    folder.joinpath("nvidia-smi").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_gpu_figures_come_from_nvidia_smi(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth(device="cuda")) as world:
        runner = world.run(
            "print('up'); signal.pause()",
            PATH=path_with_nvidia_smi(tmp_path),
            BERTH_RUNNER_MACHINE_EVERY_S="0.1",
        )
        world.berth.wait(lambda: any(beat["machine"] for beat in world.berth.of("heartbeat")))
        host = world.berth.of("started")[0]["host"]
        assert host["gpus"][1] == {
            "index": 1,
            "model": "NVIDIA L4",
            "memory_gib": 22.494,
            "compute_capability": "8.9",
        }
        assert (host["driver"], host["cuda"]) == ("550.54.15", "12.4")
        assert next(b["machine"]["gpus"] for b in world.berth.of("heartbeat") if b["machine"]) == [
            {"utilization": 0.37, "memory_used_gib": 1.0, "temperature_c": 61, "power_w": None},
            {"utilization": 0.0, "memory_used_gib": 0.003, "temperature_c": 40, "power_w": 16.5},
        ]
        runner.kill()


@pytest.mark.parametrize(
    ("device", "script", "message"),
    [
        ("cuda", "#!/bin/sh\nexit 9\n", "failed: nvidia-smi failed (exit code 9)"),
        ("cuda:2", NVIDIA_SMI, "wrong_count: cuda:2 was asked for, but nvidia-smi shows 2 GPU"),
    ],
)
def test_a_gpu_that_is_not_there_is_found_out_before_the_program(
    tmp_path: Path, device: str, script: str, message: str
) -> None:
    with open_world(tmp_path, Berth(device=device)) as world:
        assert world.run("result()", PATH=path_with_nvidia_smi(tmp_path, script)).wait() == 1
        assert world.berth.finished["failure"] == "gpu_preflight"
        assert message in world.berth.finished["error"]["message"]


def test_too_little_disk_is_found_out_before_the_program(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run("result()", BERTH_RUNNER_DISK_FREE_MIN_MIB="1e9").wait() == 1
        assert world.berth.finished["failure"] == "disk_full"
        assert "MiB are free" in world.berth.finished["error"]["message"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_is_said_and_the_end_is_still_reported(tmp_path: Path, small_disk: Path) -> None:
    source = """
print("before", flush=True)
with open("fill", "wb", buffering=0) as file:
    while True: file.write(bytes(4096))
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(source, BERTH_HOME=str(small_disk), BERTH_RUNNER_DISK_FREE_MIN_MIB="0")
        assert runner.wait() == 1
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (1, "disk_full")
        assert "No space left on device" in world.berth.text("stderr")
        assert world.berth.text() == "before\n"
        assert {"exit.json", "acknowledged.json"} <= set(os.listdir(small_disk))


def test_an_input_that_does_not_fit_on_the_disk_is_refused(tmp_path: Path, small_disk: Path) -> None:
    berth = Berth(inputs=[{"name": "a", "url": "/data/a", "sha256": "0" * 64}])
    berth.served["/data/a"] = bytes(3 << 20)
    with open_world(tmp_path, berth) as world:
        world.run("result()", BERTH_HOME=str(small_disk), BERTH_RUNNER_DISK_FREE_MIN_MIB="0").wait()
        assert world.berth.finished["failure"] == "disk_full"
