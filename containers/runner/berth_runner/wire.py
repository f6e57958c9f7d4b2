"""One HTTP exchange over the standard library, bounded in time and size."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs milliseconds of start
    from typing import BinaryIO

# http.client imports ssl when it can, and that costs 8 ms of start; most local runners speak plain http.
_NO_SSL = "ssl" not in sys.modules
if _NO_SSL:
    sys.modules["ssl"] = None  # type: ignore[assignment]
import http.client  # noqa: E402
from urllib.parse import urlsplit  # noqa: E402

if _NO_SSL:
    del sys.modules["ssl"]

HTTPException = http.client.HTTPException
ANSWER_MAX_BYTES = 8 * 1024**2  # a spec with 1,000 inputs fits; what is longer is not from Berth
BLOCK_BYTES = 256 * 1024
# An answer that drips a byte a second keeps the socket's own timeout quiet, so the whole has one too.
ANSWER_TIMEOUTS = 3


class Broken(Exception):
    """The exchange did not come to a whole answer: refused, reset, timed out, cut off or not HTTP."""


class Answer:
    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Channel:
    """A kept connection to one origin at a time. For one thread only.

    Every call made through it may be repeated safely: a kept connection that the server has closed
    meanwhile is opened again, once.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._origin = ("", "")
        self._connection: http.client.HTTPConnection | None = None

    def exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None
    ) -> Answer:
        """Sends and reads the whole answer. `headers` of a streamed body must give Content-Length."""
        response = self.open(method, url, headers, body)
        until = time.monotonic() + ANSWER_TIMEOUTS * self._timeout_s
        blocks: list[bytes] = []
        size = 0
        try:
            while block := response.read1(BLOCK_BYTES):
                blocks.append(block)
                size += len(block)
                if size > ANSWER_MAX_BYTES or time.monotonic() > until:
                    raise Broken("the answer is too long or too slow")
            # read1() ends quietly when the connection is cut inside a body of known length.
            if response.length:
                raise Broken("the answer was cut off")
            response.close()  # read1() leaves it open, and an open one blocks the connection
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Broken(_words(error)) from None
        except Broken:
            self.close()
            raise
        if response.will_close:
            self.close()
        return Answer(response.status, response.headers, b"".join(blocks))

    def open(
        self, method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None
    ) -> http.client.HTTPResponse:
        """Sends, and returns the answer with its body unread."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Broken("the address is not http or https")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        origin = (parts.scheme, parts.netloc)
        if origin != self._origin:
            self.close()
        kept = self._connection is not None
        while True:
            try:
                if self._connection is None:
                    kind = _SecureConnection if parts.scheme == "https" else http.client.HTTPConnection
                    self._connection = kind(parts.hostname, parts.port, timeout=self._timeout_s)
                    self._origin = origin
                self._connection.request(method, target, body=body, headers=headers)
                return self._connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                if not kept or isinstance(error, TimeoutError):
                    raise Broken(_words(error)) from None
                kept = False
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._origin = ("", "")


class _SecureConnection(http.client.HTTPConnection):
    default_port = 443  # else the Host header would name the port, which presigned URLs do not sign

    def connect(self) -> None:
        import ssl

        super().connect()
        try:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        except BaseException:
            self.close()
            raise


def _words(error: Exception) -> str:
    """What went wrong, without the address (a presigned URL is a credential)."""
    return f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
