"""Compiles the kernel once and keeps it, so that the first run does not wait for it.

Run: python -m berth_backtest.warm
"""

import sys
import time


def main() -> int:
    began = time.monotonic()
    from berth_backtest.kernel.ready import compile_kernel

    compile_kernel()
    print(f"kernel ready after {time.monotonic() - began:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
