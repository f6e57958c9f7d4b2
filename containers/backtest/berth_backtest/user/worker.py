"""The process in which a user's signals() runs: bounded memory, no files, no sockets, no children.

Run by user.signals: python -m berth_backtest.user.worker. Messages on stdin and stdout are a length and
as many bytes: first the source and the data, then a set's parameters each, answered by its signals.
"""

import ast
import builtins
import io
import json
import linecache
import math
import os
import resource
import struct
import sys
import traceback
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

FILE = "<strategy>"
HEAD = struct.Struct("<Q")
SPARE_BYTES = 1 << 30  # beside the data and eight times its size: what a strategy may allocate
CPU_S = 300  # of one call, should nobody be left to end it
BUILTINS = [
    "abs",
    "all",
    "any",
    "bool",
    "bytes",
    "dict",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "frozenset",
    "int",
    "isinstance",
    "iter",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "pow",
    "print",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "slice",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
    "True",
    "False",
    "None",
    "ArithmeticError",
    "Exception",
    "FloatingPointError",
    "IndexError",
    "KeyError",
    "OverflowError",
    "StopIteration",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
    "AssertionError",
    "RuntimeError",
]


def main() -> int:
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user prints goes with the log, not between the answers
    first = read_message(inward)
    if first is None:
        return 0
    with np.load(io.BytesIO(first), allow_pickle=False) as given:
        arrays = {name: given[name] for name in given.files}
    setup = json.loads(str(arrays.pop("setup")))
    function = function_of(setup["source"], setup["class"])
    columns = {name: frozen(values) for name, values in arrays.items()}
    data = SimpleNamespace(**columns, symbols=tuple(setup["symbols"]))
    confine(sum(values.nbytes for values in arrays.values()))
    while (message := read_message(inward)) is not None:
        limit_time()
        write_message(outward, answer(function, data, json.loads(message)))
    return 0


def loaded_part(name: str, *rest: Any) -> Any:
    """Imports for NumPy's own methods: x.mean() fetches a part of NumPy at its first call, by this name."""
    if name not in sys.modules or name.partition(".")[0] != "numpy":
        raise ImportError(f"{name} cannot be imported by a strategy")
    return __import__(name, *rest)


def frozen(values: Any) -> Any:
    values.flags.writeable = False
    return values


def function_of(source: str, name: str) -> Any:
    """Returns signals(), made of the source's constants, helpers and the function alone."""
    tree = ast.parse(source)
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.FunctionDef):
            kept.append(node)
        elif isinstance(node, ast.ClassDef) and node.name == name:
            kept += [
                part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "signals"
            ]
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    known = {one: getattr(builtins, one) for one in BUILTINS if hasattr(builtins, one)}
    known["__import__"] = loaded_part
    given = {"np": np, "numpy": np, "math": math}
    names: dict[str, Any] = {**given, "__builtins__": known, "__name__": FILE}
    exec(compile(ast.Module(kept, []), FILE, "exec"), names)  # noqa: S102 (that is what this process is for)
    return names["signals"]


def confine(data_bytes: int) -> None:
    """Takes from this process all that a strategy does not need."""
    used = 0
    try:
        with open("/proc/self/statm") as stream:  # noqa: PTH123
            used = int(stream.read().split()[0]) * resource.getpagesize()
    except OSError:
        used = 1 << 30
    limit(resource.RLIMIT_AS, used + SPARE_BYTES + 8 * data_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, 0)  # what is open stays open; nothing else can be opened
    if hasattr(resource, "RLIMIT_NPROC"):
        limit(resource.RLIMIT_NPROC, 0)


def limit(what: int, value: int) -> None:
    _, most = resource.getrlimit(what)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (value, value))


def limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_S, most))


def answer(function: Any, data: Any, parameters: dict[str, float]) -> bytes:
    """Returns the signals as bytes after "+", or after "-" what the user's code raised, where."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(function(data, SimpleNamespace(**parameters)), dtype=np.float64)
    except BaseException as error:  # noqa: BLE001 (whatever it raises is the user's to see)
        return b"-" + json.dumps(told(error)).encode()
    if found.shape != data.close.shape:
        bars, symbols = data.close.shape
        text = f"signals returned an array of shape {found.shape}, not ({bars}, {symbols})"
        return b"-" + json.dumps({"message": text, "text": text}).encode()
    return b"+" + np.ascontiguousarray(found).tobytes()


def told(error: BaseException) -> dict[str, str]:
    """Returns the error with its own traceback: the user's lines, not this file's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    head = f"{type(error).__name__}: {str(error)[:1000]}"
    if isinstance(error, OSError) and error.errno == 24:
        head = "a strategy can open no files"
    if isinstance(error, MemoryError):
        head = f"MemoryError: it may allocate {SPARE_BYTES >> 30} GiB and eight times the data's size"
    where = f"line {frames[-1].lineno}: " if frames else ""
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[-20:]), head]
    return {"message": where + head, "text": "".join(lines)}


def read_message(stream: BinaryIO) -> bytes | None:
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    return stream.read(HEAD.unpack(head)[0])


def write_message(stream: BinaryIO, content: bytes) -> None:
    stream.write(HEAD.pack(len(content)) + content)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
