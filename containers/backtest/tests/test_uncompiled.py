"""The kernel's own lines: the hand-computed tests again, without compilation.

Run in a process of their own, since Numba decides at import. Coverage is measured there too.
"""

import os
import subprocess
import sys

from tests.support import ROOT, RUN_BOUND_S

CASES = "8"  # of the random ones: plain Python is a thousand times slower


def test_the_kernel_is_the_same_without_compilation() -> None:
    files = ["test_fills.py", "test_stops.py", "test_metrics.py", "test_reference.py"]
    files += [
        "test_indicators.py",
        "test_strategies.py",
        "test_shared.py",
        "test_actions.py",
        "test_signals.py",
        "test_user_step.py",
        "test_rebalance.py",
        "test_cn_a.py",
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--no-cov"),
            *("-c", str(ROOT.parent / "pyproject.toml")),
            *(str(ROOT / "tests" / name) for name in files),
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "BERTH_REFERENCE_CASES": CASES},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_BOUND_S,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
