"""What can go wrong, as classes; those of an answer hold its problem (RFC 9457)."""

import json
from collections.abc import Mapping
from typing import Any

from berth.types import Job, Problem, ProblemErrorsItem

# An error page that is longer is not one of ours.
MAX_PROBLEM_BYTES = 64 * 1024


class BerthError(Exception):
    """Everything that this package raises for the sake of a server or a job."""


class ConfigError(BerthError):
    """No address or no key, or one that cannot be."""


class Unreachable(BerthError):
    """Nobody answers, or not like Berth."""


class Damaged(BerthError):
    """A file has not the sha256 that it should have."""


class WaitTimeout(BerthError, TimeoutError):
    """The time to wait is over; the job goes on."""


class JobNotSucceeded(BerthError):
    """The job has ended, but not well."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error = job["error"]
        text = f"{job['id']} {job['state']}"
        if self.error is not None:
            text += f": {self.error['message']}"
            text += f" ({self.error['hint']})" if self.error["hint"] else ""
        super().__init__(text)


class JobFailed(JobNotSucceeded):
    """Why is in `error`, with the end of the log in `error["log_tail"]`."""


class JobCancelled(JobNotSucceeded):
    """It was cancelled."""


class ProblemError(BerthError):
    """The server refused the request."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        self.problem = problem
        self.status = problem["status"]
        self.code = problem["code"]
        self.errors: list[ProblemErrorsItem] = problem["errors"]
        self.request_id = problem["request_id"]
        self.retry_after_s = retry_after_s
        lines = [f"{problem['detail'] or problem['title']} ({self.code}, request {self.request_id})"]
        lines += [f"  {error['path']}: {error['message']}" for error in self.errors]
        super().__init__("\n".join(lines))


class InvalidRequest(ProblemError):
    """`errors` name the fields."""


class IdempotencyKeyReused(InvalidRequest):
    """The key was sent before with another body."""


class Unauthorized(ProblemError):
    """No valid key."""


class Forbidden(ProblemError):
    """The key may not do this."""


class NotFound(ProblemError):
    """It is not there, or another project's."""


class Conflict(ProblemError):
    """Not in the state that it is in."""


class JobFinished(Conflict):
    """The job has ended already."""


class Gone(ProblemError):
    """It was there once."""


class RateLimited(ProblemError):
    """Too many requests, also after those that were tried again."""


class ServerError(ProblemError):
    """The server could not do it now."""


BY_CODE: Mapping[str, type[ProblemError]] = {
    "idempotency_key_reused": IdempotencyKeyReused,
    "job_finished": JobFinished,
}
BY_STATUS: Mapping[int, type[ProblemError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: InvalidRequest,
    431: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}


def problem_error(status: int, headers: Mapping[str, str], body: bytes) -> ProblemError:
    problem = read_problem(status, body)
    kind = BY_CODE.get(problem["code"]) or BY_STATUS.get(status)
    if kind is None:
        kind = ServerError if status >= 500 else ProblemError
    seconds = headers.get("retry-after", "")
    return kind(problem, float(seconds) if seconds.isdecimal() else None)


def read_problem(status: int, body: bytes) -> Problem:
    """The problem of an answer; what is not Berth's (a proxy's page) is said by its status alone."""
    found: Any = None
    if len(body) <= MAX_PROBLEM_BYTES:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
    if not isinstance(found, dict) or not isinstance(found.get("code"), str):
        found = {"code": f"http_{status}", "detail": f"The server answered {status}, not in Berth's form."}
    return {
        "type": str(found.get("type", "about:blank")),
        "title": str(found.get("title", "")),
        "status": status,
        "detail": str(found.get("detail", "")),
        "code": found["code"],
        "errors": found.get("errors", []),
        "request_id": str(found.get("request_id", "")),
    }
