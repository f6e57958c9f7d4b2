"""python -m berth_training SPEC.json OUT_DIR

The first line of the log is printed before anything heavy is imported.
"""

import sys

from berth_training import VERSION

if __name__ == "__main__":
    print(f"berth_training {VERSION}: reading {sys.argv[1] if len(sys.argv) > 1 else 'the spec'}", flush=True)
    from berth_training.cli import main

    sys.exit(main(sys.argv[1:]))
