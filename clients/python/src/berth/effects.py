"""What a plan asks of the world. Plans are generators without I/O; a driver, with threads of the caller or
with asyncio, carries out what they yield and sends the outcome back. So each thing is written once."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Found = TypeVar("Found")


@dataclass(frozen=True)
class Call:
    """One request. `path` is the server's, or a whole address, which is not shown the key."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Send:
    """→ httpx.Response, read to its end."""

    call: Call


@dataclass(frozen=True)
class Open:
    """→ a Stream, of events or of bytes."""

    call: Call
    events: bool = False


@dataclass(frozen=True)
class Stream:
    status: int
    headers: Mapping[str, str]
    # The driver's own.
    response: Any
    parts: Any


@dataclass(frozen=True)
class Next:
    """→ the next event or bytes of a stream, None at its end."""

    stream: Stream


@dataclass(frozen=True)
class Close:
    stream: Stream


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Work:
    """→ what the function answers: of disks and processors, which asyncio must not wait for."""

    run: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """An item of an iteration."""

    item: Any


Effect = Send | Open | Next | Close | Pause | Work | Emit
Plan = Generator[Effect, Any, Found]
