"""Where a machine has to be told that its work is over, the runner becomes the words that tell it."""

from pathlib import Path

from scripted_berth import Berth
from world import open_world

UP = "print('up'); signal.pause()"
ENV = 'open(OUT + "/env", "w").write("\\n".join(os.environ)); result(ok=1)'


def test_what_comes_after_the_end_is_done_once_berth_has_the_report(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        after = f"echo $RUNPOD_POD_ID >>{tmp_path}/after; exit 7"
        runner = world.run(ENV, BERTH_AFTER=after, RUNPOD_POD_ID="pod1", RUNPOD_API_KEY="rpa_x")
        assert runner.wait() == 7
        assert world.berth.finished["result"] == {"ok": 1}
        assert (tmp_path / "after").read_text() == "pod1\n"
        # A key of the machine is none of the program's business.
        seen = (runner.home / "out" / "env").read_text().split("\n")
        assert not {"BERTH_AFTER", "RUNPOD_API_KEY"} & set(seen)
        assert world.run(BERTH_AFTER=after, RUNPOD_POD_ID="pod1").wait() == 7
        assert (tmp_path / "after").read_text() == "pod1\npod1\n"


def test_a_runner_that_cannot_begin_tells_its_machine_too(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run("result(ok=1)", BERTH_AFTER="exit 7", BERTH_ATTEMPT_ID="").wait() == 7


def test_a_second_runner_of_a_folder_leaves_the_machine_to_the_first(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.run(UP)
        world.berth.wait(lambda: world.berth.chunks)
        assert world.run(BERTH_AFTER=f"touch {tmp_path}/after").wait() == 0
        assert not (tmp_path / "after").exists()
