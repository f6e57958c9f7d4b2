"""Tells people (log lines on stdout) and the runner (JSON lines on a file descriptor) how far it is."""

import fcntl
import json
import os
import signal
import time
from collections import deque
from types import FrameType
from typing import Any

PROGRESS_FD = 3
MIN_GAP_S = 0.25  # between lines of one phase
BURST = 5  # lines in any second: what the runner protocol allows


def log(text: str) -> None:
    """Prints one line at once; a reader that went away does not end the run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Progress:
    """Writes progress to a descriptor, or nowhere."""

    def __init__(self, fd: int | None) -> None:
        self.fd = fd
        self.told_at: deque[float] = deque(maxlen=BURST)
        self.phase = ""

    def tell(
        self,
        progress: float,
        phase: str,
        step: int = 0,
        steps: int = 0,
        metrics: dict[str, float] | None = None,
        points: list[dict[str, Any]] | None = None,
    ) -> None:
        """Tells a new phase at once, steps of one phase now and then, and never more than BURST a second.

        `points` are the best so far; they go with this line or not at all.
        """
        now = time.monotonic()
        too_many = len(self.told_at) == BURST and now - self.told_at[0] < 1.0
        too_soon = phase == self.phase and now - self.told_at[-1] < MIN_GAP_S
        if self.fd is None or too_many or too_soon:
            return
        line: dict[str, Any] = {
            "progress": round(progress, 6),
            "phase": phase,
            "step": step,
            "steps": steps,
            "metrics": metrics or {},
        }
        if points:
            line["points"] = points
        rest = json.dumps(line, allow_nan=False).encode() + b"\n"
        try:
            while rest:  # a signal may come in the middle of a line
                rest = rest[os.write(self.fd, rest) :]
        except OSError:
            self.fd = None
        self.told_at.append(now)
        self.phase = phase


def open_progress() -> Progress:
    """Returns progress on descriptor 3 if it was open for writing when the program began."""
    try:
        mode = fcntl.fcntl(PROGRESS_FD, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return Progress(None)
    return Progress(PROGRESS_FD if mode in (os.O_WRONLY, os.O_RDWR) else None)


class Stop:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> "Stop":
        signal.signal(signal.SIGTERM, self.note)
        return self

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
