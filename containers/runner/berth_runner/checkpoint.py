"""Checkpoints: the program's folder as one tar, so that what Berth has is whole or not there."""

from __future__ import annotations

import os
import threading
import time

from berth_runner.artifacts import Artifact, upload
from berth_runner.link import Link, Lost, Orders, Over

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile

    from berth_runner.folder import Folder
    from berth_runner.settings import Settings

    Fingerprint = list[list[str | int]]

# One try a round while the program runs: an upload must not pile up behind the next.
ROUND_TRIES_S = 0.0
CHECKPOINT_MAX_BYTES = 20 * 1024**3
# A file that changes while it is packed makes a torn tar; after this many tries the next round is waited for.
PACK_TRIES = 3
FILES_MAX = 100_000


class Checkpoints:
    """save() may be called from the thread of keep_saving() and, after close(), from the main one."""

    def __init__(self, settings: Settings, orders: Orders, folder: Folder) -> None:
        self._settings = settings
        self._orders = orders
        self._folder = folder
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def keep_saving(self) -> None:
        link = Link(self._settings, self._orders)
        while not self._closed.wait(self._settings.checkpoint_every_s) and self._orders.over is None:
            try:
                self.save(link, time.monotonic() + ROUND_TRIES_S)
            except (Lost, OSError):
                continue  # the next round, or the one at the stop, tries again
            except Over as order:
                self._orders.end(str(order), 0)

    def close(self) -> None:
        self._closed.set()

    def save(self, link: Link, until: float) -> bool:
        """Uploads the folder if it changed since the last time. Errors: Lost, Over, OSError."""
        with self._lock:
            state = self._folder.read("checkpoint.json") or {"number": 0, "files": []}
            path = self._folder.path("checkpoint.tar")
            files = _pack(self._folder.checkpoint, path, state["files"])
            if files is None:
                return False
            number = state["number"] + 1
            tar = Artifact(f"checkpoints/{number}.tar", path, 0)
            try:
                # The number is used up before the upload: a name never means two contents.
                self._folder.write("checkpoint.json", {"number": number, "files": state["files"]})
                upload(link, self._orders, tar, until, self._settings.backoff_max_s)
                link.call("POST", "/report", {"type": "checkpoint", **tar.data()})
                self._folder.write("checkpoint.json", {"number": number, "files": files})
            finally:
                os.unlink(path)
            return True


def unpack(path: str, folder: str) -> None:
    """Takes plain files and folders only, all of them below `folder`. Errors: ValueError, OSError."""
    import tarfile  # 10 ms of start that most attempts do not need

    try:
        with tarfile.open(path, "r:") as tar:
            total = 0
            for count, member in enumerate(tar):
                parts = member.name.split("/")
                if not (member.isreg() or member.isdir()) or ".." in parts or member.name.startswith("/"):
                    raise ValueError(
                        f"the checkpoint holds {member.name[:100]!r}, which is not a plain file in it"
                    )
                total += member.size
                if count >= FILES_MAX or total > CHECKPOINT_MAX_BYTES:
                    raise ValueError("the checkpoint is larger than any that Berth makes")
                member.mode = 0o700 if member.isdir() else 0o600
                if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later
                    tar.extract(member, folder, filter="data")
                else:
                    tar.extract(member, folder, set_attrs=False)
    except tarfile.TarError as error:
        raise ValueError(f"the checkpoint is not a tar: {error}") from None


def _pack(folder: str, path: str, before: Fingerprint) -> Fingerprint | None:
    """None: nothing in it, nothing new, or it never held still."""
    import tarfile

    for _ in range(PACK_TRIES):
        files = _fingerprint(folder)
        if not files or files == before or sum(int(size) for _, size, _ in files) > CHECKPOINT_MAX_BYTES:
            return None
        try:
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
                for name, _, _ in files:
                    tar.add(os.path.join(folder, str(name)), str(name), recursive=False, filter=_anonymous)
        except FileNotFoundError:
            continue  # replaced while we packed
        if _fingerprint(folder) == files:
            return files
    if os.path.exists(path):
        os.unlink(path)
    return None


def _fingerprint(folder: str) -> Fingerprint:
    found: Fingerprint = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            full = os.path.join(root, file)
            if os.path.islink(full) or not os.path.isfile(full) or len(found) == FILES_MAX:
                continue
            try:
                stat = os.stat(full)
            except FileNotFoundError:
                continue
            found.append([os.path.relpath(full, folder), stat.st_size, stat.st_mtime_ns])
    return found


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
