"""The attempt's folder on disk: everything that must survive the runner, written atomically.

lock               held by flock while a runner lives
pid.json           { pid, start_time } of the runner
instance.json      { instance }: the same after a restart of this folder
attempt.json       the spec as Berth gave it
program.json       { pid, start_time } of the program; written (with nulls) before it starts
exit.json          { exit_code, failure, error, stopped, ended_at_unix }: the work is over
acknowledged.json  { by }: and Berth knows, or nobody will listen any more
spec.json, inputs/, shards/, out/, checkpoint/, spool/
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Given back when the disk is full, so that the exit file and the last words still fit.
RESERVE_BYTES = 256 * 1024
JSON_MAX_BYTES = 16 * 1024**2

FULL = (errno.ENOSPC, errno.EDQUOT)


class Folder:
    def __init__(self, home: str) -> None:
        os.makedirs(home, mode=0o700, exist_ok=True)
        self.home = home
        self.inputs = os.path.join(home, "inputs")
        self.shards = os.path.join(home, "shards")
        self.out = os.path.join(home, "out")
        self.checkpoint = os.path.join(home, "checkpoint")
        self.spool = os.path.join(home, "spool")
        self._lock = -1

    def lock(self) -> bool:
        """False: another runner lives on this folder. The lock goes when this process does."""
        self._lock = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_there(self) -> bool:
        """False: somebody removed the folder, and with it all that could still be reported."""
        try:
            return os.stat(self.path("lock")).st_ino == os.fstat(self._lock).st_ino
        except FileNotFoundError:
            return False

    def prepare(self) -> None:
        for path in (self.inputs, self.shards, self.out, self.checkpoint, self.spool):
            os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.path.exists(self.path("reserve")):
            try:
                with open(self.path("reserve"), "wb") as file:
                    file.write(bytes(RESERVE_BYTES))
            except OSError as error:
                if error.errno not in FULL:
                    raise  # a full disk is the preflight's to say

    def path(self, name: str) -> str:
        return os.path.join(self.home, name)

    def read(self, name: str) -> dict[str, Any] | None:
        """None: not there. A file that is not whole cannot happen: write() renames."""
        try:
            with open(self.path(name), "rb") as file:
                value = json.loads(file.read(JSON_MAX_BYTES))
        except FileNotFoundError:
            return None
        return value if isinstance(value, dict) else None

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Whole or not at all, through a power cut too."""
        data = json.dumps(value).encode()
        try:
            self._replace(name, data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.release_reserve()
            self._replace(name, data)

    def release_reserve(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path("reserve"))

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self.path(f"{name}.tmp")
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path(name))
        folder = os.open(self.home, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
