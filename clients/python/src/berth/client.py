"""The client that waits for its answers: names over the plans that both clients share."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from berth import files, plans
from berth.config import find_access, find_url
from berth.drivers import SyncDriver
from berth.errors import JobNotSucceeded
from berth.types import Artifact, Dataset, Estimate, Event, Explanation, JobBatchItem, JobSpec, LogLine
from berth.types import Job as JobData

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Client:
    """A server and a key: arguments, else BERTH_URL and BERTH_API_KEY, else what runs on this machine.

    `project`: the id of the one that a person who has logged in asks in; else BERTH_PROJECT, then
    what `berth projects use` keeps. A key has its own.
    """

    def __init__(self, url: str | None = None, key: str | None = None, project: str | None = None) -> None:
        self.url = find_url(url)
        self._driver = SyncDriver(self.url, find_access(key, self.url, project))
        self.datasets = Datasets(self._driver)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._driver.http.close()

    def submit(self, job: JobSpec | Mapping[str, Any], *, idempotency_key: str | None = None) -> "Job":
        """One job, however often it has to be sent: each call has a key of its own unless one is given."""
        return Job(self._driver, self._driver.run(plans.submit(job, idempotency_key)))

    def submit_batch(
        self, jobs: Sequence[JobSpec | Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[JobBatchItem]:
        """Up to 1,000: each answered with its job or its problem."""
        body = {"jobs": list(jobs)}
        answer = self._driver.run(plans.submit(body, idempotency_key, "jobs/batch"))
        return cast(list[JobBatchItem], answer["items"])

    def estimate(self, job: JobSpec | Mapping[str, Any]) -> Estimate:
        """Where it would run, for how long and for how much; nothing is stored."""
        return cast(Estimate, self._driver.run(plans.post("/v1/jobs/estimate", job)))

    def job(self, id: str) -> "Job":  # noqa: A002
        return Job(self._driver, self._driver.run(plans.get(plans.path("jobs", id))))

    def jobs(self, **filters: str) -> Iterator["Job"]:
        """Newest first; filters: state, kind, label="name:value", provider, created_after, created_before."""
        for found in self._driver.iterate(plans.pages("/v1/jobs", filters)):
            yield Job(self._driver, found)

    def cancel_jobs(self, **filters: str) -> int:
        """Cancels what the filters of `jobs` find, at least one of them; how many were told to end."""
        return self._driver.run(plans.cancel_all(filters))


class Datasets:
    def __init__(self, driver: SyncDriver) -> None:
        self._driver = driver

    def push(
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
        return cast(Dataset, self._driver.run(files.push(data, about, progress)))

    def get(self, id: str) -> Dataset:  # noqa: A002
        return cast(Dataset, self._driver.run(plans.get(plans.path("datasets", id))))

    def list(self) -> Iterator[Dataset]:
        for found in self._driver.iterate(plans.pages("/v1/datasets")):
            yield cast(Dataset, found)

    def delete(self, id: str) -> None:  # noqa: A002
        """Jobs that were submitted with it still read it."""
        self._driver.run(plans.delete(plans.path("datasets", id)))


class Job:
    """A job; `data` is what the server said when it was last asked."""

    def __init__(self, driver: SyncDriver, data: JobData) -> None:
        self._driver = driver
        self.data = data

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state} {100 * self.data['progress']:.0f} %>"

    @property
    def id(self) -> str:
        return self.data["id"]

    @property
    def state(self) -> str:
        return self.data["state"]

    def refresh(self) -> Self:
        self.data = self._driver.run(plans.get(plans.path("jobs", self.id)))
        return self

    def wait(self, timeout: float | None = None, *, progress: bool | None = None, check: bool = True) -> Self:
        """Until it has ended, with a bar where there is tqdm. Raises JobFailed or JobCancelled unless
        `check` is false, and WaitTimeout after so many seconds; then, and when it is interrupted, the job
        goes on."""
        try:
            self.data = self._driver.run(files.wait(self.id, timeout, progress, check))
        except JobNotSucceeded as error:
            self.data = error.job
            raise
        return self

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        """What has come, or with `follow` what comes until it has ended. A `text` may hold several lines."""
        for found in self._driver.iterate(plans.logs(self.id, follow)):
            yield cast(LogLine, found)

    def events(self) -> Iterator[Event]:
        for found in self._driver.iterate(plans.pages(plans.path("jobs", self.id, "events"))):
            yield cast(Event, found)

    def result(self) -> Any:
        """The program's result.json."""
        return self._driver.run(plans.get(plans.path("jobs", self.id, "result")))

    def points(self, *, sort: str = "-objective") -> "pandas.DataFrame":
        """The best points of a sweep, while it runs those so far; all are in the file points.parquet."""
        found: pandas.DataFrame = self._driver.run(files.points(self.id, sort))
        return found

    def series(
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
        found: pandas.DataFrame = self._driver.run(files.series(self.id, query))
        return found

    def trades(
        self, *, rank: int = 1, symbol: str | None = None, sort: str = "entry_date"
    ) -> "pandas.DataFrame":
        """All trades of one of a backtest's best points; sort: entry_date, pnl, return, bars, or with "-"."""
        query = {"rank": rank, "symbol": symbol, "sort": sort}
        found: pandas.DataFrame = self._driver.run(files.trades(self.id, query))
        return found

    def artifacts(self) -> list[Artifact]:
        """The files that it left."""
        answer = self._driver.run(plans.get(plans.path("jobs", self.id, "artifacts")))
        return cast(list[Artifact], answer["items"])

    def read(self, name: str) -> bytes:
        """A file, compared with its sha256."""
        return self._driver.run(files.read(self.id, name))

    def save(self, name: str, target: str | os.PathLike[str] = ".") -> Path:
        """A file into a folder, or to a path."""
        return self._driver.run(files.save(self.id, name, target))

    def table(self, name: str) -> "pyarrow.Table":
        """A Parquet file as an Arrow table."""
        found: pyarrow.Table = self._driver.run(files.table(self.id, name))
        return found

    def frame(self, name: str) -> "pandas.DataFrame":
        """A Parquet file as a DataFrame."""
        found: pandas.DataFrame = self._driver.run(files.frame(self.id, name))
        return found

    def explain(self) -> Explanation:
        """Why it waits, or where it runs and why there."""
        return cast(Explanation, self._driver.run(plans.get(plans.path("jobs", self.id, "explain"))))

    def stop(self) -> Self:
        """Ends it and keeps the best so far."""
        self.data = self._driver.run(plans.post(plans.path("jobs", self.id, "stop")))
        return self

    def cancel(self) -> Self:
        """Ends it and discards it."""
        self.data = self._driver.run(plans.post(plans.path("jobs", self.id, "cancel")))
        return self

    def delete(self) -> None:
        self._driver.run(plans.delete(plans.path("jobs", self.id)))
