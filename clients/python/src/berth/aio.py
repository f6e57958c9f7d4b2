"""The client for asyncio: names over the plans that both clients share."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from berth import files, plans
from berth.config import find_access, find_url
from berth.drivers import AsyncDriver
from berth.errors import JobNotSucceeded
from berth.types import Artifact, Dataset, Estimate, Event, Explanation, JobBatchItem, JobSpec, LogLine
from berth.types import Job as JobData

if TYPE_CHECKING:
    import pandas
    import pyarrow


class AsyncClient:
    """A server and a key: arguments, else BERTH_URL and BERTH_API_KEY, else what runs on this machine.

    `project`: the id of the one that a person who has logged in asks in; else BERTH_PROJECT, then
    what `berth projects use` keeps. A key has its own.
    """

    def __init__(self, url: str | None = None, key: str | None = None, project: str | None = None) -> None:
        self.url = find_url(url)
        self._driver = AsyncDriver(self.url, find_access(key, self.url, project))
        self.datasets = AsyncDatasets(self._driver)

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._driver.http.aclose()

    async def submit(
        self, job: JobSpec | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> "AsyncJob":
        """One job, however often it has to be sent: each call has a key of its own unless one is given."""
        return AsyncJob(self._driver, await self._driver.run(plans.submit(job, idempotency_key)))

    async def submit_batch(
        self, jobs: Sequence[JobSpec | Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[JobBatchItem]:
        """Up to 1,000: each answered with its job or its problem."""
        body = {"jobs": list(jobs)}
        answer = await self._driver.run(plans.submit(body, idempotency_key, "jobs/batch"))
        return cast(list[JobBatchItem], answer["items"])

    async def estimate(self, job: JobSpec | Mapping[str, Any]) -> Estimate:
        """Where it would run, for how long and for how much; nothing is stored."""
        return cast(Estimate, await self._driver.run(plans.post("/v1/jobs/estimate", job)))

    async def job(self, id: str) -> "AsyncJob":  # noqa: A002
        return AsyncJob(self._driver, await self._driver.run(plans.get(plans.path("jobs", id))))

    async def jobs(self, **filters: str) -> AsyncIterator["AsyncJob"]:
        """Newest first; filters: state, kind, label="name:value", provider, created_after, created_before."""
        async for found in self._driver.iterate(plans.pages("/v1/jobs", filters)):
            yield AsyncJob(self._driver, found)

    async def cancel_jobs(self, **filters: str) -> int:
        """Cancels what the filters of `jobs` find, at least one of them; how many were told to end."""
        return await self._driver.run(plans.cancel_all(filters))


class AsyncDatasets:
    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver

    async def push(
        self,
        data: "str | os.PathLike[str] | pandas.DataFrame | pyarrow.Table",
        *,
        adjustment: Literal["none", "split", "total"],
        name: str | None = None,
        timezone: str | None = None,
        bar_label: Literal["start", "end"] | None = None,
        currency: str | None = None,
        progress: bool | None = False,
    ) -> Dataset:
        """Uploads a Parquet or CSV file, or a frame; again, it goes on where it was broken off."""
        about = {
            "name": name,
            "adjustment": adjustment,
            "timezone": timezone,
            "bar_label": bar_label,
            "currency": currency,
        }
        return cast(Dataset, await self._driver.run(files.push(data, about, progress)))

    async def get(self, id: str) -> Dataset:  # noqa: A002
        return cast(Dataset, await self._driver.run(plans.get(plans.path("datasets", id))))

    async def list(self) -> AsyncIterator[Dataset]:
        async for found in self._driver.iterate(plans.pages("/v1/datasets")):
            yield cast(Dataset, found)

    async def delete(self, id: str) -> None:  # noqa: A002
        """Jobs that were submitted with it still read it."""
        await self._driver.run(plans.delete(plans.path("datasets", id)))


class AsyncJob:
    """A job; `data` is what the server said when it was last asked."""

    def __init__(self, driver: AsyncDriver, data: JobData) -> None:
        self._driver = driver
        self.data = data

    def __repr__(self) -> str:
        return f"<AsyncJob {self.id} {self.state} {100 * self.data['progress']:.0f} %>"

    @property
    def id(self) -> str:
        return self.data["id"]

    @property
    def state(self) -> str:
        return self.data["state"]

    async def refresh(self) -> Self:
        self.data = await self._driver.run(plans.get(plans.path("jobs", self.id)))
        return self

    async def wait(
        self, timeout: float | None = None, *, progress: bool | None = None, check: bool = True
    ) -> Self:
        """Until it has ended, with a bar where there is tqdm. Raises JobFailed or JobCancelled unless
        `check` is false, and WaitTimeout after so many seconds; then, and when it is interrupted, the job
        goes on."""
        try:
            self.data = await self._driver.run(files.wait(self.id, timeout, progress, check))
        except JobNotSucceeded as error:
            self.data = error.job
            raise
        return self

    async def logs(self, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """What has come, or with `follow` what comes until it has ended. A `text` may hold several lines."""
        async for found in self._driver.iterate(plans.logs(self.id, follow)):
            yield cast(LogLine, found)

    async def events(self) -> AsyncIterator[Event]:
        async for found in self._driver.iterate(plans.pages(plans.path("jobs", self.id, "events"))):
            yield cast(Event, found)

    async def result(self) -> Any:
        """The program's result.json."""
        return await self._driver.run(plans.get(plans.path("jobs", self.id, "result")))

    async def points(self, *, sort: str = "-objective") -> "pandas.DataFrame":
        """The best points of a sweep, while it runs those so far; all are in the file points.parquet."""
        found: pandas.DataFrame = await self._driver.run(files.points(self.id, sort))
        return found

    async def series(
        self,
        *columns: Literal["equity", "drawdown", "position", "price", "hold"],
        rank: int = 1,
        symbol: str | None = None,
        start: str | None = None,
        end: str | None = None,
        max_points: int | None = None,
    ) -> "pandas.DataFrame":
        """Curves of one of a backtest's best points, by date; `equity` and `drawdown` unless named. Beyond
        `max_points` dates (2,000; 10,000 at most) rows are left out, no extreme among them. `attrs` has cash,
        symbols, and what could not be had."""
        query = {
            "columns": ",".join(columns) or None,
            "rank": rank,
            "symbol": symbol,
            "from": start,
            "to": end,
            "max_points": max_points,
        }
        found: pandas.DataFrame = await self._driver.run(files.series(self.id, query))
        return found

    async def trades(
        self, *, rank: int = 1, symbol: str | None = None, sort: str = "entry_date"
    ) -> "pandas.DataFrame":
        """All trades of one of a backtest's best points; sort: entry_date, pnl, return, bars, or with "-"."""
        query = {"rank": rank, "symbol": symbol, "sort": sort}
        found: pandas.DataFrame = await self._driver.run(files.trades(self.id, query))
        return found

    async def artifacts(self) -> list[Artifact]:
        """The files that it left."""
        answer = await self._driver.run(plans.get(plans.path("jobs", self.id, "artifacts")))
        return cast(list[Artifact], answer["items"])

    async def read(self, name: str) -> bytes:
        """A file, compared with its sha256."""
        return await self._driver.run(files.read(self.id, name))

    async def save(self, name: str, target: str | os.PathLike[str] = ".") -> Path:
        """A file into a folder, or to a path."""
        return await self._driver.run(files.save(self.id, name, target))

    async def table(self, name: str) -> "pyarrow.Table":
        """A Parquet file as an Arrow table."""
        found: pyarrow.Table = await self._driver.run(files.table(self.id, name))
        return found

    async def frame(self, name: str) -> "pandas.DataFrame":
        """A Parquet file as a DataFrame."""
        found: pandas.DataFrame = await self._driver.run(files.frame(self.id, name))
        return found

    async def explain(self) -> Explanation:
        """Why it waits, or where it runs and why there."""
        return cast(Explanation, await self._driver.run(plans.get(plans.path("jobs", self.id, "explain"))))

    async def stop(self) -> Self:
        """Ends it and keeps the best so far."""
        self.data = await self._driver.run(plans.post(plans.path("jobs", self.id, "stop")))
        return self

    async def cancel(self) -> Self:
        """Ends it and discards it."""
        self.data = await self._driver.run(plans.post(plans.path("jobs", self.id, "cancel")))
        return self

    async def delete(self) -> None:
        await self._driver.run(plans.delete(plans.path("jobs", self.id)))
