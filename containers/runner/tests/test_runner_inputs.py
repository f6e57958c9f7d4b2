"""Inputs and checkpoints: fetched whole or not at all, and never outside their folder."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from scripted_berth import PATIENCE_S, TOKEN, Berth, Call, Reply, json_reply, sha256
from world import World, open_world, poll

DATA = bytes(range(256)) * 4000
READ = """
path = SPEC["data"]["files"][0]["url"].removeprefix("file://")
result(url=SPEC["data"]["files"][0]["url"], bytes=len(open(path, "rb").read()))
"""


def with_input(url: str, data: bytes = DATA, /, **item: Any) -> Berth:
    berth = Berth(
        params={"data": {"files": [{"url": url}]}, "note": f"see {url}"},
        inputs=[{"name": "prices.csv", "url": url, "sha256": sha256(data), **item}],
    )
    berth.served["/data/prices.csv"] = data
    return berth


def assert_read(world: World, **env: str) -> None:
    assert world.run(READ, **env).wait() == 0, world.berth.finished
    result = world.berth.finished["result"]
    assert result["bytes"] == len(DATA)
    assert result["url"].startswith(f"file://{world.folder}/home/inputs/")
    assert result["url"].endswith(".csv")


def test_an_input_is_fetched_checked_and_its_address_replaced(tmp_path: Path) -> None:
    with open_world(tmp_path, with_input("/data/prices.csv")) as world:
        assert_read(world)
        spec = json.loads((tmp_path / "home/spec.json").read_text())
        assert spec["note"] == "see /data/prices.csv"


def fetched(world: World) -> int:
    return sum(call.path == "/data/prices.csv" for call in world.berth.calls)


def test_an_input_is_fetched_once_for_a_machine_and_checked_each_time(tmp_path: Path) -> None:
    shared = tmp_path / "inputs"
    for number, damaged in enumerate((False, False, True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with open_world(folder, with_input("/data/prices.csv")) as world:
            if damaged:
                (kept,) = shared.iterdir()
                kept.chmod(0o600)
                kept.write_bytes(b"not these")
            assert_read(world, BERTH_INPUTS_DIR=str(shared))
            assert fetched(world) == (0 if number == 1 else 1)
    (kept,) = shared.iterdir()
    assert kept.read_bytes() == DATA


def test_what_was_used_longest_ago_is_not_kept_beyond_the_bound(tmp_path: Path) -> None:
    shared = tmp_path / "inputs"
    gib = 1.5 * len(DATA) / 1024**3
    for number in range(2):
        folder, data = tmp_path / str(number), DATA[number:] + DATA[:number]
        folder.mkdir()
        with open_world(folder, with_input("/data/prices.csv", data)) as world:
            assert_read(world, BERTH_INPUTS_DIR=str(shared), BERTH_RUNNER_INPUTS_GIB=str(gib))
    (kept,) = shared.iterdir()
    assert kept.read_bytes() == data


def test_a_download_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    ranges: list[str | None] = []

    def cut(call: Call) -> Reply | None:
        if not call.path.startswith("/data/"):
            return None
        ranges.append(call.headers.get("Range"))
        first = 300_000 * (len(ranges) - 1)
        if len(ranges) == 4:
            return None
        head = {"Content-Length": str(len(DATA) - first), "Connection": "close"}
        if first:
            head["Content-Range"] = f"bytes {first}-{len(DATA) - 1}/{len(DATA)}"
        return 206 if first else 200, head, DATA[first : first + 300_000]

    with open_world(tmp_path, with_input("/data/prices.csv")) as world:
        world.berth.fault = cut
        assert_read(world)
        assert ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_server_without_ranges_is_asked_for_all_of_it_again(tmp_path: Path) -> None:
    tries: list[Call] = []

    def whole(call: Call) -> Reply | None:
        if not call.path.startswith("/data/"):
            return None
        tries.append(call)
        head = {"Content-Length": str(len(DATA)), "Connection": "close"}
        return 200, head, DATA[:1000] if len(tries) == 1 else DATA

    with open_world(tmp_path, with_input("/data/prices.csv")) as world:
        world.berth.fault = whole
        assert_read(world)


def test_errors_of_the_server_are_ridden_out(tmp_path: Path) -> None:
    tries: list[Call] = []

    def shaky(call: Call) -> Reply | None:
        if not call.path.startswith("/data/"):
            return None
        tries.append(call)
        return (502, {"Content-Type": "text/html"}, b"<html>") if len(tries) < 6 else None

    with open_world(tmp_path, with_input("/data/prices.csv")) as world:
        world.berth.fault = shaky
        assert_read(world)


def test_the_bearer_stays_with_berth_through_a_redirect(tmp_path: Path) -> None:
    store = Berth()
    store.served["/data/prices.csv"] = DATA
    store.start()
    try:
        with open_world(tmp_path, with_input("/data/prices.csv")) as world:
            away = 302, {"Location": f"{store.url}/data/prices.csv"}, b""
            world.berth.fault = lambda call: away if call.path.startswith("/data/") else None
            assert_read(world)
            assert all(TOKEN not in str(call.headers) for call in store.calls)
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("change", "message", "for_s"),
    [
        # It is fetched a second time before it is believed, however long that takes.
        ({"sha256": "0" * 64}, "input prices.csv has sha256", PATIENCE_S),
        ({"url": "ftp://example.com/x"}, "not http or https", 0.3),
        ({"url": "file:///no/such/file"}, "not on this machine", 0.3),
    ],
)
def test_an_input_that_cannot_be_had_fails_before_the_program(
    tmp_path: Path, change: dict[str, str], message: str, for_s: float
) -> None:
    with open_world(tmp_path, with_input("/data/prices.csv", **change)) as world:
        runner = world.run("open('ran', 'w')", BERTH_RUNNER_INPUT_FOR_S=str(for_s))
        assert runner.wait() == 1
        finished = world.berth.finished
        assert (finished["exit_code"], finished["failure"]) == (None, "invalid_params")
        assert message in finished["error"]["message"]
        assert not (runner.home / "ran").exists()


def test_a_store_that_says_not_found_is_believed_after_some_tries(tmp_path: Path) -> None:
    store = Berth()
    store.fault = lambda _: json_reply(404, {})
    store.start()
    try:
        with open_world(tmp_path, with_input(f"{store.url}/data/prices.csv")) as world:
            assert world.run(READ).wait() == 1
            assert "the server answered 404" in world.berth.finished["error"]["message"]
    finally:
        store.stop()


def test_a_stop_ends_a_download(tmp_path: Path) -> None:
    with open_world(tmp_path, with_input("/data/prices.csv")) as world:
        seen: list[Call] = []

        def never(call: Call) -> Reply | None:
            if call.path.startswith("/data/"):
                seen.append(call)
                return 503, {}, b""
            return None

        world.berth.fault = never
        runner = world.run(READ)
        poll(lambda: seen)
        world.berth.answer = {"stop": {"reason": "cancel", "grace_ms": 0}}
        assert runner.wait() == 0
        assert (world.berth.finished["exit_code"], world.berth.finished["failure"]) == (None, None)


def test_a_local_file_is_checked_and_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "prices here.csv"
    path.write_bytes(DATA)
    url = f"file://{tmp_path}/prices%20here.csv"
    with open_world(tmp_path, with_input(url)) as world:
        assert world.run("result(url=SPEC['data']['files'][0]['url'])").wait() == 0
        assert world.berth.finished["result"]["url"] == url


STATE = """
folder = os.environ["BERTH_CHECKPOINT_DIR"]
path = folder + "/deep/state"
before = open(path).read() if os.path.exists(path) else ""
"""


def test_checkpoints_are_sent_as_they_change_and_at_a_stop_and_come_back(tmp_path: Path) -> None:
    # Made elsewhere and put in its place: a round may come at any moment, and what it finds is sent.
    source = f"""{STATE}
def save(text): open("new", "w").write(text); os.replace("new", path)
os.makedirs(folder + "/deep")
signal.signal(signal.SIGTERM, lambda *_: (save("at the stop"), sys.exit(75)))
save("first"); print("up")
while True: signal.pause()
"""
    with open_world(tmp_path, Berth()) as world:
        runner = world.run(source, BERTH_CHECKPOINT_EVERY_S="0.1")
        world.berth.wait(lambda: world.berth.of("checkpoint"))
        beats = len(world.berth.of("heartbeat"))
        world.berth.wait(lambda: len(world.berth.of("heartbeat")) > beats + 4)  # several rounds, no change
        world.berth.answer = {"stop": {"reason": "stop", "grace_ms": int(PATIENCE_S * 1000)}}
        assert runner.wait() == 75
        sent = world.berth.of("checkpoint")
        assert [item["name"] for item in sent] == ["checkpoints/1.tar", "checkpoints/2.tar"]
        kept = world.berth.files["checkpoints/2.tar"]
        assert (sent[1]["bytes"], sent[1]["sha256"]) == (len(kept), sha256(kept))
        world.berth.answer = {}
        world.berth.served["/checkpoint"] = kept
        world.berth.spec["checkpoint"] = {"url": "/checkpoint", "sha256": sha256(kept)}
        assert world.run(f"{STATE}result(before=before)", home="next").wait() == 0
        assert world.berth.finished["result"] == {"before": "at the stop"}


@pytest.mark.parametrize("kind", ["outside", "link", "not a tar"])
def test_a_checkpoint_that_reaches_out_of_its_folder_is_refused(tmp_path: Path, kind: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("../outside" if kind == "outside" else "link")
        if kind == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(member, io.BytesIO())
    data = b"no tar" * 1000 if kind == "not a tar" else file.getvalue()
    with open_world(tmp_path, Berth(checkpoint={"url": "/checkpoint", "sha256": sha256(data)})) as world:
        world.berth.served["/checkpoint"] = data
        assert world.run("result()").wait() == 1
        assert world.berth.finished["failure"] == "runner_crashed"
        assert "the checkpoint" in world.berth.finished["error"]["message"]
        assert not (tmp_path / "home/outside").exists()


def test_uploads_to_another_store_carry_its_headers_and_not_the_bearer(tmp_path: Path) -> None:
    store = Berth()
    expired: list[Call] = []

    def first_expired(call: Call) -> Reply | None:
        expired.append(call)
        return (403, {}, b"expired") if len(expired) == 1 else (200, {}, b"")

    store.fault = first_expired
    store.start()
    try:
        with open_world(tmp_path, Berth()) as world:
            target = {"name": "result.json", "method": "PUT", "headers": {"x-amz-meta-a": "1"}}
            answer = json_reply(200, {"targets": [{**target, "url": f"{store.url}/bucket/key?signature=s"}]})
            world.berth.fault = lambda call: answer if call.path.endswith("/urls") else None
            assert world.run("result(ok=1)").wait() == 0
            assert [call.body for call in store.calls] == [b'{"ok": 1}'] * 2
            assert store.calls[1].headers["x-amz-meta-a"] == "1"
            assert all("Authorization" not in call.headers for call in store.calls)
            assert len(world.berth.finished["artifacts"]) == 1
    finally:
        store.stop()


def test_an_artifact_that_the_store_refuses_for_good_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with open_world(tmp_path, Berth()) as world:
        world.berth.fault = lambda call: json_reply(413, {}) if call.path.endswith("/artifacts/big") else None
        assert world.run("open(OUT + '/big', 'w').write('x'); result()").wait() == 0
        assert [a["name"] for a in world.berth.finished["artifacts"]] == ["result.json"]
        assert "big is not kept: 413" in world.berth.text("runner")
