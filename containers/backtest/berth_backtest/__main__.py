"""python -m berth_backtest SPEC.json OUT_DIR

The first line of the log is printed before anything heavy is imported.
"""

import gc
import sys

from berth_backtest import VERSION

if __name__ == "__main__":
    print(f"berth_backtest {VERSION}: reading {sys.argv[1] if len(sys.argv) > 1 else 'the spec'}", flush=True)
    gc.disable()  # while imports make what stays; job.py goes on with it
    from berth_backtest.cli import main

    sys.exit(main(sys.argv[1:]))
