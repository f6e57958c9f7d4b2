"""Parts of a sweep: which one this is, the others' files for a merge, and the best points on their way."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_berth import ATTEMPT, Berth, sha256
from world import open_world

ENV = """
names = [name for name in os.environ if name.startswith("BERTH_SHARD")]
result(env={name: os.environ[name] for name in names})
"""


def rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    row = {"objective": 0.5, "parameters": {"fast": 3, "name": "x"}, "metrics": {"sharpe": None, "trades": 2}}
    return [{"point": i, **row, **fields} for i in range(count)]


def write(value: object) -> str:
    return f"open(OUT + '/points.json', 'w').write({json.dumps(value)!r}); result()"


def test_a_program_knows_which_part_of_the_job_it_is(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth(shard={"index": 3, "of": 8, "role": "work"})) as world:
        assert world.run(ENV).wait() == 0
        assert world.berth.finished["result"]["env"] == {
            "BERTH_SHARD_INDEX": "3",
            "BERTH_SHARD_COUNT": "8",
            "BERTH_SHARD_ROLE": "work",
        }


@pytest.mark.parametrize("shard", [None, {"index": 0, "of": 1, "role": "work"}])
def test_a_plain_job_is_one_part_of_one(tmp_path: Path, shard: object) -> None:
    with open_world(tmp_path, Berth(shard=shard)) as world:
        assert world.run(ENV).wait() == 0
        assert world.berth.finished["result"]["env"]["BERTH_SHARD_COUNT"] == "1"


def merging(files: dict[str, bytes], **item: Any) -> Berth:
    """A Berth whose attempt merges two shards; the data of the job is an input as ever."""
    berth = Berth(
        params={"data": "/data/prices.csv"},
        shard={"index": 2, "of": 2, "role": "merge"},
        inputs=[
            {"name": "prices.csv", "url": "/data/prices.csv", "sha256": sha256(b"p")},
            *[
                {"name": f"shards/{name}", "url": f"/v1/attempts/{ATTEMPT}/shards/{name}", **item}
                | ({} if "sha256" in item else {"sha256": sha256(data)})
                for name, data in files.items()
            ],
        ],
    )
    berth.served["/data/prices.csv"] = b"p"
    for name, data in files.items():
        berth.served[f"/v1/attempts/{ATTEMPT}/shards/{name}"] = data
    return berth


def test_a_merge_finds_the_files_of_each_shard_in_its_folder(tmp_path: Path) -> None:
    files = {"0/points.parquet": b"a" * 1000, "0/deep/er/x.bin": b"b", "1/points.parquet": b"c"}
    source = """
root = os.environ["BERTH_SHARDS_DIR"]
found = {}
for folder, _, names in os.walk(root):
    for name in names:
        path = os.path.join(folder, name)
        found[os.path.relpath(path, root)] = open(path).read()
result(found=found, data=SPEC["data"], role=os.environ["BERTH_SHARD_ROLE"])
"""
    with open_world(tmp_path, merging(files)) as world:
        assert world.run(source).wait() == 0, world.berth.finished
        said = world.berth.finished["result"]
        assert said["found"] == {name: data.decode() for name, data in files.items()}
        assert said["data"].startswith(f"file://{tmp_path}/home/inputs/")
        assert said["role"] == "merge"
        bearers = {c.headers.get("Authorization") for c in world.berth.calls if "/shards/" in c.path}
        assert bearers == {"Bearer secret-of-the-attempt"}


@pytest.mark.parametrize("name", ["../x", "0/../../x", "0/", "0", "x/points.parquet", "0//x", "0/a b"])
def test_a_shards_file_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with open_world(tmp_path, merging({name: b"x"})) as world:
        assert world.run("open('ran', 'w')").wait() == 1
        finished = world.berth.finished
        assert finished["failure"] == "runner_crashed"
        assert "is no name of a shard's file" in finished["error"]["message"]
        assert not (tmp_path / "home/ran").exists()
        assert not list(tmp_path.glob("**/x"))


def test_a_shards_file_that_is_not_what_was_uploaded_is_no_fault_of_the_spec(tmp_path: Path) -> None:
    with open_world(tmp_path, merging({"0/points.parquet": b"x"}, sha256="0" * 64)) as world:
        assert world.run("pass").wait() == 1
        assert world.berth.finished["failure"] == "runner_crashed"
        assert "shards/0/points.parquet has sha256" in world.berth.finished["error"]["message"]


def test_the_best_points_go_with_the_report_and_are_no_artifact(tmp_path: Path) -> None:
    source = f"os.makedirs(OUT + '/sub'); open(OUT + '/sub/points.json', 'w'); {write(rows(1000, more=1))}"
    with open_world(tmp_path, Berth()) as world:
        assert world.run(source).wait() == 0
        assert world.berth.finished["points"] == rows(1000)
        assert set(world.berth.files) == {"result.json", "sub/points.json"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('"{"', "it is not JSON"),
        (json.dumps(json.dumps({})), "it is not a list"),
        (json.dumps(json.dumps(rows(1001))), "1001 rows, the bound is 1000"),
        (json.dumps(json.dumps([1])), "row 0 is not an object"),
        (json.dumps(json.dumps(rows(1, point=-1))), "row 0 has no number of its point"),
        (json.dumps(json.dumps(rows(1, point=True))), "row 0 has no number of its point"),
        (json.dumps(json.dumps(rows(1, objective="x"))), "an objective that is no number"),
        ('\'[{"point": 1, "objective": NaN}]\'', "NaN is not JSON"),
        ('\'[{"point": 1, "objective": 1e999}]\'', "an objective that is no number"),
        (json.dumps(json.dumps(rows(1, metrics=[]))), "row 0 has metrics that are not an object"),
        (json.dumps(json.dumps(rows(1, parameters={"a": [1]}))), "row 0 has in parameters"),
        ("'[' + ' ' * 2_000_000 + ']'", "longer than 1048576 bytes"),
    ],
)
def test_points_that_are_not_as_they_must_be_are_left_out_and_told(
    tmp_path: Path, content: str, message: str
) -> None:
    with open_world(tmp_path, Berth()) as world:
        assert world.run(f"open(OUT + '/points.json', 'w').write({content}); result()").wait() == 0
        assert world.berth.finished["points"] == []
        assert world.berth.finished["failure"] is None
        assert world.berth.text("runner").count("points.json is not kept") == 1
        assert message in world.berth.text("runner")


def test_partial_points_go_out_with_a_heartbeat_once_and_the_newest_count(tmp_path: Path) -> None:
    source = f"""
say(progress=0.1, points={rows(100)!r})
until("more", lambda: say(progress=0.2))
say(progress=0.6, points={rows(2, objective=0.7)!r})
until("end", lambda: say(progress=0.7))
result()
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(source)

        def told() -> list[Any]:
            return [beat["points"] for beat in world.berth.of("heartbeat") if "points" in beat]

        def let_after(count: int, name: str) -> None:
            """Lets the program go on some heartbeats after so many told of points."""
            world.berth.wait(lambda: len(told()) == count)
            beats = len(world.berth.of("heartbeat"))
            world.berth.wait(lambda: len(world.berth.of("heartbeat")) > beats + 2)
            world.let(name)

        let_after(1, "more")
        let_after(2, "end")
        assert runner.wait() == 0
        assert told() == [rows(100), rows(2, objective=0.7)]


def test_partial_points_that_berth_did_not_get_are_sent_again(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        berth = world.berth
        lost: list[int] = []

        def lose(call: Any) -> bool:
            first = b'"points"' in call.body and not lost
            if first:
                lost.append(1)
            return first

        berth.lose = lose
        source = f"say(progress=0.1, points={rows(3)!r})\nwhile True: signal.pause()"
        runner = world.run(source)
        berth.wait(lambda: sum("points" in beat for beat in berth.of("heartbeat")) == 2)
        berth.answer = {"stop": {"reason": "cancel", "grace_ms": 0}}
        runner.wait()
        assert lost


def test_malformed_partial_points_are_ignored_and_told_once(tmp_path: Path) -> None:
    source = f"""
say(progress=0.1, points={rows(101)!r})
say(progress=0.2, points=7)
say(progress=0.3, points={rows(100, metrics={f"name-{i}" * 8: 1 for i in range(90)})!r})
say(progress=0.4, points={rows(1)!r})
until("told"); result()
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(source)
        world.berth.wait(lambda: any("points" in beat for beat in world.berth.of("heartbeat")))
        world.let("told")
        assert runner.wait() == 0
        told = [beat["points"] for beat in world.berth.of("heartbeat") if "points" in beat]
        assert told == [rows(1)]
        text = world.berth.text("runner")
        assert text.count("are not passed on") == 1
        assert "101 rows, the bound is 100" in text
