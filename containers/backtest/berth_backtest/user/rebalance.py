"""The subset for rebalance(): what step() may do, and loops over the symbols and their arrays."""

import ast

from berth_backtest.user.subset import Names, Refused, Subset, as_float

SCALARS = ("n", "i", "cash", "equity")
FIELDS = ("open", "high", "low", "close", "volume", "weight", "tradable")


class Rebalance(Subset):
    """Arrays over the symbols are read as view.x[i] and written as out[i], i being a symbol of a loop."""

    def __init__(self, names: Names, tables: tuple[str, ...]) -> None:
        super().__init__(names, False, "rebalance")
        self.arrays = (*FIELDS, *tables)
        self.symbols: list[str] = []  # the loops' names around a statement
        self.ranks: set[str] = set()

    def check_rebalance(self, function: ast.FunctionDef) -> None:
        body = function.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        self.out.body, _, _ = self.block(body, set())
        self.out.body.append(ast.Return(ast.Constant(0.0)))

    def returned(self, node: ast.Return, _known: set[str]) -> list[ast.stmt]:
        if node.value is not None:
            raise Refused(node, "rebalance returns nothing: it fills out[i]")
        return [ast.Return(ast.Constant(0.0))]

    def loop(self, node: ast.For, known: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        if not is_symbols(node.iter):
            return super().loop(node, known)
        if node.orelse or not isinstance(node.target, ast.Name):
            raise Refused(node, "for needs one name, and no else")
        name = node.target.id
        if name in self.symbols or len(self.symbols) == 2:
            raise Refused(node, "at most two loops over the symbols may lie in each other")
        self.symbols.append(name)
        body, _, _ = self.block(node.body, known | {f"v_{name}"})
        self.symbols.pop()
        self.out.loops = True
        self.out.reads.add(("view", "n"))
        counted = ast.Call(ast.Name("range", ast.Load()), [ast.Name("count", ast.Load())], [])
        start = ast.Assign([ast.Name(f"v_{name}", ast.Store())], number_of(name))
        return [ast.For(ast.Name(f"i_{name}", ast.Store()), counted, [start, *body], [])], known, False

    def assigned(
        self, node: ast.Assign | ast.AugAssign, known: set[str]
    ) -> tuple[list[ast.stmt], set[str], bool]:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name) and target.id in self.symbols:
            raise Refused(node, f"{target.id} is a symbol of the loop and cannot be assigned")
        if isinstance(target, ast.Subscript):
            if not isinstance(node, ast.Assign) or len(node.targets) != 1:
                raise Refused(node, "out[i] = ... is the only form")
            if not (isinstance(target.value, ast.Name) and target.value.id == "out"):
                raise Refused(node, "only out[i] can be assigned")
            place = ast.Subscript(ast.Name("out", ast.Load()), self.index(target.slice), ast.Store())
            return [ast.Assign([place], as_float(self.value(node.value, known)))], known, False
        array = self.ranked(node.value)
        if isinstance(target, ast.Name) and array is not None and isinstance(node, ast.Assign):
            if f"v_{target.id}" in known:
                raise Refused(node, f"{target.id} is a number already")
            self.ranks.add(target.id)
            value = ast.Call(
                ast.Name("rank_of", ast.Load()), [array, ast.Name("view_tradable", ast.Load())], []
            )
            return (
                [ast.Assign([ast.Name(f"r_{target.id}", ast.Store())], value)],
                known | {f"r_{target.id}"},
                False,
            )
        if isinstance(target, ast.Name) and target.id in self.ranks:
            raise Refused(node, f"{target.id} is an array already")
        return super().assigned(node, known)

    def ranked(self, node: ast.expr) -> ast.expr | None:
        """Returns the array of view.rank(view.x), None if it is something else."""
        if not (isinstance(node, ast.Call) and is_view(node.func, "rank")):
            return None
        if len(node.args) != 1 or node.keywords:
            raise Refused(node, "view.rank takes one array: view.rank(view.x)")
        return self.array(node.args[0])

    def array(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "view":
            if node.attr not in self.arrays:
                known = ", ".join((*SCALARS, *self.arrays, "rank(...)"))
                raise Refused(node, f"view.{node.attr[:60]} is unknown: view has {known}")
            self.out.reads |= {("view", node.attr), ("view", "tradable")}
            return ast.Name(f"view_{node.attr}", ast.Load())
        raise Refused(node, "an array is view.x")

    def value(self, node: ast.expr, known: set[str]) -> ast.expr:
        if isinstance(node, ast.Subscript):
            owner = node.value
            if isinstance(owner, ast.Name) and f"r_{owner.id}" in known:
                array: ast.expr = ast.Name(f"r_{owner.id}", ast.Load())
            elif isinstance(owner, ast.Name) and owner.id == "out":
                array = ast.Name("out", ast.Load())
            else:
                array = self.array(owner)
            return ast.Subscript(array, self.index(node.slice), ast.Load())
        if isinstance(node, ast.Attribute) and is_view(node, node.attr) and node.attr in SCALARS:
            self.out.reads.add(("view", node.attr))
            return ast.Name(f"view_{node.attr}", ast.Load())
        if isinstance(node, ast.Attribute) and is_view(node, node.attr):
            self.array(node)
            raise Refused(node, f"view.{node.attr} is an array: view.{node.attr}[i]")
        return super().value(node, known)

    def index(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in self.symbols:
            return ast.Name(f"i_{node.id}", ast.Load())
        raise Refused(node, "the place must be the symbol of a loop: for i in range(view.n)")


def is_view(node: ast.expr, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "view"
        and node.attr == name
    )


def is_symbols(node: ast.expr) -> bool:
    """Says whether it is range(view.n) or range(len(out))."""
    if not (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "range"
        and len(node.args) == 1
        and not node.keywords
    ):
        return False
    return is_view(node.args[0], "n") or ast.unparse(node.args[0]) == "len(out)"


def number_of(name: str) -> ast.expr:
    return ast.Call(ast.Name("float", ast.Load()), [ast.Name(f"i_{name}", ast.Load())], [])
