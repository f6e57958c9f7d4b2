"""A scripted Berth over real HTTP, and a way to run the runner against it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ATTEMPT = "att_01jd3m4k5nep7r8r9s0t1v2w3x"
TOKEN = "secret-of-the-attempt"
RUNNER = Path(__file__).resolve().parents[1]
# A bound against a hang: a shared machine may stand still for a minute. A test that waits for it has failed.
PATIENCE_S = 240.0

Reply = tuple[int, dict[str, str], bytes]


def json_reply(status: int, value: object) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


class Call:
    def __init__(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.headers = headers

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


class Berth:
    """Keeps what a Berth keeps, through restarts of its server on other ports."""

    def __init__(self, **spec: Any) -> None:
        self.spec = {
            "kind": "backtest",
            "params": {"x": 1},
            "device": "cpu",
            "shard": {"index": 0, "of": 1, "role": "work"},
            "inputs": [],
            "checkpoint": None,
            "timeout_s": 60,
            "grace_ms": int(PATIENCE_S * 1000),
            **spec,
        }
        self.calls: list[Call] = []
        self.reports: list[dict[str, Any]] = []
        self.chunks: dict[int, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.served: dict[str, bytes] = {}
        self.answer: dict[str, Any] = {}
        """Merged into every answer: `stop`, `next_heartbeat_ms`."""
        self.fault: Callable[[Call], Reply | None] = lambda _: None
        """Asked first for every call; what it returns is answered instead, before anything is kept."""
        self.lose: Callable[[Call], bool] = lambda _: False
        """True: the call is taken, and its answer is lost."""
        self.changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    def start(self, port: int = 0) -> str:
        berth = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.command, self.path, body, dict(self.headers.items()))
                with berth.changed:
                    berth.calls.append(call)
                reply = berth.fault(call)
                if reply is None:
                    with berth.changed:
                        reply = berth.take(call)
                        berth.changed.notify_all()
                    if berth.lose(call):
                        self.close_connection = True
                        return
                status, headers, data = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                if headers.get("Connection") == "close":
                    self.close_connection = True

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass  # a runner that was killed resets its connections

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self.url

    @property
    def url(self) -> str:
        assert self._server
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, call: Call) -> Reply:
        if call.path in self.served:
            return self._serve(call)
        assert call.headers.get("Authorization") == f"Bearer {TOKEN}", call.path
        path = call.path.removeprefix(f"/v1/attempts/{ATTEMPT}")
        if path == "/spec":
            return json_reply(200, {**self.spec, **self.answer})
        if path == "/report":
            assert len(call.body) <= 2 * 1024**2
            self.reports.append(call.json)
        elif path == "/logs":
            self._append(call)
        elif path == "/urls":
            targets = [
                {
                    "name": name,
                    "method": "PUT",
                    "url": f"/v1/attempts/{ATTEMPT}/artifacts/{name}",
                    "headers": {},
                }
                for name in call.json["names"]
            ]
            return json_reply(200, {"targets": targets, **self.answer})
        elif call.method == "PUT" and path.startswith("/artifacts/"):
            self.files[path.removeprefix("/artifacts/")] = call.body
        else:
            return json_reply(404, {"code": "not_found"})
        return json_reply(200, self.answer)

    def _append(self, call: Call) -> None:
        assert len(call.body) <= 256 * 1024
        chunk = call.json
        assert len(chunk["text"].encode()) <= 64 * 1024
        assert chunk["number"] <= len(self.chunks) + 1, "a chunk was left out"
        kept = self.chunks.setdefault(chunk["number"], chunk)
        assert kept == chunk, "a number was used twice"

    def _serve(self, call: Call) -> Reply:
        data = self.served[call.path]
        wanted = call.headers.get("Range")
        if wanted:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            span = f"bytes {first}-{len(data) - 1}/{len(data)}"
            return 206, {"Content-Range": span}, data[first:]
        return 200, {}, data

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [report for report in self.reports if report["type"] == kind]

    @property
    def finished(self) -> dict[str, Any]:
        return self.of("finished")[-1]

    def text(self, stream: str = "stdout") -> str:
        assert sorted(self.chunks) == list(range(1, len(self.chunks) + 1))
        return "".join(c["text"] for _, c in sorted(self.chunks.items()) if c["stream"] == stream)

    def wait(self, condition: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), "it did not come to that"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
