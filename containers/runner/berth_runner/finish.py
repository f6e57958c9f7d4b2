"""After the program: checkpoint, artifacts, the rest of the log, and the final report until Berth has it."""

from __future__ import annotations

import time

from berth_runner.artifacts import Artifact, collect, upload
from berth_runner.link import REFUSALS_MAX, Backoff, Lost, Over, Refused
from berth_runner.points import BadPoints, read_points
from berth_runner.verdict import read_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from berth_runner.attempt import Attempt

# Berth answers other calls but takes no log for this long: the job's end must not wait for it.
LOG_PATIENCE_S = 60.0


def finish(attempt: Attempt, ended: dict[str, Any]) -> str:
    """Returns who ended it: `finished`, `attempt_over`, `superseded`, `refused` or `given_up`."""
    until = time.monotonic() + ended["ended_at_unix"] + attempt.settings.report_for_s - time.time()
    try:
        return _report(attempt, ended, until)
    except Over as order:
        attempt.orders.end(str(order), 0)
        return str(order)
    except Refused:
        return "refused"
    except Lost:
        return "given_up"
    finally:
        attempt.close()


def _report(attempt: Attempt, ended: dict[str, Any], until: float) -> str:
    if attempt.orders.over is not None:
        return attempt.orders.over
    attempt.checkpoints.close()
    if ended["exit_code"] != 0:
        _save_checkpoint(attempt, until)
    kept: list[Artifact] = []
    result = None
    points: list[dict[str, Any]] = []
    if ended["failure"] != "runner_crashed":  # what a killed program left may be half of a file
        result = read_result(attempt.folder.out)[0]
        outputs = _outputs(attempt)
        points = _points(attempt) if outputs is None else []
        kept = _upload_all(attempt, until, outputs)
    attempt.spool.put("runner", "", last=True)  # a drop at the very end is still to be said
    _wait_for_log(attempt, until)
    report = {
        "type": "finished",
        "exit_code": ended["exit_code"],
        "failure": ended["failure"],
        "error": ended["error"],
        "result": result,
        "points": points,
        "artifacts": [artifact.data() for artifact in kept],
    }
    backoff = Backoff(attempt.settings.backoff_max_s)
    refusals = 0
    while True:
        try:
            attempt.link.call("POST", "/report", report)
            return "finished"
        except Refused:
            # Paying for a machine for a day to repeat what is refused helps nobody.
            refusals += 1
            if refusals == REFUSALS_MAX:
                raise
        except Lost:
            if time.monotonic() >= until:
                raise
        attempt.orders.ended.wait(backoff.wait_s())
        if attempt.orders.over is not None:
            return attempt.orders.over


def _save_checkpoint(attempt: Attempt, until: float) -> None:
    try:
        attempt.checkpoints.save(attempt.link, until)
    except (Refused, OSError) as error:
        attempt.say(f"the last checkpoint was not kept: {error}")


def _points(attempt: Attempt) -> list[dict[str, Any]]:
    try:
        return read_points(attempt.folder.out)
    except BadPoints as error:
        attempt.say(f"points.json is not kept: {error}")
        return []


def _outputs(attempt: Attempt) -> list[str] | None:
    """Patterns of the files that a custom job keeps; None: everything is kept."""
    spec = attempt.folder.read("attempt.json") or {}
    if spec.get("kind") != "custom":
        return None
    return [str(pattern) for pattern in (spec.get("params") or {}).get("outputs") or []]


def _upload_all(attempt: Attempt, until: float, outputs: list[str] | None) -> list[Artifact]:
    """What is not kept is said in the log and left out of the report; the job's end never hangs on it."""
    found, left_out = collect(attempt.folder.out, outputs)
    kept: list[Artifact] = []
    for artifact in found:
        if attempt.orders.over is not None:
            raise Over(attempt.orders.over)
        try:
            upload(attempt.link, attempt.orders, artifact, until, attempt.settings.backoff_max_s)
            kept.append(artifact)
        except (Refused, OSError) as error:
            left_out.append(f"{artifact.name} is not kept: {error}")
    for sentence in left_out:
        attempt.say(sentence)
    return kept


def _wait_for_log(attempt: Attempt, until: float) -> None:
    began = time.monotonic()
    while not attempt.spool.wait_empty(0.5):
        if attempt.orders.over is not None or time.monotonic() >= until:
            return
        if attempt.orders.answered_at > max(began, attempt.spool.acknowledged_at) + LOG_PATIENCE_S:
            return
