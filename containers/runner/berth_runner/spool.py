"""Log chunks: numbered, kept on disk until Berth has acknowledged them, sent one at a time in order."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque

from berth_runner.folder import Folder
from berth_runner.link import REFUSALS_MAX, Backoff, Link, Lost, Orders, Over, Refused, encode

# Berth takes 64 KiB of text and 256 KiB of body; escaping can make six bytes of one.
TEXT_MAX_BYTES = 64 * 1024
BODY_MAX_BYTES = 200 * 1024
# When the disk is full the last words wait in memory.
MEMORY_MAX_BYTES = 4 * 1024**2


class Spool:
    """put() is for the main thread; send_all() runs in a thread of its own."""

    def __init__(self, folder: Folder, limit_bytes: int) -> None:
        self._folder = folder.spool
        self._limit_bytes = limit_bytes
        self._lock = threading.Condition()
        self._queue: deque[tuple[int, bytes | None, int]] = deque()  # number, body (None: on disk), bytes
        self._bytes = 0
        self._memory_bytes = 0
        self._dropped_bytes = 0
        self._closed = False
        self.disk_full = False
        self.acknowledged_at = time.monotonic()
        self._next = self._recover()

    def put(self, stream: str, text: str, *, last: bool = False) -> None:
        """Queues text as chunks. Beyond the bound it is dropped and a line says so; `last` always fits."""
        with self._lock:
            if self._dropped_bytes and (last or self._bytes < self._limit_bytes // 2):
                lost = self._dropped_bytes
                self._dropped_bytes = 0
                limit = f"{self._limit_bytes / 1024**2:g} MiB"
                self._append(
                    "runner", f"berth: {lost} bytes of output were dropped here: {limit} waited to be sent\n"
                )
            for piece in _pieces(stream, text):
                if not last and (self._dropped_bytes or self._bytes >= self._limit_bytes):
                    self._dropped_bytes += len(piece.encode("utf-8", "replace"))
                else:
                    self._append(stream, piece)
            self._lock.notify_all()

    def send_all(self, link: Link, orders: Orders, backoff_max_s: float) -> None:
        """Until close() and nothing is left, or an order to end."""
        backoff = Backoff(backoff_max_s)
        refusals = 0
        while orders.over is None:
            with self._lock:
                while not self._queue and not self._closed:
                    self._lock.wait()
                if not self._queue:
                    return
                number, body, _ = self._queue[0]
            try:
                link.call_bytes("/logs", body if body is not None else self._read(number))
            except Over as order:
                orders.end(str(order), 0)
                return
            except Lost as lost:
                refusals = refusals + 1 if isinstance(lost, Refused) else 0
                if refusals == REFUSALS_MAX:
                    self._replace_refused(number, str(lost))
                    refusals = 0
                orders.ended.wait(backoff.wait_s())
                continue
            backoff.reset()
            refusals = 0
            self._acknowledge(number, body is not None)

    def wait_empty(self, timeout_s: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._queue, timeout_s)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _recover(self) -> int:
        """Queues what an earlier runner left; the next number follows everything ever written."""
        acknowledged = _number_in(os.path.join(self._folder, "acknowledged"))
        numbers = sorted(int(name[:-5]) for name in os.listdir(self._folder) if name.endswith(".json"))
        for number in numbers:
            size = os.path.getsize(self._path(number))
            self._queue.append((number, None, size))
            self._bytes += size
        return max([acknowledged, *numbers]) + 1

    def _append(self, stream: str, text: str) -> None:
        number = self._next
        body = encode({"number": number, "at": utc_now(), "stream": stream, "text": text})
        in_memory: bytes | None = None
        try:
            temporary = os.path.join(self._folder, "writing")
            with open(temporary, "wb") as file:
                file.write(body)
            os.replace(temporary, self._path(number))
        except OSError:
            self.disk_full = True
            if self._memory_bytes + len(body) > MEMORY_MAX_BYTES:
                self._dropped_bytes += len(text)
                return
            self._memory_bytes += len(body)
            in_memory = body
        self._next += 1
        self._queue.append((number, in_memory, len(body)))
        self._bytes += len(body)

    def _acknowledge(self, number: int, in_memory: bool) -> None:
        """The renamed chunk is its own record of the last acknowledged number: one call does both."""
        if not in_memory:
            os.replace(self._path(number), os.path.join(self._folder, "acknowledged"))
        with self._lock:
            _, body, size = self._queue.popleft()
            self._bytes -= size
            self._memory_bytes -= len(body or b"")
            self.acknowledged_at = time.monotonic()
            self._lock.notify_all()

    def _replace_refused(self, number: int, why: str) -> None:
        """Its number must be used, else nothing after it can be sent."""
        with self._lock:
            _, body, size = self._queue[0]
            text = f"berth: {size} bytes of output were refused here: {why}\n"
            mark = encode({"number": number, "at": utc_now(), "stream": "runner", "text": text})
            self._queue[0] = (number, mark if body is not None else None, size)
            if body is None:
                with open(self._path(number), "wb") as file:
                    file.write(mark)

    def _read(self, number: int) -> bytes:
        with open(self._path(number), "rb") as file:
            return file.read()

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:010}.json")


def _pieces(stream: str, text: str) -> list[str]:
    """Cuts between lines where it can, so that each piece and its body stay within the bounds."""
    pieces = [text] if text else []
    done: list[str] = []
    while pieces:
        piece = pieces.pop(0)
        fits = len(piece) <= TEXT_MAX_BYTES and len(piece.encode("utf-8", "replace")) <= TEXT_MAX_BYTES
        if len(piece) < 2 or (fits and len(encode({"stream": stream, "text": piece})) <= BODY_MAX_BYTES):
            done.append(piece)
            continue
        middle = min(len(piece) // 2, TEXT_MAX_BYTES)
        line_end = piece.rfind("\n", 0, middle) + 1
        cut = line_end if line_end > middle // 2 else middle
        pieces[:0] = [piece[:cut], piece[cut:]]
    return done


def _number_in(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return int(json.loads(file.read())["number"])
    except FileNotFoundError:
        return 0


def utc_now() -> str:
    """For people to read; Berth never compares the times of runners."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03}Z"
