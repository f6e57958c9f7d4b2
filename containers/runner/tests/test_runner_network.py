"""A hostile network: nothing but two JSON answers ends the work, and nothing is lost or said twice."""

import re
import time
from pathlib import Path

import pytest
from scripted_berth import Berth, Call, Reply, json_reply
from world import Runner, World, open_world, poll

LINES = "for i in range(20): print('line', i); time.sleep(0.01)\nresult(ok=True)"
EXPECTED = "".join(f"line {i}\n" for i in range(20))
HTML = (502, {"Content-Type": "text/html"}, b"<html><h1>502 Bad Gateway</h1></html>")


def assert_whole(world: World, runner: Runner) -> None:
    assert runner.wait() == 0
    assert world.berth.text() == EXPECTED
    assert world.berth.finished["result"] == {"ok": True}
    assert set(world.berth.files) == {"result.json"}


def test_a_server_that_comes_back_on_another_port_gets_everything(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(LINES)
        world.berth.wait(lambda: world.berth.chunks)
        port = world.berth.url
        world.berth.stop()
        poll((tmp_path / "home/exit.json").exists)
        world.berth.start()
        assert world.berth.url != port
        world.write_address()
        assert_whole(world, runner)


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.stop()
        world.address.unlink()
        runner = world.run(LINES)
        poll((tmp_path / "home/spool").exists)
        world.berth.start()
        world.write_address()
        assert_whole(world, runner)


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        (500, {}, b""),
        json_reply(503, {"code": "unavailable"}),
        json_reply(401, {"code": "unauthorized"}),
        json_reply(403, {"code": "forbidden"}),
        json_reply(404, {"code": "not_found"}),
        json_reply(429, {"code": "throttled"}),
        json_reply(409, {"code": "conflict"}),
        json_reply(410, {"code": "gone"}),
        (410, {"Content-Type": "text/html"}, b'{"code": "attempt_over"}'),
        (200, {"Content-Type": "text/html"}, b"<html>sign in to the hotel's network</html>"),
        (200, {"Content-Type": "application/json"}, b"[1]"),
        (200, {"Content-Type": "application/json"}, b'{"half'),
        (200, {"Content-Type": "application/json", "Content-Length": "500", "Connection": "close"}, b"{"),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
    ],
    ids=lambda reply: f"{reply[0]}-{reply[2][:12].decode()}",
)
def test_what_berth_would_not_say_is_loss_of_sight(tmp_path: Path, reply: Reply) -> None:
    seen: dict[tuple[str, bool], int] = {}

    def every_other(call: Call) -> Reply | None:
        kind = (call.path, b'"heartbeat"' in call.body)
        seen[kind] = seen.get(kind, 0) + 1
        return reply if seen[kind] % 2 else None

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = every_other
        assert_whole(world, world.run(LINES, BERTH_RUNNER_BACKOFF_MAX_S="0.05"))


def test_an_answer_that_is_lost_makes_no_line_twice(tmp_path: Path) -> None:
    lost: list[Call] = []

    def every_third(call: Call) -> bool:
        lost.append(call)
        return len(lost) % 3 == 0

    with open_world(tmp_path, Berth()) as world:
        world.berth.lose = every_third
        assert_whole(world, world.run(LINES, BERTH_RUNNER_BACKOFF_MAX_S="0.05"))


def test_slow_answers_are_given_up_and_asked_again(tmp_path: Path) -> None:
    slow: list[Call] = []

    def sleepy(call: Call) -> Reply | None:
        if len(slow) < 4:
            slow.append(call)
            time.sleep(0.4)  # longer than the runner's patience with one socket
        return None

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = sleepy
        assert_whole(world, world.run(LINES, BERTH_RUNNER_SOCKET_TIMEOUT_S="0.2"))
        assert len(slow) == 4


@pytest.mark.parametrize(("status", "code"), [(410, "attempt_over"), (409, "superseded")])
def test_the_two_orders_to_end_stop_the_program_and_keep_the_folder(
    tmp_path: Path, status: int, code: str
) -> None:
    with open_world(tmp_path, Berth()) as world:
        runner = world.run("print('up'); open(OUT + '/pid', 'w').write(str(os.getpid())); signal.pause()")
        world.berth.wait(lambda: world.berth.chunks)
        world.berth.fault = lambda _: json_reply(status, {"code": code})
        assert runner.wait() == 143
        assert not world.berth.of("finished")
        assert runner.file("acknowledged.json") == {"by": code}
        assert runner.file("exit.json")["exit_code"] == 143
        calls = len(world.berth.calls)
        assert world.run().wait() == 143
        assert len(world.berth.calls) == calls


def test_a_superseded_start_never_runs_the_program(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = lambda call: (
            json_reply(409, {"code": "superseded"}) if call.path.endswith("/report") else None
        )
        runner = world.run("open(OUT + '/ran', 'w')")
        assert runner.wait() == 0
        assert not (runner.home / "out/ran").exists()
        assert not world.berth.reports


def test_a_chunk_that_is_refused_for_good_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    refused: list[Call] = []

    def picky(call: Call) -> Reply | None:
        if not (call.path.endswith("/logs") and b"evil" in call.body):
            return None
        refused.append(call)
        return json_reply(422, {"detail": "no"})

    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = picky
        runner = world.run("print('evil'); until('refused'); print('good'); result()")
        poll(lambda: refused)
        world.let("refused")
        assert runner.wait() == 0
        assert world.berth.text() == "good\n"
        assert "were refused here: 422 no" in world.berth.text("runner")


def test_a_report_that_is_refused_for_good_ends_the_machine(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = lambda call: (
            json_reply(422, {"code": "invalid"}) if b'"finished"' in call.body else None
        )
        runner = world.run("result()")
        assert runner.wait() == 0
        assert runner.file("acknowledged.json") == {"by": "refused"}


def test_results_are_offered_for_a_bounded_time(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = lambda call: HTML if b'"finished"' in call.body else None
        runner = world.run("result()", BERTH_RUNNER_REPORT_FOR_S="0.5")
        assert runner.wait() == 0
        assert runner.file("acknowledged.json") == {"by": "given_up"}


def test_output_beyond_the_spool_is_dropped_and_said_so(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = lambda call: HTML if call.path.endswith("/logs") else None
        runner = world.run(
            "for i in range(200): print('x' * 999)\nresult()",
            BERTH_RUNNER_SPOOL_MIB="0.05",
            BERTH_RUNNER_FLUSH_S="0.01",
        )
        poll((tmp_path / "home/exit.json").exists)
        world.berth.fault = lambda _: None
        assert runner.wait() == 0
        kept = len(world.berth.text())
        dropped = re.findall(r"berth: (\d+) bytes of output were dropped here", world.berth.text("runner"))
        assert 50_000 < kept < 200_000
        assert sum(map(int, dropped)) == 200_000 - kept
