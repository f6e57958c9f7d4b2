"""The steps of one attempt. Each leaves its mark in the folder before the next, so that a restart knows."""

from __future__ import annotations

import os
import threading
import time

from berth_runner import inputs, machine
from berth_runner.checkpoint import Checkpoints, unpack
from berth_runner.finish import finish
from berth_runner.folder import FULL
from berth_runner.link import FOLDER_GONE, Backoff, Link, Lost, Over, Refused
from berth_runner.preflight import preflight
from berth_runner.processes import kill_left_over, start_time
from berth_runner.program import run_program
from berth_runner.pulse import Pulse
from berth_runner.spool import Spool, utc_now
from berth_runner.verdict import Verdict, failed, judge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from berth_runner.folder import Folder
    from berth_runner.link import Orders
    from berth_runner.settings import Settings


class Attempt:
    def __init__(self, settings: Settings, folder: Folder, orders: Orders, fds: tuple[int, int]) -> None:
        self.settings = settings
        self.folder = folder
        self.orders = orders
        self.wake_fd, self._notice_fd = fds
        self.link = Link(settings, orders)
        self.spool = Spool(folder, settings.spool_bytes)
        self.pulse = Pulse(settings, orders, folder)
        self.checkpoints = Checkpoints(settings, orders, folder)
        self._threads: list[threading.Thread] = []

    def run(self) -> int:
        """Ends when Berth has acknowledged the end, has said that it is over, or was away for too long."""
        ended = self.folder.read("exit.json")
        if self.folder.read("acknowledged.json") is None:
            self._thread(self._heed_notice, joined=False)
            self._thread(self._send_log)
            if ended is None:
                verdict = self._work()
                ended = {
                    "exit_code": verdict.exit_code,
                    "failure": verdict.failure,
                    "error": verdict.error,
                    "ended_at_unix": time.time(),
                }
                self._keep_ending(ended)
            else:
                self._thread(lambda: self.pulse.beat("cpu"))
            by = finish(self, ended)
            if by != FOLDER_GONE:
                self.folder.write("acknowledged.json", {"by": by})
        assert ended is not None
        if ended["exit_code"] is not None:
            return int(ended["exit_code"])
        return 1 if ended["failure"] else 0

    def say(self, text: str) -> None:
        """A line of the runner's own in the job's log."""
        self.spool.put("runner", f"berth: {text}\n", last=True)

    def close(self) -> None:
        """Threads end within one socket timeout; they are daemons and hold nothing that a file does not."""
        self.pulse.close()
        self.checkpoints.close()
        self.spool.close()
        for thread in self._threads:
            thread.join(self.settings.socket_timeout_s)

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Until Berth answers. Errors: Over; inputs.Stopped when an order comes first."""
        backoff = Backoff(self.settings.backoff_max_s)
        while True:
            try:
                return self.link.call("GET" if body is None else "POST", path, body)
            except Lost:
                if not self.folder.is_there():
                    self.orders.end(FOLDER_GONE, 0)
            if self.orders.stopping.wait(backoff.wait_s()):
                raise inputs.Stopped

    def _work(self) -> Verdict:
        try:
            return self._steps()
        except Over as order:
            self.orders.end(str(order), 0)
            return Verdict(None, None, None)
        except inputs.Stopped:
            reason = self.orders.reason
            return Verdict(None, "preempted" if reason == "preempted" else None, None)
        except inputs.InputFailed as error:
            return failed(error.failure, str(error))
        except OSError as error:
            if error.errno in FULL:
                self.folder.release_reserve()
                return failed("disk_full", "the disk is full")
            _print_error()
            return failed("runner_crashed", f"the runner could not go on: {error}")
        except Exception as error:
            # A fault of ours must not leave the job to a timeout: it is said at once, and where.
            _print_error()
            return failed("runner_crashed", f"the runner failed: {type(error).__name__}: {error}")

    def _steps(self) -> Verdict:
        crashed = self.folder.read("program.json")
        spec = self.folder.read("attempt.json")
        work: dict[str, Any] | None = None
        if spec is None or (spec.get("kind") == "custom" and crashed is None):
            try:
                spec = self.call("/spec")
            except Refused as error:
                self.call("/report", {"type": "started", "instance": self._instance(), "host": {}})
                return failed("invalid_params", str(error))
            # Its variables may be secrets: they are never on the disk.
            work = spec.pop("program", None)
            self.folder.write("attempt.json", spec)
        device = str(spec.get("device") or "cpu")
        self.orders.grace_s = _seconds(spec.get("grace_ms"), 30_000) / 1000
        self.call("/report", {"type": "started", "instance": self._instance(), "host": machine.host(device)})
        timeout_at = time.monotonic() + _seconds(spec.get("timeout_s"), float("inf"))
        self._thread(lambda: self.pulse.beat(device))
        if crashed is not None:
            kill_left_over(crashed, self.folder.checkpoint)
            return failed(
                "runner_crashed", "the runner was killed or its machine restarted while the program ran"
            )
        gpu = spec.get("gpu")
        wanted = gpu if isinstance(gpu, dict) else {}
        refusal = preflight(device, wanted, self.settings.home, self.settings.disk_free_min_bytes)
        if refusal is not None:
            return refusal
        return self._run_program(spec, work, timeout_at)

    def _run_program(self, spec: dict[str, Any], work: dict[str, Any] | None, timeout_at: float) -> Verdict:
        settings, folder = self.settings, self.folder
        items = [item for item in spec.get("inputs") or [] if isinstance(item, dict)]
        shard = _shard(spec)
        if shard["role"] == "merge":
            others = [item for item in items if inputs.is_shard_file(item)]
            items = [item for item in items if not inputs.is_shard_file(item)]
            inputs.fetch_shards(settings, self.orders, self.link, others, folder.shards)
        replaced = inputs.fetch_inputs(settings, self.orders, self.link, items, folder.inputs)
        checkpoint = spec.get("checkpoint")
        if isinstance(checkpoint, dict):
            self._restore(checkpoint)
        folder.write("spec.json", inputs.replace_addresses(spec.get("params") or {}, replaced))
        argv = [*settings.program, folder.path("spec.json"), folder.out]
        if work is not None:
            argv = [str(word) for word in work["command"]]
        elif not settings.program:
            return failed(
                "runner_crashed", "BERTH_PROGRAM is not set in this image: set it to the program's argv"
            )
        env = {
            **(settings.env if work is None else {**settings.image_env, **work["env"]}),
            "BERTH_CHECKPOINT_DIR": folder.checkpoint,
            "BERTH_CHECKPOINT_EVERY_S": f"{settings.checkpoint_every_s:g}",
            "BERTH_SHARD_INDEX": str(shard["index"]),
            "BERTH_SHARD_COUNT": str(shard["of"]),
            "BERTH_SHARD_ROLE": str(shard["role"]),
        }
        if work is None:
            env |= _granted(spec)
        if shard["role"] == "merge":
            env["BERTH_SHARDS_DIR"] = folder.shards
        if self.orders.stopping.is_set():
            raise inputs.Stopped
        folder.write("program.json", {"pid": None, "start_time": None})
        self._thread(self.checkpoints.keep_saving)
        try:
            ending = run_program(
                settings,
                argv,
                env,
                folder.home if work is None else folder.out,
                timeout_at,
                (self.orders, self.spool, self.wake_fd),
                lambda pid: folder.write("program.json", {"pid": pid, "start_time": start_time(pid)}),
                (self.pulse.progressed, self.say),
            )
        except OSError as error:
            if error.errno in FULL:
                raise
            words = f"{error.strerror}: {error.filename or argv[0]}"
            # A command of the user's own that is not in the image is the user's to mend.
            verdict = failed("runner_crashed", f"the program could not be started: {words}")
            if work is None:
                return verdict
            return Verdict(127, "invalid_params", {**(verdict.error or {}), "code": "invalid_params"})
        return judge(ending, str(spec.get("kind")), self.orders.reason, folder.out)

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        path = self.folder.path("restored.tar")
        item = ("checkpoint", str(checkpoint.get("url")), checkpoint.get("sha256"))
        inputs.fetch(self.settings, self.orders, self.link, item, path)
        try:
            unpack(path, self.folder.checkpoint)
        except ValueError as error:
            raise inputs.InputFailed("runner_crashed", str(error)) from None
        os.unlink(path)

    def _instance(self) -> str:
        """Random, kept: the same folder is the same instance after a restart."""
        kept = self.folder.read("instance.json")
        if kept is None:
            kept = {"instance": os.urandom(16).hex()}
            self.folder.write("instance.json", kept)
        return str(kept["instance"])

    def _keep_ending(self, ended: dict[str, Any]) -> None:
        if self.orders.over == FOLDER_GONE:
            return  # a program that made part of it again must not be taken for the attempt
        try:
            self.folder.write("exit.json", ended)
        except OSError:
            _print_error()  # still to be reported, by this runner only

    def _send_log(self) -> None:
        self.spool.send_all(Link(self.settings, self.orders), self.orders, self.settings.backoff_max_s)

    def _heed_notice(self) -> None:
        """SIGTERM to the runner: the machine is about to go away. The same stop as an order."""
        os.read(self._notice_fd, 1)
        self.orders.stop("preempted", self.settings.preempt_grace_s)
        link = Link(self.settings, self.orders)
        backoff = Backoff(self.settings.backoff_max_s)
        report = {"type": "preempting", "at": utc_now()}
        while self.orders.over is None:
            try:
                link.call("POST", "/report", report)
                return
            except Over as order:
                self.orders.end(str(order), 0)
            except Refused:
                return
            except Lost:
                self.orders.ended.wait(backoff.wait_s())

    def _thread(self, target: Callable[[], None], *, joined: bool = True) -> None:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        if joined:
            self._threads.append(thread)


def _print_error() -> None:
    import traceback  # 6 ms of start

    traceback.print_exc()


def _shard(spec: dict[str, Any]) -> dict[str, Any]:
    """Which part of the job this is; a plain job is one part of one."""
    shard = spec.get("shard")
    return {"index": 0, "of": 1, "role": "work", **(shard if isinstance(shard, dict) else {})}


def _granted(spec: dict[str, Any]) -> dict[str, str]:
    """What the job was given, for programs that fit their work to it: the device, GiB of memory, cores."""
    found = {"BERTH_DEVICE": str(spec.get("device") or "cpu")}
    if _seconds(spec.get("memory_gib"), 0.0) > 0:
        found["BERTH_MEMORY_GIB"] = f"{spec['memory_gib']:g}"
    if _seconds(spec.get("cpu"), 0.0) > 0:
        found["BERTH_THREADS"] = str(max(1, int(spec["cpu"])))
    return found


def _seconds(value: object, default: float) -> float:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if ok else default  # type: ignore[arg-type]
