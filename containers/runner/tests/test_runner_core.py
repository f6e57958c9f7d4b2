"""One attempt on a good day: spec, started, log, heartbeats, artifacts, finished."""

import json
import os
from pathlib import Path

import pytest
from scripted_berth import TOKEN, Berth, sha256
from world import open_world


def test_a_program_runs_and_everything_is_reported(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth(params={"a": [1, "x"]})) as world:
        runner = world.run(
            """
print("hello"); print("trouble", file=sys.stderr)
say(progress=0.5, phase="run", step=1, steps=2, metrics={"sharpe": 1.5, "bad": float("nan")})
os.makedirs(OUT + "/model")
open(OUT + "/model/m.bin", "wb").write(b"\\0" * 1000)
result(params=SPEC)
"""
        )
        assert runner.wait() == 0
        berth = world.berth
        assert berth.text("stdout") == "hello\n"
        assert berth.text("stderr") == "trouble\n"
        assert len(berth.of("started")[0]["instance"]) == 32
        assert berth.of("started")[0]["host"]["memory_gib"] > 0
        finished = berth.finished
        assert (finished["exit_code"], finished["failure"], finished["error"]) == (0, None, None)
        assert finished["result"] == {"params": {"a": [1, "x"]}}
        assert [(a["name"], a["bytes"]) for a in finished["artifacts"]] == [
            ("result.json", len(berth.files["result.json"])),
            ("model/m.bin", 1000),
        ]
        assert all(a["sha256"] == sha256(berth.files[a["name"]]) for a in finished["artifacts"])
        assert runner.file("exit.json")["exit_code"] == 0
        assert runner.file("acknowledged.json") == {"by": "finished"}
        assert os.listdir(runner.home / "spool") == ["acknowledged"]


def test_progress_goes_out_with_the_heartbeat_and_machine_figures(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(
            """
say(progress=0.25, phase="load")
say(progress=7, metrics={"sharpe": 1.5, "bad": float("nan"), "text": "x"}, step=-1)
os.write(3, b"not json\\n[1]\\n" + b"x" * 200_000 + b"\\n")
sys.stdin.read(); signal.pause()
""",
            BERTH_RUNNER_MACHINE_EVERY_S="0.1",
        )
        beats = world.berth
        beats.wait(lambda: any(b.get("progress") == 1 and b["machine"] for b in beats.of("heartbeat")))
        beat = beats.of("heartbeat")[-1]
        assert beat["phase"] == "load"
        assert beat["metrics"] == {"sharpe": 1.5}
        assert "step" not in beat
        assert 0 <= beat["machine"]["cpu"] <= 1
        assert 0 < beat["machine"]["memory"] < 1
        assert beat["machine"]["gpus"] == []
        beats.answer = {"stop": {"reason": "cancel", "grace_ms": 0}}
        runner.wait()


def test_the_interval_of_heartbeats_is_the_one_that_the_last_answer_asked_for(tmp_path: Path) -> None:
    berth = Berth()
    berth.answer = {"next_heartbeat_ms": 60_000}
    with open_world(tmp_path, berth) as world:
        runner = world.run("say(progress=0.1); time.sleep(0.5); result()")
        assert runner.wait() == 0
        # One at the start and one for the changed progress; every 50 ms would have been ten.
        assert 1 <= len(berth.of("heartbeat")) <= 2


def test_the_token_reaches_neither_the_program_nor_a_file(tmp_path: Path) -> None:
    source = """
try: runner = open(f"/proc/{os.getppid()}/environ").read()
except OSError: runner = ""
result(env=dict(os.environ), runner=runner if os.getuid() else "")
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(
            source,
            LC_ALL="C.UTF-8",
            NUMBA_NUM_THREADS="1",
            AWS_SECRET_ACCESS_KEY="no",
            BERTH_SAMPLES_DIR="/s",
        )
        assert runner.wait() == 0
        assert TOKEN not in json.dumps(world.berth.finished)
        env = world.berth.finished["result"]["env"]
        assert {"LC_ALL", "NUMBA_NUM_THREADS", "BERTH_SAMPLES_DIR", "PATH", "BERTH_CHECKPOINT_DIR"} <= set(
            env
        )
        assert not {"AWS_SECRET_ACCESS_KEY", "BERTH_TOKEN", "BERTH_ATTEMPT_ID", "BERTH_PROGRAM"} & set(env)
        for path in runner.home.rglob("*"):
            assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("source", "exit_code", "failure", "message"),
    [
        ("sys.exit(2)", 2, "invalid_params", "exit code 2"),
        (
            "print('fast: must be below slow', file=sys.stderr); sys.exit(2)",
            2,
            "invalid_params",
            "fast: must",
        ),
        ("1/0", 1, None, "ZeroDivisionError: division by zero"),
        ("sys.exit(3)", 3, "user_code", "exit code 3"),
        ("sys.exit(4)", 4, "look_ahead", "exit code 4"),
        ("pass", 0, "result_missing", "no result.json"),
        ("open(OUT + '/result.json', 'w').write('{\"a\": NaN}')", 0, "result_missing", "NaN is not JSON"),
        ("open(OUT + '/result.json', 'w').write('{\"a\": 1e999}')", 0, "result_missing", "cannot be read"),
        ("open(OUT + '/result.json', 'w').write('[]')", 0, "result_missing", "not a JSON object"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "killed", "signal 9"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139, "killed", "signal 11"),
        ("raise MemoryError('table of 8 GiB')", 1, "out_of_memory", "table of 8 GiB"),
        ("import errno; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))", 1, "disk_full", "No space"),
        ("sys.exit(75)", 75, None, "exit code 75"),
    ],
)
def test_exit_codes_become_failure_classes(
    tmp_path: Path, source: str, exit_code: int, failure: str | None, message: str
) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == exit_code
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (exit_code, failure)
        assert message in finished["error"]["message"]


def test_the_programs_own_error_file_is_forwarded_within_bounds(tmp_path: Path) -> None:
    error = {
        "code": "invalid_params",
        "message": "m" * 10_000,
        "errors": [{"path": "params.fast", "message": "too big", "more": 1}],
        "hint": "try 5",
        "secret": "no",
    }
    source = f"open(OUT + '/error.json', 'w').write({json.dumps(error)!r}); sys.exit(2)"
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == 2
        assert world.berth.finished["error"] == {
            "code": "invalid_params",
            "message": "m" * 4096,
            "errors": [{"path": "params.fast", "message": "too big"}],
            "hint": "try 5",
        }


def test_a_program_that_cannot_be_started_is_said_so(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run(BERTH_PROGRAM='["no-such-program"]').wait() == 1
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (None, "runner_crashed")
        assert "no-such-program" in finished["error"]["message"]


def test_a_custom_program_needs_no_result(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth(kind="custom")) as world:
        assert world.run("pass").wait() == 0
        assert world.berth.finished["failure"] is None


def test_a_large_result_is_an_artifact_only(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run("result(text='x' * 600_000)").wait() == 0
        assert world.berth.finished["result"] is None
        assert len(world.berth.files["result.json"]) > 600_000


def test_files_that_cannot_be_artifacts_are_named_in_the_log(tmp_path: Path) -> None:
    source = """
open(OUT + "/sp ace", "w").close()
os.symlink("/etc/passwd", OUT + "/link")
os.mkfifo(OUT + "/pipe")
result()
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == 0
        assert set(world.berth.files) == {"result.json"}
        assert all(name in world.berth.text("runner") for name in ("'sp ace'", "'link'", "'pipe'"))


def test_output_of_any_bytes_arrives_whole_and_within_the_bounds(tmp_path: Path) -> None:
    source = """
out = sys.stdout.buffer
out.write("é".encode() * 100_000); out.write(b"\\x00\\xff\\x1b" * 50_000); out.write(b"last line without end")
out.flush(); result()
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == 0
        expected = "é" * 100_000 + "\ufffd\ufffd\x1b" * 50_000 + "last line without end"
        assert world.berth.text() == expected


def test_the_first_line_is_sent_while_the_program_runs(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run("print('first'); signal.pause()", BERTH_RUNNER_FLUSH_S="10")
        world.berth.wait(lambda: world.berth.text() == "first\n")
        runner.kill()


def test_bad_settings_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run(BERTH_MEMORY_GIB="much").wait() == 64
        assert "BERTH_MEMORY_GIB must be a number from 0" in capfd.readouterr().err


def test_the_program_knows_what_the_job_was_given(tmp_path: Path) -> None:
    names = ("BERTH_DEVICE", "BERTH_MEMORY_GIB", "BERTH_THREADS")
    source = f"result(found=[os.environ.get(name) for name in {names}])"
    with open_world(tmp_path, Berth(memory_gib=1.5, cpu=2.5)) as world:
        assert world.run(source).wait() == 0
        assert world.berth.finished["result"]["found"] == ["cpu", "1.5", "2"]
    plain = tmp_path / "plain"
    plain.mkdir()
    with open_world(plain, Berth()) as world:
        assert world.run(source).wait() == 0
        assert world.berth.finished["result"]["found"] == ["cpu", None, None]
