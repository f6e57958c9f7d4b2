"""Stops: by order, by the machine, by time, by memory; with grace, then for sure, with all descendants."""

from pathlib import Path

import pytest
from scripted_berth import PATIENCE_S, Berth, Call, Reply
from world import World, born_deaf, is_alive, open_world, poll

POLITE = """
def end(*_): result(best=1); print("saved"); sys.exit(75)
signal.signal(signal.SIGTERM, end); print("up")
while True: signal.pause()
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"


def wait_up(world: World) -> None:
    world.berth.wait(lambda: "up\n" in world.berth.text())


def test_a_stop_in_any_answer_gives_the_program_its_grace(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(POLITE)
        wait_up(world)
        world.berth.answer = {"stop": {"reason": "stop", "grace_ms": int(PATIENCE_S * 1000)}}
        assert runner.wait() == 75
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (75, None)
        assert finished["result"] == {"best": 1}
        assert world.berth.text() == "up\nsaved\n"


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(DEAF)
        wait_up(world)
        world.berth.answer = {"stop": {"reason": "cancel", "grace_ms": 200}}
        assert runner.wait() == 137
        assert (world.berth.finished["exit_code"], world.berth.finished["failure"]) == (137, None)


def test_sigterm_to_the_runner_is_a_preemption_notice(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(POLITE)
        wait_up(world)
        runner.terminate()
        assert runner.wait() == 75
        assert world.berth.of("preempting")[0]["at"].endswith("Z")
        assert world.berth.finished["failure"] == "preempted"
        assert world.berth.finished["result"] == {"best": 1}


def test_a_notice_before_the_start_ends_it_without_running_the_program(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        away: list[Call] = []

        def no_spec(call: Call) -> Reply | None:
            away.append(call)
            return (503, {}, b"") if call.path.endswith("/spec") else None

        world.berth.fault = no_spec
        runner = world.run("open(OUT + '/ran', 'w')")
        poll(lambda: away)
        runner.terminate()
        assert runner.wait() == 1
        assert (world.berth.finished["exit_code"], world.berth.finished["failure"]) == (None, "preempted")
        assert not (runner.home / "out/ran").exists()


def test_the_time_limit_is_kept_without_berth(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth(timeout_s=0.3, grace_ms=200)) as world, born_deaf():
        runner = world.run(DEAF)
        assert runner.wait() == 137
        assert (world.berth.finished["exit_code"], world.berth.finished["failure"]) == (137, "timed_out")


def test_a_program_that_comes_to_its_end_within_the_grace_has_succeeded(tmp_path: Path) -> None:
    source = """
signal.signal(signal.SIGTERM, lambda *_: (result(), sys.exit(0)))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
while True: signal.pause()
"""
    with open_world(tmp_path, Berth(timeout_s=0.4)) as world, born_deaf():
        assert world.run(source).wait() == 0
        assert world.berth.finished["failure"] is None


@pytest.mark.parametrize("escape", ["pass;", "os.setsid();"], ids=["same group", "own session"])
def test_nothing_that_the_program_started_outlives_it(tmp_path: Path, escape: str) -> None:
    source = f"""
if os.fork() == 0:
    {escape} signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0: open("grandchild", "w").write(str(os.getpid()))
    while True: signal.pause()
while not os.path.exists("grandchild") or not open("grandchild").read(): time.sleep(0.01)
result(pid=int(open("grandchild").read()))
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == 0
        assert not is_alive(world.berth.finished["result"]["pid"])


def test_the_memory_bound_holds_for_the_whole_tree(tmp_path: Path) -> None:
    source = """
if os.fork() == 0:
    block = b"x" * (300 << 20)
    signal.pause()
print("up"); signal.pause()
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source, BERTH_MEMORY_GIB="0.2").wait() == 137
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (137, "out_of_memory")
        assert "its bound is 0.20 GiB" in finished["error"]["message"]


def test_pages_shared_by_forked_workers_count_once(tmp_path: Path) -> None:
    source = """
block = b"x" * (80 << 20)
workers = [os.fork() for _ in range(1)]
if 0 in workers: time.sleep(0.5); os._exit(0)
more = os.fork()
if more == 0: time.sleep(0.5); os._exit(0)
os.wait(); os.wait(); result()
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source, BERTH_MEMORY_GIB="0.15").wait() == 0


def test_the_kernels_kill_for_memory_is_told_from_other_kills(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 3\noom_kill 3\n")
    source = f"""
open({str(events)!r}, "w").write("low 0\\noom 4\\noom_kill 4\\n")
os.kill(os.getpid(), signal.SIGKILL)
"""
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source, BERTH_RUNNER_MEMORY_EVENTS=str(events)).wait() == 137
        assert world.berth.finished["failure"] == "out_of_memory"
