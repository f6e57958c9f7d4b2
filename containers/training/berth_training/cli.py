"""The command: reads SPEC.json, runs it, and turns every failure into an exit code and error.json."""

import os
import sys
from pathlib import Path

from berth_backtest.cli import as_program_error, fail, read_spec, thread_count
from berth_backtest.errors import EXIT_CODES, EXIT_STOPPED, ProgramError, StoppedError
from berth_backtest.report import Stop, log, open_progress

USAGE = """usage: python -m berth_training SPEC.json OUT_DIR

Exit codes: 0 done, 2 the spec or the data is wrong, 4 a leak of the future found, 75 stopped (start
again with the same BERTH_CHECKPOINT_DIR to go on), 1 our fault. Reads BERTH_SAMPLES_DIR,
BERTH_CHECKPOINT_DIR, BERTH_CHECKPOINT_EVERY_S, BERTH_THREADS, BERTH_MEMORY_GIB, BERTH_DEVICE and
NUMBA_CACHE_DIR. With BERTH_MLFLOW_URI the run is written to that MLflow server too."""


def main(arguments: list[str]) -> int:
    """Returns the exit code; its meanings are in USAGE."""
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if len(arguments) != 2:
        print(USAGE, file=sys.stderr)
        return EXIT_CODES["invalid_params"]
    # Threads that spin while they wait slow the jobs beside this one, and this one: five times, measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    progress, stop = open_progress(), Stop().listen()
    out = Path(arguments[1])
    try:
        spec = read_spec(Path(arguments[0]))
        from berth_training.job import run_job

        run_job(spec, out, progress, stop, thread_count())
    except StoppedError as stopped:
        log(str(stopped))
        return EXIT_STOPPED
    except ModuleNotFoundError as error:
        text = f"{error.name} is not installed in this Python environment"
        hint = "npm run train installs what training needs; elsewhere: containers/requirements-training.lock"
        return fail(out, ProgramError("runner_crashed", text, hint=hint))
    except Exception as error:  # the boundary: everything is told once, here
        return fail(out, told(as_program_error(error)))
    return 0


def told(error: ProgramError) -> ProgramError:
    """Returns the error with what helps in a training run."""
    if error.code == "out_of_memory":
        error.hint = (
            error.hint if error.problems else "give the job more memory, fewer rows or fewer features"
        )
    return error
