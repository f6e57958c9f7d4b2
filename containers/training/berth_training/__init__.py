"""Training that a stranger can check: a spec and data in, a model, honest metrics and predictions out.

Run by hand: python -m berth_training SPEC.json OUT_DIR
In a notebook: berth_training.run(spec, frame).metrics
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from berth_training.notebook import Result

VERSION = "0.1.0"


def run(spec: dict[str, Any], data: Any = None, threads: int | None = None) -> "Result":
    """Runs a spec; `data` is a data frame or Arrow table in place of the files of `data` or of `table`.

    Raises ProgramError for what the program tells with an exit code.
    """
    from berth_training.notebook import run_here  # heavy imports are late

    return run_here(spec, data, threads)
