"""What a program writes: its two streams of text, and progress lines on file descriptor 3."""

from __future__ import annotations

import codecs
import json
import time

from berth_runner.points import PARTIAL_BYTES_MAX, PARTIAL_ROWS_MAX, BadPoints, check_points

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from berth_runner.spool import Spool

PROGRESS_LINE_MAX_BYTES = 256 * 1024  # twice what its points may be
METRICS_MAX = 50
TEXT_MAX_CHARS = 64 * 1024
TAIL_CHARS = 8 * 1024
NOTHING_DUE_S = 3600.0


class Text:
    """A stream of output: whole lines at once after a quiet time, else at most every `flush_s`."""

    def __init__(self, stream: str, spool: Spool, flush_s: float) -> None:
        self._stream = stream
        self._spool = spool
        self._flush_s = flush_s
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._since = 0.0
        self._flushed_at = float("-inf")
        self.tail = ""

    def feed(self, data: bytes) -> None:
        now = time.monotonic()
        self._since = self._since if self._text else now
        # NUL, which PostgreSQL cannot keep in text, is shown like any other byte that is not text.
        self._text += self._decoder.decode(data).replace("\0", "\N{REPLACEMENT CHARACTER}")
        quiet = now - self._flushed_at >= self._flush_s
        if len(self._text) >= TEXT_MAX_CHARS or (quiet and self._text.endswith("\n")):
            self._flush(now)

    def step(self) -> float:
        """Flushes what has waited; returns the seconds until something is due."""
        if not self._text:
            return NOTHING_DUE_S
        now = time.monotonic()
        # A line without its end waits too: print() may write the newline apart.
        due = max(self._flushed_at, self._since) + self._flush_s - now
        if due <= 0:
            self._flush(now)
        return max(due, 0.01)

    def close(self) -> None:
        self._text += self._decoder.decode(b"", final=True)
        if self._text:
            self._put(self._text)

    def _flush(self, now: float) -> None:
        """Up to the last line end, so that no line is cut without need."""
        cut = self._text.rfind("\n") + 1 or len(self._text)
        text, self._text = self._text[:cut], self._text[cut:]
        self._flushed_at = self._since = now
        self._put(text)

    def _put(self, text: str) -> None:
        self.tail = (self.tail + text)[-TAIL_CHARS:]
        self._spool.put(self._stream, text)


class Progress:
    """JSON lines on file descriptor 3. What is not such a line is ignored: it is only progress.

    Points that are not as they must be are ignored too, and `say` tells it, once.
    """

    def __init__(self, progressed: Callable[[dict[str, Any]], None], say: Callable[[str], None]) -> None:
        self._progressed = progressed
        self._say = say
        self._said = False
        self._line = b""

    def feed(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > PROGRESS_LINE_MAX_BYTES:
            self._line = b""
        for line in lines:
            found = self._parse(line)
            if found:
                self._progressed(found)

    def step(self) -> float:
        return NOTHING_DUE_S

    def close(self) -> None:
        self.feed(b"\n")

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(value, dict):
            return {}
        found = _progress(value)
        if "points" in value:
            try:
                found["points"] = check_points(value["points"], PARTIAL_ROWS_MAX, PARTIAL_BYTES_MAX)
            except BadPoints as error:
                if not self._said:
                    self._said = True
                    self._say(f"the points that the program tells are not passed on: {error}")
        return found


def _progress(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _finite(value.get("progress")):
        found["progress"] = min(max(value["progress"], 0), 1)
    if isinstance(value.get("phase"), str):
        found["phase"] = value["phase"][:100]
    for name in ("step", "steps"):
        if (
            isinstance(value.get(name), int)
            and not isinstance(value[name], bool)
            and 0 <= value[name] < 2**53
        ):
            found[name] = value[name]
    metrics = value.get("metrics")
    if isinstance(metrics, dict):
        kept = [(str(k)[:100], v) for k, v in metrics.items() if _finite(v)]
        found["metrics"] = dict(kept[:METRICS_MAX])
    return found


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
