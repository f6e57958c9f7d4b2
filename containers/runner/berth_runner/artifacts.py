"""Files to Berth: what the program left in its output folder, with hashes; and one file at a time."""

from __future__ import annotations

import os
import re
import time

from berth_runner.link import Backoff, Link, Lost, Orders, Over, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A report of 1,000 artifacts and the largest result is still under Berth's 1 MiB.
ARTIFACTS_MAX = 1000
NAME_MAX_CHARS = 200
ARTIFACTS_MAX_BYTES = 50 * 1024**3
ENTRIES_MAX = 100_000  # looked at before giving up on a folder that a program filled
# Presigned URLs expire; after this many different ones were refused the store means it.
STORE_REFUSALS_MAX = 5
BLOCK_BYTES = 1024**2

POINTS_FILE = "points.json"
RESULT_FILE = "result.json"

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


class Artifact:
    def __init__(self, name: str, path: str, size: int) -> None:
        self.name = name
        self.path = path
        self.bytes = size
        self.sha256 = ""

    def data(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}


def collect(folder: str, outputs: list[str] | None = None) -> tuple[list[Artifact], list[str]]:
    """The files of the output folder by name, and a sentence for each that is left out.

    `outputs`: patterns of a custom job, whose * and ? match / too, as in a shell's case.
    """
    found: list[Artifact] = []
    left_out: list[str] = []
    total = seen = 0
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(root, file)
            name = os.path.relpath(path, folder)
            seen += 1
            if outputs is not None and not is_wanted(name, outputs):
                continue
            size = os.lstat(path).st_size
            why = None
            if outputs is None and name == POINTS_FILE:
                continue  # a part of the final report
            if os.path.islink(path) or not os.path.isfile(path):
                why = "it is not a plain file"
            elif len(name) > NAME_MAX_CHARS or not all(is_segment(part) for part in name.split(os.sep)):
                why = f"its name is not of A-Z a-z 0-9 . _ - or longer than {NAME_MAX_CHARS}"
            elif len(found) == ARTIFACTS_MAX:
                why = f"there are more than {ARTIFACTS_MAX} files"
            elif total + size > ARTIFACTS_MAX_BYTES:
                why = f"the files are more than {ARTIFACTS_MAX_BYTES // 1024**3} GiB"
            if why is None:
                total += size
                found.append(Artifact(name, path, size))
            elif len(left_out) < 20:
                left_out.append(f"{ascii(name)[:NAME_MAX_CHARS]} is not kept: {why}")
        if seen > ENTRIES_MAX:
            left_out.append(f"no more than {ENTRIES_MAX} files were looked at")
            break
    # The result first: if the machine goes away during the upload it is what matters.
    found.sort(key=lambda artifact: (artifact.name != RESULT_FILE, artifact.name))
    return found, left_out


def is_wanted(name: str, outputs: list[str]) -> bool:
    from fnmatch import fnmatchcase  # 1 ms of start

    return name == RESULT_FILE or any(fnmatchcase(name, pattern) for pattern in outputs)


def upload(link: Link, orders: Orders, artifact: Artifact, until: float, backoff_max_s: float) -> None:
    """Hashes and sends one file until it is there. Errors: Over; Refused; Lost once `until` has passed."""
    artifact.sha256, artifact.bytes = file_sha256(artifact.path)
    backoff = Backoff(backoff_max_s)
    refusals = 0
    while True:
        try:
            answer = link.call("POST", "/urls", {"names": [artifact.name]})
            link.put(_target(answer, artifact.name), artifact.path, artifact.bytes)
            return
        except Refused:
            refusals += 1
            if refusals == STORE_REFUSALS_MAX:
                raise
        except Lost:
            if time.monotonic() >= until:
                raise
        if orders.ended.wait(backoff.wait_s()):
            raise Over(str(orders.over))


def file_sha256(path: str) -> tuple[str, int]:
    import hashlib  # 4 ms of start

    digest = hashlib.sha256()
    size = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _target(answer: dict[str, Any], name: str) -> dict[str, Any]:
    targets = answer.get("targets")
    for target in targets if isinstance(targets, list) else []:
        if isinstance(target, dict) and target.get("name") == name:
            return target
    raise Lost("the answer has no upload target for the name")


def is_segment(text: str) -> bool:
    return text not in (".", "..") and _SEGMENT.fullmatch(text) is not None
