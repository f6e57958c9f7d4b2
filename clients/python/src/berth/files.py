"""Files and frames: what is downloaded, what is pushed, and the late imports."""

import contextlib
import hashlib
import importlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from berth import plans
from berth.effects import Call, Close, Next, Pause, Plan
from berth.errors import BerthError, Damaged, NotFound, Unreachable
from berth.types import Artifact, Job, Point, Trade

# A download that breaks off is begun again; five breaks on one file are a broken line.
MAX_TRIES = 5
ENDINGS = {".parquet": "parquet", ".csv": "csv"}
TRADE_COLUMNS = list(Trade.__annotations__)


def extra(name: str) -> Any:
    """A module of the extra `frames`, when it is needed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".", maxsplit=1)[0]
        raise ImportError(f"this needs {package}: pip install 'berth[frames]'") from error


@contextlib.contextmanager
def bar(wanted: bool | None, **options: Any) -> Iterator[Any]:
    """A bar of tqdm, in terminals and notebooks; None where there shall be none or, unless it is asked for,
    no tqdm."""
    if wanted is None:
        with contextlib.suppress(ImportError):
            wanted = extra("tqdm.auto") is not None
    if not wanted:
        yield None
        return
    with extra("tqdm.auto").tqdm(**options) as shown:
        yield shown


def wait(id: str, timeout: float | None, progress: bool | None, check: bool) -> Plan[Job]:  # noqa: A002
    with bar(progress, total=100, unit="%", bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}") as shown:

        def show(job: Job) -> None:
            if shown is None:
                return
            shown.set_description_str(f"{job['name'] or id} {job['phase'] or job['state']}", refresh=False)
            shown.n = round(100 * job["progress"])
            shown.refresh()

        return (yield from plans.wait(id, timeout, show, check))


def artifact(id: str, name: str) -> Plan[Artifact]:  # noqa: A002
    listed = (yield from plans.get(plans.path("jobs", id, "artifacts")))["items"]
    for found in listed:
        if found["name"] == name:
            wanted: Artifact = found
            return wanted
    names = ", ".join(one["name"] for one in listed) or "none"
    raise NotFound(
        {
            "type": "about:blank",
            "title": "",
            "status": 404,
            "code": "not_found",
            "detail": f"{id} has no file {name!r}; it has {names}.",
            "errors": [],
            "request_id": "",
        }
    )


def download(
    id: str,  # noqa: A002
    wanted: Artifact,
    write: Callable[[bytes], object],
    again: Callable[[], object],
) -> Plan[None]:
    """Its bytes, compared with its sha256; `again` undoes what was written of a try that broke off."""
    call = Call("GET", plans.path("jobs", id, "artifacts", wanted["name"]))
    for tried in range(1, MAX_TRIES + 1):
        digest = hashlib.sha256()
        stream = yield from plans.open_stream(call, plans.PATIENCE_S)
        try:
            size = 0
            # One that goes on for longer is another file, and might not end.
            while size <= wanted["bytes"] and (part := (yield Next(stream))):
                size += len(part)
                digest.update(part)
                yield from plans.work(lambda part=part: write(part))  # type: ignore[misc]
        except httpx.HTTPError:
            again()
            yield Close(stream)
            yield Pause(plans.FIRST_PAUSE_S * 2**tried)
            continue
        yield Close(stream)
        if digest.hexdigest() != wanted["sha256"]:
            raise Damaged(f"{wanted['name']} arrived damaged: its sha256 is another. Try again.")
        return
    raise Unreachable(f"The download of {wanted['name']} broke off {MAX_TRIES} times: try again later.")


def read(id: str, name: str) -> Plan[bytes]:  # noqa: A002
    wanted = yield from artifact(id, name)
    buffer = io.BytesIO()
    yield from download(id, wanted, buffer.write, lambda: (buffer.seek(0), buffer.truncate()))
    return buffer.getvalue()


def save(id: str, name: str, target: str | os.PathLike[str]) -> Plan[Path]:  # noqa: A002
    """Into a temporary file beside the target, which appears only whole. In a folder it has its own name."""
    wanted = yield from artifact(id, name)
    path = Path(target)
    if path.is_dir():
        # A name comes from a server, perhaps a hostile one: only its last part is taken.
        path /= Path(name).name
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield from download(id, wanted, file.write, lambda: (file.seek(0), file.truncate()))
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def table(id: str, name: str) -> Plan[Any]:  # noqa: A002
    parquet = extra("pyarrow.parquet")
    content = yield from read(id, name)
    return (yield from plans.work(lambda: parquet.read_table(io.BytesIO(content))))


def frame(id: str, name: str) -> Plan[Any]:  # noqa: A002
    extra("pandas")
    arrow = yield from table(id, name)
    return (yield from plans.work(arrow.to_pandas))


def points(id: str, sort: str) -> Plan[Any]:  # noqa: A002
    pandas = extra("pandas")
    found = yield from plans.collect(plans.path("jobs", id, "points"), {"sort": sort})
    return pandas.DataFrame(rows(found))


def series(id: str, query: Mapping[str, Any]) -> Plan[Any]:  # noqa: A002
    """A frame by date; what was left out is in its `attrs`."""
    pandas = extra("pandas")
    given = {name: value for name, value in query.items() if value is not None}
    found = yield from plans.get(plans.path("jobs", id, "series"), given)
    columns = found.pop("series")
    dates = pandas.to_datetime(columns.pop("date"))
    frame = pandas.DataFrame(columns, index=pandas.Index(dates, name="date"), dtype="float64")
    frame.attrs.update(found)
    return frame


def trades(id: str, query: Mapping[str, Any]) -> Plan[Any]:  # noqa: A002
    pandas = extra("pandas")
    given = {name: value for name, value in query.items() if value is not None}
    found = yield from plans.collect(plans.path("jobs", id, "trades"), given)
    frame = pandas.DataFrame(found, columns=TRADE_COLUMNS)
    for name in ("entry_date", "exit_date"):
        frame[name] = pandas.to_datetime(frame[name])
    return frame


def rows(found: Sequence[Point]) -> list[dict[str, Any]]:
    """Flat; a parameter or metric whose name is taken gets its kind before it."""
    flat = []
    for point in found:
        row: dict[str, Any] = {key: point[key] for key in ("point", "shard", "objective")}
        for kind, values in (("parameter", point["parameters"]), ("metric", point["metrics"])):
            taken = set(row)
            row |= {f"{kind}.{name}" if name in taken else name: value for name, value in values.items()}
        flat.append(row)
    return flat


def push(data: Any, about: Mapping[str, Any], progress: bool | None) -> Plan[Any]:
    """A file, or a DataFrame or Arrow table, which becomes a Parquet file first."""
    with contextlib.ExitStack() as held:
        if isinstance(data, str | os.PathLike):
            file = Path(data)
        else:
            file = Path(held.enter_context(tempfile.TemporaryDirectory()), "frame.parquet")
            yield from plans.work(lambda: write_parquet(data, file))
        name = about.get("name") or (file.name if isinstance(data, str | os.PathLike) else None)
        if name is None:
            raise BerthError("a frame has no name: give name=")
        kind = ENDINGS.get(file.suffix.lower())
        if kind is None:
            raise BerthError(f"{file} must end in .parquet or .csv")
        size, digest = yield from plans.work(lambda: measure(file))
        given = {key: value for key, value in about.items() if value is not None}
        request = {**given, "name": name, "format": kind, "bytes": size, "sha256": digest}
        shown = held.enter_context(bar(progress, total=size, unit="B", unit_scale=True, desc=name))
        tell = (lambda _: None) if shown is None else shown.update
        return (yield from plans.upload(request, file, tell))


def measure(file: Path) -> tuple[int, str]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return opened.tell(), digest


def write_parquet(data: Any, file: Path) -> None:
    """The same frame makes the same bytes, so that a push that was broken off goes on. Dates in the index
    become the column."""
    arrow, parquet = extra("pyarrow"), extra("pyarrow.parquet")
    if not isinstance(data, arrow.Table):
        if any(name is not None for name in data.index.names):
            data = data.reset_index()
        data = arrow.Table.from_pandas(data, preserve_index=False)
    parquet.write_table(data, file)
