"""Inputs by their content, kept on this machine: what one attempt has fetched the next one links to."""

from __future__ import annotations

import contextlib
import os
import re

from berth_runner.artifacts import file_sha256

SHA256 = re.compile(r"[0-9a-f]{64}")


def take(folder: str, sha256: str | None, path: str) -> bool:
    """Links a kept file to `path`; says whether there was one. What was damaged since is removed."""
    kept = _place(folder, sha256)
    if kept is None:
        return False
    try:
        os.link(kept, path)
        if file_sha256(path)[0] == sha256:
            os.utime(kept)
            return True
        os.unlink(path)
        os.unlink(kept)
    except OSError:
        # Not there, removed this moment, or on another disk: it is fetched like any other.
        return False
    return False


def keep(folder: str, sha256: str | None, path: str, most_bytes: int) -> None:
    """Keeps a file that was checked, and removes those that were used longest ago beyond the bound."""
    kept = _place(folder, sha256)
    if kept is None:
        return
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # The program shares these bytes: it may read them.
        os.chmod(path, 0o400)
        os.link(path, kept)
        _prune(folder, most_bytes)


def _place(folder: str, sha256: str | None) -> str | None:
    return os.path.join(folder, sha256) if folder and sha256 and SHA256.fullmatch(sha256) else None


def _prune(folder: str, most_bytes: int) -> None:
    with os.scandir(folder) as found:
        files = [(entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in found]
    left = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if left <= most_bytes:
            return
        # Attempts that have linked it keep it until they end.
        os.unlink(path)
        left -= size
