"""Brings inputs and the checkpoint onto this machine: resumed after a cut, checked by sha256, bounded."""

from __future__ import annotations

import os
import re
import time
from urllib.parse import unquote, urljoin, urlsplit

from berth_runner import kept
from berth_runner.artifacts import file_sha256, is_segment
from berth_runner.link import Backoff, Link, Orders
from berth_runner.wire import BLOCK_BYTES, Broken, Channel, HTTPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from typing import Any

    from berth_runner.settings import Settings

INPUT_MAX_BYTES = 200 * 1024**3
INPUTS_MAX = 1000
# Of all shards of a merge: 64 shards of 150 files each.
SHARD_FILES_MAX = 10_000
REDIRECTS_MAX = 5
# A store may answer 403 or 404 for a moment after an upload; not this many times.
NOT_THERE_MAX = 4


class InputFailed(Exception):
    """The message names the input; `failure` is one of Berth's error codes."""

    def __init__(self, failure: str, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class Stopped(Exception):
    """An order came while we were fetching."""


def fetch_inputs(
    settings: Settings, orders: Orders, link: Link, inputs: list[dict[str, Any]], folder: str
) -> dict[str, str]:
    """Local `file://` addresses by the addresses they replace. Errors: InputFailed, Stopped, OSError."""
    if len(inputs) > INPUTS_MAX:
        raise InputFailed("invalid_params", f"there are {len(inputs)} inputs, the bound is {INPUTS_MAX}")
    replaced: dict[str, str] = {}
    for index, item in enumerate(inputs):
        url, name, sha256 = str(item.get("url")), str(item.get("name")), item.get("sha256")
        if url.startswith("file://"):
            path = unquote(urlsplit(url).path)
            _check_hash(name, _hash_of(path, name), sha256)
        else:
            path = os.path.join(folder, f"{index}-{_file_name(name, url)}")
            fetch(settings, orders, link, (name, url, sha256), path)
            replaced[url] = f"file://{path}"
    return replaced


def fetch_shards(
    settings: Settings, orders: Orders, link: Link, items: list[dict[str, Any]], folder: str
) -> None:
    """Brings the shards' artifacts to folder/<shard>/<name>. Errors: InputFailed, Stopped, OSError."""
    if len(items) > SHARD_FILES_MAX:
        raise InputFailed(
            "runner_crashed", f"the shards have {len(items)} files, the bound is {SHARD_FILES_MAX}"
        )
    for item in items:
        name, url, sha256 = str(item.get("name")), str(item.get("url")), item.get("sha256")
        parts = name.split("/")[1:]
        if len(parts) < 2 or not parts[0].isdecimal() or not all(is_segment(part) for part in parts):
            raise InputFailed("runner_crashed", f"{ascii(name)[:200]} is no name of a shard's file")
        path = os.path.join(folder, *parts)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            fetch(settings, orders, link, (name, url, sha256), path)
        except InputFailed as error:
            # What Berth itself serves is never the fault of what the user asked for.
            raise InputFailed(
                "runner_crashed" if error.failure == "invalid_params" else error.failure, str(error)
            ) from None


def is_shard_file(item: dict[str, Any]) -> bool:
    return str(item.get("name")).startswith("shards/")


def fetch(
    settings: Settings, orders: Orders, link: Link, item: tuple[str, str, str | None], path: str
) -> None:
    """Downloads to `path`, which then has the right hash. Errors: InputFailed, Stopped, OSError."""
    name, url, sha256 = item
    if os.path.exists(path):
        return  # an earlier runner of this folder checked it before it renamed it
    if kept.take(settings.kept_inputs, sha256, path):
        return
    partial = f"{path}.partial"
    backoff = Backoff(settings.backoff_max_s)
    channel = Channel(settings.socket_timeout_s)
    give_up_at = time.monotonic() + settings.input_for_s
    not_there = wrong = 0
    while True:
        if orders.stopping.is_set():
            raise Stopped
        before = _size(partial)
        try:
            status = _download(channel, link, orders, url, partial)
        except Broken as broken:
            status, why = 0, str(broken)
        else:
            why = f"the server answered {status}"
        if status in (200, 206):
            digest = _hash_of(partial, name)
            if sha256 in (None, digest):
                os.replace(partial, path)
                kept.keep(settings.kept_inputs, sha256, path, settings.kept_inputs_bytes)
                return
            os.unlink(partial)
            wrong += 1
            if wrong == 2:
                _check_hash(name, digest, sha256)
        if _size(partial) > before:
            give_up_at = time.monotonic() + settings.input_for_s  # it moves
        not_there += 400 <= status < 500 and status not in (408, 416, 429) and not url.startswith("/")
        if not_there == NOT_THERE_MAX or time.monotonic() >= give_up_at:
            raise InputFailed("invalid_params", f"input {name} cannot be fetched: {why}")
        orders.stopping.wait(backoff.wait_s())


def replace_addresses(value: Any, replaced: dict[str, str]) -> Any:
    """A copy of the params with every string that is an input's address replaced."""
    if isinstance(value, str):
        return replaced.get(value, value)
    if isinstance(value, list):
        return [replace_addresses(item, replaced) for item in value]
    if isinstance(value, dict):
        return {key: replace_addresses(item, replaced) for key, item in value.items()}
    return value


def _download(channel: Channel, link: Link, orders: Orders, url: str, partial: str) -> int:
    """One try, from where the last one was cut. Returns the status; Broken keeps what came."""
    have = _size(partial)
    target, headers = link.resolve(url)
    if have:
        headers["Range"] = f"bytes={have}-"
    for _ in range(REDIRECTS_MAX):
        answer = channel.open("GET", target, headers, None)
        if answer.status not in (301, 302, 303, 307, 308):
            break
        channel.close()
        # The bearer is Berth's alone, wherever Berth sends us.
        headers.pop("Authorization", None)
        target = urljoin(target, answer.headers.get("Location") or "")
    try:
        if answer.status == 416:
            os.unlink(partial)  # longer than what is there now: begin again
        elif answer.status in (200, 206):
            _save(answer, orders, partial, have if answer.status == 206 else 0)
    finally:
        channel.close()
    return answer.status


def _save(answer: http.client.HTTPResponse, orders: Orders, partial: str, have: int) -> None:
    if have and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        os.unlink(partial)
        raise Broken("the server sent another range than asked")
    free = os.statvfs(os.path.dirname(partial))
    length = answer.length or 0
    if length > INPUT_MAX_BYTES or length > free.f_bavail * free.f_frsize:
        raise InputFailed("disk_full", f"an input of {length} bytes does not fit on the disk")
    size = have
    with open(partial, "r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        while True:
            try:
                block = answer.read1(BLOCK_BYTES)
            except (OSError, HTTPException) as error:
                raise Broken(type(error).__name__) from None
            if not block:
                break
            file.write(block)
            size += len(block)
            if size > INPUT_MAX_BYTES:
                raise InputFailed("disk_full", f"an input is longer than {INPUT_MAX_BYTES} bytes")
            if orders.stopping.is_set():
                raise Stopped
    if answer.length:
        raise Broken("the answer was cut off")


def _hash_of(path: str, name: str) -> str:
    try:
        return file_sha256(path)[0]
    except FileNotFoundError:
        raise InputFailed("invalid_params", f"input {name} is not on this machine") from None


def _check_hash(name: str, digest: str, expected: str | None) -> None:
    if expected not in (None, digest):
        raise InputFailed("invalid_params", f"input {name} has sha256 {digest}, expected {expected}")


def _file_name(name: str, url: str) -> str:
    """A safe name that keeps the suffix, by which readers tell CSV from Parquet."""
    base = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(name))[-80:].lstrip(".") or "input"
    suffix = os.path.splitext(urlsplit(url).path)[1]
    return base if "." in base or not re.fullmatch(r"\.[A-Za-z0-9]{1,10}", suffix) else base + suffix


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0
