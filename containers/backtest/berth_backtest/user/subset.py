"""Checks a user's function against the subset that compiles, and rewrites it for the compiler.

What the function reads of its arguments (`s.pos`, `t.fast`) becomes plain scalars, so that one source
serves all ways of running it. Numbers are float64; both sides of `and`, `or` are conditions.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_TURNS = 10_000  # of all nested loops of a call: a bar must not take longer than a day's data
FUNCTIONS = ("abs", "exp", "floor", "isnan", "log", "max", "min", "sqrt")
MODULES = ("np", "numpy", "math")
CONSTANTS = ("inf", "nan", "pi")
ORDERS = {"keep": 0, "target": 1, "units": 1, "close": 0}  # and how many numbers each takes
ORDER_STOPS = ("stop_loss", "take_profit", "trailing")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
STATEMENTS = {
    ast.While: "while may never end: use for over a constant range",
    ast.Try: "try is not allowed",
    ast.With: "with is not allowed",
    ast.Import: "import is not allowed here",
    ast.ImportFrom: "import is not allowed here",
    ast.Raise: "raise is not allowed",
    ast.Assert: "assert is not allowed",
    ast.Global: "global is not allowed",
    ast.Nonlocal: "nonlocal is not allowed",
    ast.Delete: "del is not allowed",
    ast.FunctionDef: "a function inside a function is not allowed: put it beside the class",
    ast.ClassDef: "a class is not allowed here",
    ast.AnnAssign: "an annotation is not allowed",
    ast.Break: "break is not allowed",
    ast.Continue: "continue is not allowed",
    ast.Match: "match is not allowed",
}
EXPRESSIONS = {
    ast.ListComp: "a comprehension is not allowed",
    ast.SetComp: "a comprehension is not allowed",
    ast.DictComp: "a comprehension is not allowed",
    ast.GeneratorExp: "a generator is not allowed",
    ast.Yield: "a generator is not allowed",
    ast.YieldFrom: "a generator is not allowed",
    ast.Await: "await is not allowed",
    ast.Lambda: "lambda is not allowed",
    ast.List: "a list allocates memory: use numbers",
    ast.Tuple: "a tuple is not allowed: use numbers",
    ast.Set: "a set allocates memory: use numbers",
    ast.Dict: "a dictionary allocates memory: use numbers",
    ast.JoinedStr: "text is not allowed",
    ast.NamedExpr: ":= is not allowed",
    ast.Starred: "* is not allowed here",
    ast.Subscript: "[...] is not allowed here",
}


class Refused(Exception):  # noqa: N818 (it is the user's code that is refused)
    """Says what is wrong with the source, and on which line."""

    def __init__(self, at: ast.AST | int, message: str) -> None:
        self.line = at if isinstance(at, int) else int(getattr(at, "lineno", 1))
        super().__init__(f"line {self.line}: {message}")


@dataclass
class Names:
    """What a function may read. `fields` are the attributes of each argument; `written` those to assign."""

    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    constants: dict[str, float] = field(default_factory=dict)
    helpers: dict[str, int] = field(default_factory=dict)  # and their numbers of arguments


@dataclass
class Checked:
    """A function's rewritten body, and what it uses."""

    body: list[ast.stmt]
    reads: set[tuple[str, str]]  # (argument, attribute)
    writes: set[str]
    calls: set[str]  # helpers
    loops: bool
    stops: bool  # an order names its own stop


class Subset(ast.NodeVisitor):
    """Checks one function; `order` says that it returns Orders, else it returns numbers."""

    def __init__(self, names: Names, order: bool, where: str) -> None:
        self.names = names
        self.order = order
        self.where = where
        self.out = Checked([], set(), set(), set(), False, False)
        self.turns = 1

    def check(self, function: ast.FunctionDef) -> Checked:
        locals_ = set() if self.names.fields else {f"v_{arg.arg}" for arg in function.args.args}
        body = function.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]  # its docstring
        self.out.body, _, ends = self.block(body, locals_)
        if not ends and not self.order:
            raise Refused(function, f"{self.where} must return a value on every way through it")
        if not ends:
            self.out.body.append(ast.Return(self.order_tuple("keep", [], {})))
        return self.out

    def block(self, body: list[ast.stmt], known: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        """Returns the rewritten statements, the names that are certain after them, and if they all return."""
        done: list[ast.stmt] = []
        for statement in body:
            parts, known, ends = self.statement(statement, known)
            done += parts
            if ends:
                return done, known, True
        return done, known, False

    def statement(self, node: ast.stmt, known: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        if isinstance(node, ast.Pass):
            return [], known, False
        if isinstance(node, ast.Return):
            return self.returned(node, known), known, True
        if isinstance(node, ast.If):
            test = as_bool(self.value(node.test, known))
            first, after, ends = self.block(node.body, set(known))
            second, other, others = self.block(node.orelse, set(known))
            after = other if ends else after if others else after & other
            branch = ast.If(test, first or [ast.Pass()], second)
            return [branch], after, ends and others
        if isinstance(node, ast.For):
            return self.loop(node, known)
        if isinstance(node, ast.Assign | ast.AugAssign):
            return self.assigned(node, known)
        reason = STATEMENTS.get(type(node))
        if isinstance(node, ast.Expr):
            self.value(node.value, known)  # its own reason, if it has one
            reason = "a value that is not used"
        raise Refused(node, f"{reason or type(node).__name__ + ' is not allowed'}, in {self.where}")

    def assigned(
        self, node: ast.Assign | ast.AugAssign, known: set[str]
    ) -> tuple[list[ast.stmt], set[str], bool]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if len(targets) != 1:
            raise Refused(node, "one name at a time can be assigned")
        value = self.value(node.value, known)
        name = self.target(targets[0])
        if isinstance(node, ast.AugAssign):
            if not isinstance(node.op, ARITHMETIC):
                raise Refused(node, f"{type(node.op).__name__} is not arithmetic")
            before = self.value(reading(targets[0]), known)
            value = ast.BinOp(before, node.op, value)
        return [ast.Assign([ast.Name(name, ast.Store())], as_float(value))], known | {name}, False

    def target(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            if node.id in self.names.fields or node.id in self.names.constants:
                raise Refused(node, f"{node.id} cannot be assigned")
            return f"v_{node.id}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "s":
            if "s" in self.names.fields and node.attr in self.names.written:
                self.out.writes.add(node.attr)
                self.out.reads.add(("s", node.attr))
                return f"s_{node.attr}"
            known = ", ".join(self.names.written) or "none is declared"
            raise Refused(node, f"s.{node.attr} cannot be assigned: declared state can ({known})")
        raise Refused(node, "only a name or declared state (s.x) can be assigned")

    def loop(self, node: ast.For, known: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        if node.orelse:
            raise Refused(node, "else after for is not allowed")
        if not isinstance(node.target, ast.Name):
            raise Refused(node, "for needs one name")
        bounds = self.constant_range(node.iter)
        turns = len(range(*bounds))
        before = self.turns
        self.turns *= max(turns, 1)
        if self.turns > MOST_TURNS:
            raise Refused(node, f"the loops take {self.turns} turns; at most {MOST_TURNS} are allowed")
        name = f"v_{node.target.id}"
        body, after, ends = self.block(node.body, known | {name})
        if ends and turns > 0:
            raise Refused(node, "the loop returns in its first turn")
        self.turns = before
        self.out.loops = True
        numbers: list[ast.expr] = [ast.Constant(bound) for bound in bounds]
        counter = f"i_{node.target.id}"
        counted = ast.Call(ast.Name("range", ast.Load()), numbers, [])
        start = ast.Assign(
            [ast.Name(name, ast.Store())],
            ast.Call(ast.Name("float", ast.Load()), [ast.Name(counter, ast.Load())], []),
        )
        made = ast.For(ast.Name(counter, ast.Store()), counted, [start, *body], [])
        return [made], after if turns > 0 else known, False

    def constant_range(self, node: ast.expr) -> tuple[int, int, int]:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "range"
            and 1 <= len(node.args) <= 3
            and not node.keywords
        ):
            numbers = [constant_of(arg, self.names.constants) for arg in node.args]
            if all(x is not None and x == int(x) for x in numbers):
                whole = [int(x) for x in numbers if x is not None]
                first, last = (0, whole[0]) if len(whole) == 1 else (whole[0], whole[1])
                step = whole[2] if len(whole) == 3 else 1
                if step != 0:
                    return first, last, step
        raise Refused(node, "for needs range(...) of constant whole numbers")

    def returned(self, node: ast.Return, _known: set[str]) -> list[ast.stmt]:
        if not self.order:
            if node.value is None:
                raise Refused(node, f"{self.where} must return a value")
            return [ast.Return(as_float(self.value(node.value, _known)))]
        if node.value is None:
            return [ast.Return(self.order_tuple("keep", [], {}))]
        return self.returned_order(node.value, _known)

    def returned_order(self, node: ast.expr, known: set[str]) -> list[ast.stmt]:
        if isinstance(node, ast.IfExp):
            test = as_bool(self.value(node.test, known))
            first, second = (self.returned_order(part, known) for part in (node.body, node.orelse))
            return [ast.If(test, first, second)]
        if isinstance(node, ast.Constant) and node.value is None:
            return [ast.Return(self.order_tuple("keep", [], {}))]
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDERS):
            raise Refused(node, f"step must return an Order: {', '.join(name + '(...)' for name in ORDERS)}")
        name = node.func.id
        if len(node.args) != ORDERS[name]:
            raise Refused(node, f"{name} takes {ORDERS[name] or 'no'} number, not {len(node.args)}")
        stops: dict[str, ast.expr] = {}
        for keyword in node.keywords:
            if keyword.arg not in ORDER_STOPS or ORDERS[name] == 0:
                known_ = ", ".join(ORDER_STOPS) if ORDERS[name] else "none"
                raise Refused(node, f"{name} has no argument {keyword.arg}: {known_}")
            self.out.stops = True
            stops[keyword.arg] = self.value(keyword.value, known)
        return [ast.Return(self.order_tuple(name, [self.value(arg, known) for arg in node.args], stops))]

    def order_tuple(self, name: str, numbers: list[ast.expr], stops: dict[str, ast.expr]) -> ast.expr:
        """Returns the order as the kernel's numbers: kind, what is wanted, and its own stops."""
        kind = {"keep": 0.0, "close": 3.0, "target": 4.0, "units": 5.0}[name]
        missing: ast.expr = ast.Name("nan", ast.Load())
        parts = [ast.Constant(kind), *(map(as_float, numbers) if numbers else [ast.Constant(0.0)])]
        parts += [as_float(stops[stop]) if stop in stops else missing for stop in ORDER_STOPS]
        states = [ast.Name(f"s_{state}", ast.Load()) for state in self.names.written]
        return ast.Tuple([*parts, *states], ast.Load())

    def value(self, node: ast.expr, known: set[str]) -> ast.expr:
        """Returns an expression in the compiler's terms."""
        handlers: dict[type[ast.expr], Callable[..., ast.expr]] = {
            ast.Constant: self.constant,
            ast.Name: self.name,
            ast.Attribute: self.attribute,
            ast.BinOp: self.arithmetic,
            ast.UnaryOp: self.unary,
            ast.BoolOp: self.junction,
            ast.Compare: self.comparison,
            ast.IfExp: self.choice,
            ast.Call: self.call,
        }
        handler = handlers.get(type(node))
        if handler is None:
            reason = EXPRESSIONS.get(type(node), f"{type(node).__name__} is not allowed")
            raise Refused(node, f"{reason}, in {self.where}")
        return handler(node, known)

    def constant(self, node: ast.Constant, _known: set[str]) -> ast.expr:
        if isinstance(node.value, bool):
            return ast.Constant(node.value)
        if isinstance(node.value, int | float):
            return ast.Constant(float(node.value))
        raise Refused(node, f"only numbers are allowed in {self.where}, not {str(node.value)[:40]!a}")

    def name(self, node: ast.Name, known: set[str]) -> ast.expr:
        if f"v_{node.id}" in known:
            return ast.Name(f"v_{node.id}", ast.Load())
        if node.id in self.names.constants:
            return ast.Constant(self.names.constants[node.id])
        if node.id in CONSTANTS:
            return ast.Name(node.id, ast.Load())
        if node.id in ORDERS and self.order:
            raise Refused(node, "an Order can only be returned")
        raise Refused(node, f"{node.id} has no value here, on every way to this line")

    def attribute(self, node: ast.Attribute, _known: set[str]) -> ast.expr:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner in self.names.fields:
            if node.attr not in self.names.fields[owner]:
                listed = ", ".join(self.names.fields[owner]) or "nothing"
                raise Refused(node, f"{owner}.{node.attr} is unknown: {owner} has {listed}")
            self.out.reads.add((owner, node.attr))
            return ast.Name(f"{owner}_{node.attr}", ast.Load())
        if owner in MODULES and node.attr in CONSTANTS:
            return ast.Name(node.attr, ast.Load())
        raise Refused(node, f"{ast.unparse(node)[:60]} is not allowed in {self.where}")

    def arithmetic(self, node: ast.BinOp, known: set[str]) -> ast.expr:
        if not isinstance(node.op, ARITHMETIC):
            raise Refused(node, f"{type(node.op).__name__} is not arithmetic of numbers")
        left, right = (as_float(self.value(part, known)) for part in (node.left, node.right))
        return ast.BinOp(left, node.op, right)

    def unary(self, node: ast.UnaryOp, known: set[str]) -> ast.expr:
        operand = self.value(node.operand, known)
        if isinstance(node.op, ast.Invert):
            raise Refused(node, "~ is not allowed: use not")
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, as_bool(operand))
        return ast.UnaryOp(node.op, as_float(operand))

    def junction(self, node: ast.BoolOp, known: set[str]) -> ast.expr:
        return ast.BoolOp(node.op, [as_bool(self.value(part, known)) for part in node.values])

    def comparison(self, node: ast.Compare, known: set[str]) -> ast.expr:
        for operator in node.ops:
            if isinstance(operator, ast.Is | ast.IsNot | ast.In | ast.NotIn):
                raise Refused(node, f"{type(operator).__name__} is not a comparison of numbers")
        parts = [as_float(self.value(part, known)) for part in (node.left, *node.comparators)]
        return ast.Compare(parts[0], node.ops, parts[1:])

    def choice(self, node: ast.IfExp, known: set[str]) -> ast.expr:
        test = as_bool(self.value(node.test, known))
        return ast.IfExp(
            test, as_float(self.value(node.body, known)), as_float(self.value(node.orelse, known))
        )

    def call(self, node: ast.Call, known: set[str]) -> ast.expr:
        name = self.function_name(node.func)
        if name in self.names.helpers:
            self.out.calls.add(name)
            if len(node.args) != self.names.helpers[name] or node.keywords:
                raise Refused(node, f"{name} takes {self.names.helpers[name]} numbers, by position")
            arguments = [as_float(self.value(arg, known)) for arg in node.args]
            return ast.Call(ast.Name(f"h_{name}", ast.Load()), arguments, [])
        if name in ORDERS and self.order:
            raise Refused(node, "an Order can only be returned")
        if name not in FUNCTIONS:
            raise Refused(node, f"{ast.unparse(node.func)[:60]} cannot be called in {self.where}")
        least = 2 if name in ("max", "min") else 1
        if node.keywords or len(node.args) < least or (least == 1 and len(node.args) > 1):
            raise Refused(node, f"{name} takes {'two numbers or more' if least == 2 else 'one number'}")
        arguments = [as_float(self.value(arg, known)) for arg in node.args]
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def function_name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr if node.value.id in MODULES else ""
        return node.id if isinstance(node, ast.Name) else ""


def reading(node: ast.expr) -> ast.expr:
    """Returns the target of an assignment as a value."""
    if isinstance(node, ast.Name):
        return ast.copy_location(ast.Name(node.id, ast.Load()), node)
    assert isinstance(node, ast.Attribute)
    return ast.copy_location(ast.Attribute(node.value, node.attr, ast.Load()), node)


def is_condition(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "isnan"
    boolean = isinstance(node, ast.Constant) and isinstance(node.value, bool)
    return boolean or isinstance(node, ast.Compare | ast.BoolOp)


def as_bool(node: ast.expr) -> ast.expr:
    return node if is_condition(node) else ast.Compare(node, [ast.NotEq()], [ast.Constant(0.0)])


def as_float(node: ast.expr) -> ast.expr:
    """Returns 1 or 0 for a condition; numbers stay as they are."""
    return ast.IfExp(node, ast.Constant(1.0), ast.Constant(0.0)) if is_condition(node) else node


def constant_of(node: ast.AST, constants: dict[str, float]) -> float | None:
    """Returns the number that an expression of constants stands for, None if it is not one."""
    if isinstance(node, ast.Constant):
        good = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return float(node.value) if good else None  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        x = constant_of(node.operand, constants)
        return None if x is None else -x if isinstance(node.op, ast.USub) else x
    if isinstance(node, ast.BinOp):
        a, b = constant_of(node.left, constants), constant_of(node.right, constants)
        if a is None or b is None:
            return None
        if isinstance(node.op, ast.Add):
            return a + b
        if isinstance(node.op, ast.Sub):
            return a - b
        if isinstance(node.op, ast.Mult):
            return a * b
        if isinstance(node.op, ast.Div) and b != 0:
            return a / b
    return None
