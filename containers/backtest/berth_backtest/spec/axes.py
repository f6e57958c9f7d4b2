"""The `parameters` part of the spec: the axes of the grid."""

import math

import numpy as np

from berth_backtest.draws import MOST_SETS
from berth_backtest.errors import Problem
from berth_backtest.spec.execution import stop_fault
from berth_backtest.spec.fields import Fields, check_number, kind_of, shown
from berth_backtest.spec.types import STOPS, Axis, Drawn
from berth_backtest.strategies.definition import Definition, Param

MAX_STOP = 1_000.0  # a take-profit of a thousand times the price
MAX_AXIS = 100_000  # values of one parameter
MAX_POINTS = 10**12  # sets of one job: years of a thousand machines, and exact in every reader's numbers
FORMS = ("values", "range", "uniform", "log_uniform", "int_uniform")
RANGE_SLACK = 1e-9  # of a step: `to` belongs to the range although from + i x step is rounded


def parse_axes(
    fields: Fields, definition: Definition, stops: dict[str, float], trials: int | None
) -> tuple[Axis, ...]:
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
        values, drawn = parse_values(value, param, fields, trials is not None)
        axes.append(Axis(name, np.array(values, dtype=np.float64), param.integer, False, drawn))
    fields.end()
    points = math.prod(len(axis.values) for axis in axes)
    if trials is not None:
        check_space(points, trials, any(axis.continuous for axis in axes), fields.problems)
    elif points > MAX_POINTS:
        fields.problems.append(
            Problem("parameters", f"make {points} sets; at most {MAX_POINTS} are run in one job")
        )
    return tuple(axes)


def check_space(points: int, trials: int, continuous: bool, problems: list[Problem]) -> None:
    """Notes a finite space that is too small to be drawn from without replacement, or too large for it."""
    if continuous or points == 0:
        return
    if trials > points:
        text = f"{trials} are more than the {points} sets of the space: use grid, or fewer"
        problems.append(Problem("search.trials", text))
    if points > MOST_SETS:
        problems.append(Problem("parameters", f"make {points} sets; random draws from at most {MOST_SETS}"))


def parse_values(value: object, param: Param, fields: Fields, random: bool) -> tuple[list[float], Drawn]:
    path = fields.at(param.name)
    before = len(fields.problems)
    if not isinstance(value, dict):
        return check_values([value], [path], param, fields.problems), "list"
    form = Fields(value, path, fields.problems)
    given = [key for key in FORMS if form.has(key)]
    form.known += FORMS
    form.end()
    if len(fields.problems) > before:
        return [], "list"
    if len(given) != 1:
        form.problems.append(
            Problem(path, 'must be a number, {"values": [...]} or {"range": [from, to, step]}')
        )
        return [], "list"
    if given[0] not in ("values", "range") and not random:
        form.wrong(given[0], "needs search.method random or tpe: a grid has no values to take from it")
        return [], "list"
    items = value[given[0]]
    path = form.at(given[0])
    if not isinstance(items, list) or not items:
        fields.problems.append(Problem(path, f"must be a list, not {kind_of(items)}"))
        return [], "list"
    if given[0] in ("uniform", "log_uniform", "int_uniform"):
        return check_bounds(given[0], items, path, param, fields.problems)
    if given[0] == "range":
        return check_range(items, path, param, fields.problems), "list"
    return check_list(items, path, param, fields), "list"


def check_bounds(
    form: str, items: list[object], path: str, param: Param, problems: list[Problem]
) -> tuple[list[float], Drawn]:
    """Returns the bounds of a continuous parameter, or all whole numbers from one bound to the other."""
    numbers = [x for x in (check_number(item, path, problems) for item in items) if x is not None]
    if len(numbers) != 2 or len(items) != 2 or not numbers[0] < numbers[1]:
        problems.append(Problem(path, "must be [from, to] with from < to"))
        return [], "list"
    low, high = numbers
    fault = value_fault(param, low) or value_fault(param, high)
    if form == "int_uniform":
        if low != math.floor(low) or high != math.floor(high):
            fault = fault or "must be whole numbers"
        elif high - low >= MAX_AXIS:
            fault = fault or f"holds more than {MAX_AXIS} values"
        else:
            values = [low + i for i in range(int(high - low) + 1)]
            fault = fault or next((found for x in values if (found := value_fault(param, x))), "")
            if not fault:
                return values, "list"
    elif param.integer:
        fault = f"takes whole numbers only: use int_uniform instead of {form}"
    elif param.choices is not None or param.step is not None:
        fault = "takes single values only: use values or range"
    elif form == "log_uniform" and low <= 0:
        fault = "must be above 0"
    if fault:
        problems.append(Problem(path, f"{fault}, not [{low:g}, {high:g}]"))
        return [], "list"
    return [low, high], "uniform" if form == "uniform" else "log_uniform"


def check_list(items: list[object], path: str, param: Param, fields: Fields) -> list[float]:
    """Returns the values of a list, which must differ."""
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
