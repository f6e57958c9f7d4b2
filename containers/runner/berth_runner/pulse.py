"""Heartbeats: the last progress and the machine's figures, at the interval that Berth asks for."""

from __future__ import annotations

import threading
import time

from berth_runner import machine
from berth_runner.link import FOLDER_GONE, Backoff, Link, Lost, Orders, Over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from berth_runner.folder import Folder
    from berth_runner.settings import Settings


class Pulse:
    """progressed() is for any thread; beat() runs in one of its own until close()."""

    def __init__(self, settings: Settings, orders: Orders, folder: Folder) -> None:
        self._settings = settings
        self._orders = orders
        self._folder = folder
        self._changed = threading.Condition()
        self._progress: dict[str, Any] = {}
        self._is_new = False
        self._closed = False

    def progressed(self, fields: dict[str, Any]) -> None:
        with self._changed:
            self._progress.update(fields)
            self._is_new = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def beat(self, device: str) -> None:
        link = Link(self._settings, self._orders)
        backoff = Backoff(self._settings.backoff_max_s)
        gauge = machine.Gauge(device)
        figures: dict[str, Any] = {}
        sent: list[Any] | None = None  # the points that Berth has: they are large, and seldom new
        read_at = time.monotonic()  # the first figures after one interval: they are differences
        while self._orders.over is None and not self._closed:
            if not self._folder.is_there():
                self._orders.end(FOLDER_GONE, 0)
                return
            if time.monotonic() - read_at >= self._settings.machine_every_s:
                figures, read_at = gauge.read(), time.monotonic()
            with self._changed:
                progress, self._is_new = dict(self._progress), False
            points = progress.pop("points", None)
            fresh = {} if points is None or points == sent else {"points": points}
            body = {"type": "heartbeat", **progress, **fresh, "machine": figures or None}
            try:
                link.call("POST", "/report", body)
            except Over as order:
                self._orders.end(str(order), 0)
                return
            except Lost:
                self._wait(backoff.wait_s(), wants_progress=False)
                continue
            backoff.reset()
            sent = points
            self._wait(self._orders.heartbeat_s, wants_progress=True)

    def _wait(self, seconds: float, *, wants_progress: bool) -> None:
        """Until the interval is over; new progress ends it early, though not before a second."""
        began = time.monotonic()
        soonest = min(self._settings.progress_min_s, seconds)
        with self._changed:
            while not self._closed:
                passed = time.monotonic() - began
                until = soonest if wants_progress and self._is_new else seconds
                if passed >= until:
                    return
                self._changed.wait(until - passed)
