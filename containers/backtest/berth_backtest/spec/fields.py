"""Reads one JSON object field by field and collects what is wrong with it, each with its path."""

import difflib
import math
from collections.abc import Sequence
from typing import TypeVar

from berth_backtest.errors import Problem

T = TypeVar("T", bound=str)

MAX_TEXT = 4_096  # characters of one name, path or date: longer ones are mistakes or attacks


class Fields:
    """A JSON object at a path. Every `take` names a known field; `end` refuses the others."""

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self.known: list[str] = []
        self.ok = isinstance(value, dict)
        self.values: dict[str, object] = value if isinstance(value, dict) else {}
        if not self.ok:
            self.problems.append(Problem(path, f"must be an object, not {kind_of(value)}"))

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, message: str) -> None:
        self.problems.append(Problem(self.at(name), message))

    def has(self, name: str) -> bool:
        return name in self.values

    def raw(self, name: str) -> object:
        """Returns the value as it is, None when it is left out."""
        self.known.append(name)
        return self.values.get(name)

    def required(self, name: str) -> object:
        if name not in self.values and self.ok:
            self.wrong(name, "is required")
        return self.raw(name)

    def object(self, name: str) -> "Fields":
        """Returns the object at a field; an empty one when it is left out."""
        value = self.raw(name)
        return Fields({} if name not in self.values else value, self.at(name), self.problems)

    def text(self, name: str, default: str = "") -> str:
        value = self.raw(name)
        if name not in self.values:
            return default
        return check_text(value, self.at(name), self.problems) or default

    def choice(self, name: str, known: Sequence[T], default: T) -> T:
        """Returns one of the known words."""
        value = self.raw(name)
        if name not in self.values:
            return default
        for word in known:
            if value == word:
                return word
        self.wrong(name, f"must be one of {', '.join(known)}, not {shown(value)}{near(value, known)}")
        return default

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw(name)
        if name not in self.values:
            return default
        if isinstance(value, bool):
            return value
        self.wrong(name, f"must be true or false, not {shown(value)}")
        return default

    def number(
        self,
        name: str,
        default: float,
        least: float = -math.inf,
        most: float = math.inf,
        above: float = -math.inf,
        below: float = math.inf,
    ) -> float:
        """Returns a finite number with least <= x <= most and above < x < below."""
        value = self.raw(name)
        if name not in self.values:
            return default
        x = check_number(value, self.at(name), self.problems)
        if x is None:
            return default
        for holds, text in (
            (x >= least, f"at least {least:g}"),
            (x <= most, f"at most {most:g}"),
            (x > above, f"more than {above:g}"),
            (x < below, f"less than {below:g}"),
        ):
            if not holds:
                self.wrong(name, f"must be {text}, not {shown(value)}")
                return default
        return x

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self.raw(name)
        if name not in self.values:
            return default
        x = check_number(value, self.at(name), self.problems)
        if x is None:
            return default
        if x != math.floor(x) or not least <= x <= most:
            self.wrong(name, f"must be a whole number from {least} to {most}, not {shown(value)}")
            return default
        return int(x)

    def end(self) -> None:
        """Refuses what no `take` asked for."""
        for name in self.values:
            if name not in self.known:
                self.wrong(str(name)[:100], f"is not a known field{near(name, self.known)}")


def check_text(value: object, path: str, problems: list[Problem]) -> str:
    """Returns a text that can be shown and stored, empty after a problem."""
    if not isinstance(value, str):
        problems.append(Problem(path, f"must be a text, not {kind_of(value)}"))
    elif value == "":
        problems.append(Problem(path, "must not be empty"))
    elif len(value) > MAX_TEXT:
        problems.append(Problem(path, f"must have at most {MAX_TEXT} characters"))
    elif any(ord(ch) < 32 or 0xD800 <= ord(ch) <= 0xDFFF for ch in value):
        problems.append(Problem(path, "must not hold control characters such as NUL"))
    else:
        return value
    return ""


def check_number(value: object, path: str, problems: list[Problem]) -> float | None:
    """Returns a finite number, None after a problem. A boolean is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.append(Problem(path, f"must be a number, not {kind_of(value)}"))
        return None
    try:
        x = float(value)
    except OverflowError:
        x = math.inf
    if not math.isfinite(x):
        problems.append(Problem(path, "must be a finite number"))
        return None
    return x


def kind_of(value: object) -> str:
    """Returns the JSON name of a value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


def shown(value: object) -> str:
    """Returns a value short enough for a message."""
    if isinstance(value, str):
        return ascii(value[:60])
    if isinstance(value, list | dict):
        return kind_of(value)
    return str(value)[:60].lower() if isinstance(value, bool) or value is None else str(value)[:60]


def near(value: object, known: Sequence[str]) -> str:
    """Returns '; did you mean x?' for a word that is nearly known."""
    if not isinstance(value, str):
        return ""
    found = difflib.get_close_matches(value[:100], known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(found)}?" if found else ""
