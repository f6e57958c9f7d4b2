"""`python -m berth_runner`: runs one attempt. Its environment is described in settings.py."""

import sys

from berth_runner.main import main

sys.exit(main())
