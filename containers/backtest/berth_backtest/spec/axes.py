"""The `parameters` part of the spec: the axes of the grid."""

import math

import numpy as np

from berth_backtest.errors import Problem
from berth_backtest.spec.execution import stop_fault
from berth_backtest.spec.fields import Fields, check_number, kind_of, shown
from berth_backtest.spec.types import STOPS, Axis
from berth_backtest.strategies.definition import Definition, Param

MAX_STOP = 1_000.0  # a take-profit of a thousand times the price
MAX_AXIS = 100_000  # values of one parameter
MAX_POINTS = 10**12  # sets of one job: years of a thousand machines, and exact in every reader's numbers
FORMS = ("values", "range", "uniform", "log_uniform", "int_uniform")
RANGE_SLACK = 1e-9  # of a step: `to` belongs to the range although from + i x step is rounded


def parse_axes(fields: Fields, definition: Definition, stops: dict[str, float]) -> tuple[Axis, ...]:
    """Returns the axes in alphabetical order. A stop not among the parameters has one value."""
    axes = []
    params = {param.name: param for param in definition.params}
    for name in STOPS:
        params.setdefault(name, Param(name, stops[name], False, 0.0, MAX_STOP))
    for name in sorted(params):
        param = params[name]
        value = fields.raw(name)
        if not fields.has(name):
            axes.append(Axis(name, np.array([param.default]), param.integer, True))
            continue
        values = parse_values(value, param, fields)
        axes.append(Axis(name, np.array(values, dtype=np.float64), param.integer, False))
    fields.end()
    points = math.prod(len(axis.values) for axis in axes)
    if points > MAX_POINTS:
        fields.problems.append(
            Problem("parameters", f"make {points} sets; at most {MAX_POINTS} are run in one job")
        )
    return tuple(axes)


def parse_values(value: object, param: Param, fields: Fields) -> list[float]:
    path = fields.at(param.name)
    before = len(fields.problems)
    if not isinstance(value, dict):
        return check_values([value], [path], param, fields.problems)
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
        return check_range(items, path, param, fields.problems)
    if len(items) > MAX_AXIS:
        fields.problems.append(Problem(path, f"must have at most {MAX_AXIS} values"))
        return []
    values = check_values(items, [f"{path}[{i}]" for i in range(len(items))], param, fields.problems)
    seen: set[float] = set()
    for x in values:
        if x in seen:
            fields.problems.append(Problem(path, f"holds {x:g} twice"))
            break
        seen.add(x)
    return values


def check_values(items: list[object], paths: list[str], param: Param, problems: list[Problem]) -> list[float]:
    values = []
    for item, path in zip(items, paths, strict=True):
        if item is None and param.name in STOPS:
            values.append(0.0)
            continue
        x = check_number(item, path, problems)
        fault = "" if x is None else value_fault(param, x)
        if fault:
            problems.append(Problem(path, f"{fault}, not {shown(item)}"))
        elif x is not None:
            values.append(x)
    return values


def check_range(items: list[object], path: str, param: Param, problems: list[Problem]) -> list[float]:
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
    for x in (values[0], values[-1], *values[1:2]):
        fault = value_fault(param, x)
        if fault:
            problems.append(Problem(path, f"{fault}, not {x:g}"))
            return []
    return values


def value_fault(param: Param, x: float) -> str:
    """Says what is wrong with a parameter's value, "" if nothing is."""
    if param.name in STOPS:
        return stop_fault(param.name, x)
    if param.integer and x != math.floor(x):
        return "must be a whole number"
    if param.choices is not None and x not in param.choices:
        return f"must be one of {', '.join(f'{choice:g}' for choice in param.choices)}"
    if param.step is not None and (x - param.least) % param.step != 0:
        return f"must be {param.least:g} and whole steps of {param.step:g}"
    return "" if param.least <= x <= param.most else f"must be from {param.least:.10g} to {param.most:.10g}"
