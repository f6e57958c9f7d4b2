"""From how the program ended to what is reported: exit code, failure class, message."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from berth_runner.program import Ending

RESULT_MAX_BYTES = 512 * 1024  # a larger one is an artifact only
RESULT_READ_MAX_BYTES = 64 * 1024**2  # checking a larger one would need gigabytes
ERROR_FILE_MAX_BYTES = 64 * 1024
MESSAGE_MAX_CHARS = 4096
ERRORS_MAX = 50
OUT_OF_TIME = "timed_out"

FAILURE_BY_EXIT = {2: "invalid_params", 3: "user_code", 4: "look_ahead"}
# A program may say what only it can know; anything else in its error file is words.
SAID_BY_PROGRAM = frozenset(("invalid_params", "user_code", "look_ahead", "out_of_memory", "disk_full"))
SIGKILL_EXIT = 137


class Verdict:
    def __init__(self, exit_code: int | None, failure: str | None, error: dict[str, Any] | None) -> None:
        self.exit_code = exit_code
        self.failure = failure
        self.error = error


def failed(failure: str, message: str) -> Verdict:
    """The program never ran."""
    return Verdict(None, failure, {"code": failure, "message": message[:MESSAGE_MAX_CHARS]})


def judge(ending: Ending, kind: str, stop_reason: str | None, out: str) -> Verdict:
    """`stop_reason`: of an order that came while it ran; then a missing result is no failure of its own."""
    said = _error_file(out)
    failure, message = _failure(ending, kind, stop_reason, out, said)
    if ending.exit_code == 0 and failure is None:
        return Verdict(0, None, None)
    error = dict(said)
    if message:
        error["message"] = message[:MESSAGE_MAX_CHARS]
    elif not error.get("message"):
        error["message"] = (
            _last_line(ending.stderr_tail) or f"the program ended with exit code {ending.exit_code}"
        )
    if failure is not None:
        error["code"] = failure
    return Verdict(ending.exit_code, failure, error)


def read_result(out: str) -> tuple[dict[str, Any] | None, str]:
    """The program's result.json, and why there is none. A larger one than fits a report gives None and ''."""
    path = os.path.join(out, "result.json")
    try:
        size = os.path.getsize(path)
        if size > RESULT_READ_MAX_BYTES:
            return None, ""
        with open(path, "rb") as file:
            value = json.loads(file.read(), parse_constant=_refuse_constant)
        json.dumps(value, allow_nan=False)  # 1e999 is read as an infinity, which is not JSON either
    except FileNotFoundError:
        return None, "the program wrote no result.json"
    except (ValueError, RecursionError, OSError) as error:
        return None, f"result.json cannot be read: {str(error)[:300]}"
    if not isinstance(value, dict):
        return None, "result.json is not a JSON object"
    return (value, "") if size <= RESULT_MAX_BYTES else (None, "")


def _failure(
    ending: Ending, kind: str, stop_reason: str | None, out: str, said: dict[str, Any]
) -> tuple[str | None, str | None]:
    code = ending.exit_code
    if ending.cause == "out_of_memory":
        return ending.cause, ending.message
    if code == 0:
        # It came to its end within the grace of a stop: that is success, whoever asked.
        why = read_result(out)[1]
        return ("result_missing", why) if why and kind != "custom" and stop_reason is None else (None, None)
    if ending.oom_kills > 0 and code == SIGKILL_EXIT and not ending.killed_by_us:
        return "out_of_memory", "the kernel killed the program for memory: the container's bound was reached"
    if ending.cause == OUT_OF_TIME:
        return OUT_OF_TIME, None
    if stop_reason == "preempted":
        return "preempted", None
    if stop_reason is not None:
        return None, None
    if code is not None and code > 128:
        return "killed", f"the program was ended by signal {code - 128}"
    if _last_line(ending.stderr_tail).startswith("MemoryError") or "ArrayMemoryError" in ending.stderr_tail:
        return "out_of_memory", None
    if "No space left on device" in ending.stderr_tail:
        return "disk_full", None
    if code in FAILURE_BY_EXIT:
        return FAILURE_BY_EXIT[code], None
    return (str(said["code"]) if said.get("code") in SAID_BY_PROGRAM else None), None


def _error_file(out: str) -> dict[str, Any]:
    """{ code, message, errors, hint } of OUT/error.json, each bounded; what is not readable is not there."""
    try:
        with open(os.path.join(out, "error.json"), "rb") as file:
            value = json.loads(file.read(ERROR_FILE_MAX_BYTES), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    for name, most in (("code", 100), ("message", MESSAGE_MAX_CHARS), ("hint", MESSAGE_MAX_CHARS)):
        if isinstance(value.get(name), str):
            found[name] = value[name][:most]
    if isinstance(value.get("errors"), list):
        pairs = [item for item in value["errors"] if isinstance(item, dict)][:ERRORS_MAX]
        found["errors"] = [
            {"path": str(item.get("path", ""))[:300], "message": str(item.get("message", ""))[:1000]}
            for item in pairs
        ]
    return found


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:MESSAGE_MAX_CHARS] if lines else ""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
