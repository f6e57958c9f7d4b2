"""The runner's line to Berth: what counts as an answer, as an order to end, and as loss of sight."""

from __future__ import annotations

import json
import os
import threading
import time

from berth_runner.wire import Answer, Broken, Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from berth_runner.settings import Settings

BACKOFF_FIRST_S = 0.2
HEARTBEAT_MAX_S = 60.0
GRACE_MAX_S = 3600.0  # a longer grace is a mistake of the sender
# The same body three times refused as malformed will be refused a fourth time.
REFUSALS_MAX = 3


# Our own reason to end at once: what was to be reported is deleted.
FOLDER_GONE = "folder_gone"


class Lost(Exception):
    """Loss of sight: no answer, or none that Berth would give. Keep working, keep everything, try again."""


class Refused(Lost):
    """Berth answered that this very body is wrong (400, 413, 422)."""


class Over(Exception):
    """The only order to end: 410 `attempt_over` or 409 `superseded`, as JSON."""


class Orders:
    """What Berth or the machine asked for. Written by any thread, read by all; `wake` tells the main one."""

    def __init__(self, wake: Callable[[], None], heartbeat_s: float, heartbeat_min_s: float) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self.heartbeat_s = heartbeat_s
        self.grace_s = 30.0
        """For stops of our own making; the spec says how long."""
        self._heartbeat_min_s = heartbeat_min_s
        self.over: str | None = None
        self.reason: str | None = None
        self.kill_at = float("inf")
        """Monotonic time by which the program must be gone."""
        self.answered_at = time.monotonic()

    def stop(self, reason: str, grace_s: float) -> None:
        """The first reason stays; a later order can only shorten the grace."""
        with self._lock:
            self.reason = self.reason or reason
            self.kill_at = min(self.kill_at, time.monotonic() + max(0.0, min(grace_s, GRACE_MAX_S)))
        self.stopping.set()
        self._wake()

    def end(self, code: str, grace_s: float) -> None:
        self.over = self.over or code
        self.ended.set()
        self.stop(code, grace_s)

    def read(self, answer: dict[str, Any]) -> None:
        """Takes the orders that any answer may carry."""
        self.answered_at = time.monotonic()
        interval = answer.get("next_heartbeat_ms")
        if isinstance(interval, int | float) and not isinstance(interval, bool):
            self.heartbeat_s = min(max(interval / 1000, self._heartbeat_min_s), HEARTBEAT_MAX_S)
        order = answer.get("stop")
        if isinstance(order, dict):
            grace = order.get("grace_ms")
            grace_s = grace / 1000 if isinstance(grace, int | float) and not isinstance(grace, bool) else 0.0
            self.stop(str(order.get("reason") or "stop")[:100], grace_s)


class Link:
    """Calls to Berth on a connection of its own. For one thread only."""

    def __init__(self, settings: Settings, orders: Orders) -> None:
        self._settings = settings
        self._orders = orders
        self._channel = Channel(settings.socket_timeout_s)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One try of `/v1/attempts/{id}{path}`. Errors: Lost, Refused, Over."""
        return self._call(method, path, None if body is None else encode(body))

    def call_bytes(self, path: str, body: bytes) -> dict[str, Any]:
        """POST of a body that is encoded already."""
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        url = f"/v1/attempts/{self._settings.attempt_id}{path}"
        answer = self._checked(self._berth(method, url, headers, body))
        if answer.status == 204:
            return {}
        value = _json_object(answer)
        if value is None:
            raise Lost(f"{answer.status} that is not JSON")
        self._orders.read(value)
        return value

    def put(self, target: dict[str, Any], path: str, size: int) -> None:
        """Streams a file to an upload target. Berth's own gets the bearer, any other none of ours.

        Errors: Lost; Refused when the target answers with a 4xx; Over; OSError of the file.
        """
        url, method = str(target.get("url")), str(target.get("method") or "PUT")
        given = target.get("headers")
        headers = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        headers["Content-Length"] = str(size)
        with open(path, "rb") as file:
            if url.startswith("/"):
                own = self._checked(self._berth(method, url, headers, file))
                if own.body and _json_object(own) is None:
                    raise Lost(f"{own.status} that is not JSON")
                return
            try:
                answer = self._channel.exchange(method, url, headers, file)
            except Broken as error:
                raise Lost(str(error)) from None
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            raise Refused(f"the store answered {answer.status}")
        if not 200 <= answer.status < 300:
            raise Lost(f"the store answered {answer.status}")

    def resolve(self, url: str) -> tuple[str, dict[str, str]]:
        """The whole address and headers of something to fetch."""
        if url.startswith("/"):
            return self.address() + url, self._bearer()
        return url, {}

    def address(self) -> str:
        """Read at every try: a restarted server writes its new port into the file."""
        text = self._settings.url
        if self._settings.url_file:
            try:
                with open(self._settings.url_file, encoding="utf-8") as file:
                    text = file.read(2048).strip() or text
            except (OSError, ValueError):
                pass
        return text.rstrip("/")

    def _berth(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        try:
            return self._channel.exchange(method, self.address() + path, {**headers, **self._bearer()}, body)
        except Broken as error:
            raise Lost(str(error)) from None

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.token}"}

    def _checked(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        problem = _json_object(answer) or {}
        code = problem.get("code")
        if (answer.status, code) in ((410, "attempt_over"), (409, "superseded")):
            raise Over(str(code))
        if answer.status in (400, 413, 422):
            raise Refused(
                f"{answer.status} {str(problem.get('detail') or problem.get('code') or '')[:300]}".strip()
            )
        raise Lost(f"{answer.status}")


class Backoff:
    """Waits of 0.2 s doubling up to the bound, each shortened by up to half so that runners spread out."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._next_s = BACKOFF_FIRST_S

    def wait_s(self) -> float:
        wait = min(self._next_s, self._most_s)
        self._next_s = min(self._next_s * 2, self._most_s)
        return wait * (0.5 + os.urandom(1)[0] / 512)

    def reset(self) -> None:
        self._next_s = BACKOFF_FIRST_S


def encode(value: dict[str, Any]) -> bytes:
    """JSON that any reader takes: no NaN, no NUL, no half of a surrogate pair (PostgreSQL refuses both)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if "\\u0000" in text:
        text = json.dumps(_without_nul(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def _json_object(answer: Answer) -> dict[str, Any] | None:
    if "json" not in (answer.headers.get("Content-Type") or ""):
        return None
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
