"""What may go wrong, as the reader of the error is to see it."""

from dataclasses import dataclass, field
from typing import Literal

Code = Literal["invalid_params", "user_code", "look_ahead", "out_of_memory", "disk_full", "runner_crashed"]

EXIT_CODES: dict[Code, int] = {
    "invalid_params": 2,
    "user_code": 3,
    "look_ahead": 4,
    "out_of_memory": 1,
    "disk_full": 1,
    "runner_crashed": 1,
}
EXIT_STOPPED = 75  # EX_TEMPFAIL of sysexits.h: start again with the same spec and checkpoint.


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the spec or the data, and where: `execution.lot`."""

    path: str
    message: str


@dataclass
class ProgramError(Exception):
    """Ends the program with the exit code that belongs to its code."""

    code: Code
    message: str
    problems: list[Problem] = field(default_factory=list)
    hint: str | None = None

    def __str__(self) -> str:
        return self.message


class StoppedError(Exception):
    """The program was told to stop, and its checkpoint is written."""


def invalid(path: str, message: str, hint: str | None = None) -> ProgramError:
    """Returns the error for one wrong field of the spec, or one wrong place in the data."""
    text = f"{path}: {message}" if path else message
    return ProgramError("invalid_params", text, [Problem(path, message)], hint)


def invalid_all(problems: list[Problem]) -> ProgramError:
    """Returns one error for all wrong fields, the first of them in its message."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    text = f"{first.path}: {first.message}{more}" if first.path else f"{first.message}{more}"
    return ProgramError("invalid_params", text, problems)
