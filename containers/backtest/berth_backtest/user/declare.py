"""Reads a user's source: its class, what that declares, and its functions, without running any of it."""

import ast
import math
from dataclasses import dataclass, field
from typing import Any

from berth_backtest.errors import Problem
from berth_backtest.strategies.definition import Param, Series
from berth_backtest.user.ordinary import check_ordinary
from berth_backtest.user.rebalance import Rebalance
from berth_backtest.user.subset import Checked, Names, Refused, Subset, constant_of

MAX_SOURCE = 64 << 10  # characters: a strategy, not a library
MAX_NODES = 8_000  # of the syntax tree: what compiles in seconds
MAX_STATES = 16
MAX_PARAMS = 64
MAX_SERIES = 64
MAX_CHOICES = 10_000
METHODS = {
    "step": ("s", "bar", "t", "t1", "p"),
    "signals": ("data", "p"),
    "rebalance": ("view", "p", "out"),
    "valid": ("p",),
}
MAIN = ("step", "signals", "rebalance")
BAR_FIELDS = ("i", "open", "high", "low", "close", "volume", "new_session")
OWN_FIELDS = ("pos", "entry", "bars_held", "cash", "equity", "high", "low")
NEEDED = {"open": "open", "high": "high", "low": "low", "volume": "volume"}  # columns of the data
CALENDARS = ("weekly", "monthly")
MODULES_READ = ("berth", "berth_backtest", "numpy", "math")  # imports that mean nothing here


@dataclass
class Source:
    """A checked strategy. `checked` has the compiled functions' bodies: step, valid and the helpers."""

    text: str
    name: str
    params: tuple[Param, ...] = ()
    states: dict[str, float] = field(default_factory=dict)
    series: tuple[Series, ...] = ()
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    helpers: dict[str, ast.FunctionDef] = field(default_factory=dict)
    checked: dict[str, Checked] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    warmup: int = 0
    rebalance: int | str | None = None
    lines: dict[str, int] = field(default_factory=dict)  # where a column of the data is first used

    @property
    def kind(self) -> str:
        return next(name for name in MAIN if name in self.functions)


def read_source(text: str, class_name: str) -> Source:
    """Returns what a source declares; raises Refused with the line of the first thing that is wrong."""
    if len(text) > MAX_SOURCE:
        raise Refused(1, f"the source is longer than {MAX_SOURCE} characters")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise Refused(error.lineno or 1, f"{error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused(1, f"the source cannot be read: {error}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise Refused(1, f"the source is too large: more than {MAX_NODES} parts of syntax")
    source = Source(text, class_name)
    found: ast.ClassDef | None = None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            found = node
        else:
            read_beside(node, source)
    if found is None:
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        listed = ", ".join(names) or "none"
        raise Refused(1, f"there is no class {class_name[:60]}; the source has {listed}")
    read_decorators(found, source)
    for node in found.body:
        read_member(node, source)
    check_functions(found, source)
    return source


def read_beside(node: ast.stmt, source: Source) -> None:
    """Takes what stands beside the class: constants and helpers; imports that mean nothing are skipped."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        for module in modules:
            if module.split(".")[0] not in MODULES_READ:
                raise Refused(node, f"import of {module[:60]} is not allowed: only numbers and np are there")
        return
    if isinstance(node, ast.FunctionDef):
        if node.decorator_list:
            raise Refused(node, "a decorator is not allowed on a helper")
        plain_arguments(node)
        source.helpers[node.name] = node
        return
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        value = constant_of(node.value, source.constants)
        if value is None:
            raise Refused(node, "beside the class only constant numbers can be assigned")
        source.constants[node.targets[0].id] = value
        return
    if isinstance(node, ast.ClassDef):
        return  # another strategy
    raise Refused(node, "only constants, functions and classes can stand beside the class")


def plain_arguments(node: ast.FunctionDef) -> list[str]:
    a = node.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.defaults or a.posonlyargs:
        raise Refused(node, f"{node.name} takes plain arguments only")
    return [arg.arg for arg in a.args]


def read_decorators(node: ast.ClassDef, source: Source) -> None:
    if node.bases or node.keywords:
        raise Refused(node, "a strategy has no base class")
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
        if not (isinstance(call.func, ast.Name) and call.func.id == "strategy") or call.args:
            raise Refused(decorator, "the only decorator is @strategy(rebalance=..., warmup=...)")
        for keyword in call.keywords:
            if keyword.arg == "warmup":
                source.warmup = whole(keyword.value, source, "warmup", 0, 1_000_000)
            elif keyword.arg == "rebalance":
                source.rebalance = calendar(keyword.value, source)
            else:
                raise Refused(decorator, f"strategy has no argument {keyword.arg}: rebalance, warmup")


def calendar(node: ast.expr, source: Source) -> int | str | None:
    if isinstance(node, ast.Constant) and (node.value is None or node.value in CALENDARS):
        return None if node.value is None else str(node.value)
    if constant_of(node, source.constants) is None:
        raise Refused(node, 'rebalance must be a number of bars, "weekly" or "monthly"')
    return whole(node, source, "rebalance", 1, 100_000)


def whole(node: ast.expr, source: Source, name: str, least: int, most: int) -> int:
    x = constant_of(node, source.constants)
    if x is None or x != math.floor(x) or not least <= x <= most:
        raise Refused(node, f"{name} must be a whole number from {least} to {most}")
    return int(x)


def read_member(node: ast.stmt, source: Source) -> None:
    if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    if isinstance(node, ast.FunctionDef):
        read_method(node, source)
        return
    if not (
        isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    ):
        raise Refused(node, "a strategy's body holds name = param..., state... or ind..., and functions")
    name, call = node.targets[0].id, node.value
    taken = {p.name for p in source.params} | set(source.states) | {s.name for s in source.series}
    if name in taken:
        raise Refused(node, f"{name} is declared twice")
    if not (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
    ):
        raise Refused(node, f"{name} must be param..., state... or ind...")
    read_declaration(name, call.func.value.id, call.func.attr, call, source)
    for count, most, what in (
        (len(source.params), MAX_PARAMS, "parameters"),
        (len(source.states), MAX_STATES, "states"),
        (len(source.series), MAX_SERIES, "indicators"),
    ):
        if count > most:
            raise Refused(node, f"there are more than {most} {what}")


def read_declaration(name: str, owner: str, kind: str, call: ast.Call, source: Source) -> None:
    if owner == "param":
        source.params += (read_param(name, kind, call, source),)
    elif owner == "state":
        if kind != "float" or len(call.args) > 1 or call.keywords:
            raise Refused(call, "state has float(start) only")
        start = constant_of(call.args[0], source.constants) if call.args else 0.0
        if start is None:
            raise Refused(call, "a state starts with a constant number")
        source.states[name] = start
    elif owner == "ind":
        source.series += (read_series(name, kind, call, source),)
    else:
        raise Refused(call, f"{owner[:60]} is unknown: param, state or ind")


def read_param(name: str, kind: str, call: ast.Call, source: Source) -> Param:
    numbers = [constant_of(arg, source.constants) for arg in call.args]
    known = {"int": ("step", "default"), "float": ("log", "default"), "choice": ("default",)}.get(kind)
    if known is None:
        raise Refused(call, f"param.{kind[:60]} is unknown: int, float or choice")
    given: dict[str, float] = {}
    for keyword in call.keywords:
        value = constant_of(keyword.value, source.constants)
        if keyword.arg == "log" and isinstance(keyword.value, ast.Constant):
            value = float(keyword.value.value is True)
        if keyword.arg not in known or value is None:
            raise Refused(call, f"param.{kind} takes constant numbers, and {', '.join(known)} by name")
        given[keyword.arg] = value
    if any(x is None for x in numbers) or not numbers:
        raise Refused(call, f"param.{kind} takes constant numbers")
    values = [x for x in numbers if x is not None]
    if kind == "choice":
        return choice_param(name, values, given, call)
    most = 3 if kind == "int" else 2
    if not 2 <= len(values) <= most or values[1] < values[0]:
        raise Refused(call, f"param.{kind} takes its least and its greatest value, in this order")
    step = values[2] if len(values) == 3 else given.get("step", 1.0)
    integer = kind == "int"
    if integer and (any(x != math.floor(x) for x in [*values, step]) or step < 1):
        raise Refused(call, "param.int takes whole numbers, and a step of 1 or more")
    default = given.get("default", values[0])
    param = Param(name, default, integer, values[0], values[1], step=step if integer else None)
    if not values[0] <= default <= values[1] or (integer and (default - values[0]) % step != 0):
        raise Refused(call, f"the default {default:g} is no value of {name}")
    return param


def choice_param(name: str, values: list[float], given: dict[str, float], call: ast.Call) -> Param:
    default = given.get("default", values[0])
    if default not in values or len(values) > MAX_CHOICES or len(set(values)) < len(values):
        raise Refused(call, f"the choices of {name} must be different numbers, the default one of them")
    integer = all(x == math.floor(x) for x in values)
    return Param(name, default, integer, min(values), max(values), tuple(values))


def read_series(name: str, kind: str, call: ast.Call, source: Source) -> Series:
    """Returns an indicator table: text arguments are columns, named ones numbers or parameters."""
    from berth_backtest import indicators
    from berth_backtest.strategies.series import COLUMNS, signature

    if kind not in indicators.__all__:
        raise Refused(call, f"ind.{kind[:60]} is unknown: {', '.join(indicators.__all__)}")
    wanted = signature(kind)
    inputs = [key for key, _ in wanted if key in (*COLUMNS, "x")]
    numbers = [key for key, _ in wanted if key not in inputs]
    columns, given = [], {}
    positions = list(call.args)
    while positions and isinstance(positions[0], ast.Constant) and isinstance(positions[0].value, str):
        column = positions[0].value
        if column not in COLUMNS:
            raise Refused(call, f"there is no column {column[:60]!a}: {', '.join(COLUMNS)}")
        columns.append(column)
        positions.pop(0)
    if not columns:
        columns = ["close" if key == "x" else key for key in inputs]
    if len(columns) != len(inputs):
        raise Refused(call, f"ind.{kind} takes {len(inputs)} columns ({', '.join(inputs)})")
    if len(positions) > len(numbers):
        raise Refused(call, f"ind.{kind} takes {', '.join(numbers) or 'no numbers'}")
    pairs = [*zip(numbers, positions, strict=False), *[(k.arg, k.value) for k in call.keywords]]
    params = {param.name: param for param in source.params}
    for key, node in pairs:
        if key not in numbers or key in given:
            raise Refused(call, f"ind.{kind} takes {', '.join(numbers) or 'no numbers'}, each once")
        given[key] = series_argument(kind, str(key), node, dict(wanted)[str(key)], params, source)
    missing = [key for key in numbers if key not in given]
    if missing:
        raise Refused(call, f"ind.{kind} needs {', '.join(missing)}")
    for column in columns:
        source.lines.setdefault(column, call.lineno)
    return Series(name, kind, tuple(columns), tuple(given[key] for key in numbers))


def series_argument(
    kind: str, key: str, node: ast.expr, integer: bool, params: dict[str, Param], source: Source
) -> str | float:
    if isinstance(node, ast.Name) and node.id in params:
        param = params[node.id]
        if integer and (not param.integer or param.least < 1):
            raise Refused(node, f"{key} of ind.{kind} must be whole and at least 1: {node.id} may be less")
        return node.id
    x = constant_of(node, source.constants)
    if x is None:
        known = ", ".join(params) or "none is declared above"
        raise Refused(node, f"{key} of ind.{kind} must be a number or a parameter ({known})")
    if integer and (x != math.floor(x) or not 1 <= x <= 1_000_000):
        raise Refused(node, f"{key} of ind.{kind} must be a whole number of bars, from 1")
    return x


def read_method(node: ast.FunctionDef, source: Source) -> None:
    if node.decorator_list:
        raise Refused(node, "a decorator is not allowed on a function of the strategy")
    if node.name not in METHODS:
        raise Refused(node, f"{node.name} is unknown: {', '.join(METHODS)}; helpers stand beside the class")
    if plain_arguments(node) != list(METHODS[node.name]):
        raise Refused(node, f"it must be {node.name}({', '.join(METHODS[node.name])})")
    source.functions[node.name] = node


def check_functions(node: ast.ClassDef, source: Source) -> None:
    found = [name for name in MAIN if name in source.functions]
    if len(found) != 1:
        raise Refused(node, f"it must have exactly one of {', '.join(MAIN)}, not {len(found)}")
    if source.rebalance is not None and found[0] != "rebalance":
        raise Refused(node, f"@strategy(rebalance=...) needs rebalance(), not {found[0]}()")
    params = tuple(param.name for param in source.params)
    arities = {name: len(plain_arguments(helper)) for name, helper in source.helpers.items()}
    base: dict[str, Any] = {"constants": source.constants, "helpers": arities}
    needed: set[str] = set()
    if "valid" in source.functions:
        names = Names({"p": params}, **base)
        source.checked["valid"] = Subset(names, False, "valid").check(source.functions["valid"])
        needed |= source.checked["valid"].calls
    if "step" in source.functions:
        tables = tuple(one.name for one in source.series)
        states = tuple(source.states)
        fields = {"s": (*OWN_FIELDS, *states), "bar": BAR_FIELDS, "t": tables, "t1": tables, "p": params}
        for state in states:
            if state in OWN_FIELDS:
                raise Refused(node, f"the state {state} has the name of a field of s")
        step = Subset(Names(fields, states, **base), True, "step")
        source.checked["step"] = step.check(source.functions["step"])
        needed |= source.checked["step"].calls
        note_columns(source, "bar", source.functions["step"])
    if "signals" in source.functions:
        check_signals(node, source)
    if "rebalance" in source.functions:
        needed |= check_rebalance(node, source, base)
    check_helpers(needed, source, base)


def check_signals(node: ast.ClassDef, source: Source) -> None:
    if source.series or source.states:
        raise Refused(node, "signals() takes no ind... and no state...: it has all of the data")
    for function in (source.functions["signals"], *source.helpers.values()):
        check_ordinary(function)
    note_columns(source, "data", source.functions["signals"])


def check_rebalance(node: ast.ClassDef, source: Source, base: dict[str, Any]) -> set[str]:
    """Returns the helpers that it calls."""
    if source.rebalance is None:
        raise Refused(node, 'rebalance() needs @strategy(rebalance=...): bars, "weekly" or "monthly"')
    if source.states:
        raise Refused(node, "rebalance() keeps no state")
    names = Names({"p": tuple(param.name for param in source.params)}, **base)
    subset = Rebalance(names, tuple(one.name for one in source.series))
    subset.check_rebalance(source.functions["rebalance"])
    source.checked["rebalance"] = subset.out
    note_columns(source, "view", source.functions["rebalance"])
    return subset.out.calls


def note_columns(source: Source, owner: str, function: ast.FunctionDef) -> None:
    """Notes where a function reads columns that the data may lack."""
    for part in ast.walk(function):
        reads = isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
        if reads and part.value.id == owner and part.attr in NEEDED:  # type: ignore[attr-defined]
            source.lines.setdefault(part.attr, part.lineno)  # type: ignore[attr-defined]


def check_helpers(needed: set[str], source: Source, base: dict[str, Any]) -> None:
    """Checks the helpers that are called, each after those that it calls; refuses recursion."""
    done: dict[str, Checked] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        helper = source.helpers[name]
        if name in above:
            raise Refused(helper, f"{name} calls itself: recursion is not allowed")
        if name in done:
            return
        checked = Subset(Names({}, **base), False, name).check(helper)
        for called in sorted(checked.calls):
            visit(called, (*above, name))
        done[name] = checked

    for name in sorted(needed):
        visit(name, ())
    source.checked |= {f"h_{name}": checked for name, checked in done.items()}


def refusal(error: Refused) -> Problem:
    return Problem("strategy.source", str(error))
