"""What the runner is told by its environment, parsed once.

BERTH_URL             address of Berth, or
BERTH_URL_FILE        a file that holds it, read again at every try: a restarted server may use another port
BERTH_ATTEMPT_ID      whose work this is
BERTH_TOKEN           bearer token; never handed on, written or logged
BERTH_HOME            the attempt's folder (default: one under the temporary directory)
BERTH_PROGRAM         JSON array: the program's argv, to which spec.json and the output folder are appended;
                      of a custom job the spec names what to run
BERTH_INPUTS_DIR      optional folder where inputs with a sha256 are kept for other attempts on this machine
BERTH_MEMORY_GIB      optional bound on the memory of the program and all its children
BERTH_AFTER           optional script that the runner becomes at its end, where a machine must be told of it

BERTH_RUNNER_* shorten intervals in tests and slow them down on metered links; see `Settings`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

GIB = 1024**3


class BadSettings(Exception):
    """A variable is missing or wrong; the message names it and says what to do."""


class Settings:
    """Everything here is fixed for the life of the runner."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.url = env.get("BERTH_URL", "")
        self.url_file = env.get("BERTH_URL_FILE", "")
        if not self.url and not self.url_file:
            raise BadSettings("BERTH_URL is not set: set it, or name a file in BERTH_URL_FILE")
        self.attempt_id = _segment(env, "BERTH_ATTEMPT_ID")
        self.token = _required(env, "BERTH_TOKEN")
        if not self.token.isascii() or not self.token.isprintable():
            raise BadSettings("BERTH_TOKEN must be printable ASCII")
        temporary = env.get("TMPDIR", "/tmp")
        self.home = os.path.abspath(
            env.get("BERTH_HOME") or os.path.join(temporary, f"berth-{self.attempt_id}")
        )
        self.program = _argv(env) if env.get("BERTH_PROGRAM") else []
        self.kept_inputs = env.get("BERTH_INPUTS_DIR", "")
        # A few large datasets; the disk is the user's own.
        self.kept_inputs_bytes = int(_number(env, "BERTH_RUNNER_INPUTS_GIB", 20, 0, 1e6) * GIB)
        self.memory_gib = _number(env, "BERTH_MEMORY_GIB", 0, 0, 1e6)
        self.checkpoint_every_s = _number(env, "BERTH_CHECKPOINT_EVERY_S", 60, 0.05, 86_400)
        # Heartbeats: the server asks for an interval in each answer, within these bounds.
        self.heartbeat_s = _number(env, "BERTH_RUNNER_HEARTBEAT_S", 2, 0.02, 60)
        self.heartbeat_min_s = _number(env, "BERTH_RUNNER_HEARTBEAT_MIN_S", 0.2, 0.02, 60)
        # Changed progress goes out at once, but not more often than a person can read it.
        self.progress_min_s = _number(env, "BERTH_RUNNER_PROGRESS_MIN_S", 1, 0.02, 60)
        # Sampling the machine costs a process when there is a GPU.
        self.machine_every_s = _number(env, "BERTH_RUNNER_MACHINE_EVERY_S", 10, 0.05, 3600)
        # Half a second is less than a program needs to fill the machine after it passed its bound.
        self.memory_every_s = _number(env, "BERTH_RUNNER_MEMORY_EVERY_S", 0.5, 0.02, 60)
        self.flush_s = _number(env, "BERTH_RUNNER_FLUSH_S", 0.3, 0.01, 10)
        # One quiet socket: longer than a loaded server needs, shorter than a person's patience.
        self.socket_timeout_s = _number(env, "BERTH_RUNNER_SOCKET_TIMEOUT_S", 10, 0.05, 600)
        self.backoff_max_s = _number(env, "BERTH_RUNNER_BACKOFF_MAX_S", 15, 0.05, 600)
        # Clouds give 30 s to 2 min from notice to power-off; the rest of it is for the upload.
        self.preempt_grace_s = _number(env, "BERTH_RUNNER_PREEMPT_GRACE_S", 10, 0, 600)
        # Results outlive an outage of Berth by a day; then the machine must stop costing money.
        self.report_for_s = _number(env, "BERTH_RUNNER_REPORT_FOR_S", 86_400, 0.1, 7 * 86_400)
        # Inputs that nobody serves for this long are wrong rather than late.
        self.input_for_s = _number(env, "BERTH_RUNNER_INPUT_FOR_S", 600, 0.1, 86_400)
        self.spool_bytes = int(_number(env, "BERTH_RUNNER_SPOOL_MIB", 64, 0.001, 65_536) * 1024**2)
        self.disk_free_min_bytes = int(_number(env, "BERTH_RUNNER_DISK_FREE_MIN_MIB", 256, 0, 1e9) * 1024**2)
        self.memory_events = env.get("BERTH_RUNNER_MEMORY_EVENTS", "")
        self.env = program_env(env)
        # An image of other people's has its own variables; only ours are none of its program's business.
        self.image_env = {name: value for name, value in env.items() if not name.startswith("BERTH_")}


# PATH, HOME and locale are what any program needs; the rest configures numerics, CUDA and Python.
_PROGRAM_NAMES = frozenset(
    ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "BERTH_SAMPLES_DIR", "BERTH_MLFLOW_URI")
)
_PROGRAM_PREFIXES = ("LC_", "CUDA_", "NUMBA_", "NVIDIA_", "OMP_", "PYTHON")


def program_env(env: Mapping[str, str]) -> dict[str, str]:
    """The allow-list of what the program sees: never the token, nor a credential of the machine."""
    kept = {k: v for k, v in env.items() if k in _PROGRAM_NAMES or k.startswith(_PROGRAM_PREFIXES)}
    # Without it a program's first line waits in a block buffer until there are 8 KiB of them.
    kept.setdefault("PYTHONUNBUFFERED", "1")
    return kept


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise BadSettings(f"{name} is not set")
    return value


def _segment(env: Mapping[str, str], name: str) -> str:
    value = _required(env, name)
    if len(value) > 100 or not value.replace("_", "").isalnum() or not value.isascii():
        raise BadSettings(f"{name} must be letters, digits and '_', at most 100")
    return value


def _argv(env: Mapping[str, str]) -> list[str]:
    try:
        argv = json.loads(env["BERTH_PROGRAM"])
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) and word for word in argv):
        raise BadSettings('BERTH_PROGRAM must be a JSON array of words, such as ["python", "-m", "program"]')
    return argv


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BadSettings(f"{name} must be a number from {low:g} to {high:g}, not {text!r}")
    return value
