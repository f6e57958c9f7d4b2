import json
import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import berth
from berth.config import find_access

FOLDER = Path(__file__).resolve().parents[1]


def test_the_types_are_those_of_the_document() -> None:
    made = runpy.run_path(str(FOLDER / "generate_types.py"))
    document = json.loads(made["DOCUMENT"].read_text(encoding="utf-8"))
    assert made["generate"](document) == made["TARGET"].read_text(encoding="utf-8")


class Flaky(BaseHTTPRequestHandler):
    """Breaks the connection once, is busy once, then takes the job."""

    keys: list[str | None]

    def do_POST(self) -> None:
        self.keys.append(self.headers["Idempotency-Key"])
        self.rfile.read(int(self.headers["Content-Length"]))
        if len(self.keys) == 1:
            self.close_connection = True
            return
        body = {"id": "job_1", "state": "queued", "progress": 0, "code": "busy", "detail": "later"}
        content = json.dumps(body).encode()
        self.send_response(503 if len(self.keys) == 2 else 201)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def flaky() -> Iterator[str]:
    Flaky.keys = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_submission_is_sent_again_under_the_same_key(flaky: str) -> None:
    with berth.Client(flaky, "secret-key") as client:
        job = client.submit({"kind": "backtest", "params": {}})
        assert repr(job) == "<Job job_1 queued 0 %>"
        assert "secret-key" not in repr(client)
    assert len(Flaky.keys) == 3
    assert Flaky.keys[0]
    assert len(set(Flaky.keys)) == 1


def test_what_login_keeps_is_used_for_its_server_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("BERTH_API_KEY", raising=False)
    file = tmp_path / "berth" / "credentials.json"
    file.parent.mkdir()
    file.write_text('{"https://berth.example.com": {"key": "kept-key", "as": "session"}}')
    file.chmod(0o600)
    assert find_access(None, "https://berth.example.com") == ("kept-key", None)
    assert find_access("given-key", "https://berth.example.com") == ("given-key", None)
    with pytest.raises(berth.ConfigError, match="berth login"):
        find_access(None, "https://other.example.com")
    file.write_text('{"https://berth.example.com": {"key": "kept-key", "as": "session", "project": "kept"}}')
    assert find_access(None, "https://berth.example.com") == ("kept-key", "kept")
    monkeypatch.setenv("BERTH_PROJECT", "named")
    assert find_access(None, "https://berth.example.com") == ("kept-key", "named")
    assert find_access(None, "https://berth.example.com", "given") == ("kept-key", "given")
    file.chmod(0o640)
    with pytest.raises(berth.ConfigError, match="read by others"):
        find_access(None, "https://berth.example.com")


def test_a_key_is_not_taken_to_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("key-of-this-machine\n")
    monkeypatch.setenv("BERTH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("BERTH_API_KEY", raising=False)
    berth.Client("http://localhost:1").close()
    with pytest.raises(berth.ConfigError, match="not on this machine"):
        berth.Client("https://berth.example.com")
    with pytest.raises(berth.ConfigError, match="give the key in BERTH_API_KEY"):
        berth.Client("https://user:key@berth.example.com")
    with pytest.raises(berth.ConfigError) as wrong:
        berth.Client("http://localhost:1", "a key with spaces")
    assert "a key" not in str(wrong.value).replace("a key that", "")
