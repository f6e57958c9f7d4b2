"""Checks a user's signals(): ordinary Python with np, without what reaches out of its process."""

import ast

from berth_backtest.user.subset import Refused

# Not a wall: that is the process it runs in. These are told early, with their line.
REFUSED_NAMES = frozenset(
    [
        "open",
        "exec",
        "eval",
        "compile",
        "input",
        "globals",
        "locals",
        "vars",
        "getattr",
        "setattr",
        "delattr",
        "breakpoint",
        "exit",
        "quit",
        "help",
        "memoryview",
        "type",
        "object",
        "super",
        "__import__",
    ]
)
REFUSED_ATTRIBUTES = {
    **dict.fromkeys(
        [
            "load",
            "save",
            "savez",
            "savez_compressed",
            "loadtxt",
            "savetxt",
            "genfromtxt",
            "fromfile",
            "tofile",
            "memmap",
            "fromregex",
            "DataSource",
            "open_memmap",
            "dump",
            "dumps",
        ],
        "a strategy reads and writes no files",
    ),
    **dict.fromkeys(
        ["ctypeslib", "ctypes", "lib", "f2py", "testing", "core", "compat", "emath", "show_config"],
        "it is not allowed",
    ),
    "random": "random numbers would make two runs differ",
}
STATEMENTS = {
    ast.Import: "import is not allowed here: np is there",
    ast.ImportFrom: "import is not allowed here: np is there",
    ast.Global: "global is not allowed: a call must not depend on another",
    ast.Nonlocal: "nonlocal is not allowed",
    ast.AsyncFunctionDef: "async is not allowed",
    ast.AsyncFor: "async is not allowed",
    ast.AsyncWith: "async is not allowed",
    ast.With: "with is not allowed",
    ast.ClassDef: "a class is not allowed here",
    ast.Await: "await is not allowed",
    ast.Yield: "a generator is not allowed",
    ast.YieldFrom: "a generator is not allowed",
}


def check_ordinary(function: ast.FunctionDef) -> None:
    """Raises Refused at the first thing that is not allowed."""
    for node in ast.walk(function):
        reason = STATEMENTS.get(type(node))
        if reason:
            raise Refused(node, f"{reason}, in {function.name}")
        if isinstance(node, ast.Name) and (node.id in REFUSED_NAMES or node.id.startswith("__")):
            raise Refused(node, f"{node.id} is not allowed in {function.name}")
        if isinstance(node, ast.Attribute):
            if node.attr.startswith("_"):
                raise Refused(node, f".{node.attr[:60]} is not allowed in {function.name}")
            if node.attr in REFUSED_ATTRIBUTES:
                raise Refused(node, f".{node.attr}: {REFUSED_ATTRIBUTES[node.attr]}")
