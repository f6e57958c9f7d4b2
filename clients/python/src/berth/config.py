"""Which server, by which key, and in which project: as the command-line client finds them."""

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import httpx

from berth.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8080"
KEY = re.compile(r"[\x21-\x7e]{1,512}")


def find_url(given: str | None) -> str:
    text = given or os.environ.get("BERTH_URL", "").strip() or DEFAULT_URL
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"BERTH_URL is not an http:// or https:// address: set it like {DEFAULT_URL}")
    if url.userinfo or url.query or url.fragment:
        raise ConfigError("BERTH_URL has a user, a query or a fragment: give the key in BERTH_API_KEY")
    return str(url).rstrip("/")


class Access(NamedTuple):
    """A key, or a session of a person who asks in a project: its id, None: the server's choice."""

    key: str
    project: str | None


def find_access(given: str | None, url: str, wanted: str | None = None) -> Access:
    project = wanted or os.environ.get("BERTH_PROJECT", "").strip() or None
    if project is not None and not KEY.fullmatch(project):
        raise ConfigError("BERTH_PROJECT is no id of a project: take one that berth projects list shows")
    key = given or os.environ.get("BERTH_API_KEY", "").strip()
    if key:
        if not KEY.fullmatch(key):
            raise ConfigError("BERTH_API_KEY holds characters that no key has: copy it again")
        return Access(key, project)
    if kept := kept_access(url):
        return Access(kept.key, project or kept.project)
    # Another machine's server must never be shown this machine's admin key.
    if not is_loopback(url):
        raise ConfigError(
            f"There is no key for {url}, which is not on this machine: run berth login, or set BERTH_API_KEY"
        )
    folder = os.environ.get("BERTH_DATA_DIR", "").strip() or "data"
    file = Path(os.environ.get("BERTH_ADMIN_KEY_FILE", "").strip() or Path(folder, "admin.key"))
    try:
        key = file.read_text(encoding="utf-8").strip()
    except OSError:
        key = ""
    if KEY.fullmatch(key):
        return Access(key, project)
    raise ConfigError(
        f"BERTH_API_KEY is not set and there is no key in {file.absolute()}: set BERTH_API_KEY, or "
        "BERTH_DATA_DIR to the folder of the server that runs on this machine"
    )


def kept_access(url: str) -> Access | None:
    """What `berth login` keeps for a server, in a file that others must not be able to read."""
    folder = os.environ.get("XDG_CONFIG_HOME", "").strip() or Path.home() / ".config"
    file = Path(folder, "berth", "credentials.json")
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise ConfigError(
                f"{file} can be read by others: chmod 600 it, or log in again after removing it"
            )
        kept = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return None
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise ConfigError(f"{file} is not what berth login writes: remove it, and log in again")
    entry = kept.get(url)
    if not isinstance(entry, dict):
        return None
    key, project = entry.get("key"), entry.get("project")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        return None
    return Access(key, project if isinstance(project, str) and KEY.fullmatch(project) else None)


def is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
