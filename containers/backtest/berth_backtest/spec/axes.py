"""The `parameters` part of the spec: the axes of the grid."""

import math

import numpy as np

from berth_backtest.errors import Problem
from berth_backtest.spec.execution import stop_fault
from berth_backtest.spec.fields import Fields, check_number, kind_of, shown
from berth_backtest.spec.types import STOPS, Axis

DEFAULTS = {"fast": 10.0, "slow": 30.0}  # bars
MAX_WINDOW = 1_000_000  # bars
MAX_AXIS = 100_000  # values of one parameter
MAX_POINTS = 10_000_000  # sets of one job: about 1 GB of results in memory
FORMS = ("values", "range", "uniform", "log_uniform", "int_uniform")
RANGE_SLACK = 1e-9  # of a step: `to` belongs to the range although from + i x step is rounded


def parse_axes(fields: Fields, stops: dict[str, float]) -> tuple[Axis, ...]:
    """Returns the axes in alphabetical order. A stop not among the parameters has one value."""
    axes = []
    known = sorted([*DEFAULTS, *STOPS])
    for name in known:
        value = fields.raw(name)
        windowed = name in DEFAULTS
        if not fields.has(name):
            single = DEFAULTS[name] if windowed else stops[name]
            axes.append(Axis(name, np.array([single]), windowed, True))
            continue
        values = parse_values(value, name, fields)
        axes.append(Axis(name, np.array(values, dtype=np.float64), windowed, False))
    fields.end()
    points = math.prod(len(axis.values) for axis in axes)
    if points > MAX_POINTS:
        fields.problems.append(
            Problem("parameters", f"make {points} sets; at most {MAX_POINTS} are run in one job")
        )
    check_windows(axes, fields)
    return tuple(axes)


def parse_values(value: object, name: str, fields: Fields) -> list[float]:
    path = fields.at(name)
    before = len(fields.problems)
    if not isinstance(value, dict):
        values = check_values([value], [path], name, fields.problems)
        return values
    form = Fields(value, path, fields.problems)
    given = [key for key in FORMS if form.has(key)]
    form.known += FORMS
    form.end()
    if len(fields.problems) > before:
        return []
    if len(given) != 1:
        form.problems.append(
            Problem(path, 'must be a number, {"values": [...]} or {"range": [from, to, step]}')
        )
        return []
    if given[0] not in ("values", "range"):
        form.wrong(given[0], "needs search.method random or tpe, which are not available in this version")
        return []
    items = value[given[0]]
    path = form.at(given[0])
    if not isinstance(items, list) or not items:
        fields.problems.append(Problem(path, f"must be a list, not {kind_of(items)}"))
        return []
    if given[0] == "range":
        return check_range(items, path, name, fields.problems)
    if len(items) > MAX_AXIS:
        fields.problems.append(Problem(path, f"must have at most {MAX_AXIS} values"))
        return []
    values = check_values(items, [f"{path}[{i}]" for i in range(len(items))], name, fields.problems)
    twice = next((x for i, x in enumerate(values) if x in values[:i]), None) if len(values) < 1_000 else None
    if twice is not None:
        fields.problems.append(Problem(path, f"holds {twice:g} twice"))
    return values


def check_values(items: list[object], paths: list[str], name: str, problems: list[Problem]) -> list[float]:
    values = []
    for item, path in zip(items, paths, strict=True):
        if item is None and name in STOPS:
            values.append(0.0)
            continue
        x = check_number(item, path, problems)
        fault = "" if x is None else value_fault(name, x)
        if fault:
            problems.append(Problem(path, f"{fault}, not {shown(item)}"))
        elif x is not None:
            values.append(x)
    return values


def check_range(items: list[object], path: str, name: str, problems: list[Problem]) -> list[float]:
    numbers = [check_number(item, path, problems) for item in items]
    if len(numbers) != 3 or any(x is None for x in numbers):
        problems.append(Problem(path, "must be [from, to, step]"))
        return []
    first, last, step = (float(x) for x in numbers if x is not None)
    if step <= 0 or last < first:
        problems.append(Problem(path, "must be [from, to, step] with from <= to and step > 0"))
        return []
    count = math.floor((last - first) / step + RANGE_SLACK) + 1
    if count > MAX_AXIS:
        problems.append(Problem(path, f"holds {count} values; at most {MAX_AXIS} are allowed"))
        return []
    values = [first + i * step for i in range(count)]
    for x in (values[0], values[-1], step if name in DEFAULTS else values[0]):
        fault = value_fault(name, x)
        if fault:
            problems.append(Problem(path, f"{fault}, not {x:g}"))
            return []
    return values


def value_fault(name: str, x: float) -> str:
    if name not in DEFAULTS:
        return stop_fault(name, x)
    if x != math.floor(x):
        return "must be a whole number of bars"
    return "" if 1 <= x <= MAX_WINDOW else f"must be from 1 to {MAX_WINDOW} bars"


def check_windows(axes: list[Axis], fields: Fields) -> None:
    """Refuses a grid in which no fast average is shorter than a slow one."""
    fast, slow = (next(axis for axis in axes if axis.name == name).values for name in ("fast", "slow"))
    if len(fast) and len(slow) and fast.min() >= slow.max():
        text = f"must be less than slow in at least one set: {fast.min():g} is not below {slow.max():g}"
        fields.wrong("fast", text)
