"""The command: reads SPEC.json, runs it, and turns every failure into an exit code and error.json."""

import errno
import json
import os
import sys
import traceback
from pathlib import Path

from berth_backtest.errors import EXIT_CODES, EXIT_STOPPED, ProgramError, StoppedError, invalid
from berth_backtest.report import Stop, log, open_progress
from berth_backtest.shard import shard_from_env, shard_of_folders

MAX_SPEC_BYTES = 16 << 20  # 100,000 symbols and values fit many times
USAGE = """usage: python -m berth_backtest SPEC.json OUT_DIR
       python -m berth_backtest SPEC.json OUT_DIR --explain SYMBOL DATE
       python -m berth_backtest --merge SPEC.json OUT_DIR SHARD_DIR...

Exit codes: 0 done, 2 the spec or the data is wrong, 4 look-ahead found, 75 stopped (start again
with the same BERTH_CHECKPOINT_DIR to go on), 1 our fault. Reads BERTH_SAMPLES_DIR,
BERTH_CHECKPOINT_DIR, BERTH_CHECKPOINT_EVERY_S, BERTH_DEVICE, BERTH_MEMORY_GIB, BERTH_THREADS and
NUMBA_CACHE_DIR; prices that are larger than the memory lie in TMPDIR. With BERTH_SHARD_INDEX and
BERTH_SHARD_COUNT it runs one part of a sweep; --merge joins the folders of all parts into what one whole
run writes. --explain says what the best set did with a symbol on a date."""


def main(arguments: list[str]) -> int:
    """Returns the exit code; its meanings are in USAGE."""
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, explained = list(arguments), None
    if words[2:3] == ["--explain"] and len(words) == 5:
        words, explained = words[:2], words[3:]
    merges = words[:1] == ["--merge"]
    words = words[1:] if merges else words
    if len(words) < 3 if merges else len(words) != 2:
        print(USAGE, file=sys.stderr)
        return EXIT_CODES["invalid_params"]
    progress, stop = open_progress(), Stop().listen()
    out = Path(words[1])
    try:
        shard = shard_of_folders([Path(word) for word in words[2:]]) if merges else shard_from_env()
        spec = read_spec(Path(words[0]))
        from berth_backtest.job import explain_job, run_job

        if explained:
            lines = explain_job(spec, out, progress, stop, thread_count(), explained[0], explained[1])
            print("\n".join(lines))
        else:
            run_job(spec, out, progress, stop, thread_count(), shard)
    except StoppedError as stopped:
        log(str(stopped))
        return EXIT_STOPPED
    except Exception as error:  # the boundary: everything is told once, here
        return fail(None if explained else out, as_program_error(error))
    return 0


def read_spec(path: Path) -> object:
    """Returns the JSON of a file; refuses what JSON readers would read differently."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        raise invalid("", f"{path} cannot be read: {error.strerror}") from None
    if len(text) > MAX_SPEC_BYTES:
        raise invalid("", f"{path} is larger than {MAX_SPEC_BYTES >> 20} MiB")
    try:
        value: object = json.loads(text, object_pairs_hook=unique_keys, parse_constant=refuse_constant)
    except RecursionError:
        raise invalid("", f"{path} is nested too deeply") from None
    except ValueError as error:
        raise invalid("", f"{path} is not JSON: {error}") from None
    return value


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice[:60]!a} is there twice")
    return found


def refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def thread_count() -> int:
    """Returns BERTH_THREADS, else the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("BERTH_THREADS", "")
    return min(int(given), 1024) if given.isdigit() and int(given) > 0 else cores


def as_program_error(error: Exception) -> ProgramError:
    """Returns any error as one that says whose fault it is."""
    if isinstance(error, ProgramError):
        return error
    if isinstance(error, MemoryError):
        hint = "give the job more memory, fewer symbols or a smaller output.top_k"
        return ProgramError("out_of_memory", "the memory was not enough", hint=hint)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ProgramError(
            "disk_full", f"the disk is full: {error}", hint="free space, or give the job more disk"
        )
    traceback.print_exception(error)
    return ProgramError("runner_crashed", f"the program failed: {type(error).__name__}: {error}")


def fail(out: Path | None, error: ProgramError) -> int:
    """Prints an error, writes it to error.json if there is a folder, and returns its exit code."""
    print(f"error: {error.message}", file=sys.stderr)
    for problem in error.problems[1:]:
        print(f"error: {problem.path}: {problem.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    if out is None:
        return EXIT_CODES[error.code]
    content = {
        "code": error.code,
        "message": error.message,
        "errors": [vars(problem) for problem in error.problems],
        "hint": error.hint,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        part = out / f".error.json.{os.getpid()}.part"
        part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        part.replace(out / "error.json")
        # A result of an earlier run in this folder is not this run's.
        (out / "result.json").unlink(missing_ok=True)
    except OSError as fault:
        print(f"error: {out}/error.json cannot be written: {fault.strerror}", file=sys.stderr)
    return EXIT_CODES[error.code]
