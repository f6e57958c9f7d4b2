"""What the client does, without I/O (effects.py)."""

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from httpx_sse import SSEError

from berth.effects import Call, Close, Emit, Next, Open, Pause, Plan, Send, Stream, Work
from berth.errors import BerthError, JobCancelled, JobFailed, Unreachable, WaitTimeout, problem_error
from berth.types import Job

Found = TypeVar("Found")
# For how long a call that fails is repeated; what follows a job outlives an upgrade of the server.
PATIENCE_S = 60.0
LONG_PATIENCE_S = 600.0
# A server reads, checks and writes a file at this rate at least before it is ready.
JOINED_BYTES_PER_S = 10e6
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 5.0
# How often a bar moves. The server holds the request so long.
LOOK_S = 1
# The most that a page of the server holds.
PAGE = 500
# 429, 503, and what stands between: a gateway whose server restarts.
PASSING = frozenset({429, 502, 503, 504})
ENDED = frozenset({"succeeded", "failed", "cancelled"})


def path(*parts: str | int) -> str:
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def patiently(ask: Callable[[], Plan[Found]], patience_s: float, call: Call) -> Plan[Found]:
    """Repeats what failed without an answer, or with one that says "later". What creates carries a key of
    idempotency and orders are idempotent; of a repeated DELETE the answer would be "not found"."""
    end = time.monotonic() + (0 if call.method == "DELETE" else patience_s)
    pause = FIRST_PAUSE_S
    while True:
        problem: BerthError
        wait = pause
        try:
            return (yield from ask())
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects):
            raise
        except httpx.HTTPError as error:
            # Its text may be empty; its request is not shown, for that holds the key.
            problem = Unreachable(f"No answer ({type(error).__name__}: {error}): is the server running?")
        except BerthError as error:
            if getattr(error, "status", None) not in PASSING:
                raise
            problem = error
            wait = max(pause, getattr(error, "retry_after_s", None) or 0)
        if time.monotonic() + wait > end:
            raise problem
        yield Pause(wait)
        pause = min(2 * pause, MAX_PAUSE_S)


def send(call: Call, patience_s: float = PATIENCE_S) -> Plan[httpx.Response]:
    def once() -> Plan[httpx.Response]:
        response: httpx.Response = yield Send(call)
        if response.is_redirect:
            raise Unreachable("The server sends on to another address: set BERTH_URL to the final one.")
        if not response.is_success:
            raise problem_error(response.status_code, response.headers, response.content)
        return response

    return (yield from patiently(once, patience_s, call))


def ask(call: Call, patience_s: float = PATIENCE_S) -> Plan[Any]:
    """The JSON of an answer."""
    response = yield from send(call, patience_s)
    if response.status_code == 204:
        return None
    try:
        return response.json()
    except ValueError:
        raise Unreachable("The server does not answer like Berth: is BERTH_URL right?") from None


def post(where: str, body: Any = None) -> Plan[Any]:
    return (yield from ask(Call("POST", where, json=body)))


def get(where: str, query: Mapping[str, str] | None = None) -> Plan[Any]:
    return (yield from ask(Call("GET", where, query=query or {})))


def delete(where: str) -> Plan[None]:
    yield from ask(Call("DELETE", where))


def pages(where: str, query: Mapping[str, str] | None = None) -> Plan[None]:
    """Emits the items of all pages."""
    asked = {"limit": str(PAGE), **(query or {})}
    while True:
        page = yield from get(where, asked)
        for item in page["items"]:
            yield Emit(item)
        if page.get("next_cursor") is None:
            return
        asked = {**asked, "cursor": page["next_cursor"]}


def collect(where: str, query: Mapping[str, str] | None = None) -> Plan[list[Any]]:
    found: list[Any] = []
    plan = pages(where, query)
    outcome: Any = None
    while True:
        try:
            effect = plan.send(outcome)
        except StopIteration:
            return found
        if isinstance(effect, Emit):
            found.append(effect.item)
            outcome = None
        else:
            outcome = yield effect


def submit(body: Any, key: str | None, where: str = "jobs") -> Plan[Any]:
    key = key or f"berth-python-{uuid.uuid4()}"
    try:
        headers = {"Idempotency-Key": key}
        return (yield from ask(Call("POST", f"/v1/{where}", json=body, headers=headers)))
    except Unreachable as error:
        error.add_note(f"It may have been accepted: submit it again with idempotency_key={key!r}.")
        raise


def cancel_all(filters: Mapping[str, str]) -> Plan[int]:
    """As many requests as it takes: one cancels at most a thousand."""
    cancelled: int = 0
    body: dict[str, str] = dict(filters)
    while True:
        answer = yield from post("/v1/jobs/cancel", body)
        cancelled += int(answer["cancelled"])
        if answer["next_cursor"] is None:
            return cancelled
        body["cursor"] = answer["next_cursor"]


def wait(id: str, timeout: float | None, show: Callable[[Job], None], check: bool) -> Plan[Job]:  # noqa: A002
    end = None if timeout is None else time.monotonic() + timeout
    hold = 0
    while True:
        asked_at = time.monotonic()
        call = Call("GET", path("jobs", id), query={"wait_s": str(hold)})
        left = LONG_PATIENCE_S if end is None else max(0.0, end - asked_at)
        job: Job = yield from ask(call, min(LONG_PATIENCE_S, left))
        show(job)
        if job["state"] in ENDED:
            break
        now = time.monotonic()
        if end is not None and now >= end:
            raise WaitTimeout(f"{id} has not ended within {timeout} s and goes on.")
        # A server that did not hold the request must not be asked in a circle.
        if now - asked_at < hold:
            yield Pause(hold - (now - asked_at))
        hold = LOOK_S if end is None or end - now >= LOOK_S else 0
        if hold == 0 and end is not None:
            yield Pause(max(0.0, min(FIRST_PAUSE_S, end - time.monotonic())))
    if check and job["state"] == "failed":
        raise JobFailed(job)
    if check and job["state"] == "cancelled":
        raise JobCancelled(job)
    return job


def open_stream(call: Call, patience_s: float, events: bool = False) -> Plan[Stream]:
    def once() -> Plan[Stream]:
        stream: Stream = yield Open(call, events)
        if stream.status == 307 and "/artifacts/" in call.path:
            # The object store's address is signed; it is not shown the key.
            yield Close(stream)
            stream = yield Open(Call("GET", str(httpx.URL(stream.headers["location"]))))
        if stream.status >= 300:
            body = b""
            while len(body) <= 64 * 1024 and (part := (yield Next(stream))) and isinstance(part, bytes):
                body += part
            yield Close(stream)
            raise problem_error(stream.status, stream.headers, body)
        return stream

    return (yield from patiently(once, patience_s, call))


def follow(where: str) -> Plan[None]:
    """Emits the data of each event once, whatever becomes of the connection, until the server says `end`."""
    last = ""
    heard_at = time.monotonic()
    pause = FIRST_PAUSE_S
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        stream = yield from open_stream(Call("GET", where, headers=headers), LONG_PATIENCE_S, events=True)
        try:
            while (event := (yield Next(stream))) is not None:
                heard_at = time.monotonic()
                pause = FIRST_PAUSE_S
                if event.event == "end":
                    yield Close(stream)
                    return
                last = event.id or last
                yield Emit(event.json())
        except SSEError:
            raise Unreachable("The server does not answer like Berth: is BERTH_URL right?") from None
        except httpx.HTTPError as error:
            if time.monotonic() - heard_at > LONG_PATIENCE_S:
                raise Unreachable(
                    f"The stream breaks off again and again ({type(error).__name__})."
                ) from None
        yield Close(stream)
        yield Pause(pause)
        pause = min(2 * pause, MAX_PAUSE_S)


def logs(id: str, following: bool) -> Plan[None]:  # noqa: A002
    where = path("jobs", id, "logs")
    yield from follow(where) if following else pages(where)


def work(run: Callable[[], Found]) -> Plan[Found]:
    found: Found = yield Work(run)
    return found


def upload(request: Mapping[str, Any], file: Path, show: Callable[[int], None]) -> Plan[Any]:
    """Sends the parts that have not come, and has them put together."""
    dataset = yield from post("/v1/datasets", request)
    told = dataset["upload"]
    if told is None:
        show(request["bytes"])
        return dataset
    size, part_bytes = request["bytes"], told["part_bytes"]
    came = set(told["received"])
    show(min(size, len(came) * part_bytes))

    def part(number: int) -> bytes:
        with file.open("rb") as opened:
            opened.seek(number * part_bytes)
            return opened.read(part_bytes)

    for number in range(told["parts"]):
        if number in came:
            continue
        body = yield from work(lambda number=number: part(number))  # type: ignore[misc]
        where = path("datasets", dataset["id"], "parts", number)
        put = Call("PUT", where, content=body, headers={"Content-Type": "application/octet-stream"})
        yield from ask(put, LONG_PATIENCE_S)
        show(len(body))
    complete = Call("POST", path("datasets", dataset["id"], "complete"))
    return (yield from ask(complete, LONG_PATIENCE_S + size / JOINED_BYTES_PER_S))
