"""A server of the checkout on the embedded database, with jobs in processes of this machine."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth import Client

ROOT = Path(__file__).resolve().parents[3]
# Against a hang alone.
MAX_STOP_S = 240


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. Its key is where the client looks for it."""
    folder = tmp_path_factory.mktemp("berth")
    settings = {"BERTH_DATA_DIR": str(folder), "BERTH_PORT": "0", "BERTH_LOCAL_PROVIDER": "true"}
    # Streams are cut each second, and have to go on.
    settings["BERTH_SSE_MAX_S"] = "1"
    known = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
    node = ROOT / "node_modules" / ".bin" / "node"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(node), "infra/node.ts"],
            cwd=ROOT,
            env={**known, **settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    address = ""
    for line in process.stdout:
        if line.startswith("Berth is ready at "):
            address = line.removeprefix("Berth is ready at ").strip()
            break
    try:
        assert address, (folder / "server.log").read_text()
        yield f"{address}#{folder}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=MAX_STOP_S)


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    address, folder = server.split("#")
    monkeypatch.delenv("BERTH_API_KEY", raising=False)
    monkeypatch.setenv("BERTH_URL", address)
    monkeypatch.setenv("BERTH_DATA_DIR", folder)
    return address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made
