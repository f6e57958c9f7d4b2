"""Carry out plans: httpx with threads of the caller, and with asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from berth.config import Access
from berth.effects import Call, Close, Effect, Emit, Next, Open, Pause, Plan, Send, Stream, Work

Found = TypeVar("Found")
# Of a silent connection: the longest request that the client asks the server to hold is 20 s, and a stream
# speaks every 15 s, if only a comment.
TIMEOUT = httpx.Timeout(60, connect=10)
BYTES = 256 * 1024


class Requests:
    """Makes requests. The key is here alone and in no text."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self._access = access

    def arguments(self, call: Call, accept: str = "*/*") -> Mapping[str, Any]:
        own = call.path.startswith("/")
        headers = {**call.headers, "Accept": accept}
        if own:
            headers["Authorization"] = f"Bearer {self._access.key}"
            if self._access.project is not None:
                headers["Berth-Project"] = self._access.project
        return {
            "method": call.method,
            "url": self.url + call.path if own else call.path,
            "params": call.query or None,
            "json": call.json,
            "content": call.content,
            "headers": headers,
        }


class SyncDriver:
    def __init__(self, url: str, access: Access) -> None:
        self.requests = Requests(url, access)
        self.http = httpx.Client(timeout=TIMEOUT, follow_redirects=False)

    def run(self, plan: Plan[Found]) -> Found:
        items = self.iterate(plan)
        while True:
            try:
                next(items)
            except StopIteration as end:
                found: Found = end.value
                return found

    def iterate(self, plan: Plan[Found]) -> Generator[Any, None, Found]:
        streams: list[Stream] = []
        outcome: Any = None
        failure: Exception | None = None
        try:
            while True:
                try:
                    effect = plan.send(outcome) if failure is None else plan.throw(failure)
                except StopIteration as end:
                    found: Found = end.value
                    return found
                outcome, failure = None, None
                if isinstance(effect, Emit):
                    yield effect.item
                    continue
                try:
                    outcome = self._do(effect, streams)
                except (httpx.HTTPError, OSError) as error:
                    failure = error
        finally:
            plan.close()
            for stream in streams:
                stream.response.close()

    def _do(self, effect: Effect, streams: list[Stream]) -> Any:
        match effect:
            case Send(call):
                return self.http.request(**self.requests.arguments(call))
            case Open(call, events):
                accept = "text/event-stream" if events else "*/*"
                request = self.http.build_request(**self.requests.arguments(call, accept))
                response = self.http.send(request, stream=True)
                parts = EventSource(response).iter_sse() if events else response.iter_bytes(BYTES)
                stream = Stream(response.status_code, response.headers, response, parts)
                streams.append(stream)
                return stream
            case Next(stream):
                return next(stream.parts, None)
            case Close(stream):
                stream.response.close()
                streams.remove(stream)
            case Pause(seconds):
                time.sleep(seconds)
            case Work(run):
                return run()
        return None


class AsyncDriver:
    def __init__(self, url: str, access: Access) -> None:
        self.requests = Requests(url, access)
        self.http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)

    async def run(self, plan: Plan[Found]) -> Found:
        answer: list[Found] = []

        def kept() -> Plan[None]:
            answer.append((yield from plan))

        async for _ in self.iterate(kept()):
            pass
        return answer[0]

    async def iterate(self, plan: Plan[Any]) -> AsyncIterator[Any]:
        streams: list[Stream] = []
        outcome: Any = None
        failure: Exception | None = None
        try:
            while True:
                try:
                    effect = plan.send(outcome) if failure is None else plan.throw(failure)
                except StopIteration:
                    return
                outcome, failure = None, None
                if isinstance(effect, Emit):
                    yield effect.item
                    continue
                try:
                    outcome = await self._do(effect, streams)
                except (httpx.HTTPError, OSError) as error:
                    failure = error
        finally:
            plan.close()
            for stream in streams:
                await stream.response.aclose()

    async def _do(self, effect: Effect, streams: list[Stream]) -> Any:
        match effect:
            case Send(call):
                return await self.http.request(**self.requests.arguments(call))
            case Open(call, events):
                accept = "text/event-stream" if events else "*/*"
                request = self.http.build_request(**self.requests.arguments(call, accept))
                response = await self.http.send(request, stream=True)
                parts = EventSource(response).aiter_sse() if events else response.aiter_bytes(BYTES)
                stream = Stream(response.status_code, response.headers, response, parts)
                streams.append(stream)
                return stream
            case Next(stream):
                return await anext(stream.parts, None)
            case Close(stream):
                await stream.response.aclose()
                streams.remove(stream)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Work(run):
                return await asyncio.to_thread(run)
        return None
