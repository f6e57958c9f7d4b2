"""A restart of the same folder: it never runs the program twice and never forgets how it ended."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from scripted_berth import Berth, Call, Reply, json_reply
from world import is_alive, open_world, poll

UP = "print('up'); signal.pause()"


def remove(home: Path) -> None:
    """At once: a runner that writes into it meanwhile would keep it from going."""
    gone = home.rename(home.with_name("gone"))
    shutil.rmtree(gone)


def test_the_program_dies_with_its_runner(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run("signal.signal(signal.SIGTERM, signal.SIG_IGN); " + UP)
        world.berth.wait(lambda: world.berth.chunks)
        pid = runner.file("program.json")["pid"]
        assert is_alive(pid)
        runner.kill()
        poll(lambda: not is_alive(pid))


def test_a_restart_reports_the_crash_with_the_same_instance_and_does_not_rerun(tmp_path: Path) -> None:
    source = """
open("runs", "a").write("x")
if os.fork() == 0: open("left", "w").write(str(os.getpid())); signal.pause()
while not os.path.exists("left") or not open("left").read(): time.sleep(0.01)
open(os.environ["BERTH_CHECKPOINT_DIR"] + "/state", "w").write("7")
open(OUT + "/half", "w").write("half")
print("up"); signal.pause()
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(source)
        world.berth.wait(lambda: world.berth.chunks)
        runner.kill()
        left = int((runner.home / "left").read_text())
        assert world.run().wait() == 1
        assert not is_alive(left)
        assert (runner.home / "runs").read_text() == "x"
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (None, "runner_crashed")
        assert finished["artifacts"] == []
        assert [c["name"] for c in world.berth.of("checkpoint")] == ["checkpoints/1.tar"]
        assert len({s["instance"] for s in world.berth.of("started")}) == 1


def test_a_runner_killed_before_the_program_began_goes_on_after_a_restart(tmp_path: Path) -> None:
    def no_start(call: Call) -> Reply | None:
        return (503, {}, b"") if call.path.endswith("/report") else None

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = no_start
        runner = world.run("result(ok=1)")
        poll((runner.home / "attempt.json").exists)
        runner.kill()
        world.berth.fault = lambda _: None
        assert world.run().wait() == 0
        assert world.berth.finished["result"] == {"ok": 1}


def test_a_restart_after_the_end_sends_what_is_left(tmp_path: Path) -> None:
    def nothing_but_beats(call: Call) -> Reply | None:
        taken = call.path.endswith("/spec") or b'"started"' in call.body or b'"heartbeat"' in call.body
        return None if taken else (503, {}, b"")

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = nothing_but_beats
        runner = world.run("print('one'); print('two'); result(ok=1)")
        poll((runner.home / "exit.json").exists)
        runner.kill()
        assert not world.berth.chunks
        world.berth.fault = lambda _: None
        assert world.run("1/0").wait() == 0
        assert world.berth.text() == "one\ntwo\n"
        assert world.berth.finished["result"] == {"ok": 1}
        assert set(world.berth.files) == {"result.json"}


def test_chunk_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run("print('up'); until('go'); print('more'); signal.pause()")
        world.berth.wait(lambda: world.berth.chunks)
        world.let("go")
        world.berth.wait(lambda: world.berth.text() == "up\nmore\n")
        poll(lambda: os.listdir(runner.home / "spool") == ["acknowledged"])
        runner.kill()
        # A file that cannot be kept makes the restarted runner say something of its own.
        world.berth.fault = lambda call: json_reply(422, {}) if call.path.endswith("/urls") else None
        (runner.home / "checkpoint/state").write_text("7")
        assert world.run().wait() == 1
        assert world.berth.text() == "up\nmore\n"
        assert "checkpoint was not kept" in world.berth.text("runner")


def test_an_acknowledged_folder_is_left_alone(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        first = world.run("sys.exit(3)")
        assert first.wait() == 3
        calls, marker = len(world.berth.calls), first.file("pid.json")
        assert world.run().wait() == 3
        assert len(world.berth.calls) == calls
        assert first.file("pid.json") == marker


def test_a_second_runner_on_the_folder_does_nothing(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        first = world.run(UP)
        world.berth.wait(lambda: world.berth.chunks)
        marker = first.file("pid.json")
        second = world.run()
        assert second.wait() == 0
        assert first.file("pid.json") == marker
        assert is_alive(first.process.pid)
        assert len(world.berth.of("started")) == 1


@pytest.mark.parametrize("is_away", [False, True], ids=["berth is there", "berth is away"])
def test_a_runner_whose_folder_is_removed_ends_with_its_program(tmp_path: Path, is_away: bool) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(UP)
        world.berth.wait(lambda: world.berth.chunks)
        program = runner.file("program.json")["pid"]
        if is_away:
            world.berth.stop()
        remove(runner.home)
        assert runner.wait() == 143
        assert not is_alive(program)
        assert not (runner.home / "exit.json").exists()


def test_a_runner_whose_folder_is_removed_during_an_upload_ends(tmp_path: Path) -> None:
    asked: list[Call] = []

    def refuse_uploads(call: Call) -> Reply | None:
        if not call.path.endswith("/urls"):
            return None
        asked.append(call)
        return json_reply(503, {"code": "unavailable"})

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = refuse_uploads
        runner = world.run("result(a=1)")
        poll(lambda: asked)
        remove(runner.home)
        assert runner.wait() == 0
        assert world.berth.of("finished") == []


def test_the_pid_file_names_the_runner(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(UP)
        world.berth.wait(lambda: world.berth.chunks)
        assert runner.file("pid.json")["pid"] == runner.process.pid
        program = runner.file("program.json")["pid"]
        assert os.getpgid(program) == program != os.getpgid(runner.process.pid)
        os.killpg(program, signal.SIGKILL)
        assert runner.wait() == 137
